"""What answers mean: JSON objects → model. Pure.

Every spelling that CME's documents show is read (AMS §3); whatever else comes is refused by name, because a value that is guessed at is a limit that
is wrong. An answer names what its documented form names: service, firm and account, and these are the ones asked for. Absent is not unlimited: the one
way in which an AMS shows a leg without a limit is a setting. Unknown extra members are tolerated where they cannot be another spelling of one that is
read; ``links`` are never looked at.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias, TypeVar, assert_never

from amsctl.config import UnlimitedShownAs
from amsctl.errors import AmsMalformed, IncompleteRead
from amsctl.masking import masked, quoted
from amsctl.model import ABSENT, ALL_UNLIMITED, SERVICE, UNLIMITED, AccountStatus, Amount, Firm, Leg, LiveRow, RowKey, near

JsonObject: TypeAlias = Mapping[str, object]
K = TypeVar("K")
V = TypeVar("V")

MAX_WIRE_LIMIT: Final = 2**53 - 1
"""The largest limit read: beyond it JSON numbers lose precision on their way through other programs."""

STATUS_WORDS: Final[Mapping[str, AccountStatus]] = {
    "active": AccountStatus.ACTIVE,
    "a": AccountStatus.ACTIVE,
    "inactive": AccountStatus.INACTIVE,
    "i": AccountStatus.INACTIVE,
    "closed": AccountStatus.CLOSED,
    "c": AccountStatus.CLOSED,
}
_ONE_ACCOUNT: Final = frozenset({"service", "clearingFirm", "accountNumber"})
"""What the documented answers about one account name: limits, EF status, eligible products."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorBody:
    """A failure told by a body: ``errorType`` and the ``error`` text, whatever the HTTP status was (AMS §2)."""

    error_type: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountEntry:
    """One account of a listing. ``execution_firms`` are ids only: suspension is never read here (AMS §3.1).

    ``status_word`` is as it came. A word that nobody knows, on an account that nobody asks about, is nobody's business: it is judged by ``status``.
    """

    number: str
    status_word: object
    owner: str | None = None
    seg_type: str | None = None
    execution_firms: tuple[str, ...] = ()

    @property
    def status(self) -> AccountStatus:
        """The status; AmsMalformed for a word that means none."""
        return self.check(self.number)

    def check(self, where: str) -> AccountStatus:
        """The status; AmsMalformed that says where for a word that means none."""
        word = self.status_word
        status = STATUS_WORDS.get(word.strip().lower()) if isinstance(word, str) else None
        if status is None:
            raise _odd("the account's status", where, "Active, Inactive or Closed", word)
        return status

    @property
    def status_shown(self) -> str:
        """The status as a listing shows it: an unknown word as it came."""
        word = self.status_word
        known = STATUS_WORDS.get(word.strip().lower()) if isinstance(word, str) else None
        return known.value if known is not None else quoted(word)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageMarks:
    """What a page says of itself: rows per page asked for, its offset, how many offsets there are, how many rows in all; ``None`` where it is silent."""

    limit: int | None = None
    offset: int | None = None
    available: int | None = None
    counts: int | None = None


def error_in(body: JsonObject) -> ErrorBody | None:
    """The failure that a body tells of, masked and cut, or ``None``: any object with ``errorType`` is one, a 200 included (AMS §2)."""
    if "errorType" not in body:
        return None
    kind, text = body["errorType"], body.get("error")
    return ErrorBody(error_type=quoted(kind), text=quoted(text) if text is not None else "")


def page_marks(body: JsonObject, where: str) -> PageMarks:
    """The page's own account of itself; AmsMalformed for marks that are not whole numbers from 0."""
    found = [_mark(body, name, where) for name in ("limit", "offset", "availableOffsets", "counts")]
    return PageMarks(limit=found[0], offset=found[1], available=found[2], counts=found[3])


def _mark(body: JsonObject, name: str, where: str) -> int | None:
    value = body.get(name)
    if value is None:
        return None
    if type(value) is not int or not 0 <= value <= MAX_WIRE_LIMIT:
        raise _odd(f"the answer's {name}", where, "a whole number from 0", value)
    return value


# --- firms ---


