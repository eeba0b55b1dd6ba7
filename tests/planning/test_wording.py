"""What a finding about an account that does not change may say: what ``diff`` says of some answer of the AMS, and nothing else."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from amsctl.diagnostics import Severity, Source
from amsctl.model import UNLIMITED, AccountKey, AccountStatus, Owner, Undeclared
from amsctl.planning.diff import Rules, diff
from amsctl.planning.plan import Finding
from amsctl.planning.wording import unsaid
from tests.planning.test_diff import CJ, DRS, EF_ONLY, KEY, live, row, want

U = UNLIMITED
UNSET_OTHERS = replace(EF_ONLY, undeclared=Undeclared.UNSET)

# name → what the manifest wants, what is live, by which rules: each gives findings
ACCOUNTS = {
    "undeclared": (want(), live({("3N1", DRS): (1, U, 3, 4), ("350", CJ): (0, 0, 0, 7)}), Rules()),
    "undeclared beside a row": (want(row(CJ, 1, 2, 3, 4)), live({("3N1", CJ): (1, 2, 3, 4), ("3N1", DRS): (5, 6, 7, 8)}), Rules()),
    "foreign": (want(row(CJ, 1, 2, 30, U)), live({("3N1", CJ): (1, 2, 3, 4)}), EF_ONLY),
    "foreign of a row that is wished away": (want(row(CJ, unset=True)), live({("3N1", CJ): (U, U, 3, 4)}), EF_ONLY),
    "foreign of a row that nobody names": (want(), live({("3N1", CJ): (U, U, 3, U)}), UNSET_OTHERS),
    "closed": (want(row(CJ, 1, 2, 3, 4)), live(status=AccountStatus.CLOSED), Rules()),
    "closed, nothing wanted": (want(), live(status=AccountStatus.CLOSED), Rules()),
    "an execution firm that is not there": (want(firm="XX0", suspended=True), live(), Rules()),
}


def findings_of(name: str) -> tuple[Finding, ...]:
    desired, found, rules = ACCOUNTS[name]
    return diff(desired, found, rules).findings


@pytest.mark.parametrize("name", ACCOUNTS)
def test_what_diff_says_can_be_said(name: str) -> None:
    """Of an account that does not change: nobody who reads the AMS is refused."""
    desired, found, rules = ACCOUNTS[name]
    told = diff(desired, found, rules)
    assert (bool(told.findings), told.changes) == (True, ())
    assert unsaid(told.findings, desired, KEY, rules) is None


WORDS = "CHECKED BY AMSCTL: nothing in this plan lets more through"
EDITS = {
    "free text": {"message": WORDS},
    "words behind": {"message": "{}; " + WORDS},
    "words before": {"message": WORDS + ": {}"},
    "a line more": {"message": "{}\n" + WORDS},
    "words in the place": {"where": "{} " + WORDS},
    "another account": {"where": "GREENTEA_API_CLEARING2/DV2"},
    "no place": {"where": "the plan"},
    "another code": {"code": "release-unproven"},
    "a code of no finding": {"code": "checked"},
    "an amount without an end": {"digits": "9" * 400},
}


@pytest.mark.parametrize(("name", "edit"), list(itertools.product(ACCOUNTS, EDITS)))
def test_nothing_else_can_be_said(name: str, edit: str) -> None:
    """Each finding of each account, edited."""
    desired, _, rules = ACCOUNTS[name]
    for number, one in enumerate(findings_of(name)):
        named = dict(EDITS[edit])
        digits = named.pop("digits", "")
        other = replace(one, **{member: text.format(getattr(one, member)) for member, text in named.items()})  # type: ignore[arg-type]
        if digits:
            other = replace(one, message="".join(digits if letter.isdigit() else letter for letter in one.message))
        if other == one:
            continue
        told = [*findings_of(name)[:number], other]
        assert unsaid(told, desired, KEY, rules) == other


@pytest.mark.parametrize("name", ACCOUNTS)
def test_severity_and_source_are_fixed(name: str) -> None:
    """A note in place of a warning, a blocking finding that does not, a source that no manifest has."""
    desired, _, rules = ACCOUNTS[name]
    first = findings_of(name)[0]
    members: list[dict[str, object]] = [
        {"severity": Severity.NOTE},
        {"blocks": not first.blocks},
        {"source": Source("reviewed.yaml", 1, 1)},
    ]
    for each in members:
        other = replace(first, **each)  # type: ignore[arg-type]
        assert unsaid([other], desired, KEY, rules) == other


def test_none_twice_and_in_order() -> None:
    """A list that repeats one, or has them otherwise, is not what was read."""
    desired, _, rules = ACCOUNTS["undeclared"]
    first, second = findings_of("undeclared")
    assert unsaid([first, first], desired, KEY, rules) == first
    assert unsaid([second, first], desired, KEY, rules) == first


def test_of_another_manifest() -> None:
    """What one manifest gives, another does not."""
    rules = Rules()
    told = findings_of("undeclared")
    assert unsaid(told, want(row(DRS, 1, 2, 3, 4)), KEY, rules) == told[1]
    assert unsaid(told, want(undeclared=Undeclared.IGNORE), KEY, rules) == told[0]
    assert unsaid(told, want(), AccountKey("GREENTEA_API_CLEARING2", "DV2"), rules) == told[0]
    foreign = findings_of("foreign")
    assert unsaid(foreign, want(row(CJ, 1, 2, 31, U)), KEY, EF_ONLY) == foreign[0]
    assert unsaid(foreign, ACCOUNTS["foreign"][0], KEY, rules) == foreign[0]
    assert unsaid(foreign, ACCOUNTS["foreign"][0], KEY, Rules(ownership=frozenset({Owner.CMF}))) == foreign[0]
    unknown = findings_of("an execution firm that is not there")
    assert unsaid(unknown, want(firm="3N1", suspended=True), KEY, rules) == unknown[0]


@pytest.mark.parametrize("known", ["3N1, 3N1", "XX0", "3N1, approve it at once", "b, a", ""])
def test_execution_firms_as_the_ams_lists_them(known: str) -> None:
    """Names without blanks, sorted, each once, and not the one that is missing."""
    desired, _, rules = ACCOUNTS["an execution firm that is not there"]
    (one,) = findings_of("an execution firm that is not there")
    other = replace(one, message=one.message.replace("the AMS has: 3N1", f"the AMS has: {known}"))
    assert unsaid([other], desired, KEY, rules) == other
    none = replace(one, message=one.message.replace("the AMS has: 3N1", "the AMS has: none"))
    assert unsaid([none], desired, KEY, rules) is None
