"""Every spelling that CME shows is read, everything else is refused by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from amsctl.errors import AmsMalformed, IncompleteRead
from amsctl.model import UNLIMITED, AccountStatus, Firm, LiveRow, RowKey
from amsctl.wire import answers
from amsctl.wire.answers import AccountEntry, ErrorBody, PageMarks

FIRM = Firm(name="GREENTEA_API_CLEARING2", clearing_id="780")
NUMBER = "DV10121801A"
KEY = RowKey("3N1", "CJ.FUT.NYMEX")
WHERE = "GREENTEA_API_CLEARING2/DV10121801A"


def limits_body(*rows: object, **head: object) -> dict[str, object]:
    return {"service": "ICC", "clearingFirm": "GREENTEA_API_CLEARING2", "accountNumber": NUMBER, "limits": list(rows), **head}


def row(**fields: object) -> dict[str, object]:
    full = {
        "product": "CJ.FUT.NYMEX",
        "productFullName": "NYMEX Cocoa Futures ",
        "efId": "3N1",
        "efLimits": {"short": 567, "long": 324},
        "cmfLimits": {"short": 2000, "long": 9000},
        **fields,
    }
    return {name: value for name, value in full.items() if value is not ...}


def one(**fields: object) -> LiveRow:
    (pair,) = answers.limit_rows(limits_body(row(**fields)), firm=FIRM, number=NUMBER)
    return pair[1]


def test_the_example_of_the_specification_is_read() -> None:
    """Legs come in the order ef long, ef short, cmf long, cmf short, whatever the order in the body."""
    assert answers.limit_rows(limits_body(row()), firm=FIRM, number=NUMBER) == ((KEY, LiveRow(legs=(324, 567, 9000, 2000))),)


@pytest.mark.parametrize(
    ("ef", "legs"),
    [
        ({"short": None, "long": 5}, (5, UNLIMITED)),
        ({"long": 5}, (5, UNLIMITED)),
        ({"short": "Unlimited", "long": "unlimited"}, (UNLIMITED, UNLIMITED)),
        ({"short": "UNLIMITED ", "long": 0}, (0, UNLIMITED)),
        ({}, (UNLIMITED, UNLIMITED)),
        (None, (UNLIMITED, UNLIMITED)),
        (..., (UNLIMITED, UNLIMITED)),
        ("Unlimited", (UNLIMITED, UNLIMITED)),
        ({"short": 0, "long": 2**53 - 1, "extra": "kept"}, (2**53 - 1, 0)),
    ],
)
def test_each_spelling_of_unlimited_is_read_and_kept_for_the_echo(ef: object, legs: tuple[object, object]) -> None:
    """null, a missing leg, a missing side and the word mean unlimited; the raw sides are kept when a leg was no number."""
    found = one(efLimits=ef)
    assert found.legs == (*legs, 9000, 2000)
    if UNLIMITED in legs:
        assert found.wire == (None if ef is ... else ef, {"short": 2000, "long": 9000})
    else:
        assert found.wire is None


@pytest.mark.parametrize("value", [1.0, 1e3, "5", "", "none", True, False, -1, 2**53, [], {}, float("1e30")])
@pytest.mark.parametrize("leg", ["long", "short"])
@pytest.mark.parametrize("side", ["efLimits", "cmfLimits"])
def test_anything_else_in_a_leg_is_refused_by_name(side: str, leg: str, value: object) -> None:
    """A limit is a whole number from 0 or unlimited; else the error names account, execution firm, product and leg."""
    with pytest.raises(AmsMalformed) as caught:
        one(**{side: {"long": 1, "short": 1, leg: value}})
    assert f"{side}.{leg}" in str(caught.value)
    assert f"{WHERE}/3N1/CJ.FUT.NYMEX" in str(caught.value)


@pytest.mark.parametrize("side", [5, [], "none", True])
def test_a_side_is_an_object_or_unlimited(side: object) -> None:
    """Any other value of a whole side is refused."""
    with pytest.raises(AmsMalformed, match="efLimits"):
        one(efLimits=side)


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (..., (None, None)),
        (None, (None, None)),
        (7, (None, None)),
        ({"long": 3, "short": 0}, (3, 0)),
        ({"long": 3}, (3, None)),
        ({"long": -1, "short": 1.5}, (None, None)),
        ("many", (None, None)),
    ],
)
def test_usage_that_is_not_told_per_leg_is_unknown_not_zero(usage: object, expected: tuple[int | None, int | None]) -> None:
    """Absent usage is unknown (AMS §3.7), and a lone number does not say of which leg it is."""
    found = one(usage=usage)
    assert (found.usage_long, found.usage_short) == expected


@pytest.mark.parametrize("key", ["efId", "efID", "EFID", "efid"])
def test_every_spelling_of_the_execution_firm_key_is_read(key: str) -> None:
    """CME writes efId and efID."""
    pairs = answers.limit_rows(limits_body(row(**{"efId": ..., key: "027"})), firm=FIRM, number=NUMBER)
    assert pairs[0][0] == RowKey("027", "CJ.FUT.NYMEX")


@pytest.mark.parametrize(
    "fields",
    [
        {"efId": ...},
        {"efId": "3N1", "efID": "350"},
        {"efId": 27},
        {"efId": ""},
        {"efId": None},
        {"product": ...},
        {"product": None},
        {"product": 5},
        {"product": ""},
        {"product": " CJ.FUT.NYMEX"},
        {"product": "CJ.FUT.NYMEX\x1b[31m"},
    ],
)
def test_a_row_without_a_usable_identity_is_refused(fields: dict[str, object]) -> None:
    """Execution firm and product are non-empty texts without controls or blanks around them; a number could have lost its zeros."""
    with pytest.raises(AmsMalformed):
        one(**fields)


def test_rows_of_four_unlimited_legs_are_no_rows() -> None:
    """Such rows come and go with the day's trading (AMS §3.3)."""
    hidden = row(product="GLB.FUT.CME", efLimits=None, cmfLimits={"long": "Unlimited"})
    assert list(answers.limits_answer(limits_body(row(), hidden), firm=FIRM, number=NUMBER)) == [KEY]
    assert len(answers.limit_rows(limits_body(row(), hidden), firm=FIRM, number=NUMBER)) == 2


