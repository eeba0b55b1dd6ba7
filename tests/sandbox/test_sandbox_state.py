"""The book: what it stores, shows and forgets."""

from __future__ import annotations

import json
from array import array
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amsctl.sandbox.books import account_to_mapping, book_from_json, book_from_mapping, book_to_mapping, edit_book, spec_book
from amsctl.sandbox.state import Account, Book, Firm, Legs

FIRMS = [{"name": "F", "clearingId": "1"}]
FIRM = Firm(name="FIRM", clearing_id="027")
ROWS: dict[tuple[str, str], Legs] = {("3N1", "A.FUT.CME"): (1, 2, 3, 4), ("350", "B.FUT.CME"): (None, 0, None, 5)}


def a_book(**account: object) -> Book:
    account = {"rows": ROWS, "execution_firms": {"3N1": False, "350": True}, **account}
    return Book([FIRM], products={"A.FUT.CME": "A", "B.FUT.CME": "B"}, accounts=[Account(firm=FIRM, number="011", **account)])  # type: ignore[arg-type]


def test_a_firm_is_found_by_name_and_by_clearing_id_as_text() -> None:
    book = a_book()
    assert book.firm("FIRM") is book.firm("027") is FIRM
    assert book.firm("27") is None
    assert book.account("011", "027") is book.account("011", "FIRM") is book.account("011")
    assert book.accounts("027") == book.accounts()


def test_unknown_names_are_key_errors_and_empty_lists_never_other_accounts() -> None:
    book = a_book()
    with pytest.raises(KeyError, match="no account '11' of firm 'FIRM'"):
        book.account("11", "FIRM")
    with pytest.raises(KeyError, match="no account '11'"):
        book.row("11", "3N1", "A.FUT.CME")
    assert book.find("011", "OTHER") is None
    assert book.accounts("OTHER") == []


def test_a_row_of_four_unlimited_legs_is_listed_only_if_it_traded_today() -> None:
    book = a_book(rows={("3N1", "A.FUT.CME"): (None,) * 4, ("350", "B.FUT.CME"): (1, None, None, None)})
    account = book.account("011")
    assert [key for key, _ in account.listed()] == [("350", "B.FUT.CME")]
    book.trade("011", "3N1", "A.FUT.CME")
    assert [key for key, _ in account.listed()] == [("3N1", "A.FUT.CME"), ("350", "B.FUT.CME")]
    book.trade("011", "3N1", "A.FUT.CME", traded=False)
    assert [key for key, _ in account.listed()] == [("350", "B.FUT.CME")]


def test_a_deleted_row_that_traded_today_is_still_listed_as_unlimited() -> None:
    book = a_book(traded={("3N1", "A.FUT.CME")})
    book.remove("011", "3N1", "A.FUT.CME")
    assert book.row("011", "3N1", "A.FUT.CME") is None
    assert book.account("011").listed()[-1] == (("3N1", "A.FUT.CME"), (None,) * 4)


def test_packed_rows_read_and_write_like_any_other() -> None:
    book = a_book()
    account = book.account("011")
    account.pack((("3N1", "A.FUT.CME"), ("350", "B.FUT.CME")), array("q", [1, 2, 3, 4, -1, 0, -1, 5]))
    assert dict(account.items()) == ROWS
    assert account.row("350", "B.FUT.CME") == (None, 0, None, 5)
    assert account.row("350", "C.FUT.CME") is None
    assert dict(account.copy().items()) == ROWS
    book.put("011", "350", "B.FUT.CME", (7, 7, 7, 7))
    assert dict(account.items()) == {**ROWS, ("350", "B.FUT.CME"): (7, 7, 7, 7)}


def test_reset_brings_back_the_marked_book_whole() -> None:
    book = a_book()
    before = book_to_mapping(book)
    book.put("011", "3N1", "A.FUT.CME", (9, 9, 9, 9))
    book.write_status(book.account("011"), "closed")
    book.write_suspensions(book.account("011"), {"350": False, "NEW": True})
    book.trade("011", "3N1", "B.FUT.CME")
    book.add_account(Account(firm=FIRM, number="NEW"))
    assert book_to_mapping(book) != before
    book.reset()
    assert book_to_mapping(book) == before
    book.put("011", "3N1", "A.FUT.CME", (9, 9, 9, 9))
    book.mark()
    book.reset()
    assert book.row("011", "3N1", "A.FUT.CME") == (9, 9, 9, 9)


