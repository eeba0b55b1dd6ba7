"""Rollbacks, resumes, reruns, ledgers and jobs of pipelines: what was agreed to once is not agreed to for ever, or for anything else."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from amsctl.sandbox.faults import Rule
from tests.alone.cases import Cases
from tests.alone.desk import LIVE, Desk, account, line, project_text, signers
from tests.cli.conftest import Ran

CASES = Cases()
MADE = "has made or pushed this change"


def job(desk: Desk, actor: str = "sam-gh", event: str = "push", **more: str) -> dict[str, str]:
    """The environment of a job at GitHub, on main unless told otherwise."""
    return {
        "CI": "true",
        "GITHUB_ACTIONS": "true",
        "GITHUB_ACTOR": actor,
        "GITHUB_TRIGGERING_ACTOR": actor,
        "GITHUB_EVENT_NAME": event,
        "GITHUB_REF": "refs/heads/main",
        **more,
    }


def request_job(desk: Desk, base: str, actor: str = "sam-gh") -> dict[str, str]:
    """The environment of a job for a pull request onto a branch."""
    path = desk.home / "event.json"
    path.write_text(json.dumps({"pull_request": {"number": 7, "base": {"ref": base}}}))
    return job(desk, actor, "pull_request", GITHUB_EVENT_PATH=str(path), GITHUB_BASE_REF=base, GITHUB_REF="refs/pull/7/merge")


def tightened(desk: Desk, who: str = "kim") -> str:
    """The limit is cut to 100, by the book; the name of the run."""
    desk.raise_it(who, to=100)
    file = desk.plan()
    assert desk.run("apply", file).code == 0
    desk.merge()
    desk.forget()
    return desk.last_run()


def rolled_back(desk: Desk, run: str, environ: dict[str, str] | None = None) -> str:
    """The plan of a rollback."""
    file = str(desk.home / "back.json")
    ran = desk.run("rollback", run, "-o", file, environ=environ)
    assert ran.code == 0, ran.err
    return file


# --- rollback ---


@CASES.add("sam takes kim's cut back at a terminal, and approves that", 8, "needs 2 approvals")
def _(desk: Desk) -> Ran:
    file = rolled_back(desk, tightened(desk))
    desk.sign("sam", file)
    return desk.apply(file)


@CASES.add("sam takes kim's cut back, without an approval", 8)
def _(desk: Desk) -> Ran:
    return desk.apply(rolled_back(desk, tightened(desk)))


@CASES.add("sam takes it back at a terminal, and a pipeline applies it", 8)
def _(desk: Desk) -> Ran:
    file = rolled_back(desk, tightened(desk))
    desk.sign("sam", file)
    return desk.apply(file, environ=job(desk))


@CASES.add("sam takes it back in a job, whose account the list names", 8, MADE)
def _(desk: Desk) -> Ran:
    run = tightened(desk)
    desk.on_main("approvers", line(desk.keys, "sam", "sam@firm.example,sam-gh") + signers(desk.keys, "kim"))
    file = rolled_back(desk, run, job(desk))
    desk.sign("sam", file)
    return desk.apply(file, environ=job(desk))


@CASES.add("sam takes it back in a job, whose account no list names", 8)
def _(desk: Desk) -> Ran:
    file = rolled_back(desk, tightened(desk), job(desk))
    desk.sign("sam", file)
    return desk.apply(file, environ=job(desk))


def known(desk: Desk, *who: str) -> None:
    """The list names these people's accounts at the forge."""
    desk.on_main("approvers", "".join(line(desk.keys, one, f"{one}@firm.example,{one}-gh") for one in who))


@CASES.add("sam runs the job again in which jo once asked for a rollback", 8, MADE)
def _(desk: Desk) -> Ran:
    run = tightened(desk)
    known(desk, "sam", "jo", "kim")
    again = job(desk, "jo-gh", "workflow_dispatch", GITHUB_TRIGGERING_ACTOR="sam-gh")
    file = rolled_back(desk, run, again)
    desk.sign("sam", file)
    return desk.apply(file, environ=again)


