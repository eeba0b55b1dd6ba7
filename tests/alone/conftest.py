"""One repository for all of them; each works on a copy."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from amsctl.sandbox.books import spec_book
from amsctl.sandbox.server import Sandbox, serve
from tests.alone.desk import LIVE, PEOPLE, Desk, account, copied, project_text, signers
from tests.cli.conftest import Run, run
from tests.wants import missing

__all__ = ["run"]


@pytest.fixture(scope="session")
def ams() -> Iterator[Sandbox]:
    with serve(spec_book()) as served:
        yield served


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    if shutil.which("ssh-keygen") is None:
        missing("openssh", "ssh-keygen is not here")
    folder = tmp_path_factory.mktemp("keys")
    for name in PEOPLE:
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(folder / name)], check=True)
    return {name: folder / name for name in PEOPLE}


@pytest.fixture(scope="session")
def original(ams: Sandbox, keys: Mapping[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """main says what the AMS holds; sam, kim, lee and jo may sign."""
    root = tmp_path_factory.mktemp("desk") / "limits"
    root.mkdir()
    first = Desk(root, root.parent, keys, ams, run.__wrapped__())  # type: ignore[attr-defined]
    first.git("init", "--quiet", "--initial-branch", "main")
    first.write("amsctl.yaml", project_text(ams.url))
    first.write("approvers", signers(keys, "sam", "kim", "lee", "jo"))
    first.write("accounts/a.yaml", account(LIVE))
    first.commit(who="root", signed=False, message="limits")
    shutil.rmtree(root / ".git" / "hooks")
    return root


@pytest.fixture
def desk(original: Path, keys: Mapping[str, Path], ams: Sandbox, run: Run, tmp_path: Path) -> Iterator[Desk]:
    ams.reset()
    yield Desk(copied(original, tmp_path / "limits"), tmp_path, keys, ams, run)
    ams.reset()