def test_a_rehearsal_leaves_no_trace_and_keeps_what_reset_knows() -> None:
    book = a_book()
    told: list[str] = []
    book.put("011", "3N1", "A.FUT.CME", (5, 5, 5, 5))
    book.listener = lambda account, present: told.append(account.number)
    with book.rehearsal():
        book.put("011", "3N1", "A.FUT.CME", (6, 6, 6, 6))
        assert book.row("011", "3N1", "A.FUT.CME") == (6, 6, 6, 6)
    assert book.row("011", "3N1", "A.FUT.CME") == (5, 5, 5, 5)
    assert told == []
    book.reset()
    assert book.row("011", "3N1", "A.FUT.CME") == (1, 2, 3, 4)
    assert told == ["011"]


def test_every_state_of_an_account_has_a_version_of_its_own() -> None:
    book = a_book()
    versions = [book.account("011").version]
    for _ in range(3):
        book.put("011", "3N1", "A.FUT.CME", (6, 6, 6, 6))
        versions.append(book.account("011").version)
        book.reset()
        versions.append(book.account("011").version)
    assert len(set(versions)) == 7


def test_eligible_products_are_the_books_unless_the_account_says_otherwise() -> None:
    assert a_book().products_of(a_book().account("011"), "3N1") == ("A.FUT.CME", "B.FUT.CME")
    book = a_book(eligible={"3N1": ("B.FUT.CME",)})
    assert book.products_of(book.account("011"), "3N1") == ("B.FUT.CME",)
    assert book.products_of(book.account("011"), "350") == ()


def test_a_book_survives_its_json_form(tmp_path: Path) -> None:
    book = a_book(
        eligible={"3N1": ("B.FUT.CME",)}, traded={("3N1", "A.FUT.CME"), ("350", "Z.FUT.CME")}, usage={("3N1", "A.FUT.CME"): (4, 5)}
    )
    document = book_to_mapping(book)
    (tmp_path / "book.json").write_text(json.dumps(document))
    again = book_from_json(tmp_path / "book.json")
    assert book_to_mapping(again) == document
    assert again.account("011").usage == {("3N1", "A.FUT.CME"): (4, 5)}
    assert again.account("011").traded == {("3N1", "A.FUT.CME"), ("350", "Z.FUT.CME")}


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"accounts": []}, "not a book: KeyError at 'firms'"),
        ({"firms": FIRMS, "accounts": [{"accountNumber": "A", "clearingFirm": "G"}]}, "no clearing firm 'G'"),
        ({"firms": FIRMS, "accounts": [{"accountNumber": "A", "status": "asleep"}]}, "found 'asleep'"),
        ({"firms": FIRMS, "accounts": [{"accountNumber": "A", "limits": [{"efId": "1", "product": "P", "efLimits": {"long": 1.5}}]}]}, "found 1.5"),
        ([], "not a book"),
    ],
)  # fmt: skip
def test_a_file_that_is_not_a_book_says_what_is_wrong(document: object, words: str, tmp_path: Path) -> None:
    (tmp_path / "book.json").write_text(json.dumps(document))
    with pytest.raises(ValueError, match=words):
        book_from_json(tmp_path / "book.json")


def test_an_account_document_may_be_short() -> None:
    limit = {"efId": "3N1", "product": "P.FUT.CME", "efLimits": {"long": "Unlimited", "short": 4}}
    entry = {"accountNumber": "A", "executionFirms": ["350"], "status": "i", "limits": [limit]}
    book = book_from_mapping({"firms": FIRMS, "accounts": [entry]})
    account = book.account("A")
    assert account.execution_firms == {"350": False, "3N1": False}
    assert (account.status, account.owner, account.row("3N1", "P.FUT.CME")) == ("Inactive", "F", (None, 4, None, None))