@CASES.add("sam runs it again, and applies it in a job that jo started", 8, MADE)
def _(desk: Desk) -> Ran:
    run = tightened(desk)
    known(desk, "sam", "jo", "kim")
    file = rolled_back(desk, run, job(desk, "jo-gh", GITHUB_TRIGGERING_ACTOR="sam-gh"))
    desk.sign("sam", file)
    return desk.apply(file, environ=job(desk, "jo-gh"))


@CASES.add("sam runs it again, and the plan file does not say so", 8, MADE)
def _(desk: Desk) -> Ran:
    run = tightened(desk)
    known(desk, "sam", "jo", "kim")
    made = rolled_back(desk, run, job(desk, "jo-gh"))
    desk.sign("sam", made)
    return desk.apply(made, environ=job(desk, "jo-gh", GITHUB_TRIGGERING_ACTOR="sam-gh"))


@CASES.add("sam runs it again under an account that no list names", 8, "ran the job of the rollback again")
def _(desk: Desk) -> Ran:
    run = tightened(desk)
    known(desk, "sam", "jo", "kim")
    again = job(desk, "jo-gh", GITHUB_TRIGGERING_ACTOR="sam-second")
    file = rolled_back(desk, run, again)
    desk.sign("sam", file)
    return desk.apply(file, environ=again)


@CASES.add("sam writes another name into the plan of the rollback", 8)
def _(desk: Desk) -> Ran:
    run = tightened(desk)
    desk.on_main("approvers", line(desk.keys, "sam", "sam@firm.example,sam-gh") + line(desk.keys, "kim", "kim@firm.example,kim-gh"))
    made = rolled_back(desk, run, job(desk))

    def other(plan):  # type: ignore[no-untyped-def]
        return replace(plan, origin=replace(plan.origin, rollback=replace(plan.origin.rollback, asked_by="kim-gh")))

    file = desk.edited(made, other)
    desk.sign("sam", file)
    return desk.apply(file, environ=job(desk))


@CASES.add("the rollback is of a run that is not in the ledger", 4)
def _(desk: Desk) -> Ran:
    file = rolled_back(desk, tightened(desk))
    desk.sign("kim", file)
    desk.sign("lee", file)
    (desk.home / "ledger.db").rename(desk.home / "gone.db")
    return desk.run("apply", file)


@CASES.add("the rollback takes back more than the run did", 4)
def _(desk: Desk) -> Ran:
    made = rolled_back(desk, tightened(desk))

    def more(plan):  # type: ignore[no-untyped-def]
        body = json.loads(json.dumps(plan.steps[0].body).replace(str(LIVE), "5670"))
        changes = tuple(replace(one, after=5670, effective_after=2000) for one in plan.changes)
        return replace(plan, changes=changes, steps=(replace(plan.steps[0], body=body),))

    file = desk.edited(made, more)
    desk.sign("kim", file)
    desk.sign("lee", file)
    return desk.apply(file)


# --- once is once ---


def approved(desk: Desk) -> str:
    """jo raises, sam approves; the plan."""
    desk.raise_it("jo")
    file = desk.plan()
    desk.sign("sam", file)
    return file


@CASES.add("the desk takes an approved raise back by hand, and sam applies the plan again", 4)
def _(desk: Desk) -> Ran:
    file = approved(desk)
    assert desk.run("apply", file).code == 0
    desk.forget()
    desk.put(LIVE)
    return desk.apply(file)


@CASES.add("the same in a new ledger, in a job whose ledger is lost", 1, "ledger")
def _(desk: Desk) -> Ran:
    file = approved(desk)
    desk.merge()
    below = {"AMS_LEDGER_URL": f"sqlite:///{desk.root / '.amsctl' / 'ledger.db'}"}
    return desk.run("apply", file, environ={**job(desk), **below})


@CASES.add("the job of a job's ledger has no address", 1, "AMS_LEDGER_URL is not set")
def _(desk: Desk) -> Ran:
    file = approved(desk)
    desk.merge()
    return desk.run("apply", file, environ={**job(desk), "AMS_LEDGER_URL": ""})


@CASES.add("the job of a merge that was taken back runs again", 4, "main now says something else")
def _(desk: Desk) -> Ran:
    file = approved(desk)
    tip = desk.merge()
    desk.on_main("accounts/a.yaml", account(LIVE), message="taken back")
    return desk.apply(file, "--merged", tip)