def firms(body: JsonObject, where: str = "myFirms") -> tuple[Firm, ...]:
    """Clearing firms of the ICC entitlement, sorted by name; empty when this API ID has none. Names and ids are unique (AMS §3)."""
    found: dict[str, Firm] = {}
    ids: dict[str, str] = {}
    for entitlement in _objects(body, "entitlements", where):
        if _text(entitlement.get("service"), "service", where).upper() != SERVICE:
            continue
        listed = entitlement.get("clearingFirms", entitlement.get("fradingFirms"))
        for entry in _objects({"clearingFirms": listed}, "clearingFirms", where):
            firm = Firm(
                name=_text(entry.get("firmName"), "firmName", where), clearing_id=_text(entry.get("clearingId"), "clearingId", where)
            )
            if found.setdefault(firm.name, firm) != firm or ids.setdefault(firm.clearing_id, firm.name) != firm.name:
                raise AmsMalformed("two clearing firms share a name or an id", where=where, found=f"{firm.name} and {firm.clearing_id}")
    return tuple(found[name] for name in sorted(found))


# --- accounts ---


def accounts(body: JsonObject, *, firm: Firm, where: str) -> tuple[tuple[str, AccountEntry], ...]:
    """The accounts of one page, keyed by number, in the order they came. The answer names the service, each account its firm and number."""
    _check_named(body, {"service"}, firm=firm, number=None, where=where)
    return tuple(_account(entry, firm, where) for entry in _objects(body, "clearingAccounts", where))


def _account(entry: JsonObject, firm: Firm, where: str) -> tuple[str, AccountEntry]:
    number = _account_number(entry, where)
    where = f"{firm.name}/{number}"
    _check_named(entry, {"clearingFirm", "accountNumber"}, firm=firm, number=number, where=where)
    _check_spelling(entry, ("status",), where)
    return number, AccountEntry(
        number=number,
        status_word=entry.get("status"),
        owner=_optional_text(entry.get("owner"), "owner", where),
        seg_type=_optional_text(entry.get("segType"), "segType", where),
        execution_firms=tuple(
            _listed_firm(item, firm, number, where) for item in _items(entry.get("executionFirms") or [], "executionFirms", where)
        ),
    )


def _listed_firm(item: object, firm: Firm, number: str, where: str) -> str:
    """The id of an execution firm in a listing, where it may be an object or a bare string (AMS §3.1)."""
    if isinstance(item, dict):
        _check_named(item, (), firm=firm, number=number, where=where)
        return _execution_firm(item, where)
    return _text(item, "executionFirms", where)


def account_status_answer(body: JsonObject, *, firm: Firm, where: str) -> Mapping[str, str]:
    """What a status POST says per account number, as written (``Successful``); IncompleteRead when a number comes twice.

    Its documented form names the accounts alone; service and firm are right where it names them.
    """
    _check_named(body, (), firm=firm, number=None, where=where)
    return unique((_status_word(entry, firm, where) for entry in _objects(body, "clearingAccounts", where)), where=where)


def _status_word(entry: JsonObject, firm: Firm, where: str) -> tuple[str, str]:
    number = _account_number(entry, where)
    _check_named(entry, {"accountNumber"}, firm=firm, number=number, where=where)
    _check_spelling(entry, ("status",), where)
    return number, _text(entry.get("status"), "status", where)


def is_successful(word: str) -> bool:
    """Whether a status POST's word for an account means that it was done."""
    return word.strip().lower() == "successful"


# --- execution firms ---


def suspensions(body: JsonObject, *, firm: Firm, number: str) -> tuple[tuple[str, bool], ...]:
    """Execution firm → suspended, of one page of ``/efStatus``, in the order they came."""
    where = f"{firm.name}/{number}"
    _check_named(body, _ONE_ACCOUNT, firm=firm, number=number, where=where)
    return tuple(_suspension(entry, firm, number, where) for entry in _objects(body, "executionFirms", where))


def suspensions_answer(body: JsonObject, *, firm: Firm, number: str) -> Mapping[str, bool]:
    """Execution firm → suspended, as the answer of an efStatus POST tells: all of the account's (AMS §3)."""
    return unique(suspensions(body, firm=firm, number=number), where=f"{firm.name}/{number}")


def _suspension(entry: JsonObject, firm: Firm, number: str, where: str) -> tuple[str, bool]:
    name = _execution_firm(entry, where)
    _check_named(entry, (), firm=firm, number=number, where=f"{where}/{name}")
    _check_spelling(entry, ("suspended",), f"{where}/{name}")
    match entry.get("suspended"):
        case bool(flag):
            return name, flag
        case "Y" | "y":
            return name, True
        case "N" | "n":
            return name, False
        case other:
            raise _odd("suspended", f"{where}/{name}", "Y or N", other)


