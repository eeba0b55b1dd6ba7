"""Absent is not unlimited: whatever a row shows of its sides, no body holds a value that was not read.

The judge compares the bodies with the JSON of the answer, leg by leg, and shares no code with the reading or the planning of rows.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from amsctl.config import UnlimitedAs, UnlimitedShownAs
from amsctl.errors import AmsError, AmsMalformed
from amsctl.model import ABSENT, UNLIMITED, AccountStatus, Firm, LiveAccount, LiveRow, Owner, RowKey
from amsctl.planning.arrange import AccountPlan, arrange
from amsctl.planning.diff import Rules, diff
from amsctl.wire import answers
from tests.planning.test_diff import CJ, KEY, U, live, made, row, want

FIRM = Firm(name=KEY.firm, clearing_id="780")
SIDES = {Owner.EF: "efLimits", Owner.CMF: "cmfLimits"}
LEGS = [(side, leg) for side in ("efLimits", "cmfLimits") for leg in ("long", "short")]
Json = dict[str, Any]
TRUTH: Json = {
    "product": CJ,
    "efId": "3N1",
    "efLimits": {"short": 20, "long": 10},
    "cmfLimits": {"short": 400, "long": 300},
}

# How a row shows a side, and the settings under which that is how this AMS shows that there is no limit.
SHAPES: dict[str, tuple[Callable[[Json, str], object], frozenset[UnlimitedShownAs]]] = {
    "whole": (lambda found, side: None, frozenset(UnlimitedShownAs)),
    "absent": (lambda found, side: found.pop(side), frozenset({UnlimitedShownAs.SIDE_ABSENT})),
    "null": (lambda found, side: found.update({side: None}), frozenset({UnlimitedShownAs.SIDE_ABSENT})),
    "empty": (lambda found, side: found.update({side: {}}), frozenset({UnlimitedShownAs.LEG_ABSENT})),
    "long alone": (lambda found, side: found[side].pop("short"), frozenset({UnlimitedShownAs.LEG_ABSENT, UnlimitedShownAs.SIDE_ABSENT})),
    "short alone": (lambda found, side: found[side].pop("long"), frozenset({UnlimitedShownAs.LEG_ABSENT, UnlimitedShownAs.SIDE_ABSENT})),
    "null leg": (lambda found, side: found[side].update(short=None), frozenset({UnlimitedShownAs.NULL})),
    "null legs": (lambda found, side: found[side].update(short=None, long=None), frozenset({UnlimitedShownAs.NULL})),
    "word leg": (lambda found, side: found[side].update(long="UNLIMITED"), frozenset({UnlimitedShownAs.WORD})),
    "word": (lambda found, side: found.update({side: "Unlimited"}), frozenset()),
    "misspelt": (lambda found, side: found.update({side[:-1]: found.pop(side)}), frozenset()),
    "misspelt too": (lambda found, side: found.update({side.upper(): found[side]}), frozenset()),
    "misspelt legs": (lambda found, side: found.update({side: {"Long": 1, "Short": 2}}), frozenset()),
    "misspelt leg": (lambda found, side: found.update({side: {"long": 1, "Short": 2}}), frozenset()),
    "legs outside": (lambda found, side: found.update(found.pop(side)), frozenset()),
    "one more": (lambda found, side: found[side].update(max=9), frozenset()),
    "text": (lambda found, side: found[side].update(long="10"), frozenset()),
}

# What a manifest wants of the four legs (ef long, ef short, cmf long, cmf short); None is not managed.
WISHES: dict[str, tuple[Any, ...]] = {
    "tighten ef": (5, None, None, None),
    "tighten cmf": (None, None, 290, None),
    "loosen ef": (None, 50, None, None),
    "loosen cmf": (None, None, None, 900),
    "mixed in a side": (5, 50, 290, 900),
    "mixed over sides": (5, None, None, 900),
    "to unlimited": (U, 5, U, 5),
    "all": (1, 2, 3, 4),
    "unset": (),
}
OWNERSHIP = {"ef": frozenset({Owner.EF}), "cmf": frozenset({Owner.CMF}), "both": frozenset(Owner)}


def planned(shown: Json | None, wish: tuple[Any, ...], rules: Rules) -> AccountPlan:
    """The plan of an account whose limits answer is this row, or none."""
    body = {
        "service": "ICC",
        "clearingFirm": KEY.firm,
        "accountNumber": KEY.number,
        "limits": [] if shown is None else [copy.deepcopy(shown)],
    }
    rows = answers.with_a_limit(dict(answers.limit_rows(body, firm=FIRM, number=KEY.number, shown_as=rules.unlimited_shown_as)))
    account = LiveAccount(
        key=KEY,
        status=AccountStatus.ACTIVE,
        execution_firms={"3N1": False},
        rows=rows,
        row_count=1,
        pages=1,
        read_at="2026-01-01T00:00:00Z",
    )
    desired = want(row(CJ, *wish) if wish else row(CJ, unset=True))
    return arrange(diff(desired, account, rules), account, rules)


def unread(part: AccountPlan, shown: Json | None, unlimited: object) -> list[str]:
    """Every leg of every body that is neither exactly as the answer showed it nor the value of a change of that leg, a row's delete aside."""
    wrong = []
    changed = {(SIDES[change.owner], str(change.leg)): change.after for change in part.changes if change.owner is not None}
    for step in part.steps:
        for written in step.body["limits"]:  # type: ignore[attr-defined]
            for side, leg in LEGS:
                value = written[side].get(leg, ABSENT) if isinstance(written.get(side), dict) else ABSENT
                allowed: list[object] = []
                if (side, leg) in changed:
                    after = changed[side, leg]
                    allowed.append(after if isinstance(after, int) else unlimited)
                if shown is None:
                    allowed.append(unlimited)
                else:
                    allowed.append(shown[side].get(leg, ABSENT) if isinstance(shown.get(side), dict) else ABSENT)
                if not any(type(value) is type(one) and value == one for one in allowed):
                    wrong.append(f"{step.phase} {side}.{leg}: {value!r}, where {allowed!r} is allowed")
            if shown is not None and any(
                written.get(side, ABSENT) is None and shown.get(side, ABSENT) is not None for side in SIDES.values()
            ):
                wrong.append("a side is null that was not")
    return wrong


