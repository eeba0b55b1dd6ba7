"""Which commit the manifests stand at: git's own word, and nothing where there is none."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from amsctl.commit import commit_of


def git(folder: Path, *arguments: str) -> None:
    who = {"GIT_AUTHOR_NAME": "Ann", "GIT_AUTHOR_EMAIL": "ann@example.org", "GIT_COMMITTER_NAME": "C", "GIT_COMMITTER_EMAIL": "c@d"}
    subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True, env={**os.environ, **who})


def test_commit_author_and_whether_anything_differs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert commit_of(str(tmp_path)) is None
    git(tmp_path, "init", "-q")
    assert commit_of(str(tmp_path)) is None
    (tmp_path / "limits").mkdir()
    (tmp_path / "limits" / "a.yaml").write_text("a: b\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    found = commit_of(str(tmp_path / "limits"))
    assert found is not None
    assert (len(found.commit), found.author, found.dirty) == (40, "Ann <ann@example.org>", False)
    (tmp_path / "elsewhere").write_text("x")
    assert commit_of(str(tmp_path / "limits")) == found
    (tmp_path / "limits" / "a.yaml").write_text("a: c\n")
    changed = commit_of(str(tmp_path / "limits"))
    assert changed is not None
    assert changed.dirty is True


def test_without_git_there_is_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert commit_of(str(tmp_path)) is None
