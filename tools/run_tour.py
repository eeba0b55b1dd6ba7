"""Run the console blocks of a Markdown page and compare what they print with what the page shows.

``python tools/run_tour.py README.md docs/tutorial.md`` fails when a page no longer tells the truth; ``--write`` puts the new output into the page.

A page is run from top to bottom in one empty folder. In a ```console block, a line ``$ …`` is a command (continued by lines that begin with ``> ``)
and what follows is its output, standard output and standard error together; what it exports, and the folder that it
goes to, hold for the next one. A ```yaml block whose info string has ``file=PATH`` is written to that path first.
``amsctl sandbox`` is started in the background on a free port, which stands in for the port 8480 that the page speaks of; ``$ ^C`` ends it.
Times, digests, durations and temporary paths are not compared. Blocks of any other language are not run.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import signal
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
    """One page being run: the folder it runs in, its working directory, the last exit status, the sandbox if there is one."""

    home: Path
    port: int
    here: Path = field(init=False)
    status: int = 0
    sandbox: subprocess.Popen[str] | None = None

    def __post_init__(self) -> None:
        self.here = self.home

    def run(self, command: str) -> str:
        """What a command prints, with the page's port in it."""
        self._point_to_sandbox()
        if command == "^C":
            return self._stop_sandbox()
        if re.match(r"amsctl (.* )?sandbox\b", command):
            return self._start_sandbox(command)
        after, exported = self.home / ".where", self.home / ".exported"
        before = f". '{exported}'\n" if exported.exists() else ""
        script = f"{before}(exit {self.status})\n{command}\nstatus=$?; pwd > '{after}'; export -p > '{exported}'; exit $status"
        done = subprocess.run(
            ["bash", "-c", script], cwd=self.here, env=self._environment(), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=COMMAND_SECONDS, check=False,
        )  # fmt: skip
        self.status = done.returncode
        if after.exists():
            self.here = Path(after.read_text(encoding="utf-8").strip())
            after.unlink()
        return self._as_on_the_page(done.stdout)

    def close(self) -> None:
        """End what still runs."""
        if self.sandbox is not None:
            self._stop_sandbox()

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
        return text.replace(f"127.0.0.1:{self.port}", f"127.0.0.1:{PORT}").replace(str(self.home), "/tmp/tour")

    def _start_sandbox(self, command: str) -> str:
        assert self.sandbox is None, "the page starts a second sandbox"
        log = self.home / ".sandbox.log"
        arguments = shlex.split(command.removesuffix("&"))
        with log.open("w", encoding="utf-8") as stream:
            self.sandbox = subprocess.Popen(
                [*arguments, "--port", str(self.port)], cwd=self.here, env=self._environment(), stdin=subprocess.DEVNULL,
                stdout=stream, stderr=subprocess.STDOUT, text=True,
            )  # fmt: skip
        deadline = time.monotonic() + COMMAND_SECONDS
        while time.monotonic() < deadline and self.sandbox.poll() is None:
            text = log.read_text(encoding="utf-8")
            if "Ctrl-C" in text and text.endswith("\n"):
                return self._as_on_the_page(text)
            time.sleep(0.05)
        raise AssertionError(f"the sandbox did not start: {log.read_text(encoding='utf-8')}")

    def _stop_sandbox(self) -> str:
        assert self.sandbox is not None, "there is no sandbox to end"
        self.sandbox.send_signal(signal.SIGINT)
        self.sandbox.wait(timeout=COMMAND_SECONDS)
        self.sandbox = None
        return ""


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
            path = tour.here / named.group(1)
            path.parent.mkdir(parents=True, exist_ok=True)
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
    """The text of a page with what its commands print now."""
    with tempfile.TemporaryDirectory(prefix="tour-") as folder, socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        taken.close()
        home = Path(folder).resolve()
        (home / ".bin").mkdir()
        script = home / ".bin" / "amsctl"
        script.write_text(
            f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(ROOT)!r})\nfrom amsctl.cli.main import main\nsys.exit(main())\n"
        )
        script.chmod(0o755)
        tour = Tour(home=home, port=port)
        try:
            return replayed(path.read_text(encoding="utf-8"), tour)
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