def test_a_row_that_comes_twice_is_an_incomplete_read() -> None:
    """One of the two would have to be dropped, and nobody knows which."""
    with pytest.raises(IncompleteRead, match=r"3N1/CJ\.FUT\.NYMEX twice"):
        answers.limits_answer(limits_body(row(), row(efLimits={"long": 1, "short": 1})), firm=FIRM, number=NUMBER)


@pytest.mark.parametrize(
    "head",
    [
        {"service": "CMED"},
        {"service": 5},
        {"clearingFirm": "OTHER"},
        {"clearingFirm": 780},
        {"clearingFirm": ["780"]},
        {"clearingFirm": {}},
        {"accountNumber": "dv10121801a"},
        {"accountNumber": "DV10121801"},
        {"accountNumber": 12},
    ],
)
def test_an_answer_to_another_question_is_refused(head: dict[str, object]) -> None:
    """service, clearingFirm and accountNumber must be those asked for."""
    for read, name in ((answers.limit_rows, "limits"), (answers.suspensions, "executionFirms"), (answers.eligible_products, "products")):
        with pytest.raises(AmsMalformed):
            read({**limits_body(**head), name: []}, firm=FIRM, number=NUMBER)


def test_an_answer_may_name_the_firm_by_id_or_not_at_all() -> None:
    """clearingFirm may be the clearing id (AMS §3.6); a body that does not name the request is taken."""
    assert answers.limit_rows(limits_body(clearingFirm="780"), firm=FIRM, number=NUMBER) == ()
    assert answers.limit_rows({"limits": []}, firm=FIRM, number=NUMBER) == ()


@pytest.mark.parametrize(
    "body", [{}, {"limits": None}, {"limits": {}}, {"limits": "x"}, {"limits": [1]}, {"limits": [None]}, {"limits": [[]]}]
)
def test_a_missing_or_misshapen_list_is_no_empty_one(body: dict[str, object]) -> None:
    """An answer without its list is not an account without limits."""
    with pytest.raises(AmsMalformed):
        answers.limit_rows(body, firm=FIRM, number=NUMBER)


# --- execution firms ---


