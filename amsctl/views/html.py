"""A plan → one HTML page for the risk officer: it loads nothing, sends nothing, and runs no script but its own.

Every text that came from a manifest or a server passes ``visible`` and Jinja's escaping; the rows for the table are JSON that the page's script writes as
text. The content security policy names the style and the script by their hashes and forbids everything else.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Final, NamedTuple

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from amsctl.model import NO_LIMIT, AccountKey, Amount, Direction, Leg, RowKey, UnsetMeans, lets_through
from amsctl.planning.plan import Change, ChangeKind, Finding, Plan
from amsctl.views.escape import visible
from amsctl.views.exposure import Exposure, exposure_of, worst_first
from amsctl.views.markdown import verdict_words
from amsctl.views.ranking import findings_worst_first
from amsctl.views.style import PLAIN
from amsctl.views.words import (
    amount_words,
    approval_words,
    direction_words,
    effect_words,
    leg_words,
    rollback_words,
    selection_words,
    subject_words,
    usage_words,
    value_words,
)

ROWS_WITHOUT_SCRIPT: Final = 200
"""Rows that stand in the page itself, for readers without JavaScript; the script shows as many on a page."""
MOVERS: Final = 20
GROUPS: Final = 25
HEAT_ROWS, HEAT_COLUMNS = 40, 30
FINDINGS_PER_CODE: Final = 200
_PAGE: Final = Path(__file__).parent / "page"
_BAR_WIDTH: Final = 100
_DIRECTIONS: Final = {Direction.LOOSEN: 0, Direction.NEUTRAL: 1, Direction.TIGHTEN: 2}
_KINDS: Final = {ChangeKind.LIMIT: 0, ChangeKind.SUSPENSION: 1, ChangeKind.STATUS: 2}
_TONES: Final = {Direction.LOOSEN: "bad", Direction.NEUTRAL: "", Direction.TIGHTEN: "good"}
_NO_LIMIT: Final = "no limit"


def plan_html(plan: Plan) -> str:
    """The whole page, one file."""
    unset_means = UnsetMeans(plan.target.unset_means)
    ordered = worst_first(plan.changes, unset_means)
    legs = moved_legs(ordered, unset_means)
    exposure = exposure_of(plan)
    findings = findings_worst_first(plan.findings)
    others = [finding for finding in findings if not finding.blocks]
    style, script = _part("plan.css"), _part("plan.js")
    largest = max((max(leg.before_lots, leg.after_lots) for leg in legs), default=0)
    return _template().render(
        plan=plan,
        style=_ours(style),
        script=_ours(script),
        style_hash=_hash(style),
        script_hash=_hash(script),
        verdict=verdict_words(plan, exposure),
        exposure=exposure,
        blocked=bool(plan.blocking),
        sides=" and ".join(owner.value for owner in plan.target.ownership) or "no side",
        approvals=approval_words(plan),
        selection=selection_words(plan.origin.selection),
        rollback=rollback_words(plan.origin),
        cards=_cards(plan, exposure, legs),
        blocking=plan.blocking,
        movers=[_mover(leg, largest) for leg in legs[:MOVERS]],
        more_movers=max(0, len(legs) - MOVERS),
        groups=_groups(legs),
        heat=_heat(legs),
        rows=[_row(change) for change in ordered[:ROWS_WITHOUT_SCRIPT]],
        others=others,
        others_by_code=_by_code(others),
        data=_ours(_embedded(ordered)),
    )


def _ours(text: str) -> Markup:
    """Text that stands in the page as it is: our own style and script, and the rows, in which ``_embedded`` leaves no sign that HTML knows."""
    return Markup(text)  # noqa: S704 -- see above


def _part(name: str) -> str:
    return (_PAGE / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """How a content security policy names an inline style or script."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, finalize=_shown, trim_blocks=False)
    environment.filters["number"] = "{:,}".format
    return environment.from_string(_part("plan.html.jinja"))


def _shown(value: object) -> object:
    """What the template writes: no text without ``visible``, but what we have built as HTML ourselves."""
    return value if isinstance(value, Markup) or not isinstance(value, str) else visible(value)


# --- legs and groups ---


