"""Every spelling that CME shows is read, everything else is refused by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from amsctl.config import UnlimitedShownAs
from amsctl.errors import AmsMalformed, IncompleteRead
from amsctl.model import ABSENT, UNLIMITED, AccountStatus, Firm, LiveRow, RowKey
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


HEAD = {"service": "ICC", "clearingFirm": "GREENTEA_API_CLEARING2", "accountNumber": NUMBER}
NULL, WORD, LEG_ABSENT, SIDE_ABSENT = UnlimitedShownAs


def limit_rows(body: dict[str, object], shown_as: UnlimitedShownAs = NULL) -> tuple[tuple[RowKey, LiveRow], ...]:
    return answers.limit_rows(body, firm=FIRM, number=NUMBER, shown_as=shown_as)


def limits_answer(body: dict[str, object], shown_as: UnlimitedShownAs = NULL) -> Mapping[RowKey, LiveRow]:
    return answers.limits_answer(body, firm=FIRM, number=NUMBER, shown_as=shown_as)


def one(shown_as: UnlimitedShownAs = NULL, /, **fields: object) -> LiveRow:
    (pair,) = limit_rows(limits_body(row(**fields)), shown_as)
    return pair[1]


def test_the_example_of_the_specification_is_read() -> None:
    """Legs come in the order ef long, ef short, cmf long, cmf short, whatever the order in the body."""
    for shown_as in UnlimitedShownAs:
        assert limit_rows(limits_body(row()), shown_as) == ((KEY, LiveRow(legs=(324, 567, 9000, 2000))),)


U = UNLIMITED
SHAPES: list[tuple[object, dict[UnlimitedShownAs, tuple[object, object]]]] = [
    ({"short": 3, "long": 5}, dict.fromkeys(UnlimitedShownAs, (5, 3))),
    ({"short": 0, "long": 2**53 - 1}, dict.fromkeys(UnlimitedShownAs, (2**53 - 1, 0))),
    ({"short": None, "long": 5}, {NULL: (5, U)}),
    ({"short": 3, "long": None}, {NULL: (U, 3)}),
    ({"short": None, "long": None}, {NULL: (U, U)}),
    ({"short": "Unlimited", "long": 5}, {WORD: (5, U)}),
    ({"short": "UNLIMITED", "long": "unlimited"}, {WORD: (U, U)}),
    ({"long": 5}, {LEG_ABSENT: (5, U), SIDE_ABSENT: (5, U)}),
    ({"short": 3}, {LEG_ABSENT: (U, 3), SIDE_ABSENT: (U, 3)}),
    ({}, {LEG_ABSENT: (U, U)}),
    (None, {SIDE_ABSENT: (U, U)}),
    (..., {SIDE_ABSENT: (U, U)}),
    # Two ways at once, other words, other members, other types: no setting reads these.
    *(
        (side, {})
        for side in (
            {"short": None, "long": "Unlimited"},
            {"short": "Unlimited "},
            {"short": "none", "long": 5},
            {"short": 3, "long": 5, "extra": 1},
            {"Long": 5, "Short": 3},
            {"long": 5, "Short": 3},
            {"long": 5, "short ": 3},
            {"max": 5},
            {"long": None},
            "Unlimited", "none", "", 5, 0, True, False, [], [5, 3], 1.5,
        )
    ),
]  # fmt: skip


@pytest.mark.parametrize("name", ["efLimits", "cmfLimits"])
@pytest.mark.parametrize("shown_as", UnlimitedShownAs)
@pytest.mark.parametrize(
    ("side", "meant"), SHAPES, ids=lambda value: ascii(value)[:40] if not isinstance(value, dict) or NULL not in value else ""
)
def test_a_leg_without_a_limit_is_shown_in_one_way_and_every_other_shape_is_refused(
    side: object, meant: dict[UnlimitedShownAs, tuple[object, object]], shown_as: UnlimitedShownAs, name: str
) -> None:
    """Absent is not unlimited: a side is exactly long and short, unless the setting says how this AMS shows a leg without a limit."""
    if shown_as not in meant:
        with pytest.raises(AmsMalformed) as caught:
            one(shown_as, **{name: side})
        problem = caught.value
        assert name in problem.what
        assert problem.where == f"{WHERE}/3N1/CJ.FUT.NYMEX"
        assert problem.expected
        assert problem.found is not None
        # The setting under which it could be read is named, and only where there is one.
        assert [f"set it to {each}" in (problem.hint or "").replace('"', "") for each in UnlimitedShownAs].count(True) == bool(meant)
        assert all(f"set it to {each}" in (problem.hint or "").replace('"', "") for each in [*meant][:1])
        return
    found = one(shown_as, **{name: side})
    other: tuple[object, ...] = (9000, 2000) if name == "efLimits" else (324, 567)
    assert found.legs == ((*meant[shown_as], *other) if name == "efLimits" else (*other, *meant[shown_as]))
    raw = ABSENT if side is ... else side
    whole = {"short": 2000, "long": 9000} if name == "efLimits" else {"short": 567, "long": 324}
    assert found.wire == (None if U not in found.legs else (raw, whole) if name == "efLimits" else (whole, raw))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(
            (name, {"long": 5, "short": 3})
            for name in ("efLimit", "EfLimits", "EFLIMITS", "ef_limits", "eflimits", "efLimts", "efLimits ", "ef", "EF")
        ),
        *(
            (name, {"long": 5, "short": 3})
            for name in ("cmfLimit", "CmfLimits", "cmf-limits", "cmLimits", "cmf", "clearing", "clearingLimits")
        ),
        *((name, 5) for name in ("long", "short", "Long", "efLong", "cmfShort", "maxQtyLong", "Max Qty Short", "limit", "creditLimit")),
        *(("limits", value) for value in ({}, [], None, 0, 1.5, "Unlimited")),
    ],
)
@pytest.mark.parametrize("shown_as", UnlimitedShownAs)
def test_a_member_that_may_be_a_side_under_another_name_is_refused(shown_as: UnlimitedShownAs, name: str, value: object) -> None:
    """Beside the sides or in the place of one: which limit is meant is not ours to choose."""
    for fields in (
        {name: value},
        {name: value, "efLimits": ...},
        {name: value, "cmfLimits": ...},
        {name: value, "cmfLimits": ..., "efLimits": ...},
    ):
        with pytest.raises(AmsMalformed) as caught:
            one(shown_as, **fields)
        assert f"'{name}'" in str(caught.value) or "unlimitedShownAs" in str(caught.value)
        assert f"{WHERE}/3N1/CJ.FUT.NYMEX" in str(caught.value)


@pytest.mark.parametrize("name", ["x-sandbox", "currency", "limitStatus", "limitsLocked", "type", "scope", "owner", "x" * 5000])
def test_other_members_that_nobody_announced_are_tolerated(name: str) -> None:
    """A later version of the AMS may add what has nothing to do with limits."""
    assert one(**{name: True if "ocked" in name else "ACTIVE"}).legs == (324, 567, 9000, 2000)


@pytest.mark.parametrize("value", [1.0, 1e3, "5", "", "none", True, False, -1, 2**53, [], {}, float("1e30")])
@pytest.mark.parametrize("leg", ["long", "short"])
@pytest.mark.parametrize("side", ["efLimits", "cmfLimits"])
def test_anything_else_in_a_leg_is_refused_by_name(side: str, leg: str, value: object) -> None:
    """A limit is a whole number from 0 or unlimited; else the error names account, execution firm, product and leg."""
    with pytest.raises(AmsMalformed) as caught:
        one(**{side: {"long": 1, "short": 1, leg: value}})
    assert f"{side}.{leg}" in str(caught.value)
    assert f"{WHERE}/3N1/CJ.FUT.NYMEX" in str(caught.value)


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
    pairs = limit_rows(limits_body(row(**{"efId": ..., key: "027"})))
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
    for shown_as, side in (
        (NULL, {"long": None, "short": None}),
        (WORD, {"long": "Unlimited", "short": "Unlimited"}),
        (LEG_ABSENT, {}),
        (SIDE_ABSENT, ...),
    ):
        hidden = row(product="GLB.FUT.CME", efLimits=side, cmfLimits=side)
        assert list(limits_answer(limits_body(row(), hidden), shown_as)) == [KEY]
        assert len(limit_rows(limits_body(row(), hidden), shown_as)) == 2


def test_a_row_that_comes_twice_is_an_incomplete_read() -> None:
    """One of the two would have to be dropped, and nobody knows which."""
    with pytest.raises(IncompleteRead, match=r"3N1/CJ\.FUT\.NYMEX twice"):
        limits_answer(limits_body(row(), row(efLimits={"long": 1, "short": 1})))


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
    for read, name in ABOUT_ONE_ACCOUNT:
        with pytest.raises(AmsMalformed):
            read({**limits_body(**head), name: []})


ABOUT_ONE_ACCOUNT: list[tuple[Callable[[dict[str, object]], object], str]] = [
    (limit_rows, "limits"),
    (lambda body: answers.suspensions(body, firm=FIRM, number=NUMBER), "executionFirms"),
    (lambda body: answers.eligible_products(body, firm=FIRM, number=NUMBER), "products"),
]


def test_an_answer_may_name_the_firm_by_name_or_by_id() -> None:
    """clearingFirm may be the clearing id (AMS §3.6)."""
    for read, name in ABOUT_ONE_ACCOUNT:
        for firm in ("780", "GREENTEA_API_CLEARING2"):
            assert read({**HEAD, "clearingFirm": firm, name: []}) == ()


@pytest.mark.parametrize("missing", HEAD)
@pytest.mark.parametrize("how", ["absent", "null", "misspelt", "both spellings"])
def test_an_answer_that_does_not_name_its_question_is_refused(missing: str, how: str) -> None:
    """Rows of another account would be taken for this one's: service, firm and account are named, and spelled as documented."""
    for read, name in ABOUT_ONE_ACCOUNT:
        body: dict[str, object] = {**HEAD, name: []}
        value = body.pop(missing)
        other = missing[:1].upper() + missing[1:]
        body |= {"absent": {}, "null": {missing: None}, "misspelt": {other: value}, "both spellings": {missing: value, other: "X"}}[how]
        with pytest.raises(AmsMalformed) as caught:
            read(body)
        assert missing in str(caught.value)
        assert WHERE in str(caught.value)