@CASES.add("the job of a squashed merge that was taken back runs again", 4, "main now says something else")
def _(desk: Desk) -> Ran:
    file = approved(desk)
    desk.git("switch", "-q", "main")
    desk.git("merge", "-q", "--squash", "change")
    tip = desk.commit(who="root", signed=False)
    desk.on_main("accounts/a.yaml", account(LIVE), message="taken back")
    return desk.apply(file, "--merged", tip)


@CASES.add("--merged names a commit that is not on main", 4, "not on the branch of record")
def _(desk: Desk) -> Ran:
    file = approved(desk)
    return desk.apply(file, "--merged", desk.git("rev-parse", "change"))


@CASES.add("an approved plan, after main has become stricter", 8, "needs 2 approvals")
def _(desk: Desk) -> Ran:
    file = approved(desk)
    desk.on_main("amsctl.yaml", project_text(desk.ams.url, "  approvals: {from: signatures, rules: [{approvals: 2}]}\n"))
    return desk.apply(file)


@CASES.add("an approved plan, after its approver was taken off the list", 8)
def _(desk: Desk) -> Ran:
    file = approved(desk)
    desk.on_main("approvers", signers(desk.keys, "kim", "jo"))
    return desk.apply(file)


@CASES.add("an approved plan, after somebody moved the value", 4)
def _(desk: Desk) -> Ran:
    file = approved(desk)
    desk.put(0)
    return desk.apply(file)


# --- resume ---


def broken_off(desk: Desk) -> str:
    """An approved run whose only call was refused; its plan."""
    file = approved(desk)
    desk.ams.faults.add(Rule(kind="error_before", method="POST", status=400, times=1))
    assert desk.run("apply", file).code in {1, 5}
    desk.ams.faults.clear()
    desk.forget()
    return file


@CASES.add("a run is resumed after its approver was taken off the list", 8)
def _(desk: Desk) -> Ran:
    broken_off(desk)
    desk.on_main("approvers", signers(desk.keys, "kim", "jo"))
    return desk.run("resume")


@CASES.add("a run is resumed after main has become stricter", 8)
def _(desk: Desk) -> Ran:
    broken_off(desk)
    desk.on_main("amsctl.yaml", project_text(desk.ams.url, "  approvals: {from: signatures, rules: [{approvals: 2}]}\n"))
    return desk.run("resume")


@CASES.add("a run is resumed after the change was merged and taken back", 4, "says something else of an account")
def _(desk: Desk) -> Ran:
    broken_off(desk)
    desk.merge()
    desk.on_main("accounts/a.yaml", account(LIVE), message="taken back")
    return desk.run("resume")


@CASES.add("a run is resumed after its list was replaced by the change's own", 8)
def _(desk: Desk) -> Ran:
    broken_off(desk)
    desk.git("switch", "-q", "main")
    desk.git("rm", "-q", "approvers")
    desk.commit(who="root", signed=False)
    desk.git("switch", "-q", "change")
    return desk.run("resume")


@CASES.add("the change brings a ledger, and sam resumes what it says", 1, "git tracks the ledger")
def _(desk: Desk) -> Ran:
    broken_off(desk)
    (desk.root / ".amsctl").mkdir()
    (desk.home / "ledger.db").rename(desk.root / ".amsctl" / "ledger.db")
    desk.git("add", "-f", ".amsctl/ledger.db")
    desk.commit(who="sam", message="a ledger")
    return desk.run("resume", environ={"AMS_LEDGER_URL": f"sqlite:///{desk.root / '.amsctl' / 'ledger.db'}"})


@CASES.add("a link of the change leads to a ledger of sam's", 1, "a link inside the repository leads to the ledger")
def _(desk: Desk) -> Ran:
    broken_off(desk)
    (desk.root / ".amsctl").symlink_to(desk.home)
    desk.git("add", "-f", ".amsctl")
    desk.commit(who="sam", message="a link")
    return desk.run("resume", environ={"AMS_LEDGER_URL": f"sqlite:///{desk.root / '.amsctl' / 'ledger.db'}"})


@CASES.add("a run is resumed from a checkout of another change", 4)
def _(desk: Desk) -> Ran:
    broken_off(desk)
    desk.write("accounts/a.yaml", account(900))
    desk.commit(who="sam")
    return desk.run("resume")