def test_suspension_is_read_in_every_spelling() -> None:
    """Y and N in any case, and JSON booleans."""
    listed = [
        {"efId": "451", "suspended": "N"},
        {"efID": "113", "suspended": "y"},
        {"efId": "763", "suspended": True},
        {"efId": "4V9", "suspended": False},
        {"efId": "0OJ", "suspended": "Y", "extra": 1},
        {"efId": "XX0", "suspended": "n"},
    ]
    body = {"service": "icc", "executionFirms": listed}
    assert answers.suspensions_answer(body, firm=FIRM, number=NUMBER) == {
        "451": False, "113": True, "763": True, "4V9": False, "0OJ": True, "XX0": False
    }  # fmt: skip


@pytest.mark.parametrize("value", ["", "Yes", "X", 0, 1, None, [], " Y"])
def test_any_other_suspended_is_refused(value: object) -> None:
    """Nothing but Y or N says whether orders are blocked."""
    with pytest.raises(AmsMalformed, match=f"{WHERE}/451"):
        answers.suspensions({"executionFirms": [{"efId": "451", "suspended": value}]}, firm=FIRM, number=NUMBER)


def test_an_execution_firm_without_suspended_or_listed_twice_is_refused() -> None:
    """A bare string, a missing value and a repeated firm do not tell the suspension."""
    with pytest.raises(AmsMalformed):
        answers.suspensions({"executionFirms": ["451"]}, firm=FIRM, number=NUMBER)
    with pytest.raises(AmsMalformed):
        answers.suspensions({"executionFirms": [{"efId": "451"}]}, firm=FIRM, number=NUMBER)
    twice = [{"efId": "451", "suspended": "N"}, {"efId": "451", "suspended": "Y"}]
    with pytest.raises(IncompleteRead):
        answers.suspensions_answer({"executionFirms": twice}, firm=FIRM, number=NUMBER)


# --- accounts ---


def account(**fields: object) -> dict[str, object]:
    return {"clearingFirm": "780", "accountNumber": "011", "status": "Active", **fields}


def listing(*entries: object) -> dict[str, object]:
    return {"service": "ICC", "counts": len(entries), "clearingAccounts": list(entries)}


@pytest.mark.parametrize(
    ("word", "status"),
    [
        *((word, AccountStatus.ACTIVE) for word in ("Active", "active", "ACTIVE", "A", "a", " Active ")),
        *((word, AccountStatus.INACTIVE) for word in ("Inactive", "inactive", "I", "i")),
        *((word, AccountStatus.CLOSED) for word in ("closed", "Closed", "CLOSED", "C")),
    ],
)
def test_every_spelling_of_a_status_is_read(word: str, status: AccountStatus) -> None:
    """AMS §3.2."""
    ((number, entry),) = answers.accounts(listing(account(status=word)), firm=FIRM, where="x")
    assert (number, entry.status) == ("011", status)


@pytest.mark.parametrize("word", ["", "Activ", "Successful", None, 1, True, [], "suspended"])
def test_an_unknown_status_is_refused_with_its_account(word: object) -> None:
    """A status that is guessed at could hide a closed account."""
    ((_, entry),) = answers.accounts(listing(account(status=word)), firm=FIRM, where="x")
    with pytest.raises(AmsMalformed, match="011"):
        _ = entry.status
    assert entry.status_shown == str(word)


def test_execution_firms_of_a_listing_may_be_objects_or_bare_strings() -> None:
    """Their suspension is not looked at there: it should always be N (AMS §3.1)."""
    firms = [{"efId": "XX0", "suspended": "N"}, "8T4", {"efID": "027"}]
    ((_, entry),) = answers.accounts(listing(account(executionFirms=firms, owner="050 ", segType="C", links=[5])), firm=FIRM, where="x")
    assert entry == AccountEntry(number="011", status_word="Active", owner="050", seg_type="C", execution_firms=("XX0", "8T4", "027"))
    ((_, bare),) = answers.accounts(listing(account(executionFirms=None, owner="", segType=None)), firm=FIRM, where="x")
    assert bare == AccountEntry(number="011", status_word="Active")