@pytest.mark.parametrize("other", ["Limits", "LIMITS", "limits ", "_limits"])
def test_a_list_under_a_second_spelling_is_refused(other: str) -> None:
    """An empty list beside the full one under another name is not an account without limits."""
    for body in ({**HEAD, "limits": [], other: [row()]}, {**HEAD, other: [row()]}):
        with pytest.raises(AmsMalformed, match="limits"):
            limit_rows(body)


@pytest.mark.parametrize(
    "body", [{}, {"limits": None}, {"limits": {}}, {"limits": "x"}, {"limits": [1]}, {"limits": [None]}, {"limits": [[]]}]
)
def test_a_missing_or_misshapen_list_is_no_empty_one(body: dict[str, object]) -> None:
    """An answer without its list is not an account without limits."""
    with pytest.raises(AmsMalformed):
        limit_rows({**HEAD, **body})


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
    body = {**HEAD, "service": "icc", "executionFirms": listed}
    assert answers.suspensions_answer(body, firm=FIRM, number=NUMBER) == {
        "451": False, "113": True, "763": True, "4V9": False, "0OJ": True, "XX0": False
    }  # fmt: skip


@pytest.mark.parametrize("value", ["", "Yes", "X", 0, 1, None, [], " Y"])
def test_any_other_suspended_is_refused(value: object) -> None:
    """Nothing but Y or N says whether orders are blocked."""
    with pytest.raises(AmsMalformed, match=f"{WHERE}/451"):
        answers.suspensions({**HEAD, "executionFirms": [{"efId": "451", "suspended": value}]}, firm=FIRM, number=NUMBER)