# --- limits ---


def limit_rows(body: JsonObject, *, firm: Firm, number: str, shown_as: UnlimitedShownAs) -> tuple[tuple[RowKey, LiveRow], ...]:
    """The rows of one page of limits, in the order they came; rows of four unlimited legs still among them.

    ``shown_as`` is the one way in which this AMS shows a leg without a limit; AmsMalformed for any other shape of a side.
    """
    where = f"{firm.name}/{number}"
    _check_named(body, _ONE_ACCOUNT, firm=firm, number=number, where=where)
    return tuple(_limit_row(entry, firm, number, where, shown_as) for entry in _objects(body, "limits", where))


def limits_answer(body: JsonObject, *, firm: Firm, number: str, shown_as: UnlimitedShownAs) -> Mapping[RowKey, LiveRow]:
    """The rows that a limits POST answers: all that the account then has (AMS §3), without those of four unlimited legs."""
    return with_a_limit(unique(limit_rows(body, firm=firm, number=number, shown_as=shown_as), where=f"{firm.name}/{number}"))


def with_a_limit(rows: Mapping[RowKey, LiveRow]) -> Mapping[RowKey, LiveRow]:
    """The rows that hold at least one number: a row of four unlimited legs is the same as none (AMS §3.3)."""
    return {key: row for key, row in rows.items() if row.legs != ALL_UNLIMITED}


_ROW_MEMBERS: Final = frozenset({"product", "productFullName", "efId", "efID", "efLimits", "cmfLimits", "usage", "links"})


def _limit_row(entry: JsonObject, firm: Firm, number: str, where: str, shown_as: UnlimitedShownAs) -> tuple[RowKey, LiveRow]:
    product = _text(entry.get("product"), "product", where)
    key = RowKey(_execution_firm(entry, where), product)
    extra = () if entry.keys() <= _ROW_MEMBERS else sorted(entry.keys() - _ROW_MEMBERS)
    if extra:
        _check_named(entry, (), firm=firm, number=number, where=f"{where}/{key}")
        _check_extra_members(entry, [name for name in extra if _may_be_a_limit(name, entry[name])], f"{where}/{key}")
    ef, cmf = entry.get("efLimits", ABSENT), entry.get("cmfLimits", ABSENT)
    legs = (*_side(ef, "efLimits", key, where, shown_as), *_side(cmf, "cmfLimits", key, where, shown_as))
    raw = (ef, cmf) if UNLIMITED in legs else None
    if extra and raw is not None and shown_as in _SHOWN_BY_ABSENCE:
        _check_extra_members(entry, [name for name in extra if _may_hold_limits(name, entry[name])], f"{where}/{key}")
    usage = entry.get("usage")
    if usage is None:
        return key, LiveRow(legs=legs, wire=raw)
    return key, LiveRow(legs=legs, usage_long=_usage(usage, "long"), usage_short=_usage(usage, "short"), wire=raw)


_SHOWN_BY_ABSENCE: Final = frozenset({UnlimitedShownAs.LEG_ABSENT, UnlimitedShownAs.SIDE_ABSENT})
"""Where what is not there has no limit, what is there under any other name may be just that which is missed."""


def _check_extra_members(entry: JsonObject, suspects: Sequence[str], where: str) -> None:
    """AmsMalformed for a member that may be a side, or legs, under another name; any other that nobody announced is tolerated."""
    for name in suspects:
        raise AmsMalformed(
            f"the row has a member {quoted(name)!r} that may be a limit under another name",
            where=where,
            expected="efLimits and cmfLimits, each with long and short",
            found=f"{quoted(name)}: {quoted(entry[name])}",
            hint="nothing is concluded from this account; ask CME what it means, and report it",
        )


_LIMIT_NAME: Final = re.compile(r"(ef|cmf)?(max|qty|quantity)*(long|short)(max|qty|quantity)*|ef|cmf|clearing|execution")
_NEAR: Final = 0.75