def test_edits_change_only_what_they_name() -> None:
    book = spec_book()
    edit_book(book, {"accountNumber": "DV10121801A", "efId": "3N1", "product": "CJ.FUT.NYMEX", "efLimits": {"short": 1}})
    assert book.row("DV10121801A", "3N1", "CJ.FUT.NYMEX") == (324, 1, 9000, 2000)
    edit_book(book, {"accountNumber": "DV10121801A", "efId": "3N1", "product": "CJ.FUT.NYMEX", "cmfLimits": {"long": None}, "traded": True})
    assert book.row("DV10121801A", "3N1", "CJ.FUT.NYMEX") == (324, 1, None, 2000)
    assert book.account("DV10121801A").traded == {("3N1", "CJ.FUT.NYMEX")}
    edit_book(book, {"accountNumber": "DV10121801A", "clearingFirm": "780", "efId": "350", "product": "CJ.FUT.NYMEX", "delete": True})
    assert book.row("DV10121801A", "350", "CJ.FUT.NYMEX") is None
    edit_book(book, {"accountNumber": "DV10121801A", "efId": "350", "suspended": True})
    edit_book(book, {"accountNumber": "DV10121801A", "status": "closed"})
    assert account_to_mapping(book.account("DV10121801A"))["executionFirms"]["350"] is True
    assert book.account("DV10121801A").status == "closed"
    with pytest.raises(ValueError, match="expected efId and product"):
        edit_book(book, {"accountNumber": "DV10121801A", "status": "asleep"})


def test_what_is_used_today_has_traded_and_is_shown_by_reset_no_more() -> None:
    book = a_book()
    edit_book(book, {"accountNumber": "011", "efId": "3N1", "product": "B.FUT.CME", "usage": {"long": 7, "short": 8}})
    assert book.account("011").usage == {("3N1", "B.FUT.CME"): (7, 8)}
    assert (("3N1", "B.FUT.CME"), (None,) * 4) in book.account("011").listed()
    book.reset()
    assert (book.account("011").usage, book.account("011").traded) == ({}, frozenset())


def test_compacted_rows_are_the_same_rows_and_share_their_keys() -> None:
    first, second = a_book().account("011"), a_book().account("011")
    shared: dict[tuple[str, str], tuple[str, str]] = {}
    first.compact(shared)
    second.compact(shared)
    assert dict(first.items()) == dict(second.items()) == ROWS
    assert all(mine is yours for (mine, _), (yours, _) in zip(first.items(), second.items(), strict=True))
    huge = a_book(rows={("3N1", "A.FUT.CME"): (1 << 70, None, 0, 0)}).account("011")
    huge.compact(shared)
    assert huge.row("3N1", "A.FUT.CME") == (1 << 70, None, 0, 0)
    empty = a_book(rows={}).account("011")
    empty.compact(shared)
    assert list(empty.items()) == []


LEG = st.none() | st.integers(0, 5)
KEYS = st.tuples(st.sampled_from(["3N1", "350", "027"]), st.sampled_from(["A.FUT.CME", "B.FUT.CME"]))
OPERATIONS = st.lists(
    st.tuples(st.sampled_from(["put", "remove", "reset", "mark", "rehearse"]), KEYS, st.tuples(LEG, LEG, LEG, LEG)), max_size=30
)


@settings(max_examples=200, deadline=None)
@given(OPERATIONS, st.booleans())
def test_any_series_of_upserts_and_deletes_equals_a_plain_dict(operations: list[tuple[str, tuple[str, str], Legs]], packed: bool) -> None:
    book = a_book()
    if packed:
        book.account("011").pack(tuple(ROWS), array("q", [1, 2, 3, 4, -1, 0, -1, 5]))
    model, marked = dict(ROWS), dict(ROWS)
    for verb, key, legs in operations:
        if verb == "put":
            book.put("011", *key, legs)
            model[key] = legs
        elif verb == "remove":
            book.remove("011", *key)
            model.pop(key, None)
        elif verb == "reset":
            book.reset()
            model = dict(marked)
        elif verb == "mark":
            book.mark()
            marked = dict(model)
        else:
            with book.rehearsal():
                book.put("011", *key, legs)
        assert dict(book.account("011").items()) == model
        shown = dict(book.account("011").listed())
        assert shown == {key: legs for key, legs in model.items() if legs != (None,) * 4}
