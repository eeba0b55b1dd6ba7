"""Through HTTP: rows in another spelling, of another account, or with a side under a name of their own. Nothing is planned or written on such a reading."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from amsctl.ams import channel
from tests.contract.test_hidden_sides import KEY, NUMBER, TRUTH, WISHES, Desk, sandbox

__all__ = ["sandbox"]
Json = dict[str, Any]
Change = Callable[[Json], object]
EF, PRODUCT = KEY


def _row(change: Change) -> Change:
    def apply(body: Json) -> None:
        for row in body.get("limits", ()):
            if (row["efId"], row["product"]) == KEY:
                change(row)

    return apply


def _suspension(change: Change) -> Change:
    def apply(body: Json) -> None:
        for entry in body.get("executionFirms", ()) if "accountNumber" in body else ():
            if entry["efId"] == EF:
                change(entry)

    return apply


SPELLINGS: dict[str, tuple[Change, str]] = {
    "product-lower": (_row(lambda row: row.update(product=PRODUCT.lower())), "expected 3N1/CJ.FUT.NYMEX, found 3N1/cj.fut.nymex"),
    "product-dot": (_row(lambda row: row.update(product=PRODUCT + ".")), "found 3N1/CJ.FUT.NYMEX."),
    "product-blank": (_row(lambda row: row.update(product="CJ FUT NYMEX")), "found 3N1/CJ FUT NYMEX"),
    "product-full-width": (_row(lambda row: row.update(product="ＣJ.FUT.NYMEX")), "in another spelling"),
    "ef-lower": (_row(lambda row: row.update(efId="3n1")), "expected 3N1/CJ.FUT.NYMEX, found 3n1/CJ.FUT.NYMEX"),
    "ef-status-lower": (_suspension(lambda entry: entry.update(efId="3n1")), "expected 3N1, found 3n1"),
}
ANOTHERS: dict[str, tuple[Change, str]] = {
    "row-other-account": (_row(lambda row: row.update(accountNumber="OTHER")), "found OTHER"),
    "row-other-firm": (_row(lambda row: row.update(clearingFirm="BLACKTEA")), "found BLACKTEA"),
    "row-service": (_row(lambda row: row.update(service="CPC")), "found CPC"),
    "ef-other-account": (_suspension(lambda entry: entry.update(accountNumber="OTHER")), "found OTHER"),
    "ef-other-firm": (_suspension(lambda entry: entry.update(clearingFirm="BLACKTEA")), "found BLACKTEA"),
}


@pytest.fixture
def desk(tmp_path: Path, sandbox: Any) -> Desk:
    sandbox.reset()
    return Desk(tmp_path, sandbox)


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Callable[[Change], None]:
    """Have every answer changed on its way from the socket to the reader."""
    parse = channel.parse_object

    def begin(change: Change) -> None:
        def changed(content: bytes) -> Json:
            body = parse(content)
            change(body)
            return body

        monkeypatch.setattr(channel, "parse_object", changed)

    return begin


@pytest.mark.parametrize("kind", [*SPELLINGS, *ANOTHERS])
def test_no_row_is_added_beside_its_twin_and_none_is_read_for_another_account(
    desk: Desk, answering: Callable[[Change], None], kind: str
) -> None:
    """A row that is taken for absent would be written with no limit on three legs that have one. The error names both spellings."""
    change, told = {**SPELLINGS, **ANOTHERS}[kind]
    plans = {}
    for name in ("mixed", "unset"):
        desk.write(WISHES[name][0])
        plans[name] = str(desk.folder / f"{name}.json")
        assert desk.run("plan", "-o", plans[name])[0] == 0
    answering(change)
    for name in ("mixed", "unset"):
        desk.write(WISHES[name][0])
        code, text = desk.run("plan")
        assert code == 1, text
        assert told in text
        assert NUMBER in text
        assert desk.run("apply", plans[name])[0] in {1, 4}
    assert desk.posts() == 0
    assert desk.sandbox.book.row(NUMBER, *KEY) == TRUTH


RENAMED: dict[str, Change] = {
    "executionFirm": lambda row: row.update(executionFirm=row.pop("efLimits")),
    "efCaps": lambda row: row.update(efCaps=row.pop("efLimits")),
    "position": lambda row: row.update(position=row.pop("efLimits")),
    "EF_MAX": lambda row: row.update(EF_MAX=row.pop("efLimits")),
    "a list": lambda row: row.update(sides=[{"side": "EF", **row.pop("efLimits")}]),
    "a text": lambda row: row.update(efLimitText=str(row.pop("efLimits"))),
    "lone numbers": lambda row: row.update({"a": row["efLimits"]["long"], "b": row.pop("efLimits")["short"]}),
}


@pytest.mark.parametrize("ownership", ["cmf", "ef, cmf"])
@pytest.mark.parametrize("kind", RENAMED)
def test_a_side_under_a_name_of_its_own_is_not_unlimited(
    desk: Desk, answering: Callable[[Change], None], kind: str, ownership: str
) -> None:
    """Where this AMS leaves out a side without limits, one that it has renamed is not such a side."""
    desk.sandbox.switch(unlimited_as="omit_side")
    answering(_row(RENAMED[kind]))
    desk.write("{cmf: {long: 8000}}", ownership=ownership, shown_as="side-absent")
    code, text = desk.run("plan")
    assert code == 1, text
    assert "may be a limit under another name" in text
    assert f"{NUMBER}/3N1/CJ.FUT.NYMEX" in text
    assert desk.posts() == 0