def _may_be_a_limit(name: str, value: object) -> bool:
    """Whether an unknown member of a row is called like a side or a leg: a name like theirs, or one that speaks of limits with a value like theirs."""
    letters = _folded(name)
    if _LIMIT_NAME.fullmatch(letters) or difflib.get_close_matches(letters, ("eflimits", "cmflimits"), n=1, cutoff=_NEAR):
        return True
    return "limit" in letters and (not isinstance(value, str | bool) or _says_unlimited(value))


def _may_hold_limits(name: str, value: object) -> bool:
    """Whether an unknown member of a row, whatever its name, holds what a side or a leg could: in a row that lacks one it may be the one that is missed.

    Texts under names that other answers document (an account's number, a firm's id) are what these say.
    """
    if isinstance(value, str) and name in _DOCUMENTED_TEXTS:
        return False
    return _holds_amounts(value)


_DOCUMENTED_TEXTS: Final = frozenset(
    {
        "service",
        "clearingFirm",
        "accountNumber",
        "executionFirm",
        "owner",
        "ownerLongName",
        "segType",
        "firmName",
        "firmLongName",
        "clearingId",
    }
)


def _holds_amounts(value: object) -> bool:
    """Whether there is a number in a value, a text that reads as one or says Unlimited, or a member that speaks of long and short."""
    match value:
        case dict():
            return any(_LEG_WORD.search(_folded(name)) is not None or _holds_amounts(part) for name, part in value.items())
        case list():
            return any(map(_holds_amounts, value))
        case str():
            return _reads_as_amounts(near(value), value)
        case _:
            return isinstance(value, int | float) and not isinstance(value, bool)


def _reads_as_amounts(letters: str, text: str) -> bool:
    """Whether a text is a number however it is set (1,000; １０; 5e3), says Unlimited, or speaks of legs and has numbers (JSON in a text)."""
    has_digits = any(letter.isnumeric() for letter in letters)
    if letters == "unlimited" or (has_digits and not any(letter.isalpha() for letter in letters)):
        return True
    try:
        float(text)
    except ValueError:
        return has_digits and _LEG_WORD.search(letters) is not None
    return True


_LEG_WORD: Final = re.compile("long|short|unlimited")


def _side(side: object, name: str, key: RowKey, where: str, shown_as: UnlimitedShownAs) -> tuple[Amount, Amount]:
    """Long and short of one side; nearly every one is two numbers."""
    if type(side) is dict and len(side) == _LEGS_OF_A_SIDE:
        long, short = side.get("long"), side.get("short")
        if type(long) is int and type(short) is int and 0 <= long <= MAX_WIRE_LIMIT and 0 <= short <= MAX_WIRE_LIMIT:
            return long, short
    return read_side(side, shown_as=shown_as, name=name, where=f"{where}/{key}")


_LEGS_OF_A_SIDE: Final = len(Leg)


def read_side(side: object, *, shown_as: UnlimitedShownAs, name: str, where: str) -> tuple[Amount, Amount]:
    """Long and short of a side as it came (``ABSENT`` where it was left out); ``name`` and ``where`` are for messages.

    A side is exactly ``long`` and ``short``, both there and nothing else. A leg without a limit is shown in the one way that ``shown_as`` says:

    - ``NULL``, ``WORD``: the leg is there, and is ``null`` or the word Unlimited in whichever case.
    - ``LEG_ABSENT``: the leg is left out; a side without any leg is there and empty.
    - ``SIDE_ABSENT``: as before, but a side without any leg is left out itself, or ``null``.

    AmsMalformed for every other shape; its hint names the setting under which the shape could be read.
    """
    found = _amounts(side, shown_as)
    if not isinstance(found, _Misshapen):
        return found
    what = f"{name}.{found.leg}" if found.leg else name
    raise AmsMalformed(f"{what} is not usable", where=where, expected=found.expected, found=found.found, hint=_shape_hint(side, shown_as))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Misshapen:
    expected: str
    found: str
    leg: str = ""


_LEG_SHAPES: Final[Mapping[UnlimitedShownAs, str]] = {
    UnlimitedShownAs.NULL: "a whole number from 0, or null",
    UnlimitedShownAs.WORD: "a whole number from 0, or Unlimited",
    UnlimitedShownAs.LEG_ABSENT: "a whole number from 0, or no such leg",
    UnlimitedShownAs.SIDE_ABSENT: "a whole number from 0, or no such leg",
}