class MovedLeg(NamedTuple):
    """A leg whose effective limit moves. Amounts as they are, and as contracts where they are a number (0 where there is no limit)."""

    account: AccountKey
    row: RowKey
    leg: Leg
    before: Amount
    after: Amount
    before_lots: int
    after_lots: int
    opens: bool
    """It ends without a limit and had one."""
    closes: bool
    """It gets a limit and had none."""

    @property
    def move(self) -> int:
        """Contracts more, or fewer; what opens or closes is told in words."""
        return self.after_lots - self.before_lots if not (self.opens or self.closes) else 0

    @property
    def tone(self) -> str:
        """Whether it lets more (``bad``) or less (``good``) through."""
        return "bad" if self.opens or self.move > 0 else "good" if self.closes or self.move < 0 else ""


def moved_legs(changes: Iterable[Change], unset_means: UnsetMeans) -> list[MovedLeg]:
    """Each leg whose effective limit moves, once. What lets more through comes first: legs that end open, then by contracts; then what lets less through,
    by contracts, and legs that get a limit.
    """
    legs: dict[tuple[AccountKey, RowKey, Leg], MovedLeg] = {}
    for change in changes:
        before, after = change.effective_before, change.effective_after
        if change.kind is not ChangeKind.LIMIT or before is None or after is None or change.leg is None:
            continue
        then, now = lets_through(before, unset_means), lets_through(after, unset_means)
        if then == now:
            continue
        opens, closes = now == NO_LIMIT, then == NO_LIMIT
        account, row = change.account_key, change.row_key
        legs[account, row, change.leg] = MovedLeg(
            *(account, row, change.leg, before, after, 0 if closes else then, 0 if opens else now, opens, closes)
        )
    return sorted(legs.values(), key=lambda leg: (leg.tone != "bad", not leg.opens, -abs(leg.move), leg.account, leg.row, leg.leg))


@dataclass(slots=True)
class _Group:
    """What moves under one name."""

    name: str
    legs: int = 0
    before: int = 0
    after: int = 0
    opens: int = 0
    closes: int = 0
    before_width: float = field(default=0.0)
    after_width: float = field(default=0.0)

    def add(self, leg: MovedLeg) -> None:
        self.legs += 1
        self.opens += leg.opens
        self.closes += leg.closes
        # A leg with no limit on one side of the change has no number of contracts to add: it would look like a move to or from nothing.
        if not (leg.opens or leg.closes):
            self.before += leg.before_lots
            self.after += leg.after_lots

    @property
    def weight(self) -> tuple[bool, int, int, str]:
        """What lets more through first, and there what opens, then by contracts."""
        return self.tone != "bad", -self.opens, -abs(self.after - self.before), self.name

    @property
    def sums(self) -> tuple[str, str, str]:
        """Before, after and move; nothing where no leg under this name has a number on both sides."""
        if self.legs == self.opens + self.closes:
            return "", "", ""
        return f"{self.before:,}", f"{self.after:,}", _signed(self.after - self.before)

    @property
    def tone(self) -> str:
        way = self.after - self.before
        return "bad" if self.opens or way > 0 else "good" if self.closes or way < 0 else ""

    @property
    def open(self) -> str:
        told = ((self.opens, "more"), (self.closes, "fewer"))
        return ", ".join(f"{number:,} {word}" for number, word in told if number)


class _Table(NamedTuple):
    word: str
    items: list[_Group]
    more: int


def _groups(legs: Sequence[MovedLeg]) -> list[_Table]:
    keys: tuple[tuple[str, Callable[[MovedLeg], str]], ...] = (
        ("account", lambda leg: str(leg.account)),
        ("product", lambda leg: leg.row.product),
        ("execution firm", lambda leg: leg.row.execution_firm),
    )
    return [_table(word, legs, key) for word, key in keys] if legs else []


def _group(groups: dict[str, _Group], name: str) -> _Group:
    """The group of this name, made where there is none: not once for each leg, of which there may be a hundred thousand."""
    found = groups.get(name)
    if found is None:
        found = groups[name] = _Group(name)
    return found


def _table(word: str, legs: Sequence[MovedLeg], key: Callable[[MovedLeg], str]) -> _Table:
    groups: dict[str, _Group] = {}
    for leg in legs:
        _group(groups, key(leg)).add(leg)
    items = sorted(groups.values(), key=lambda group: group.weight)[:GROUPS]
    largest = max(max(group.before, group.after) for group in items)
    for group in items:
        group.before_width, group.after_width = _width(group.before, largest), _width(group.after, largest)
    return _Table(word, items, len(groups) - len(items))