def test_an_execution_firm_without_suspended_or_listed_twice_is_refused() -> None:
    """A bare string, a missing value and a repeated firm do not tell the suspension."""
    with pytest.raises(AmsMalformed):
        answers.suspensions({**HEAD, "executionFirms": ["451"]}, firm=FIRM, number=NUMBER)
    with pytest.raises(AmsMalformed):
        answers.suspensions({**HEAD, "executionFirms": [{"efId": "451"}]}, firm=FIRM, number=NUMBER)
    twice = [{"efId": "451", "suspended": "N"}, {"efId": "451", "suspended": "Y"}]
    with pytest.raises(IncompleteRead):
        answers.suspensions_answer({**HEAD, "executionFirms": twice}, firm=FIRM, number=NUMBER)


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
    "fields",
    [
        {"clearingFirm": "984"},
        {"clearingFirm": None},
        {"ClearingFirm": "780"},
        {"accountNumber": 11},
        {"accountNumber": None},
        {"owner": 5},
        {"executionFirms": "8T4"},
        {"executionFirms": [5]},
        {"Status": "Active"},
    ],
)
def test_a_listed_account_that_is_not_usable_is_refused(fields: dict[str, object]) -> None:
    """An account of another firm, or with an identity that is no text."""
    with pytest.raises(AmsMalformed):
        answers.accounts(listing(account(**fields)), firm=FIRM, where="x")


@pytest.mark.parametrize("head", [{"service": None}, {"service": "CPC"}, {"clearingFirm": "984"}, {"Service": "ICC"}])
def test_a_listing_names_the_service(head: dict[str, object]) -> None:
    """Its documented form has the service beside the list, and firm and number in each account."""
    with pytest.raises(AmsMalformed):
        answers.accounts({**listing(account()), **head}, firm=FIRM, where="x")
    with pytest.raises(AmsMalformed, match="does not name its service"):
        answers.accounts({"clearingAccounts": []}, firm=FIRM, where="x")