# --- jobs ---


@CASES.add("a request onto a branch of sam's own, applied on main", 4, "another branch of record")
def _(desk: Desk) -> Ran:
    desk.upstream()
    desk.git("switch", "-q", "-c", "mine")
    desk.write("amsctl.yaml", project_text(desk.ams.url, "  baseBranch: mine\n"))
    desk.commit(who="sam", message="a branch of one's own")
    desk.git("switch", "-q", "-c", "change")
    desk.raise_it()
    file = desk.plan(environ=request_job(desk, "mine"))
    return desk.apply(file, environ=job(desk))


@CASES.add("the job names two branches", 1, "two branches")
def _(desk: Desk) -> Ran:
    desk.raise_it()
    return desk.apply(desk.plan(environ={**request_job(desk, "main"), "GITHUB_BASE_REF": "mine"}))


@CASES.add("the job's event is no JSON", 1, "cannot be read")
def _(desk: Desk) -> Ran:
    desk.raise_it()
    environ = request_job(desk, "main")
    Path(environ["GITHUB_EVENT_PATH"]).write_text("{")
    return desk.apply(desk.plan(environ=environ))


@CASES.add("the job is for a branch that is not fetched", 1, "does not have")
def _(desk: Desk) -> Ran:
    desk.raise_it()
    return desk.apply(desk.plan(environ=request_job(desk, "other")))


@CASES.add("the job runs on a push to the change, which says that it is the base", 1)
def _(desk: Desk) -> Ran:
    desk.git("switch", "-q", "-c", "change")
    desk.write("amsctl.yaml", project_text(desk.ams.url, "  baseBranch: change\n"))
    desk.raise_it()
    return desk.apply(desk.plan(environ=job(desk, GITHUB_REF="refs/heads/change")))


@CASES.add("--base in a job names another branch than its event", 8)
def _(desk: Desk) -> Ran:
    desk.git("switch", "-q", "-c", "mine")
    desk.write("amsctl.yaml", project_text(desk.ams.url, ""))
    desk.commit(who="sam", message="no approvals")
    desk.git("switch", "-q", "-c", "change")
    desk.raise_it()
    environ = request_job(desk, "main")
    return desk.apply(desk.plan("--base", "mine", environ=environ), "--base", "mine", environ=environ)


@CASES.add("a pipeline without git's base does not adopt the checkout's rules", 1, "nothing is sent anywhere")
def _(desk: Desk) -> Ran:
    desk.git("switch", "-q", "-c", "change")
    desk.write("amsctl.yaml", project_text(desk.ams.url, ""))
    desk.raise_it()
    desk.git("branch", "-D", "-q", "main")
    return desk.apply(desk.plan(environ={"CI": "true"}))


@CASES.add("sam who started the job approves after kim has run it again", 8, MADE)
def _(desk: Desk) -> Ran:
    desk.on_main("approvers", line(desk.keys, "sam", "sam@firm.example,sam-gh") + signers(desk.keys, "kim", "jo"))
    desk.raise_it("jo")
    environ = {**request_job(desk, "main", "sam-gh"), "GITHUB_TRIGGERING_ACTOR": "kim-gh"}
    return desk.alone(environ=environ)


@CASES.add("GitLab's job says that the change is its own target", 1)
def _(desk: Desk) -> Ran:
    desk.git("switch", "-q", "-c", "change")
    desk.write("amsctl.yaml", project_text(desk.ams.url, "  baseBranch: change\n"))
    desk.raise_it()
    environ = {"CI": "true", "GITLAB_CI": "true", "CI_COMMIT_BRANCH": "change", "CI_PIPELINE_SOURCE": "push", "GITLAB_USER_LOGIN": "sam"}
    return desk.apply(desk.plan(environ=environ))


@CASES.add("a copy of the folder without git", 8, "without a branch of record")
def _(desk: Desk) -> Ran:
    desk.raise_it()
    os.rename(desk.root / ".git", desk.home / "away")
    return desk.alone()


@pytest.mark.parametrize("name", CASES)
def test_one_person_alone_writes_nothing(name: str, desk: Desk) -> None:
    """Whatever was agreed to before is judged again, and who asks is one who made it."""
    CASES.check(name, desk)