def _width(lots: int, largest: int) -> float:
    """How long a bar is: something always shows where there is something."""
    return 0.0 if lots == 0 else max(0.5, round(_BAR_WIDTH * lots / largest, 2))


class _Mover(NamedTuple):
    """One leg of the table of largest movers."""

    account: str
    execution_firm: str
    product: str
    leg: str
    before: str
    after: str
    move: str
    tone: str
    before_width: float
    after_width: float


def _mover(leg: MovedLeg, largest: int) -> _Mover:
    return _Mover(
        account=str(leg.account),
        execution_firm=leg.row.execution_firm,
        product=leg.row.product,
        leg=leg.leg.value,
        before=amount_words(leg.before),
        after=amount_words(leg.after),
        move=_NO_LIMIT if leg.opens else "gets a limit" if leg.closes else _signed(leg.move),
        tone=leg.tone,
        before_width=_BAR_WIDTH if leg.closes else _width(leg.before_lots, largest),
        after_width=_BAR_WIDTH if leg.opens else _width(leg.after_lots, largest),
    )


def _signed(number: int) -> str:
    return f"{number:+,}".replace("-", "−") if number else "0"


class _Cell(NamedTuple):
    words: str
    tone: str


class _HeatRow(NamedTuple):
    name: str
    cells: list[_Cell]


class _Heat(NamedTuple):
    columns: list[str]
    rows: list[_HeatRow]
    cut: str


def _heat(legs: Sequence[MovedLeg]) -> _Heat:
    """Accounts by products, those that move most. The colour has four steps each way, by powers of ten below the largest move."""
    cells: dict[tuple[str, str], _Group] = {}
    accounts: dict[str, _Group] = {}
    products: dict[str, _Group] = {}
    for leg in legs:
        account, product = str(leg.account), leg.row.product
        _group(accounts, account).add(leg)
        _group(products, product).add(leg)
        if (cell := cells.get((account, product))) is None:
            cell = cells[account, product] = _Group(product)
        cell.add(leg)
    shown = sorted(accounts.values(), key=lambda group: group.weight)[:HEAT_ROWS]
    columns = sorted(group.name for group in sorted(products.values(), key=lambda group: group.weight)[:HEAT_COLUMNS])
    largest = max((abs(group.after - group.before) for group in cells.values()), default=0)
    rows = [_HeatRow(group.name, [_heat_cell(cells.get((group.name, column)), largest) for column in columns]) for group in shown]
    cut = []
    if len(accounts) > len(shown):
        cut.append(f"{len(shown)} of {len(accounts):,} accounts")
    if len(products) > len(columns):
        cut.append(f"{len(columns)} of {len(products):,} products")
    return _Heat(columns, rows, f"Shown: {' and '.join(cut)}, those that move most." if cut else "")


def _heat_cell(group: _Group | None, largest: int) -> _Cell:
    if group is None:
        return _Cell("", "")
    if group.opens:
        return _Cell("∞", "l4")
    move = group.after - group.before
    if not move:
        return _Cell("limit" if group.closes else "0", "t2" if group.closes else "")
    level = max(1, 4 - sum(abs(move) * 10**power <= largest for power in (1, 2, 3)))
    return _Cell(_short(move), f"{'l' if move > 0 else 't'}{level}")