def shown_of(shape: str, sides: tuple[str, ...]) -> Json:
    found = copy.deepcopy(TRUTH)
    for side in sides:
        SHAPES[shape][0](found, side)
    return found


HIDDEN: dict[str, tuple[str, ...]] = {"ef": ("efLimits",), "cmf": ("cmfLimits",), "both": ("efLimits", "cmfLimits")}


@pytest.mark.parametrize("shown_as", UnlimitedShownAs)
@pytest.mark.parametrize("shape", SHAPES)
def test_no_body_holds_a_value_that_was_not_read(shape: str, shown_as: UnlimitedShownAs) -> None:
    """The whole product: shape × side × setting × ownership × direction × how unlimited is written. A shape that the setting does not name gives no plan."""
    admitted = shown_as in SHAPES[shape][1]
    plans = calls = 0
    for hidden, (ownership, owners), (direction, wish), form in itertools.product(HIDDEN, OWNERSHIP.items(), WISHES.items(), UnlimitedAs):
        rules = Rules(ownership=owners, unlimited_as=form, unlimited_shown_as=shown_as)
        shown = shown_of(shape, HIDDEN[hidden])
        if not admitted:
            with pytest.raises(AmsMalformed, match=r"Limits|long|short"):
                planned(shown, wish, rules)
            continue
        part = planned(shown, wish, rules)
        unlimited = {UnlimitedAs.NULL: None, UnlimitedAs.WORD: "Unlimited", UnlimitedAs.OMIT: ABSENT}[form]
        listed = None if _says_nothing(shown) else shown
        assert unread(part, listed, unlimited) == [], f"{hidden} hidden, {ownership} owned, {direction}"
        plans += 1
        calls += len(part.steps)
    assert (calls > plans / 3) == admitted


def _says_nothing(shown: Mapping[str, Any]) -> bool:
    """A row of four legs without a limit is the same as none (AMS §3.3)."""
    return not any(isinstance(value, int) for side in SIDES.values() for value in (shown.get(side) or {}).values())