@pytest.mark.parametrize(
    "fields", [{"clearingFirm": "984"}, {"accountNumber": 11}, {"owner": 5}, {"executionFirms": "8T4"}, {"executionFirms": [5]}]
)
def test_a_listed_account_that_is_not_usable_is_refused(fields: dict[str, object]) -> None:
    """An account of another firm, or with an identity that is no text."""
    with pytest.raises(AmsMalformed):
        answers.accounts(listing(account(**fields)), firm=FIRM, where="x")


def test_a_status_answer_is_read_per_account() -> None:
    """Only the word Successful says that it was done; another word, or an account twice, does not."""
    body = {"clearingAccounts": [{"accountNumber": "A1", "status": "Successful"}, {"accountNumber": "A2", "status": "Failed"}]}
    words = answers.account_status_answer(body, where="x")
    assert {number: answers.is_successful(word) for number, word in words.items()} == {"A1": True, "A2": False}
    with pytest.raises(IncompleteRead):
        answers.account_status_answer({"clearingAccounts": [{"accountNumber": "A1", "status": "Successful"}] * 2}, where="x")
    with pytest.raises(AmsMalformed):
        answers.account_status_answer({"clearingAccounts": [{"accountNumber": "A1"}]}, where="x")


# --- firms, products, marks, failures ---


def entitled(**fields: object) -> dict[str, object]:
    return {"service": "ICC", "clearingFirms": [{"firmName": "B", "clearingId": "780"}, {"firmName": "A", "clearingId": "027"}], **fields}


def test_only_firms_of_the_icc_entitlement_count() -> None:
    """Other services are passed over; the documented misspelling of the list is read; a repeated firm is one firm."""
    other = {"service": "CPC", "clearingFirms": [{"firmName": "C", "clearingId": "1"}]}
    misspelled = {"service": "ICC", "fradingFirms": [{"firmName": "B", "firmLongName": "x ", "clearingId": "780"}]}
    body = {"entitlements": [other, entitled(), misspelled], "links": []}
    assert answers.firms(body) == (Firm(name="A", clearing_id="027"), Firm(name="B", clearing_id="780"))
    assert answers.firms({"entitlements": [other]}) == ()


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"entitlements": None},
        {"entitlements": [{"clearingFirms": []}]},
        {"entitlements": [{"service": "ICC"}]},
        {"entitlements": [entitled(clearingFirms=[{"firmName": "A"}])]},
        {"entitlements": [entitled(clearingFirms=[{"firmName": "A", "clearingId": 27}])]},
        {"entitlements": [entitled(clearingFirms=[{"firmName": "A", "clearingId": "1"}, {"firmName": "A", "clearingId": "2"}])]},
        {"entitlements": [entitled(clearingFirms=[{"firmName": "A", "clearingId": "1"}, {"firmName": "B", "clearingId": "1"}])]},
    ],
)
def test_firms_that_cannot_be_told_apart_are_refused(body: dict[str, object]) -> None:
    """Names and ids are unique texts (AMS §3)."""
    with pytest.raises(AmsMalformed):
        answers.firms(body)


def test_eligible_products_come_per_execution_firm() -> None:
    """A firm may come in pieces or with nothing; productFullName is not looked at."""
    products = [
        {"executionFirm": "XX0", "productList": [{"product": "GLB.FUT.CME", "productFullName": " "}, {"product": "6Z.FUT.CME"}]},
        {"efId": "350", "productList": ["RO.OOF.CME"]},
        {"executionFirm": "027", "productList": None},
    ]
    assert answers.eligible_products({"products": products}, firm=FIRM, number=NUMBER) == (
        ("XX0", ("GLB.FUT.CME", "6Z.FUT.CME")),
        ("350", ("RO.OOF.CME",)),
        ("027", ()),
    )
    for broken in ({"productList": []}, {"executionFirm": "XX0", "productList": "x"}, {"executionFirm": "XX0", "productList": [{}]}):
        with pytest.raises(AmsMalformed):
            answers.eligible_products({"products": [broken]}, firm=FIRM, number=NUMBER)


