"""A value that one person merges alone, and that reaches the AMS with a colleague's honest commit: who brought it in may not approve it."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest

from tests.alone.cases import Cases, Try
from tests.alone.desk import LIVE, OTHER, RAISED, Desk, account
from tests.alone.test_runs import job
from tests.cli.conftest import Ran

CASES = Cases()
ELSEWHERE = "GREENTEA_API_CLEARING3"
PROFILE = (
    "apiVersion: amsctl/v1\nkind: LimitProfile\nmetadata: {{name: softs}}\nspec:\n  limits:\n    CJ.FUT.NYMEX: {{ef: {{short: {short}}}}}\n"
)
QUIET = account(1, number=OTHER).partition("spec:")[0] + "spec: {undeclared: ignore}\n"


def primed(name: str) -> Callable[[Callable[[Desk], None]], None]:
    """What sam has merged; then jo makes a signed commit about something else, whose plan sam approves and the job on main applies."""

    def keep(prime: Callable[[Desk], None]) -> None:
        def attempt(desk: Desk) -> Ran:
            prime(desk)
            if desk.git("branch", "--show-current") == "main":
                desk.git("switch", "--quiet", "-c", "change")
                desk.write("NOTES.md", "by jo")
                desk.commit(who="jo", message="RISK-9 a note")
            desk.upstream()
            file = desk.plan("--base", "origin/main")
            desk.sign("sam", file)
            assert desk.approve("sam", file).code == 8
            tip = desk.merge()
            desk.upstream()
            return desk.apply(file, "--merged", tip, environ=job(desk, "jo-gh"))

        add: Callable[[Try], Try] = CASES.add(name, 8, "sam@firm.example")
        add(attempt)

    return keep


def by_sam(desk: Desk, text: str, path: str = "accounts/a.yaml") -> None:
    desk.write(path, text)
    desk.commit(who="sam", message="by sam")


def anew(desk: Desk) -> None:
    """A history that begins without the account; kim then declares it."""
    text = (desk.root / "accounts/a.yaml").read_text()
    shutil.rmtree(desk.root / ".git")
    desk.git("init", "--quiet", "--initial-branch", "main")
    (desk.root / "accounts/a.yaml").unlink()
    desk.write("accounts/b.yaml", QUIET)
    desk.commit(who="root", signed=False)
    desk.write("accounts/a.yaml", text)
    desk.commit(who="kim", message="the account")


@primed("sam's raise is merged, and was never applied")
def _(desk: Desk) -> None:
    by_sam(desk, account(RAISED))


@primed("kim's commit before sam's raise cannot be read")
def _(desk: Desk) -> None:
    desk.write("accounts/b.yaml", "apiVersion: amsctl/v1\nkind: Account\nmetadata: {clearingFirm: X\n")
    desk.commit(who="kim", message="kim breaks a manifest by mistake")
    (desk.root / "accounts/b.yaml").unlink()
    by_sam(desk, account(RAISED))


@primed("kim's commit before sam's raise breaks the account's own manifest")
def _(desk: Desk) -> None:
    desk.write("accounts/a.yaml", account(LIVE) + "  status: [\n")
    desk.commit(who="kim", message="kim breaks a manifest by mistake")
    by_sam(desk, account(RAISED))


@primed("the same account number at another firm had the value of sam's raise before")
def _(desk: Desk) -> None:
    desk.write("accounts/other.yaml", account(RAISED).replace("GREENTEA_API_CLEARING2", ELSEWHERE))
    desk.commit(who="kim", message="another firm's")
    (desk.root / "accounts/other.yaml").unlink()
    by_sam(desk, account(RAISED))


@primed("kim moves the project into a folder after sam's raise")
def _(desk: Desk) -> None:
    by_sam(desk, account(RAISED))
    (desk.root / "limits").mkdir()
    desk.git("mv", "amsctl.yaml", "approvers", "accounts", "limits/")
    desk.git("commit", "--quiet", "-m", "a folder", who="kim")
    desk.root = desk.root / "limits"


@primed("sam lets rows that the account does not name lose their limits")
def _(desk: Desk) -> None:
    anew(desk)
    by_sam(desk, account(LIVE) + "  undeclared: unset\n")


@primed("sam lets rows that no manifest names lose their limits")
def _(desk: Desk) -> None:
    anew(desk)
    text = (desk.root / "amsctl.yaml").read_text()
    by_sam(desk, text.replace("  defaultEnvironment", "  undeclared: unset\n  defaultEnvironment"), "amsctl.yaml")


@primed("sam raises a profile that the account's own number hides, and jo takes that number away")
def _(desk: Desk) -> None:
    own = account(LIVE).replace("    3N1:\n", "    3N1:\n      profiles: [softs]\n")
    desk.write("accounts/p.yaml", PROFILE.format(short=LIVE))
    desk.write("accounts/a.yaml", own)
    desk.commit(who="kim", message="a profile")
    by_sam(desk, PROFILE.format(short=5000), "accounts/p.yaml")
    desk.git("switch", "--quiet", "-c", "change")
    desk.write("accounts/a.yaml", own.partition("      limits:")[0])
    desk.commit(who="jo", message="RISK-9 tidy: the profile says the same")


@primed("sam gives the account a profile that its own number hides, and jo takes that number away")
def _(desk: Desk) -> None:
    own = account(LIVE).replace("    3N1:\n", "    3N1:\n      profiles: [softs]\n")
    desk.write("accounts/p.yaml", PROFILE.format(short=5000))
    desk.commit(who="kim", message="a profile")
    by_sam(desk, own)
    desk.git("switch", "--quiet", "-c", "change")
    desk.write("accounts/a.yaml", own.partition("      limits:")[0])
    desk.commit(who="jo", message="RISK-9 tidy: the profile says the same")


@primed("sam merges jo's request, and raises another limit in the merge")
def _(desk: Desk) -> None:
    desk.git("switch", "--quiet", "-c", "note")
    desk.write("README.md", "by jo")
    desk.commit(who="jo", message="a note")
    desk.git("switch", "--quiet", "main")
    desk.git("merge", "--quiet", "--no-ff", "--no-commit", "note", who="sam")
    by_sam(desk, account(RAISED))


@pytest.mark.parametrize("name", CASES)
def test_who_brought_a_value_in_cannot_approve_it(name: str, desk: Desk) -> None:
    """However it came in, and whatever stands around it."""
    CASES.check(name, desk)