def _amounts(side: object, shown_as: UnlimitedShownAs) -> tuple[Amount, Amount] | _Misshapen:
    whole = "an object with long and short and nothing else"
    if side is ABSENT or side is None:
        if shown_as is UnlimitedShownAs.SIDE_ABSENT:
            return UNLIMITED, UNLIMITED
        return _Misshapen(expected=whole, found="no such member" if side is ABSENT else "null")
    if not isinstance(side, dict):
        return _Misshapen(expected=whole, found=quoted(side))
    if not side.keys() <= _LEG_NAMES or (not side and shown_as is not UnlimitedShownAs.LEG_ABSENT):
        return _Misshapen(expected=whole, found=quoted(side))
    amounts = [_amount(side.get(leg, ABSENT), shown_as) for leg in ("long", "short")]
    for leg, amount in zip(("long", "short"), amounts, strict=True):
        if amount is None:
            found = "no such member" if leg not in side else quoted(side[leg])
            return _Misshapen(leg=leg, expected=_LEG_SHAPES[shown_as], found=found)
    long, short = amounts
    assert long is not None
    assert short is not None
    return long, short


_LEG_NAMES: Final = frozenset(leg.value for leg in Leg)


def _amount(value: object, shown_as: UnlimitedShownAs) -> Amount | None:
    """One leg; ``None`` for what is neither a number nor how this AMS shows that there is none."""
    if type(value) is int and 0 <= value <= MAX_WIRE_LIMIT:
        return value
    match shown_as:
        case UnlimitedShownAs.NULL:
            unlimited = value is None
        case UnlimitedShownAs.WORD:
            unlimited = _says_unlimited(value)
        case UnlimitedShownAs.LEG_ABSENT | UnlimitedShownAs.SIDE_ABSENT:
            unlimited = value is ABSENT
        case _:
            assert_never(shown_as)
    return UNLIMITED if unlimited else None


def _says_unlimited(value: object) -> bool:
    return isinstance(value, str) and value.lower() == "unlimited"


def _shape_hint(side: object, shown_as: UnlimitedShownAs) -> str:
    """What to do about a side of an unexpected shape: the narrowest setting that reads it, as far as there is one."""
    other = next((each for each in UnlimitedShownAs if not isinstance(_amounts(side, each), _Misshapen)), None)
    if other is None:
        return "nothing is concluded from this account; ask CME what it means, and report it"
    value = f'"{other}"' if other is UnlimitedShownAs.NULL else other
    return (
        f"assumptions.unlimitedShownAs is {shown_as}; where it is certain that the AMS shows a leg without a limit like this, and hides none that has one, "
        f"set it to {value}"
    )


def _usage(usage: object, name: str) -> int | None:
    """The use of one leg, where it is told per leg. A lone number does not say which leg it is of, so both stay unknown (AMS §3.7)."""
    value = usage.get(name) if isinstance(usage, dict) else None
    return value if type(value) is int and value >= 0 else None


# --- eligible products ---


