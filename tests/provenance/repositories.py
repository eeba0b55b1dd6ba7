"""Real repositories of git, made as people and attackers make them, and a program that tells that it ran."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from amsctl.provenance.facts import Unknown
from amsctl.provenance.repository import Repository, find

START = 1_800_000_000


class Repo:
    """A repository: its folder, and git run in it as its owner does. Each commit is a minute later than the one before."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder
        self.minutes = 0
        folder.mkdir(parents=True, exist_ok=True)
        self.git("init", "--quiet", "--initial-branch", "main", *arguments)

    @classmethod
    def clone(cls, origin: Path | str, folder: Path, *arguments: str) -> Repo:
        repo = cls.__new__(cls)
        repo.folder, repo.minutes = folder, 1000
        subprocess.run(
            ["git", "clone", "--quiet", *arguments, str(origin), str(folder)], check=True, capture_output=True, env=environment()
        )
        return repo

    def git(self, *arguments: str, who: str = "jo", given: bytes = b"", environ: Mapping[str, str] | None = None) -> str:
        """What git says, without the last line end."""
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.folder,
            input=given,
            check=False,
            capture_output=True,
            env={**environment(who, self.minutes), **(environ or {})},
        )
        assert done.returncode == 0, (arguments, done.stderr.decode())
        return os.fsdecode(done.stdout).removesuffix("\n")

    def write(self, files: Mapping[str, str | bytes]) -> None:
        for name, content in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())

    def commit(self, files: Mapping[str, str | bytes] | None = None, message: str = "change", *, who: str = "jo") -> str:
        """A commit of these files over all that is tracked; its id."""
        self.minutes += 1
        self.write(files or {})
        for name in files or {}:
            self.git("add", "--force", "--", name)
        self.git("commit", "--quiet", "--all", "--allow-empty", "-m", message, who=who)
        return self.git("rev-parse", "HEAD")

    def object(self, kind: str, content: bytes) -> str:
        """Any bytes as an object, whether git would make it or not."""
        return self.git("hash-object", "-t", kind, "-w", "--literally", "--stdin", given=content)

    def tree(self, *entries: tuple[str, bytes, str]) -> str:
        """A tree of (mode, name, id), in the order given."""
        return self.object("tree", b"".join(mode.encode() + b" " + name + b"\0" + bytes.fromhex(id_) for mode, name, id_ in entries))

    def commit_of_tree(self, tree: str, *parents: str) -> str:
        return self.git("commit-tree", tree, "-m", "made", *(word for parent in parents for word in ("-p", parent)))

    @property
    def repository(self) -> Repository:
        return found(self.folder)


def environment(who: str = "jo", minutes: int = 0) -> dict[str, str]:
    """Of a person who has set nothing."""
    when = f"{START + 60 * minutes} +0000"
    names = {
        f"GIT_{role}_{part}": text
        for role in ("AUTHOR", "COMMITTER")
        for part, text in (("NAME", who.title()), ("EMAIL", f"{who}@firm.example"))
    }
    dates = {"GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when}
    allowed = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "protocol.file.allow", "GIT_CONFIG_VALUE_0": "always"}
    return {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1", **names, **dates, **allowed}


def found(folder: Path, environ: Mapping[str, str] | None = None) -> Repository:
    repository = find(folder, environ if environ is not None else {"PATH": os.environ["PATH"]})
    assert isinstance(repository, Repository), repository
    return repository


def reason(answer: object) -> str:
    """Why there is no answer."""
    assert isinstance(answer, Unknown), answer
    return f"{answer.reason}; {answer.hint}"


class Canary:
    """A program that writes down that it ran."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.sign = folder / "it-ran"
        self.program = folder / "program"
        self.make(self.program)

    def make(self, path: Path) -> Path:
        """The program at a place; whatever it is asked, it fails after it has left its sign."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\necho \"$0 $*\" >> '{self.sign}'\nexit 1\n")
        path.chmod(0o755)
        return path

    @property
    def ran(self) -> str:
        return self.sign.read_text() if self.sign.exists() else ""