def test_a_status_answer_is_read_per_account() -> None:
    """Only the word Successful says that it was done; another word, or an account twice, does not."""
    body = {"clearingAccounts": [{"accountNumber": "A1", "status": "Successful"}, {"accountNumber": "A2", "status": "Failed"}]}
    words = answers.account_status_answer(body, firm=FIRM, where="x")
    assert {number: answers.is_successful(word) for number, word in words.items()} == {"A1": True, "A2": False}
    with pytest.raises(IncompleteRead):
        answers.account_status_answer({"clearingAccounts": [{"accountNumber": "A1", "status": "Successful"}] * 2}, firm=FIRM, where="x")
    with pytest.raises(AmsMalformed):
        answers.account_status_answer({"clearingAccounts": [{"accountNumber": "A1"}]}, firm=FIRM, where="x")
    good = {"accountNumber": "A1", "status": "Successful"}
    for odd in ({"service": "CPC", "clearingAccounts": [good]}, {"clearingFirm": "984", "clearingAccounts": [good]},
                {"clearingAccounts": [{**good, "clearingFirm": "984"}]}, {"clearingAccounts": [{**good, "Status": "Failed"}]}):  # fmt: skip
        with pytest.raises(AmsMalformed):
            answers.account_status_answer(odd, firm=FIRM, where="x")


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
    assert answers.eligible_products({**HEAD, "products": products}, firm=FIRM, number=NUMBER) == (
        ("XX0", ("GLB.FUT.CME", "6Z.FUT.CME")),
        ("350", ("RO.OOF.CME",)),
        ("027", ()),
    )
    for broken in ({"productList": []}, {"executionFirm": "XX0", "productList": "x"}, {"executionFirm": "XX0", "productList": [{}]}):
        with pytest.raises(AmsMalformed):
            answers.eligible_products({**HEAD, "products": [broken]}, firm=FIRM, number=NUMBER)


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


# --- what entries name, and what they may hide ---

OTHERS: dict[str, object] = {"accountNumber": "OTHER", "clearingFirm": "BLACKTEA", "service": "CPC"}


def _answer_of(entry: str, name: str, value: object) -> Callable[[], object]:
    """Reading an answer in which one entry names something of its own."""
    more = {name: value}
    bodies: dict[str, Callable[[], object]] = {
        "a row": lambda: limit_rows(limits_body(row(**more))),
        "a suspension": lambda: answers.suspensions(
            {**HEAD, "executionFirms": [{"efId": "3N1", "suspended": "N", **more}]}, firm=FIRM, number=NUMBER
        ),
        "eligible products": lambda: answers.eligible_products(
            {**HEAD, "products": [{"executionFirm": "3N1", "productList": [], **more}]}, firm=FIRM, number=NUMBER
        ),
        "an eligible product": lambda: answers.eligible_products(
            {**HEAD, "products": [{"executionFirm": "3N1", "productList": [{"product": "CJ.FUT.NYMEX", **more}]}]}, firm=FIRM, number=NUMBER
        ),
        "a listed execution firm": lambda: answers.accounts(
            listing(account(executionFirms=[{"efId": "3N1", **more}])), firm=FIRM, where="x"
        ),
    }
    return bodies[entry]


ENTRIES = ["a row", "a suspension", "eligible products", "an eligible product", "a listed execution firm"]


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("name", OTHERS)
def test_an_entry_that_names_another_account_firm_or_service_is_refused(entry: str, name: str) -> None:
    """The answer as a whole names the one asked for, and one of its entries does not: it is of another account."""
    for spelled, value in ((name, OTHERS[name]), (name, 5), (name.upper(), OTHERS[name]), (name.replace("c", "ｃ", 1), OTHERS[name])):
        with pytest.raises(AmsMalformed, match=name):
            _answer_of(entry, spelled, value)()
    right = "011" if entry == "a listed execution firm" else NUMBER
    for value in (None, {"accountNumber": right, "clearingFirm": "780", "service": "icc"}[name]):
        _answer_of(entry, name, value)()


@pytest.mark.parametrize("entry", ["a row", "a suspension", "a listed execution firm"])
def test_an_entry_that_names_two_execution_firms_is_refused(entry: str) -> None:
    """efId and executionFirm (as /eligibleProducts calls it) are the same one."""
    for value in ("350", "3n1", 5, ["3N1"]):
        with pytest.raises(AmsMalformed, match="executionFirm"):
            _answer_of(entry, "executionFirm", value)()
    for value in ("3N1", None, {"name": "a firm"}):
        _answer_of(entry, "executionFirm", value)()