def _short(number: int) -> str:
    """``+1.2k``: three digits tell enough of a move in a heat map."""
    size = abs(number)
    for limit, word in ((1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")):
        if size >= limit:
            return f"{'+' if number > 0 else '−'}{size / limit:.3g}{word}"
    return f"{'+' if number > 0 else '−'}{size}"


# --- numbers, rows, findings ---


class _Card(NamedTuple):
    number: str
    words: str
    tone: str = ""


def _cards(plan: Plan, exposure: Exposure, legs: Sequence[MovedLeg]) -> list[_Card]:
    summary = plan.summary
    more = sum(leg.move for leg in legs if leg.move > 0)
    fewer = -sum(leg.move for leg in legs if leg.move < 0)
    cards = [
        _Card(
            f"{summary.loosen:,}",
            "changes let more through" if summary.loosen != 1 else "change lets more through",
            "bad" if summary.loosen else "",
        ),
        _Card(
            f"{summary.tighten:,}",
            "changes let less through" if summary.tighten != 1 else "change lets less through",
            "good" if summary.tighten else "",
        ),
        _Card(f"+{more:,}" if more else "0", "contracts more, on effective limits", "bad" if more else ""),
        _Card(f"−{fewer:,}" if fewer else "0", "contracts fewer, on effective limits", "good" if fewer else ""),
    ]
    for number, word, plural in (
        (len(exposure.unlimited), "leg ends without a limit", "legs end without a limit"),
        (exposure.released, "execution firm is released", "execution firms are released"),
        (exposure.activated, "account is activated", "accounts are activated"),
    ):
        if number:
            cards.append(_Card(f"{number:,}", word if number == 1 else plural, "bad"))
    cards.append(_Card(f"{summary.accounts_changed:,} of {summary.accounts:,}", "accounts change"))
    cards.append(_Card(f"{summary.requests:,}", "call to the AMS" if summary.requests == 1 else "calls to the AMS"))
    return cards


class _RowWords(NamedTuple):
    direction: str
    account: str
    execution_firm: str
    product: str
    leg: str
    before: str
    after: str
    effect: str
    usage: str
    source: str
    tone: str


def _row(change: Change) -> _RowWords:
    return _RowWords(
        direction=direction_words(change.direction, PLAIN),
        account=str(change.account_key),
        execution_firm=change.execution_firm or "",
        product=change.product or "",
        leg=_leg(change),
        before=value_words(change, change.before),
        after=value_words(change, change.after),
        effect=_effect(change),
        usage=_usage(change),
        source="" if change.source is None else f"{change.source.file}:{change.source.line}",
        tone=_TONES[change.direction],
    )


def _leg(change: Change) -> str:
    return leg_words(change.owner, change.leg) if change.kind is ChangeKind.LIMIT else subject_words(change).split(" ")[0]


def _effect(change: Change) -> str:
    """The heading of the column says what moves."""
    return effect_words(change, PLAIN).removeprefix("effective ")


def _usage(change: Change) -> str:
    """The use of the day, with a word where the limit goes below it; unknown is told where it matters, when a limit is tightened."""
    if change.usage is not None:
        return usage_words(change).removeprefix("use ")
    return "unknown" if change.kind is ChangeKind.LIMIT and change.direction is Direction.TIGHTEN else ""


def _embedded(changes: Sequence[Change]) -> str:
    """All rows as JSON that may stand inside a script element: tables of texts, and rows that point into them."""
    accounts = sorted({str(change.account_key) for change in changes})
    firms = sorted({change.execution_firm for change in changes if change.execution_firm is not None})
    products = sorted({change.product for change in changes if change.product is not None})
    files = sorted({change.source.file for change in changes if change.source is not None})
    account_at, firm_at, product_at, file_at = (
        {name: place for place, name in enumerate(names)} for names in (accounts, firms, products, files)
    )
    rows = [
        [
            *(_DIRECTIONS[change.direction], _KINDS[change.kind], account_at[str(change.account_key)]),
            -1 if change.execution_firm is None else firm_at[change.execution_firm],
            -1 if change.product is None else product_at[change.product],
            *(
                _leg(change),
                _json_value(change, change.before),
                _json_value(change, change.after),
                _effect(change),
                _usage(change),
            ),
            *((-1, 0) if change.source is None else (file_at[change.source.file], change.source.line)),
            int(change.binding),
        ]
        for change in changes
    ]
    tables = {"accounts": accounts, "firms": firms, "products": products, "files": files}
    told = {name: [visible(text) for text in table] for name, table in tables.items()}
    text = json.dumps({**told, "rows": rows}, separators=(",", ":"), allow_nan=False)
    # Inside a script element only "<" could end it or begin a comment; the others are for readers that take the page for XML.
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026").replace("\x7f", "\\u007f")


def _json_value(change: Change, value: object) -> int | str:
    return value if change.kind is ChangeKind.LIMIT and isinstance(value, int) else value_words(change, value)


def _by_code(findings: Sequence[Finding]) -> list[tuple[str, list[Finding], int]]:
    """Findings that do not block, by code, each with how many are left to the plan file."""
    ordered = sorted(findings, key=lambda finding: finding.code)
    grouped = [(code, list(items)) for code, items in groupby(ordered, key=lambda finding: finding.code)]
    return [(code, items[:FINDINGS_PER_CODE], max(0, len(items) - FINDINGS_PER_CODE)) for code, items in grouped]
