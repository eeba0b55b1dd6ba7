"""Identifiers are the text as written: what YAML would turn into a number, a boolean, a date or nothing stays what it looks like, or is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from amsctl.config import Project
from amsctl.diagnostics import Source
from amsctl.errors import ManifestErrors
from amsctl.manifests.load import load
from amsctl.model import DesiredAccount

LEXEMES = (
    *(
        "027",
        "092",
        "011",
        "000",
        "350",
        "780",
        "3E1",
        "1E3",
        "1e3",
        "0E0",
        "NO",
        "No",
        "no",
        "YES",
        "yes",
        "OFF",
        "off",
        "ON",
        "on",
        "y",
        "n",
    ),
    *(
        "12:30",
        "12:30:45",
        "1_0",
        "1_000",
        "0x1F",
        "0x1",
        "0b1",
        "0o7",
        "0b11",
        ".5",
        "5.",
        "1.0",
        "-1",
        "+5",
        ".inf",
        "-.inf",
        ".nan",
        "~",
    ),
    *(
        "null",
        "Null",
        "NULL",
        "true",
        "True",
        "TRUE",
        "false",
        "2026-11-21",
        "2026-11-21T10:00:00Z",
        "1,000",
        "=",
        "infinity",
        "NaN",
        "1e400",
    ),
    *(
        "9223372036854775808",
        "01_0",
        "0777",
        "08",
        "1.2.3",
        "A?delete=true",
        "a/b",
        "100%",
        "[x",
        "{x",
        "*x",
        "&x",
        "!x",
        "@x",
        "`x",
        "<<",
        "- x",
    ),
)
assert len(LEXEMES) >= 48

FIRM, NUMBER, EF, PRODUCT, KEY, VALUE, NAME = "FIRM", "NUMBER", "3N1", "CJ.FUT.NYMEX", "desk", "softs", "prof"


def manifest(**parts: str) -> str:
    given = {"firm": FIRM, "number": NUMBER, "ef": EF, "product": PRODUCT, "key": KEY, "value": VALUE, "name": NAME} | parts
    return (
        "apiVersion: amsctl/v1\nkind: Account\nmetadata:\n"
        f"  clearingFirm: {given['firm']}\n  accountNumber: {given['number']}\n  labels:\n    {given['key']}: {given['value']}\n"
        f"spec:\n  executionFirms:\n    {given['ef']}:\n      profiles:\n      - {given['name']}\n      limits:\n"
        f"        {given['product']}: {{ef: {{long: 1}}}}\n"
        "---\napiVersion: amsctl/v1\nkind: LimitProfile\nmetadata:\n"
        f"  name: {given['name']}\nspec:\n  limits: {{AA.FUT.CME: {{ef: {{long: 2}}}}}}\n"
    )


def project(root: Path) -> Project:
    return Project(root=str(root), source=Source("amsctl.yaml", 1, 1))


def seen(account: DesiredAccount) -> dict[str, str]:
    (firm,) = account.execution_firms
    ((key, value),) = account.labels.items()
    products = [row.product for row in firm.rows]
    other = next(product for product in products if product != "AA.FUT.CME")
    return {"firm": account.key.firm, "number": account.key.number, "ef": firm.id, "product": other, "key": key, "value": value}


def accepted(place: str, lexeme: str, *, plain: bool) -> bool:
    """The rule of the contract for this place, written a second time without regular expressions."""
    if plain and (lexeme[:1] in "[{*&!@`" or lexeme.startswith("- ") or (lexeme == "<<" and place in ("key", "ef", "product"))):
        return False
    printable = all(" " <= character <= "~" for character in lexeme)
    if place == "ef":
        return len(lexeme) == 3 and lexeme.isascii() and lexeme.isalnum()
    if place == "product":
        return False
    if place == "number":
        return 1 <= len(lexeme) <= 20 and printable and lexeme not in (".", "..")
    if place == "key" and "=" in lexeme:
        return False
    return 1 <= len(lexeme) <= 64 and printable and lexeme == lexeme.strip()


@pytest.mark.parametrize("place", ["firm", "number", "ef", "product", "key", "value", "name"])
@pytest.mark.parametrize("style", ["bare", "double", "single"])
def test_a_risky_lexeme_is_kept_byte_for_byte_or_refused(place: str, style: str, tmp_path: Path) -> None:
    """Contract 1: identifiers are the text as written, quoted or not, in every place."""
    for lexeme in LEXEMES:
        written = {"bare": lexeme, "double": f'"{lexeme}"', "single": f"'{lexeme}'"}[style]
        (tmp_path / "a.yaml").write_text(manifest(**{place: written}))
        if not accepted(place, lexeme, plain=style == "bare"):
            with pytest.raises(ManifestErrors) as caught:
                load(project(tmp_path))
            assert all(one.source.line > 1 for one in caught.value.diagnostics), lexeme
            continue
        desired = load(project(tmp_path))
        (account,) = desired.accounts()
        expected = {"firm": FIRM, "number": NUMBER, "ef": EF, "product": PRODUCT, "key": KEY, "value": VALUE} | {place: lexeme}
        expected.pop("name", None)
        assert seen(account) == expected, lexeme


@pytest.mark.parametrize("lexeme", [f"{one}.FUT.CME" for one in ("1E3", "027", "NO", "0x1F", "6E", "1_0", "null", "3N1", "12")])
def test_a_product_whose_symbol_looks_like_something_else_is_kept(lexeme: str, tmp_path: Path) -> None:
    """A symbol such as 1E3 is no number."""
    (tmp_path / "a.yaml").write_text(manifest(product=lexeme))
    (account,) = load(project(tmp_path)).accounts()
    assert seen(account)["product"] == lexeme


@pytest.mark.parametrize("number", ["027", "1E3", "true", "null", "-1", "0.50"])
def test_a_bare_json_value_as_identifier_is_its_text(number: str, tmp_path: Path) -> None:
    """JSON manifests alike: what JSON lets stand bare keeps its text; what JSON does not know is refused."""
    text = '{"apiVersion": "amsctl/v1", "kind": "Account", "metadata": {"clearingFirm": "F", "accountNumber": NUMBER}, "spec": {}}'
    (tmp_path / "a.json").write_text(text.replace("NUMBER", number))
    if number == "027":
        with pytest.raises(ManifestErrors):
            load(project(tmp_path))
        return
    (account,) = load(project(tmp_path)).accounts()
    assert account.key.number == number