def test_eligible_products_of_two_execution_firms_at_once_are_refused() -> None:
    for entry in ({"executionFirm": "XX0", "efId": "350"}, {"executionFirm": 5, "efId": "350"}):
        with pytest.raises(AmsMalformed, match="executionFirm"):
            answers.eligible_products({**HEAD, "products": [{**entry, "productList": []}]}, firm=FIRM, number=NUMBER)


HIDING: list[object] = [
    {"long": 5, "short": 3}, {"short": 3}, {"Long": None}, {"max": {"a": [3]}}, {"unlimited": True}, [{"side": "EF", "short": 3}], [[0]], [5],
    5, 0, 1.5, "5", " 5 ", "1,000", "5e3", "５６７", "unlimited", "Unlimited.", '{"short": 567}', "short=567;long=3", "UNLIMITED long, 3 short",
]  # fmt: skip
NOT_HIDING: list[object] = [
    None, True, False, "", "ACTIVE", "SHORT STERLING", "2026-01-03T10:00:00Z", "jo2", {}, [], {"rel": "self", "href": "/rest/v2/780"}, ["x", None],
]  # fmt: skip


@pytest.mark.parametrize("name", ["executionFirm", "efCaps", "position", "EF_MAX", "sides", "text", "x", "x" * 5000])
@pytest.mark.parametrize("value", HIDING, ids=ascii)
def test_a_row_that_lacks_a_side_hides_none_under_another_name(name: str, value: object) -> None:
    """Where what is not there has no limit, a member that may hold one is refused by what it holds, whatever it is called."""
    if name == "executionFirm" and not isinstance(value, dict):
        return  # refused for naming another execution firm
    lacking: list[tuple[UnlimitedShownAs, dict[str, object]]] = [
        (SIDE_ABSENT, {"efLimits": ...}),
        (SIDE_ABSENT, {"cmfLimits": None}),
        (SIDE_ABSENT, {"efLimits": {"long": 3}}),
        (LEG_ABSENT, {"efLimits": {}}),
        (LEG_ABSENT, {"cmfLimits": {"short": 3}}),
    ]
    for shown_as, fields in lacking:
        with pytest.raises(AmsMalformed, match="may be a limit under another name") as caught:
            one(shown_as, **fields, **{name: value})
        assert name[:20] in str(caught.value)
        assert f"{WHERE}/3N1/CJ.FUT.NYMEX" in str(caught.value)


@pytest.mark.parametrize("value", NOT_HIDING, ids=ascii)
@pytest.mark.parametrize("shown_as", UnlimitedShownAs)
def test_a_member_that_can_hold_no_limit_is_tolerated_there_too(value: object, shown_as: UnlimitedShownAs) -> None:
    side: object = {NULL: {"long": None, "short": None}, WORD: {"long": "Unlimited", "short": "Unlimited"}, LEG_ABSENT: {}}.get(
        shown_as, ...
    )
    assert one(shown_as, efLimits=side, remark=value).legs == (U, U, 9000, 2000)


def test_what_other_answers_document_is_tolerated_in_a_row_that_lacks_a_side() -> None:
    """An account's number and a firm's id are texts of digits, and no limits; a whole row may have a number beside it."""
    said = {"service": "ICC", "clearingFirm": "780", "accountNumber": NUMBER, "owner": "050", "executionFirm": "3N1", "clearingId": "780"}
    assert one(SIDE_ABSENT, efLimits=..., **said).legs == (U, U, 9000, 2000)
    with pytest.raises(AmsMalformed, match="'owner'"):
        one(SIDE_ABSENT, efLimits=..., owner={"short": 5})
    for shown_as in UnlimitedShownAs:
        assert one(shown_as, rowId=7, utilization={"long": 5}).legs == (324, 567, 9000, 2000)


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
    "limits": (limits_answer, limits_body(row(usage={"long": 1}), row(efId="350"))),
    "products": (
        lambda body: answers.eligible_products(body, firm=FIRM, number=NUMBER),
        {**limits_body(), "products": [{"executionFirm": "A", "productList": [{"product": "P"}]}, {"efId": "B", "productList": ["P"]}]},
    ),
    "status": (
        lambda body: answers.account_status_answer(body, firm=FIRM, where="x"),
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
        answers.suspensions({**HEAD, "executionFirms": [entry]}, firm=FIRM, number=NUMBER)
