"""Run the console blocks of a Markdown page and compare what they print with what the page shows.

``python tools/run_tour.py README.md docs/tutorial.md`` fails when a page no longer tells the truth; ``--write`` puts the new output into the page.

A page is run from top to bottom in one bash with job control, and starts where its reader is: inside a git checkout that has nothing to do with it. In a
```console block, a line ``$ …`` is a command (continued by lines that begin with ``> ``), typed into that bash as it stands, and what follows is its
output, standard output and standard error together. A ```yaml block whose info string has ``file=PATH`` is saved there first; its folder must exist.
A sandbox listens on a free port, which stands in for the port 8480 that the page names; a command that ends with ``&`` is waited for until it serves.
Times, digests, durations and temporary paths are not compared. Blocks of any other language are not run.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import unified_diff
from pathlib import Path

from amsctl.provenance.people import host, user

ROOT = Path(__file__).resolve().parent.parent
PORT = "8480"
COMMAND_SECONDS = 60
READERS_HOME = "/home/ann"
"""What a page shows for the home folder of whoever follows it."""
SERVING = "stop it with"
"""What the sandbox says once it serves."""
MARK = "--- the shell is ready ---"
FENCE = re.compile(r"^(?P<ticks>`{3,})(?P<info>[^`\n]*)\n(?P<body>.*?)^(?P=ticks)$", re.MULTILINE | re.DOTALL)

MASKS = (
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?( ?(Z|UTC))?"), "TIME"),
    (re.compile(r"\b\d{8}T\d{6}Z-[0-9a-f]{6}\b"), "RUN"),
    (re.compile(r"(sha256:)?\b[0-9a-f]{12,64}\b…?"), "DIGEST"),
    (re.compile(r"\b\d+(\.\d+)? ?(ms|s|seconds?|minutes?)\b"), "DURATION"),
    (re.compile(r"\b\d+(\.\d+)?/s\b"), "RATE"),
    (re.compile(r"127\.0\.0\.1:\d+"), "ADDRESS"),
    (re.compile(r"(/[\w.+-]+)*/(tmp|T|temp)/[\w./+-]+"), "FOLDER"),
    (re.compile(r"amsctl \d+\.\d+\.\d+[\w.+-]*|amsctl unknown"), "VERSION"),
)


@dataclass(slots=True)
class Tour:
    """Pages being run: the home folder of their reader, and the shell that the reader types into."""

    home: Path
    port: int
    clone: Path = field(init=False)
    shell: subprocess.Popen[bytes] = field(init=False)

    def __post_init__(self) -> None:
        self.clone = self.home / "clone"
        example = self.clone / "examples" / "limits" / "amsctl.yaml"  # what a clone of amsctl holds, and a folder of its reader is not
        example.parent.mkdir(parents=True)
        shutil.copy(ROOT / "examples" / "limits" / "amsctl.yaml", example)
        for command in (["init", "-q", "-b", "main", "."], ["add", "."], ["commit", "-q", "-m", "A"]):
            subprocess.run(["git", *command], cwd=self.clone, env=self._environment(), check=True, stdin=subprocess.DEVNULL)
        # What the shell itself says of its jobs is no part of a page; what commands say is.
        self.shell = subprocess.Popen(
            ["bash", "--norc", "--noprofile"], cwd=self.clone, env=self._environment(),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._typed("set -m")

    def run(self, command: str) -> str:
        """What a command prints, with the page's port in it."""
        self._point_to_sandbox()
        return self._as_on_the_page(self._typed(command))

    def here(self) -> Path:
        """The folder that the reader is in."""
        return Path(self._typed("pwd").strip())

    def close(self) -> None:
        """End the shell and what still runs in it."""
        assert self.shell.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.shell.stdin.write(b"kill $(jobs -p); wait; exit\n")
            self.shell.stdin.close()
        self.shell.wait(timeout=COMMAND_SECONDS)
        assert self.shell.stdout is not None
        self.shell.stdout.close()

    def _typed(self, command: str) -> str:
        """What a command prints, the status of the one before it in ``$?``. A job that was told to end has ended when the next command is typed."""
        assert self.shell.stdin is not None
        wait = "wait; " if re.match(r"kill %\d", command) else ""
        script = f"(exit ${{__status:-0}})\n{{ {command}\n}} < /dev/null 2>&1\n__status=$?; {wait}printf %s '{MARK}'\n"
        self.shell.stdin.write(script.encode())
        self.shell.stdin.flush()
        return self._heard(until=SERVING if command.endswith("&") else "")

    def _heard(self, *, until: str) -> str:
        """What the shell prints up to the mark, and up to the line of a job that serves."""
        assert self.shell.stdout is not None
        stream, heard, deadline = self.shell.stdout.fileno(), b"", time.monotonic() + COMMAND_SECONDS
        while (
            MARK not in (text := heard.decode("utf-8", "replace"))
            or until not in text
            or (until and not text.replace(MARK, "").endswith("\n"))
        ):
            ready, _, _ = select.select([stream], [], [], max(0, deadline - time.monotonic()))
            piece = os.read(stream, 65536) if ready else b""
            if not piece:
                raise AssertionError(f"the command did not end, or the shell did: {text}")
            heard += piece
        return text.replace(MARK, "")

    def _environment(self) -> dict[str, str]:
        # A page shows what a person sees: in a pipeline, amsctl would name it as the one who runs this.
        ours = ("AMS", "GIT_", "COV", "PYTEST", "CI", "GITHUB_", "GITLAB_", "BUILD_")
        kept = {name: text for name, text in os.environ.items() if not name.startswith(ours)}
        author = {
            "GIT_AUTHOR_NAME": "A",
            "GIT_AUTHOR_EMAIL": "a@example.org",
            "GIT_COMMITTER_NAME": "A",
            "GIT_COMMITTER_EMAIL": "a@example.org",
        }
        return {
            **kept, **author,
            "PATH": f"{self.home / '.bin'}{os.pathsep}{os.environ['PATH']}", "HOME": str(self.home), "COLUMNS": "100", "NO_COLOR": "1",
            "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C.UTF-8", "TZ": "UTC",
        }  # fmt: skip

    def _point_to_sandbox(self) -> None:
        for path in self.home.rglob("amsctl.yaml"):
            text = path.read_text(encoding="utf-8")
            changed = text.replace(f"127.0.0.1:{PORT}/", f"127.0.0.1:{self.port}/")
            if changed != text:
                path.write_text(changed, encoding="utf-8")

    def _as_on_the_page(self, text: str) -> str:
        return text.replace(f"127.0.0.1:{self.port}", f"127.0.0.1:{PORT}").replace(str(self.home), READERS_HOME)