def eligible_products(body: JsonObject, *, firm: Firm, number: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Execution firm → products of one page, in the order they came; one firm may come in several pieces."""
    where = f"{firm.name}/{number}"
    _check_named(body, _ONE_ACCOUNT, firm=firm, number=number, where=where)
    return tuple(_eligible(entry, firm, number, where) for entry in _objects(body, "products", where))


def _eligible(entry: JsonObject, firm: Firm, number: str, where: str) -> tuple[str, tuple[str, ...]]:
    named = entry.get("executionFirm")
    spelled = named is None or any(key.lower() == "efid" for key in entry)
    name = _execution_firm(entry, where) if spelled else _text(named, "executionFirm", where)
    where = f"{where}/{name}"
    _check_named(entry, (), firm=firm, number=number, where=where)
    products = []
    for item in _items(entry.get("productList") or [], "productList", where):
        if isinstance(item, dict):
            if not item.keys() <= _PRODUCT_MEMBERS:
                _check_named(item, (), firm=firm, number=number, where=where)
            item = item.get("product")
        products.append(_text(item, "product", where))
    return name, tuple(products)


_PRODUCT_MEMBERS: Final = frozenset({"product", "productFullName"})


# --- the small parts ---


def unique(pairs: Iterable[tuple[K, V]], *, where: str) -> dict[K, V]:
    """The pairs as a map; IncompleteRead when a key comes twice, since one of the two would have to be dropped."""
    found: dict[K, V] = {}
    for key, value in pairs:
        if key in found:
            raise IncompleteRead(
                "the AMS listed the same row twice", where=where, found=f"{key} twice", hint="run again; if it stays, ask CME"
            )
        found[key] = value
    return found


def _check_named(body: JsonObject, required: Collection[str], *, firm: Firm, number: str | None, where: str) -> None:
    """An answer to another question is never used: service, firm and account are those asked for wherever the body, or an entry of its lists, names them,
    and each of ``required`` is named. ``number`` of ``None``: no account was asked for.
    """
    _check_spelling(body, ("service", "clearingFirm", "accountNumber"), where)
    named = {"service": SERVICE, "clearingFirm": f"{firm.name} or {firm.clearing_id}", "accountNumber": number}
    for name, expected in named.items():
        value = body.get(name)
        if value is None and name in required:
            raise AmsMalformed(
                f"the answer does not name its {name}",
                where=where,
                expected=expected,
                found="no such member" if name not in body else "null",
                hint="what does not say what it answers is not used; if it stays, report it to CME",
            )
        if value is not None and expected is not None and not _is_asked(name, value, firm, number):
            raise _odd(f"the answer's {name}", where, expected, value)


def _is_asked(name: str, value: object, firm: Firm, number: str | None) -> bool:
    match name:
        case "service":
            return isinstance(value, str) and value.upper() == SERVICE
        case "clearingFirm":
            return value in (firm.name, firm.clearing_id)
        case _:
            return value == number


def _check_spelling(entry: JsonObject, names: Collection[str], where: str) -> None:
    """AmsMalformed for a member that is one of ``names`` but for case, blanks and signs: which of both is meant?"""
    folded = {_folded(name): name for name in names}
    for given in entry:
        meant = folded.get(_folded(given))
        if meant is not None and given != meant:
            raise AmsMalformed(
                f"a member is spelled otherwise than {meant}", where=where, expected=meant, found=quoted(given), hint="report it to CME"
            )


def _folded(name: str) -> str:
    return near(name) if len(name) <= _LONGEST_NAME else name


_LONGEST_NAME: Final = 64


def _execution_firm(entry: JsonObject, where: str) -> str:
    """The execution firm's id, whose key CME spells ``efId`` and ``efID``."""
    if len(spelled := [value for key, value in entry.items() if len(key) == 4 and key.lower() == "efid"]) == 1:
        name = _text(spelled[0], "efId", where)
        other = entry.get("executionFirm")
        if other not in (None, name) and not isinstance(other, dict):
            raise _odd("an entry's executionFirm", f"{where}/{name}", f"{name}, as its efId says", other)
        return name
    raise AmsMalformed("an entry does not name its execution firm", where=where, expected="one efId", found=f"{len(spelled)} of them")


def _objects(body: JsonObject, name: str, where: str) -> Sequence[JsonObject]:
    _check_spelling(body, (name,), where)
    if name not in body:
        raise AmsMalformed("the answer lacks its list", where=where, expected=name, found=quoted(sorted(body)))
    items: list[JsonObject] = []
    for item in _items(body[name], name, where):
        if not isinstance(item, dict):
            raise _odd(f"an entry of {name}", where, "an object", item)
        items.append(item)
    return items


def _items(value: object, name: str, where: str) -> list[object]:
    if not isinstance(value, list):
        raise _odd(name, where, "a list", value)
    return value


def _account_number(entry: JsonObject, where: str) -> str:
    """The number exactly as it stands: blanks around it are part of it, since older accounts break CME's naming rule (AMS §3.9)."""
    value = entry.get("accountNumber")
    if type(value) is str and value and value.isprintable():
        return value
    raise _odd("accountNumber", where, "a text", value)


def _text(value: object, name: str, where: str) -> str:
    if type(value) is str and value and value.isprintable() and value.strip() == value:
        return value
    raise _odd(name, where, "a text without blanks around it", value)


def _optional_text(value: object, name: str, where: str) -> str | None:
    """A text for display only: blanks around it are cut, an empty one is none."""
    if value is None or isinstance(value, str):
        return masked((value or "").strip()) or None
    raise _odd(name, where, "a text", value)


def _odd(what: str, where: str, expected: str, found: object) -> AmsMalformed:
    return AmsMalformed(f"{what} is not usable", where=where, expected=expected, found=quoted(found))
