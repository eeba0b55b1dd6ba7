"""Books of any size from a seed, and the limits repository that matches one. Standard library only.

The same arguments give the same book on every machine. Execution firms, products and account numbers include the ones that careless readers
turn into numbers or booleans (``027``, ``1E3``, ``OFF``). Rows are kept packed: a million of them fit into some 60 MB.
"""

from __future__ import annotations

import itertools
import json
import random
import re
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from amsctl.sandbox.state import UNLIMITED_ROW, Account, Book, Firm, Key, Legs

_TRICKY_FIRMS: Final = ("027", "1E3", "0OJ", "3N1", "350", "OFF", "092", "3E1", "010", "0X1", "NAN", "INF", "YES", "000", "12E", "4V9")
_TRICKY_NUMBERS: Final = ("DV10121801A", "011", "1E3", "OFF", "NULL", "0X1F", "1_0", "12345", "DG-41", "3E1", "YES", "2026-11-21")
_ROOTS: Final = (
    ("ES.FUT.CME", "E-MINI S&P 500 FUTURES"),
    ("CL.FUT.NYMEX", "CRUDE OIL FUTURES"),
    ("GC.FUT.COMEX", "GOLD FUTURES"),
    ("ZC.FUT.CBT", "CORN FUTURES"),
    ("LO.OOF.NYMEX", "CRUDE OIL OPTIONS"),
    ("CJ.FUT.NYMEX", "NYMEX Cocoa Futures"),
    ("DRS.FUT.CBT", "Bloomberg Roll Select Commodity Index Futures"),
    ("6Z.FUT.CME", "ZAR/USD FUTURES"),
    ("RO.OOF.CME", "ZAR/USD OPTIONS AMER-STYLE"),
    ("L0A.OOC.CME", "1st contract back Live Cattle CSO"),
    ("1E3.FUT.CME", "THREE-MONTH TEST FUTURES"),
    ("027.FUT.CBT", "A SYMBOL OF DIGITS"),
    ("NO.FUT.CME", "NORWEGIAN FUTURES"),
    ("GLB.FUT.CME", "ONE-MONTH SOFR FUTURES"),
    ("OG.OOF.COMEX", "GOLD OPTIONS"),
    ("ZN.FUT.CBT", "10-YEAR T-NOTE FUTURES"),
)
_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_TYPES: Final = (("FUT", "FUTURES"), ("OOF", "OPTIONS"), ("OOC", "CALENDAR SPREAD OPTIONS"))
_EXCHANGES: Final = ("CME", "CBT", "NYMEX", "COMEX")
_SIZES: Final = (0, 1, 5, 10, 25, 50, 100, 120, 200, 250, 500, 750, 1000, 2000, 2500, 5000, 9000, 10_000, 25_000, 30_989, 100_000)
_PLAIN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")


