"""A PostgreSQL server of the tests' own: Debian's, in a temporary folder, on a free port of the loopback, gone at the end of the session.

Each worker of pytest-xdist starts its own. ``postgres`` skips where PostgreSQL is not installed
(see ``wants``).
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
import socket
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

from tests.wants import missing

PASSWORD = "Cn09 p@ss/w:rd %41 •"  # every character that an address has to escape
_PLACES = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/local/pgsql/bin", "/opt/homebrew/opt/postgresql@*/bin")
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "60",
    "shared_buffers": "16MB",
    # The tests kill processes, not machines: what the kernel has is safe.
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",  # the ledger must ask for it itself
    "password_encryption": "scram-sha-256",
}


def binaries() -> Path | None:
    """Where initdb and its kin are; the newest version when there are several."""
    found = [path.parent for place in _PLACES for path in Path("/").glob(f"{place[1:]}/initdb")]
    if on_path := shutil.which("initdb"):
        found.append(Path(on_path).resolve().parent)
    return max(found, key=lambda path: [int(number) for number in re.findall(r"\d+", str(path))], default=None)


def _user() -> str | None:
    """Whom the server runs as: it refuses to be root."""
    if os.getuid() != 0:
        return None
    import pwd

    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


def _folder() -> Path:
    """A folder that another user can get to, too."""
    usual = Path(tempfile.gettempdir())
    open_to_all = all(path.stat().st_mode & stat.S_IXOTH for path in (usual, *usual.parents))
    return Path(tempfile.mkdtemp(prefix="pg-", dir=usual if open_to_all else "/tmp"))


class Server:
    """A cluster, stopped and started at will. Everybody logs in over TCP with a password, as in the field."""

    def __init__(self, bin_folder: Path) -> None:
        self._bin = bin_folder
        self._user = _user()
        self.folder = _folder()
        self._numbers = itertools.count()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        password = self.folder / "password"
        password.write_text(PASSWORD + "\n", encoding="utf-8")
        if self._user is not None:
            for path in (self.folder, password):
                shutil.chown(path, self._user)
        self._run(
            "initdb",
            "-D",
            "cluster",
            "-U",
            "amsctl",
            "--pwfile=password",
            "-A",
            "scram-sha-256",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
        )
        self.start()

    def _run(self, program: str, *arguments: str, check: bool = True) -> None:
        done = subprocess.run(
            [str(self._bin / program), *arguments],
            cwd=self.folder,
            user=self._user,
            extra_groups=[] if self._user is not None else None,
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        assert not check or done.returncode == 0, f"{program}: {done.stderr}"

    def start(self) -> None:
        """Returns when the server answers."""
        options = " ".join(f"-c {name}={setting}" for name, setting in _SETTINGS.items())
        self._run("pg_ctl", "-D", "cluster", "-w", "-l", "log", "-o", f"{options} -p {self.port} -k {self.folder}", "start")

    def stop(self, mode: str = "immediate") -> None:
        """``immediate``: as if its processes were killed."""
        self._run("pg_ctl", "-D", "cluster", "-w", "-m", mode, "stop", check=False)

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, name: str = "public", *, user: str = "amsctl", password: str = PASSWORD) -> str:
        """The address of a place that ``fresh`` made: a schema, which is made a hundred times faster than a database."""
        return f"postgresql://{user}:{quote(password, safe='')}@127.0.0.1:{self.port}/postgres?options=-csearch_path%3D{name}"

    def connect(self, name: str = "public") -> psycopg.Connection:
        """A connection around the ledger, each statement by itself."""
        return psycopg.connect(self.url(name), autocommit=True)

    def fresh(self) -> str:
        """The name of a new, empty place for a ledger."""
        name = f"place{next(self._numbers)}"
        with self.connect() as connection:
            connection.execute("SET synchronous_commit TO on")  # or a server that is killed soon after has never heard of it
            connection.execute(f"CREATE SCHEMA {name}")
        return name

    def drop(self, name: str) -> None:
        with self.connect() as connection:
            connection.execute(f"DROP SCHEMA IF EXISTS {name} CASCADE")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A running server."""
    found = binaries()
    if found is None:
        missing("postgresql", "PostgreSQL is not installed here (Debian: apt-get install postgresql)")
    server = Server(found)
    try:
        yield server
    finally:
        server.remove()
