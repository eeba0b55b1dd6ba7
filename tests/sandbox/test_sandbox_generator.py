"""Generated books: the same from the same seed, of the size asked for, small in memory, and matched by the manifests written for them."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from amsctl.sandbox.books import book_to_mapping
from amsctl.sandbox.generator import Written, generate, write_manifests
from amsctl.sandbox.oddities import Oddities
from amsctl.sandbox.rendering import Renderer
from amsctl.sandbox.state import UNLIMITED_ROW, Account, Book

yaml = pytest.importorskip("yaml")


def test_the_same_seed_gives_the_same_book_and_another_seed_another() -> None:
    assert book_to_mapping(generate(30, 10, 7)) == book_to_mapping(generate(30, 10, 7))
    assert book_to_mapping(generate(30, 10, 7)) != book_to_mapping(generate(30, 10, 8))


def test_a_larger_book_begins_like_a_smaller_one() -> None:
    small, large = generate(10, 10, 7), generate(50, 10, 7)
    assert [dict(account.items()) for account in large.accounts()[:10]] == [dict(account.items()) for account in small.accounts()]


@pytest.mark.parametrize(("accounts", "products", "firms"), [(1, 1, 1), (3, 20, 5), (2, 400, 3), (40, 2, 30)])
def test_every_account_lists_products_times_execution_firms_rows(accounts: int, products: int, firms: int) -> None:
    book = generate(accounts, products, 1, execution_firms=firms)
    assert len(book.accounts("780")) == len({account.number for account in book.accounts()}) == accounts
    for account in book.accounts():
        assert len(account.listed()) == len({key for key, _ in account.listed()}) == products * firms
        assert {key[0] for key, _ in account.items()} == set(account.execution_firms)
        assert {key[1] for key, _ in account.items()} <= set(book.products)


def test_the_tricky_identifiers_and_every_state_are_there() -> None:
    book = generate(300, 20, 1)
    firms = {ef_id for account in book.accounts() for ef_id in account.execution_firms}
    assert {"027", "1E3", "0OJ", "OFF"} <= firms
    assert all(len(ef_id) == 3 and ef_id.isalnum() for ef_id in firms)
    assert {"011", "1E3", "OFF", "1_0"} <= {account.number for account in book.accounts()}
    assert {account.status for account in book.accounts()} == {"Active", "Inactive"}
    assert {account.seg_type for account in book.accounts()} == {"C", "H"}
    assert any(suspended for account in book.accounts() for suspended in account.execution_firms.values())
    legs = [leg for account in book.accounts() for _, four in account.items() for leg in four]
    assert 0.01 < legs.count(None) / len(legs) < 0.05
    assert 0 in legs


def test_a_large_book_is_small_in_memory() -> None:
    tracemalloc.start()
    book = generate(500, 20, 1)
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sum(len(list(account.items())) for account in book.accounts()) == 50_000
    assert used / 50_000 < 120, "bytes per row"


def read_back(folder: Path, book: Book) -> dict[str, dict[str, object]]:
    """The written accounts by number, every scalar as text."""
    documents = [yaml.load(path.read_text(), Loader=yaml.BaseLoader) for path in sorted((folder / "accounts").iterdir())]
    return {document["metadata"]["accountNumber"]: document for document in documents}


def rows_of(document: dict[str, object]) -> dict[tuple[str, str], tuple[str, ...]]:
    firms = document["spec"]["executionFirms"]  # type: ignore[index]
    return {
        (ef_id, product): (row["ef"]["long"], row["ef"]["short"], row["cmf"]["long"], row["cmf"]["short"])
        for ef_id, firm in firms.items()
        for product, row in firm.get("limits", {}).items()
    }


def said(account: Account) -> dict[tuple[str, str], tuple[str, ...]]:
    return {key: tuple("unlimited" if leg is None else str(leg) for leg in legs) for key, legs in account.items() if legs != UNLIMITED_ROW}


def test_manifests_without_drift_say_what_the_book_says(tmp_path: Path) -> None:
    book = generate(40, 6, 3)
    assert write_manifests(book, tmp_path) == Written(files=40, rows=40 * 30, drifted_rows=0, drifted_accounts=0)
    documents = read_back(tmp_path, book)
    for account in book.accounts():
        document = documents[account.number]
        assert rows_of(document) == said(account)
        assert document["spec"]["status"] == account.status  # type: ignore[index]
        suspended = {ef_id: firm["suspended"] for ef_id, firm in document["spec"]["executionFirms"].items()}  # type: ignore[index]
        assert suspended == {ef_id: str(value).lower() for ef_id, value in account.execution_firms.items()}
    project = yaml.safe_load((tmp_path / "amsctl.yaml").read_text())
    assert project["spec"]["environments"]["sandbox"] == {"url": "http://127.0.0.1:8480/rest/v2", "auth": {"type": "none"}}


def test_drift_changes_the_share_of_rows_it_names_and_counts_them(tmp_path: Path) -> None:
    book = generate(50, 10, 3)
    requests = {"perSecond": 1000, "concurrency": 4}
    written = write_manifests(book, tmp_path, drift=0.1, seed=1, url="http://127.0.0.1:1/rest/v2", undeclared="unset", requests=requests)
    spec = yaml.safe_load((tmp_path / "amsctl.yaml").read_text())["spec"]
    assert (spec["requests"], spec["undeclared"], spec["environments"]["sandbox"]["url"]) == (
        requests,
        "unset",
        "http://127.0.0.1:1/rest/v2",
    )
    documents = read_back(tmp_path, book)
    changed = {
        account.number: sum(rows_of(documents[account.number])[key] != legs for key, legs in said(account).items())
        for account in book.accounts()
    }
    assert sum(changed.values()) == written.drifted_rows
    assert sum(map(bool, changed.values())) == written.drifted_accounts
    assert 0.07 < written.drifted_rows / written.rows < 0.13


def test_what_is_hidden_closed_or_oddly_named_is_written_rightly(tmp_path: Path) -> None:
    book = generate(2, 2, 3)
    firm = book.firms[0]
    book.write_status(book.accounts()[0], "closed")
    rows = {("3N1", "A.FUT.CME"): UNLIMITED_ROW, ("3N1", "B.FUT.CME"): (1, 2, None, 4)}
    book.add_account(Account(firm=firm, number="A/B: #1", execution_firms={"3N1": True}, rows=rows))
    book.add_account(Account(firm=firm, number="EMPTY"))
    book.put("A/B: #1", "3N1", "C.FUT.CME", (1, None, None, None))
    written = write_manifests(book, tmp_path, drift=1.0)
    documents = read_back(tmp_path, book)
    assert written.files == len(documents) == 3
    assert rows_of(documents["A/B: #1"]) == {
        ("3N1", "B.FUT.CME"): ("1", "3", "unlimited", "4"),
        ("3N1", "C.FUT.CME"): ("1", "1", "unlimited", "unlimited"),
    }
    assert "executionFirms" not in documents["EMPTY"]["spec"]  # type: ignore[operator]


def test_rendered_rows_are_kept_only_so_long() -> None:
    """A long run over a large book must not keep every page that it ever rendered."""
    book = generate(60, 1000, 1, execution_firms=2)
    renderer = Renderer(book, Oddities())
    first = renderer.rows(book.accounts()[0])
    assert renderer.rows(book.accounts()[0]) is first
    for account in book.accounts():
        assert len(renderer.rows(account)) == 2000
    assert renderer.rows(book.accounts()[-1]) is renderer.rows(book.accounts()[-1])
    again = renderer.rows(book.accounts()[0])
    assert again == first
    assert again is not first
