"""A commit that the branch of record has left behind: an honest colleague signed it, and it says of an account what was true once."""

from __future__ import annotations

import os

import pytest

from amsctl import api
from amsctl.errors import Stale
from amsctl.operations import plan as planning
from tests.alone.cases import Cases
from tests.alone.desk import LIVE, OTHER, REVIEWS, Desk, Stopped, account, project_text
from tests.alone.test_runs import job, request_job
from tests.cli.conftest import Ran

CASES = Cases()
BEHIND = "main has changed an account since the planned commit left it"


def cut(desk: Desk) -> None:
    """jo's old signed commit is on a branch of its own and changes no limit; then kim cuts one to 100, by the book."""
    desk.git("switch", "--quiet", "-c", "jo-old")
    desk.write("README.md", "by jo")
    desk.commit(message="RISK-1 a note")
    desk.on_main("accounts/a.yaml", account(100), who="kim", message="RISK-2 cut")
    desk.put(100)
    desk.upstream()


def by_hand(desk: Desk, *arguments: str, environ: dict[str, str] | None = None) -> str:
    """The plan that amsctl refuses to make, as an older amsctl or a forger makes it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planning, "check_not_behind", lambda *_: None)
        return desk.plan(*arguments, environ=environ)


@CASES.add("sam plans jo's old commit, which changes no limit, after kim's cut", 4, BEHIND)
def _(desk: Desk) -> Ran:
    cut(desk)
    return desk.alone("--base", "origin/main")


@CASES.add("sam has a plan of jo's old commit from elsewhere, and approves it", 4, BEHIND)
def _(desk: Desk) -> Ran:
    cut(desk)
    file = by_hand(desk, "--base", "origin/main")
    ran = desk.approve("sam", file)
    assert ran.code == 4, ran.err
    desk.sign("sam", file)
    return desk.apply(file)


@CASES.add("the job of main applies a plan of jo's old commit", 4, BEHIND)
def _(desk: Desk) -> Ran:
    cut(desk)
    file = by_hand(desk, "--base", "origin/main")
    desk.sign("sam", file)
    desk.git("switch", "--quiet", "main")
    return desk.apply(file, environ=job(desk))


@CASES.add("a job at jo's old commit applies its plan", 4, BEHIND)
def _(desk: Desk) -> Ran:
    cut(desk)
    file = by_hand(desk, "--base", "origin/main")
    desk.sign("sam", file)
    return desk.apply(file, environ=job(desk))


@CASES.add("sam approves jo's raise, and applies it after kim has cut the same account", 4, BEHIND)
def _(desk: Desk) -> Ran:
    desk.raise_it("jo")
    file = desk.plan()
    desk.sign("sam", file)
    desk.on_main("accounts/a.yaml", account(100), who="kim", message="RISK-2 cut")
    return desk.apply(file)


def slipped(desk: Desk) -> None:
    """jo's request has a slip, 5000, and then 600; it was squash-merged. The slip is checked out."""
    desk.upstream()
    desk.raise_it("jo", to=5000)
    desk.raise_it("jo", to=600, message="RISK-7 no, 600")
    desk.git("switch", "--quiet", "main")
    desk.git("merge", "--quiet", "--squash", "change")
    desk.commit(who="kim", signed=False, message="raise (#3)")
    desk.upstream()
    desk.git("switch", "--quiet", "--detach", "change~1")


@CASES.add("sam plans the slip of a request that was squash-merged without it", 4, BEHIND)
def _(desk: Desk) -> Ran:
    slipped(desk)
    return desk.alone("--base", "origin/main")


@CASES.add("sam has the plan of that slip from before the merge", 4, BEHIND)
def _(desk: Desk) -> Ran:
    slipped(desk)
    file = by_hand(desk, "--base", "origin/main")
    desk.sign("sam", file)
    return desk.apply(file, environ=job(desk))


@CASES.add("sam reviews jo's old request, which changes no limit, after kim's cut", 4, BEHIND)
def _(desk: Desk) -> Ran:
    desk.write("amsctl.yaml", project_text(desk.ams.url, REVIEWS))
    desk.commit(who="root", signed=False)
    cut(desk)
    file = by_hand(desk, "--base", "origin/main", environ=request_job(desk, "main", "jo-gh"))
    return desk.apply(file, "--reviews", desk.reviews(file, "sam-gh"))