def generate(
    accounts: int, products: int, seed: int = 0, *, execution_firms: int = 5, firm: str = "GREENTEA_API_CLEARING2", clearing_id: str = "780"
) -> Book:
    """A book of one firm: ``accounts`` accounts, each with ``execution_firms`` execution firms and, for each of those, ``products`` rows.

    About one leg of the clearing side in twenty is unlimited, one execution firm in fifty suspended, one account in thirty inactive.
    """
    chance = random.Random(f"{seed}/book")
    catalogue = dict(itertools.islice(_catalogue(), max(len(_ROOTS), products + products // 2)))
    firms = list(itertools.islice(_firm_ids(chance), max(len(_TRICKY_FIRMS), 2 * execution_firms)))
    owner = Firm(name=firm, clearing_id=clearing_id, long_name=firm)
    book = Book([owner], products=catalogue)
    keys: dict[Key, Key] = {}
    for i in range(accounts):
        book.add_account(_account(owner, i, products, execution_firms, (list(catalogue), firms, keys), random.Random(f"{seed}/{i}")))
    book.mark()
    return book


def _account(
    firm: Firm, i: int, products: int, execution_firms: int, pools: tuple[list[str], list[str], dict[Key, Key]], chance: random.Random
) -> Account:
    catalogue, firms, shared = pools
    chosen_firms = chance.sample(firms, execution_firms)
    chosen = sorted(chance.sample(catalogue, products))
    keys = tuple(shared.setdefault(key, key) for product in chosen for key in ((ef_id, product) for ef_id in chosen_firms))
    numbers = array("q", (number for _ in keys for number in _legs(chance)))
    account = Account(
        firm=firm,
        number=_TRICKY_NUMBERS[i] if i < len(_TRICKY_NUMBERS) else f"{_LETTERS[i % 26]}{_LETTERS[i // 26 % 26]}{i:07d}",
        owner=f"DESK{i % 40:03d}",
        seg_type=chance.choice(("C", "H")),
        status="Inactive" if chance.randrange(30) == 0 else "Active",
        execution_firms={ef_id: chance.randrange(50) == 0 for ef_id in chosen_firms},
    )
    account.pack(keys, numbers)
    return account


def _legs(chance: random.Random) -> tuple[int, int, int, int]:
    """Four legs; the execution firm's are always numbers, so that the row is listed."""
    draws = chance.random
    many = len(_SIZES)
    ef_long, ef_short = _SIZES[int(draws() * many)], _SIZES[int(draws() * many)]
    cmf_long = -1 if draws() < 0.05 else _SIZES[int(draws() * many)]
    cmf_short = -1 if draws() < 0.05 else _SIZES[int(draws() * many)]
    return ef_long, ef_short, cmf_long, cmf_short


def _catalogue() -> Iterator[tuple[str, str]]:
    yield from _ROOTS
    known = {product for product, _ in _ROOTS}
    for letters in itertools.product(_LETTERS, repeat=3):
        symbol = "".join(letters)
        kind, words = _TYPES[sum(map(ord, letters)) % 3]
        product = f"{symbol}.{kind}.{_EXCHANGES[ord(letters[2]) % 4]}"
        if product not in known:
            yield product, f"{symbol} {words}"


def _firm_ids(chance: random.Random) -> Iterator[str]:
    known = dict.fromkeys(_TRICKY_FIRMS)
    yield from known
    while True:
        ef_id = "".join(chance.choice(_LETTERS + "0123456789") for _ in range(3))
        if ef_id not in known:
            known[ef_id] = None
            yield ef_id


# --- the repository that matches -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What :func:`write_manifests` wrote: files, rows, and how many of the rows differ from the book, and in how many accounts."""

    files: int
    rows: int
    drifted_rows: int
    drifted_accounts: int


def write_manifests(
    book: Book,
    folder: str | Path,
    *,
    drift: float = 0.0,
    seed: int = 0,
    url: str = "http://127.0.0.1:8480/rest/v2",
    undeclared: str = "report",
    requests: Mapping[str, int] | None = None,
) -> Written:
    """Write a limits repository that says what the book says, one file per account, and tell what was written.

    ``drift`` is the share of rows (0 to 1) whose execution-firm short limit is written one contract higher or lower than the book has it.
    ``requests`` are the project's settings of that name (``{"perSecond": 1000, "concurrency": 8}``), so that a benchmark is not paced.
    Closed accounts are left out. Existing files of these names are overwritten. Raises ``OSError``.
    """
    folder = Path(folder)
    (folder / "accounts").mkdir(parents=True, exist_ok=True)
    project = _PROJECT.format(url=json.dumps(url), undeclared=undeclared)
    if requests:
        project += f"  requests: {{{', '.join(f'{name}: {value}' for name, value in requests.items())}}}\n"
    (folder / "amsctl.yaml").write_text(project, "utf-8")
    chance = random.Random(f"{seed}/drift")
    files = rows = drifted = accounts = 0
    for account in book.accounts():
        if account.status == "closed":
            continue
        lines, written, changed = _manifest(account, drift, chance)
        (folder / "accounts" / f"{quote(account.number, safe='')}.yaml").write_text("\n".join(lines) + "\n", "utf-8")
        files, rows, drifted, accounts = files + 1, rows + written, drifted + changed, accounts + bool(changed)
    return Written(files=files, rows=rows, drifted_rows=drifted, drifted_accounts=accounts)


_PROJECT: Final = """\
apiVersion: amsctl/v1
kind: Project
spec:
  manifests: [accounts]
  undeclared: {undeclared}
  guards: none                        # books of chance, not of a firm
  defaultEnvironment: sandbox
  environments:
    sandbox:
      url: {url}
      auth: {{type: none}}
"""


def _manifest(account: Account, drift: float, chance: random.Random) -> tuple[list[str], int, int]:
    """The lines of one account's file, how many rows are in it, and how many of them differ from the book."""
    lines = [
        "apiVersion: amsctl/v1",
        "kind: Account",
        "metadata:",
        f"  clearingFirm: {_scalar(account.firm.name)}",
        f"  accountNumber: {_scalar(account.number)}",
        "spec:",
        f"  status: {account.status}",
    ]
    grouped: dict[str, list[tuple[str, Legs]]] = {ef_id: [] for ef_id in account.execution_firms}
    for (ef_id, product), legs in account.items():
        if legs != UNLIMITED_ROW:
            grouped.setdefault(ef_id, []).append((product, legs))
    written = changed = 0
    lines += ["  executionFirms:"] if grouped else []
    for ef_id, entries in grouped.items():
        suspended = "true" if account.execution_firms.get(ef_id, False) else "false"
        lines += [f"    {_scalar(ef_id)}:", f"      suspended: {suspended}", *(["      limits:"] if entries else [])]
        for product, legs in entries:
            if drift and chance.random() < drift:
                legs = (legs[0], _other(legs[1]), legs[2], legs[3])
                changed += 1
            ef = f"ef: {{long: {_amount(legs[0])}, short: {_amount(legs[1])}}}"
            cmf = f"cmf: {{long: {_amount(legs[2])}, short: {_amount(legs[3])}}}"
            lines.append(f"        {_scalar(product)}: {{{ef}, {cmf}}}")
        written += len(entries)
    return lines, written, changed


def _other(amount: int | None) -> int:
    """A limit one contract off: up from an even number, down from an odd one."""
    if amount is None:
        return 1
    return amount - 1 if amount % 2 else amount + 1


def _amount(amount: int | None) -> str:
    return "unlimited" if amount is None else str(amount)


def _scalar(text: str) -> str:
    return text if _PLAIN.match(text) else json.dumps(text)
