"""Guards across plans: a raise in pieces, with ledgers that come and go, cuts in between, and overrides of less than what is known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from amsctl.cli.planning import read_plan
from tests.alone.cases import Cases
from tests.alone.desk import LIVE, Desk, account, project_text
from tests.cli.conftest import Ran

CASES = Cases()
BY_NOW = "a guard holds the plan up on what is known now"
UNWRITTEN = account(LIVE).split("  executionFirms")[0] + "  executionFirms: {3N1: {limits: {}}}\n"


def ago(days: float) -> dict[str, str]:
    """When a commit was made."""
    at = (datetime.now(UTC) - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"GIT_AUTHOR_DATE": at, "GIT_COMMITTER_DATE": at}


def since(desk: Desk, live: int, *said: tuple[float, str]) -> None:
    """main has a history: so many days ago it said this, under the guards that everybody has; the AMS holds ``live`` by now."""
    desk.git("update-ref", "-d", "HEAD")
    desk.write("amsctl.yaml", project_text(desk.ams.url, "", ""))
    for days, text in said:
        desk.write("accounts/a.yaml", text)
        desk.commit(who="kim", **ago(days))
    desk.put(live)


def step(desk: Desk, to: int, ledger: str = "ledger.db", *, override: tuple[str, ...] = ()) -> Ran:
    """sam merges another value and applies it, with a ledger."""
    kept = {"AMS_LEDGER_URL": f"sqlite:///{desk.home / ledger}"}
    desk.git("switch", "-q", "-C", f"to{to}", "main")
    desk.write("accounts/a.yaml", account(to))
    desk.commit(who="sam")
    file = str(desk.home / f"{to}.json")
    ran = desk.run("plan", "-o", file, environ=kept)
    assert ran.code == 0, ran.err
    desk.git("switch", "-q", "main")
    desk.git("merge", "-q", "--ff-only", f"to{to}")
    named = [word for guard in override for word in ("--override", f"{guard}@{read_plan(file).digest}")]
    return desk.run("apply", file, *named, environ=kept)


def by_the_book(desk: Desk, *to: int, ledger: str = "ledger.db") -> None:
    """Steps that nobody holds up."""
    for one in to:
        ran = step(desk, one, ledger)
        assert ran.code == 0, ran.err
    desk.forget()


@CASES.add("50 is a month's ten times five, and becomes 250", 3, "guard-raised")
def _(desk: Desk) -> Ran:
    since(desk, 50, (40, account(10)), (10, account(50)))
    return step(desk, 250)


@CASES.add("a small cut in between makes the ledger know the leg, as 50", 3, "guard-raised")
def _(desk: Desk) -> Ran:
    since(desk, 50, (40, account(10)), (10, account(50)))
    by_the_book(desk, 49)
    return step(desk, 245)


@CASES.add("five times, and five times again with a new ledger and a cut", 3, "guard-raised")
def _(desk: Desk) -> Ran:
    since(desk, 10, (40, account(10)))
    by_the_book(desk, 50)
    by_the_book(desk, 49, ledger="other.db")
    return step(desk, 245, "other.db")


@CASES.add("the leg was not written for a while, and comes back five times as large, twice", 3, "guard-raised")
def _(desk: Desk) -> Ran:
    since(desk, 10, (60, account(10)), (35, UNWRITTEN))
    by_the_book(desk, 50)
    return step(desk, 250, "other.db")


@CASES.add("what the plan's ledger did not know is not what was overridden", 3, BY_NOW)
def _(desk: Desk) -> Ran:
    since(desk, 2, (0, UNWRITTEN))
    by_the_book(desk, 9)
    desk.git("switch", "-q", "-c", "more")
    desk.write("accounts/a.yaml", account(90))
    desk.commit(who="sam")
    file = desk.plan(environ={"AMS_LEDGER_URL": f"sqlite:///{desk.home / 'none.db'}"})
    digest = read_plan(file).digest
    return desk.run("apply", file, "--override", f"raised@{digest}", "--override", f"jumpsUp@{digest}")


@pytest.mark.parametrize("name", CASES)
def test_a_raise_in_pieces_is_seen(name: str, desk: Desk) -> None:
    """Whichever record knows of it."""
    CASES.check(name, desk)


def test_a_return_to_the_value_of_then(desk: Desk) -> None:
    """A cut that the ledger knows of does not stand before it; and what was overridden with all that is known is applied."""
    since(desk, 500, (40, account(500)))
    by_the_book(desk, 100)
    assert step(desk, 480).code == 0
    assert step(desk, 4_800, override=("raised", "jumpsUp")).code == 0
    assert desk.short() == 4_800
