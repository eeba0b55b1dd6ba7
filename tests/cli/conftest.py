"""Command lines run inside this process, with streams of their own."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from amsctl.cli.console import Console
from amsctl.cli.main import main
from amsctl.sandbox.books import spec_book
from amsctl.sandbox.server import Sandbox, serve
from tests.hostile.canaries import AUTH, ENVIRON, HUNT


class Terminal(io.StringIO):
    """A stream that says a person sits at the other end."""

    def isatty(self) -> bool:
        return True


class Ran(NamedTuple):
    """What a command line gave."""

    code: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def run() -> Run:
    """``run("validate", "x.yaml", stdin="", terminal=False, environ={})``."""

    def run_one(*arguments: str, stdin: str = "", terminal: bool = False, environ: dict[str, str] | None = None) -> Ran:
        kind = Terminal if terminal else io.StringIO
        out, err = kind(), kind()
        code = main(list(arguments), console=Console(stdout=out, stderr=err, stdin=kind(stdin), environ={**ENVIRON, **(environ or {})}))
        for stream in (out, err):
            HUNT.search(stream.getvalue(), "a stream")
        return Ran(code, out.getvalue(), err.getvalue())

    return run_one


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """The stand-in with the book of the specification's examples."""
    with serve(spec_book()) as served:
        yield served


@pytest.fixture
def project(tmp_path: Path, sandbox: Sandbox) -> Iterator[Path]:
    """A limits repository against the stand-in, with one sound account."""
    sandbox.reset()
    (tmp_path / "accounts").mkdir()
    (tmp_path / "amsctl.yaml").write_text(PROJECT.format(url=sandbox.url, auth=AUTH), encoding="utf-8")
    (tmp_path / "accounts" / "dv.yaml").write_text(ACCOUNT, encoding="utf-8")
    yield tmp_path
    sandbox.reset()


PROJECT = """\
apiVersion: amsctl/v1
kind: Project
spec:
  manifests: [accounts]
  defaultEnvironment: sandbox
  environments:
    sandbox:
      url: {url}
      auth: {auth}
"""
ACCOUNT = """\
apiVersion: amsctl/v1
kind: Account
metadata:
  clearingFirm: GREENTEA_API_CLEARING2
  accountNumber: DV10121801A
spec:
  executionFirms:
    3N1:
      limits:
        CJ.FUT.NYMEX: {ef: {long: 300, short: 600}}
"""
