"""One repository for all tests of approvals; each changes a copy of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from amsctl.cli.planning import read_plan
from amsctl.sandbox.books import spec_book
from amsctl.sandbox.server import Sandbox, serve
from tests.approvals.repository import RULES, Repository, git, make_keys, signers
from tests.cli.conftest import ACCOUNT, PROJECT, Run, run
from tests.hostile.canaries import AUTH
from tests.wants import missing

__all__ = ["run"]


@pytest.fixture(scope="session")
def ams() -> Iterator[Sandbox]:
    with serve(spec_book()) as served:
        yield served


@pytest.fixture(scope="session")
def original(ams: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """main has the limits and sam, kim and lee as approvers; jo's branch raises short from 567 to 1,134."""
    if shutil.which("ssh-keygen") is None:
        missing("openssh", "ssh-keygen is not here")
    keys = make_keys(tmp_path_factory.mktemp("keys"))
    root = tmp_path_factory.mktemp("limits")
    (root / "accounts").mkdir()
    (root / "amsctl.yaml").write_text(PROJECT.format(url=ams.url, auth=AUTH) + RULES)
    (root / "approvers").write_text(signers(keys, "sam", "kim", "lee", "jo"))
    (root / "accounts" / "dv.yaml").write_text(ACCOUNT.replace("long: 300, short: 600", "long: 324, short: 567"))  # as the AMS has it
    git(root, "init", "--quiet", "--initial-branch", "main", who="root")
    git(root, "add", ".", who="root")
    git(root, "commit", "--quiet", "-m", "limits", who="root", key=keys["root"])
    git(root, "switch", "--quiet", "-c", "change")
    (root / "accounts" / "dv.yaml").write_text(ACCOUNT.replace("short: 600", "short: 1134"))
    git(root, "commit", "--quiet", "-am", "RISK-7 raise", key=keys["jo"])
    run_one: Run = run.__wrapped__()  # type: ignore[attr-defined]
    file = str(root.parent / f"{root.name}.plan.json")
    ran = run_one("-C", str(root), "plan", "--base", "main", "-o", file)
    assert ran.code == 0, ran.err
    return Repository(root, read_plan(file), keys)


@pytest.fixture
def repository(original: Repository, tmp_path: Path) -> Repository:
    return original.copied(tmp_path / "limits")
