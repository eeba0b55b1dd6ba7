"""Asking git for the commit runs no program that a repository's configuration names: it would inherit our secrets."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from amsctl.commit import commit_of


@pytest.mark.parametrize(
    ("key", "path"),
    [("core.fsmonitor", "monitor"), ("gpg.program", "gpg")],
)
def test_a_program_of_the_repository_is_not_run(tmp_path: Path, key: str, path: str) -> None:
    def git(*arguments: str) -> str:
        identity = ("-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false")
        done = subprocess.run(["git", "-C", str(tmp_path), *identity, *arguments], check=True, capture_output=True, text=True)
        return done.stdout.strip()

    git("init", "-q")
    (tmp_path / "a").write_text("a")
    git("add", "a")
    git("commit", "-q", "-m", "a")
    (commit, author) = (git("rev-parse", "HEAD"), "A <a@example.com>")
    signed = git("cat-file", "commit", "HEAD").replace(
        "\n\n", "\ngpgsig -----BEGIN PGP SIGNATURE-----\n \n x\n -----END PGP SIGNATURE-----\n\n", 1
    )
    (tmp_path / ".git" / "raw").write_text(signed + "\n")
    commit = git("hash-object", "-t", "commit", "-w", str(tmp_path / ".git" / "raw"))
    git("update-ref", "HEAD", commit)
    ran = tmp_path / ".git" / "ran"
    program = tmp_path / ".git" / path
    program.write_text(f"#!/bin/sh\ntouch '{ran}'\nexit 1\n")
    program.chmod(0o755)
    git("config", "log.showSignature", "true")
    git("config", key, str(program))
    found = commit_of(str(tmp_path))
    assert found is not None
    assert (found.commit, found.author, found.dirty) == (commit, author, False)
    assert not ran.exists()
