"""What people are told before they wait for an approval that is not enough."""

from __future__ import annotations

from tests.alone.desk import REVIEWS, Desk, project_text
from tests.alone.test_runs import rolled_back, tightened


def test_an_author_who_is_not_proven_is_told_when_planning(desk: Desk) -> None:
    """With how many must approve, whose commit it is, and how to sign it; by approve, too, and by the error of apply."""
    commit = desk.raise_it("jo", signed=False)
    file = str(desk.home / "plan.json")
    planned = desk.run("plan", "-o", file)
    words = f"needs 2 approvals: 1 by the rules, 1 more since jo@firm.example is not proven: commit {commit[:12]} is not signed"
    assert words in planned.err
    assert words in desk.approve("sam", file).err
    refused = desk.run("apply", file)
    assert (refused.code, "or sign it: git commit --amend -S, and plan again" in refused.err) == (8, True)


def test_who_is_proven_needs_no_word(desk: Desk) -> None:
    desk.raise_it("jo")
    assert "is not proven" not in desk.run("plan", "-o", str(desk.home / "plan.json")).err


def test_reviews_are_known_to_the_forge(desk: Desk) -> None:
    """Who pushed a commit is not known when the plan is made; and a plan that nobody can approve says so itself."""
    desk.on_main("amsctl.yaml", project_text(desk.ams.url, REVIEWS))
    desk.raise_it("jo")
    assert "not proven" not in desk.run("plan", "-o", str(desk.home / "plan.json")).err
    desk.write("accounts/a.yaml", (desk.root / "accounts/a.yaml").read_text() + "\n")
    assert "not proven" not in desk.run("plan", "-o", str(desk.home / "plan.json")).err


def test_a_rollback_at_a_terminal_is_told(desk: Desk) -> None:
    run = tightened(desk)
    told = desk.run("rollback", run, "-o", str(desk.home / "again.json")).err
    assert "needs 2 approvals: 1 by the rules, 1 more since" in told
    assert "asked for the rollback at a terminal" in told
    refused = desk.run("apply", rolled_back(desk, run))
    assert (refused.code, "git commit" in refused.err) == (8, False)


def test_an_edit_that_is_not_committed_is_told_first(desk: Desk) -> None:
    """On a branch that is where main is, nothing can lack a change that is no commit yet."""
    desk.git("switch", "-q", "-c", "change")
    desk.write("accounts/a.yaml", (desk.root / "accounts/a.yaml").read_text().replace("567", "700"))
    file = str(desk.home / "plan.json")
    told = desk.run("plan", "-o", file)
    assert "its manifests are not those of the commit: " in told.out
    assert "not those of a commit" in desk.run("apply", file).err


def test_a_repository_of_one_commit(desk: Desk) -> None:
    """There is nothing to compare with, and the way out is named."""
    desk.put(500)
    told = desk.run("plan", "-o", str(desk.home / "plan.json")).out
    assert "main holds this commit already and has none without it" in told
    assert "make the change on a branch, and plan with --base main" in told