def masked(text: str) -> str:
    """The text without what differs from run to run, nor blanks at line ends."""
    for pattern, word in MASKS:
        text = pattern.sub(word, text)
    return "\n".join(line.rstrip() for line in text.splitlines())


def commands_of(body: str) -> Iterator[tuple[str, str, str]]:
    """Each command of a console block: as shown, as run, and the output that the page shows."""
    shown: list[str] = []
    output: list[str] = []
    for line in body.splitlines():
        if line.startswith("$ "):
            if shown:
                yield "\n".join(shown), _joined(shown), "\n".join(output)
            shown, output = [line], []
        elif line.startswith("> ") and not output:
            shown.append(line)
        else:
            assert shown, f"a console block begins with output: {line}"
            output.append(line)
    if shown:
        yield "\n".join(shown), _joined(shown), "\n".join(output)


def _joined(shown: list[str]) -> str:
    return "\n".join(line[2:] for line in shown)


def replayed(page: str, tour: Tour) -> str:
    """The page with what its commands print now; output that is the same but for what is masked stays as it was."""

    def block(match: re.Match[str]) -> str:
        language, _, options = match["info"].strip().partition(" ")
        named = re.search(r"file=(\S+)", options)
        if named is not None:
            path = tour.here() / named.group(1)
            assert path.parent.is_dir(), f"the page makes no folder for {named.group(1)}"
            path.write_text(match["body"], encoding="utf-8")
        if language != "console":
            return match.group()
        lines = []
        for shown, command, expected in commands_of(match["body"]):
            found = tour.run(command).strip("\n").replace(f"{user()}@{host()}", "ann@desk")
            lines += [shown, expected if masked(found) == masked(expected) else found]
        body = "\n".join(line for line in "\n".join(part for part in lines if part).splitlines())
        return f"{match['ticks']}{match['info']}\n{body}\n{match['ticks']}"

    return FENCE.sub(block, page)


def run_page(path: Path) -> str:
    """The text of a page with what its commands print now. A page that leaves a job behind is in the way of the next one: AssertionError."""
    with tempfile.TemporaryDirectory(prefix="tour-") as folder, socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        taken.close()
        home = Path(folder).resolve()
        (home / ".bin").mkdir()
        script = home / ".bin" / "amsctl"
        script.write_text(
            f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(ROOT)!r})\nfrom amsctl.cli.main import main\n"
            f"sys.exit(main(sys.argv[1:] + ['--port', '{port}'] * ('sandbox' in sys.argv[1:2])))\n"
        )
        script.chmod(0o755)
        tour = Tour(home=home, port=port)
        try:
            text = replayed(path.read_text(encoding="utf-8"), tour)
            left = tour.run("jobs -r")
            assert not left, f"the page leaves running: {left}"
            return text
        finally:
            tour.close()


def main() -> int:
    """Run pages; 0 when every one of them still tells the truth."""
    parser = argparse.ArgumentParser(description="Run the console blocks of Markdown pages.")
    parser.add_argument("pages", nargs="+", type=Path)
    parser.add_argument("--write", action="store_true", help="put the new output into the pages")
    given = parser.parse_args()
    stale = 0
    for path in given.pages:
        before = path.read_text(encoding="utf-8")
        after = run_page(path)
        if after == before:
            continue
        stale += 1
        if given.write:
            path.write_text(after, encoding="utf-8")
            print(f"written: {path}", file=sys.stderr)
        else:
            sys.stderr.writelines(unified_diff(before.splitlines(True), after.splitlines(True), f"{path} (page)", f"{path} (now)"))
    return 1 if stale and not given.write else 0


if __name__ == "__main__":
    raise SystemExit(main())