@CASES.add("sam merges main into jo's old commit, and keeps what jo's commit says of the account", 8, "sam@firm.example")
def _(desk: Desk) -> Ran:
    cut(desk)
    desk.git("merge", "--quiet", "-s", "ours", "-m", "RISK-1 update the branch", "main", who="sam")
    return desk.alone("--base", "origin/main")


@CASES.add("main took jo's old side in a merge by sam, against kim's cut", 4, BEHIND)
def _(desk: Desk) -> Ran:
    cut(desk)
    file = by_hand(desk, "--base", "origin/main")
    desk.sign("sam", file)
    desk.git("switch", "--quiet", "main")
    desk.git("merge", "--quiet", "-s", "ours", "-m", "merge", "jo-old", who="sam", signed=False)
    desk.write("accounts/a.yaml", account(LIVE))
    desk.commit("--amend", who="sam", signed=False, message="merge")
    desk.upstream()
    return desk.apply(file, "--merged", desk.git("rev-parse", "main"), environ=job(desk))


@CASES.add("kim's cut of the same account comes with a broken project file", 4, BEHIND)
def _(desk: Desk) -> Ran:
    desk.raise_it("jo")
    file = desk.plan()
    desk.sign("sam", file)
    desk.on_main("accounts/a.yaml", account(100), who="kim", message="RISK-2 cut")
    text = (desk.root / "amsctl.yaml").read_text()
    desk.on_main("amsctl.yaml", text + "  guards: [\n", who="kim", message="RISK-2 and a slip")
    return desk.apply(file, "--base", "main")


@CASES.add(
    "what main says of the account cannot be read any more", 4, "what main has changed since the planned commit left it is not known"
)
def _(desk: Desk) -> Ran:
    desk.raise_it("jo")
    desk.on_main("accounts/a.yaml", account(100) + "  status: [\n", who="kim", message="RISK-2 cut")
    return desk.alone("--base", "main")


@pytest.mark.parametrize("name", CASES)
def test_what_main_has_changed_since_is_not_taken_back(name: str, desk: Desk) -> None:
    """The commit must have the branch's last change of each account that it would change."""
    CASES.check(name, desk)


def test_another_file_of_main_that_is_broken_holds_nothing_up(desk: Desk) -> None:
    """What main says of the account itself is known."""
    desk.raise_it("jo")
    desk.on_main("accounts/b.yaml", "kind: [", message="a slip")
    assert desk.alone("--base", "main").code == 0


def test_the_interface_refuses_the_same(desk: Desk) -> None:
    """amsctl.plan, and amsctl.apply of such a plan."""
    cut(desk)
    given = {**os.environ, "AMS_LEDGER_URL": f"sqlite:///{desk.home / 'ledger.db'}"}
    manifests = api.load_manifests(desk.root, base="origin/main", environ=given)
    with pytest.raises(Stale, match=BEHIND):
        api.plan(manifests, api.read_live(manifests, environ=given), environ=given)
    assert desk.writes() == []


def test_the_message_names_the_commit_of_main(desk: Desk) -> None:
    """Which account, which commit the change lacks, and what to do."""
    cut(desk)
    lacking = desk.git("rev-parse", "main")
    desk.on_main("NOTES.md", "something else", message="a note")
    desk.upstream()
    with pytest.raises(Stopped) as stopped:
        desk.plan("--base", "origin/main")
    said = stopped.value.ran.err
    assert "account DV10121801A" in said
    assert f"a commit that has {lacking[:12]} of main" in said
    assert "update the branch: merge or rebase it, and plan again" in said


def test_an_account_that_the_plan_leaves_alone_holds_nothing_up(desk: Desk) -> None:
    """jo's branch is behind in one account, and its plan is of another one."""
    desk.on_main("accounts/b.yaml", account(900, number=OTHER))
    cut(desk)
    desk.write("accounts/b.yaml", account(1000, number=OTHER))
    desk.commit(message="RISK-7 raise")
    file = desk.plan("--base", "origin/main", "--account", OTHER)
    desk.sign("lee", file)
    assert desk.apply(file).code == 0
    assert desk.short() == 100