def test_page_marks_are_whole_numbers_or_silent() -> None:
    """A mark that is not a whole number cannot vouch for anything."""
    assert answers.page_marks({"limit": 50, "offset": 1, "availableOffsets": None, "counts": 0}, "x") == PageMarks(
        limit=50, offset=1, available=None, counts=0
    )
    for value in ("1", 1.0, True, -1, [], 2**53):
        for name in ("limit", "offset", "availableOffsets", "counts"):
            with pytest.raises(AmsMalformed, match=name):
                answers.page_marks({name: value}, "x")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"errorType": "400", "error": "Bad Request"}, ErrorBody(error_type="400", text="Bad Request")),
        ({"errorType": 400, "limits": []}, ErrorBody(error_type="400", text="")),
        ({"errorType": None, "error": {"a": 1}}, ErrorBody(error_type="None", text="{'a': 1}")),
        ({"errorType": "x" * 200}, ErrorBody(error_type="x" * 80 + "…", text="")),
    ],
)
def test_any_object_with_errortype_is_a_failure(body: dict[str, Any], expected: ErrorBody) -> None:
    """Whatever else the body holds and whatever the status was (AMS §2)."""
    assert answers.error_in(body) == expected
    assert answers.error_in({"error": "not that", "limits": []}) is None


ODD: tuple[object, ...] = (None, True, 0, -1, 1.5, 2**60, "", " ", "x", "Unlimited", "\x00", [], [None], [[]], {}, {"efId": {}}, {"": 1})


def mutations(value: Any) -> Iterator[Any]:
    """The value with each of its parts, at every depth, left out or replaced by something odd."""
    yield from ODD
    if isinstance(value, dict):
        for key, part in value.items():
            yield {name: other for name, other in value.items() if name != key}
            yield from ({**value, key: changed} for changed in mutations(part))
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield value[:index] + value[index + 1 :]
            yield from ([*value[:index], changed, *value[index + 1 :]] for changed in mutations(part))


SAMPLES: dict[str, tuple[Callable[[Any], object], dict[str, object]]] = {
    "firms": (answers.firms, {"entitlements": [entitled(), {"service": "CPC", "clearingFirms": []}]}),
    "accounts": (
        lambda body: answers.accounts(body, firm=FIRM, where="x"),
        listing(account(executionFirms=[{"efId": "A"}, "B"], owner="o")),
    ),
    "efStatus": (
        lambda body: answers.suspensions_answer(body, firm=FIRM, number=NUMBER),
        {**limits_body(), "executionFirms": [{"efId": "A", "suspended": "N"}, {"efID": "B", "suspended": True}]},
    ),
    "limits": (lambda body: answers.limits_answer(body, firm=FIRM, number=NUMBER), limits_body(row(usage={"long": 1}), row(efId="350"))),
    "products": (
        lambda body: answers.eligible_products(body, firm=FIRM, number=NUMBER),
        {**limits_body(), "products": [{"executionFirm": "A", "productList": [{"product": "P"}]}, {"efId": "B", "productList": ["P"]}]},
    ),
    "status": (
        lambda body: answers.account_status_answer(body, where="x"),
        {"clearingAccounts": [{"accountNumber": "A", "status": "Successful"}]},
    ),
    "marks": (lambda body: answers.page_marks(body, "x"), {"limit": 1, "offset": 1, "availableOffsets": 1, "counts": 1}),
    "error": (answers.error_in, {"errorType": "400", "error": "x"}),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_whatever_a_body_holds_the_outcome_is_a_value_or_a_typed_error(name: str) -> None:
    """Every part of every answer left out or replaced by 17 odd values: never an exception of another sort."""
    decode, sample = SAMPLES[name]
    decode(sample)
    tried = refused = 0
    for body in mutations(sample):
        if isinstance(body, dict):
            tried += 1
            try:
                decode(body)
            except (AmsMalformed, IncompleteRead):
                refused += 1
    assert tried > 35
    assert refused > tried // 4 or name == "error"


@pytest.mark.parametrize("other", ["efID", "EFID", "efid"])
def test_two_spellings_of_one_execution_firm_are_refused(other: str) -> None:
    """Which of the two would be meant is not ours to choose."""
    entry = {"efId": "3N1", other: "350", "suspended": "N"}
    with pytest.raises(AmsMalformed, match="2 of them"):
        answers.suspensions({"executionFirms": [entry]}, firm=FIRM, number="A")