@pytest.mark.parametrize("form", UnlimitedAs)
@pytest.mark.parametrize("wish", [wish for wish in WISHES.values() if wish], ids=[name for name, wish in WISHES.items() if wish])
@pytest.mark.parametrize("ownership", OWNERSHIP)
@pytest.mark.parametrize("shown_as", UnlimitedShownAs)
def test_a_row_that_a_whole_read_does_not_list_carries_the_wanted_legs(
    shown_as: UnlimitedShownAs, ownership: str, wish: tuple[Any, ...], form: UnlimitedAs
) -> None:
    """It is unset on four legs (AMS §3.3): all others are written as this AMS takes unlimited, on both sides."""
    owners = OWNERSHIP[ownership]
    part = planned(None, wish, Rules(ownership=owners, unlimited_as=form, unlimited_shown_as=shown_as))
    unlimited = {UnlimitedAs.NULL: None, UnlimitedAs.WORD: "Unlimited", UnlimitedAs.OMIT: ABSENT}[form]
    assert unread(part, None, unlimited) == []
    wanted = {
        (side, leg): value
        for (side, leg), value, owner in zip(LEGS, wish, (Owner.EF, Owner.EF, Owner.CMF, Owner.CMF), strict=True)
        if isinstance(value, int) and owner in owners
    }
    assert bool(part.steps) == bool(wanted)
    for step in part.steps:
        (written,) = step.body["limits"]  # type: ignore[misc]
        assert {(side, leg): written[side].get(leg, ABSENT) for side, leg in LEGS} == {at: wanted.get(at, unlimited) for at in LEGS}


@pytest.mark.parametrize(
    "wrong", [({"long": 5, "short": 6}, {"long": None, "short": 7}), ({"long": 5, "short": 6}, ABSENT), ({"long": 5, "short": 6}, None)]
)
def test_a_row_whose_form_does_not_say_what_its_legs_are_gives_no_plan(wrong: tuple[object, object]) -> None:
    """Whoever made the row: the plan would write something that the AMS did not say."""
    found = live({("3N1", CJ): (5, 6, U, U)}, wire=wrong)
    with pytest.raises(AmsError, match=r"cmf") as caught:
        made(want(row(CJ, 4, None, None, None)), found)
    assert f"{KEY}/3N1/{CJ}" in str(caught.value)


def test_what_was_absent_is_absent_in_the_echo() -> None:
    """A side goes back as it came, left out or null; a leg that was left out stays out of a side that another leg moves."""
    rules = Rules(unlimited_shown_as=UnlimitedShownAs.SIDE_ABSENT)
    for came in (ABSENT, None):
        found = live({("3N1", CJ): (5, UNLIMITED, U, U)}, wire=({"long": 5}, came))
        (step,) = made(want(row(CJ, 4, None, None, None)), found, rules).steps
        expected = {"product": CJ, "efId": "3N1", "efLimits": {"long": 4}, **({} if came is ABSENT else {"cmfLimits": None})}
        assert step.body["limits"] == [expected]
    found = live({("3N1", CJ): (5, UNLIMITED, U, U)}, wire=({"long": 5}, ABSENT))
    (step,) = made(want(row(CJ, None, None, 7, None)), found, rules).steps
    assert step.body["limits"] == [{"product": CJ, "efId": "3N1", "efLimits": {"long": 5}, "cmfLimits": {"long": 7}}]


def test_a_row_that_was_computed_is_written_as_a_new_one_would_be() -> None:
    """The way back of a run is planned on rows that nobody has read yet; it is read anew before it is carried out."""
    found = live()
    computed = LiveRow(legs=(5, 6, U, U))
    found.rows[RowKey("3N1", CJ)] = computed  # type: ignore[index]
    (step,) = made(want(row(CJ, 4, None, None, None)), found, Rules(unlimited_as=UnlimitedAs.WORD)).steps
    assert step.body["limits"][0]["cmfLimits"] == {"short": "Unlimited", "long": "Unlimited"}  # type: ignore[index]
