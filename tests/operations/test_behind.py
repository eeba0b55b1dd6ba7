"""Whether a change is behind its branch, where git or a manifest gives no answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from amsctl.errors import Stale
from amsctl.manifests.load import load
from amsctl.operations import behind
from amsctl.operations.behind import check_not_behind
from amsctl.operations.record import Sources, sources_of
from amsctl.planning.plan import Base, Plan
from tests.approvals.repository import git
from tests.operations.test_introduction import QUIET, branch, change, commit, limits, lose

__all__ = ["branch"]


def plan_of(folder: Path, head: str) -> tuple[Plan, Sources, str]:
    """A plan of a commit that changes the account, and where main is."""
    base = git(folder, "rev-parse", "main")
    assert QUIET.origin.git is not None
    origin = replace(
        QUIET.origin, base=Base(ref="refs/heads/main", commit=base), git=replace(QUIET.origin.git, commit=git(folder, "rev-parse", head))
    )
    return replace(QUIET, changes=(change(),), origin=origin), sources_of(folder, {}, option="main"), base


def refused(folder: Path, before: Callable[[], object] = lambda: None) -> Stale:
    plan, sources, base = plan_of(folder, "change")
    wanted = load(sources.here)
    before()
    with pytest.raises(Stale) as raised:
        check_not_behind(plan, wanted, sources, (base,))
    return raised.value


@pytest.fixture
def forked(branch: Path) -> Path:
    """lee cuts on main after jo has left it; jo's branch is checked out."""
    git(branch, "switch", "--quiet", "-c", "change")
    commit(branch, limits(12), "jo")
    git(branch, "switch", "--quiet", "main")
    commit(branch, limits(10) + "\n", "kim")
    commit(branch, limits(5), "lee")
    commit(branch, limits(5) + "\n", "kim")
    git(branch, "switch", "--quiet", "change")
    return branch


def test_the_commit_that_is_missing_is_named(forked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one of lee; where it is further back than is looked, main's newest."""
    assert git(forked, "rev-parse", "main~1")[:12] in str(refused(forked))
    monkeypatch.setattr(behind, "_MOST_LOOKED_AT", 2)
    git(forked, "switch", "--quiet", "main")
    for _ in range(2):
        commit(forked, limits(5) + "\n" * 3, "kim")
    git(forked, "switch", "--quiet", "change")
    assert git(forked, "rev-parse", "main")[:12] in str(refused(forked))


def test_histories_without_a_common_commit(forked: Path) -> None:
    """Where the change left main is not known."""
    git(forked, "checkout", "--quiet", "--orphan", "other")
    commit(forked, limits(12), "jo")
    git(forked, "branch", "--quiet", "--force", "change", "other")
    assert "have no commit in common" in str(refused(forked))


@pytest.mark.parametrize("name", ["main~3", "main~3^{tree}", "main^{tree}", "main:accounts/a.yaml"])
def test_what_git_does_not_give_is_not_taken_for_the_same(name: str, forked: Path) -> None:
    """A commit or a file that is missing."""
    assert "is missing in this repository" in str(refused(forked, lambda: lose(forked, name))) or name.endswith("yaml")


def test_a_plan_that_changes_nothing_is_behind_in_nothing(forked: Path) -> None:
    """And so is one of no commit."""
    plan, sources, base = plan_of(forked, "change")
    wanted = load(sources.here)
    check_not_behind(replace(plan, changes=()), wanted, sources, (base,))
    check_not_behind(replace(plan, origin=replace(plan.origin, git=None)), wanted, sources, (base,))
