"""What answers mean: JSON objects → model. Pure.

Every spelling that CME's documents show is read (AMS §3); whatever else comes is refused by name, because a value that is guessed at is a limit that
is wrong. Unknown extra keys are tolerated, ``links`` are never looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias, TypeVar

from amsctl.errors import AmsMalformed, IncompleteRead
from amsctl.model import ALL_UNLIMITED, SERVICE, UNLIMITED, AccountStatus, Amount, Firm, LiveRow, RowKey

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
_SHOWN: Final = 80


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
        return known.value if known is not None else str(word)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageMarks:
    """What a page says of itself: rows per page asked for, its offset, how many offsets there are, how many rows in all; ``None`` where it is silent."""

    limit: int | None = None
    offset: int | None = None
    available: int | None = None
    counts: int | None = None


def error_in(body: JsonObject) -> ErrorBody | None:
    """The failure that a body tells of, or ``None``: any object with ``errorType`` is one, a 200 included (AMS §2)."""
    if "errorType" not in body:
        return None
    kind, text = body["errorType"], body.get("error")
    return ErrorBody(error_type=_brief(kind), text=_brief(text) if text is not None else "")


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
    """The accounts of one page, keyed by number, in the order they came."""
    _same_request(body, firm=firm, number=None, where=where)
    return tuple(_account(entry, firm, where) for entry in _objects(body, "clearingAccounts", where))


def _account(entry: JsonObject, firm: Firm, where: str) -> tuple[str, AccountEntry]:
    number = _account_number(entry, where)
    where = f"{firm.name}/{number}"
    _same_request(entry, firm=firm, number=number, where=where)
    return number, AccountEntry(
        number=number,
        status_word=entry.get("status"),
        owner=_optional_text(entry.get("owner"), "owner", where),
        seg_type=_optional_text(entry.get("segType"), "segType", where),
        execution_firms=tuple(_listed_firm(item, where) for item in _items(entry.get("executionFirms") or [], "executionFirms", where)),
    )


def _listed_firm(item: object, where: str) -> str:
    """The id of an execution firm in a listing, where it may be an object or a bare string (AMS §3.1)."""
    if isinstance(item, dict):
        return _execution_firm(item, where)
    return _text(item, "executionFirms", where)


def account_status_answer(body: JsonObject, *, where: str) -> Mapping[str, str]:
    """What a status POST says per account number, as written (``Successful``); IncompleteRead when a number comes twice."""
    pairs = (
        (_account_number(entry, where), _text(entry.get("status"), "status", where)) for entry in _objects(body, "clearingAccounts", where)
    )
    return unique(pairs, where=where)


def is_successful(word: str) -> bool:
    """Whether a status POST's word for an account means that it was done."""
    return word.strip().lower() == "successful"


# --- execution firms ---


def suspensions(body: JsonObject, *, firm: Firm, number: str) -> tuple[tuple[str, bool], ...]:
    """Execution firm → suspended, of one page of ``/efStatus``, in the order they came."""
    where = f"{firm.name}/{number}"
    _same_request(body, firm=firm, number=number, where=where)
    return tuple(_suspension(entry, where) for entry in _objects(body, "executionFirms", where))


def suspensions_answer(body: JsonObject, *, firm: Firm, number: str) -> Mapping[str, bool]:
    """Execution firm → suspended, as the answer of an efStatus POST tells: all of the account's (AMS §3)."""
    return unique(suspensions(body, firm=firm, number=number), where=f"{firm.name}/{number}")


def _suspension(entry: JsonObject, where: str) -> tuple[str, bool]:
    name = _execution_firm(entry, where)
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


def limit_rows(body: JsonObject, *, firm: Firm, number: str) -> tuple[tuple[RowKey, LiveRow], ...]:
    """The rows of one page of limits, in the order they came; rows of four unlimited legs still among them."""
    where = f"{firm.name}/{number}"
    _same_request(body, firm=firm, number=number, where=where)
    return tuple(_limit_row(entry, where) for entry in _objects(body, "limits", where))


def limits_answer(body: JsonObject, *, firm: Firm, number: str) -> Mapping[RowKey, LiveRow]:
    """The rows that a limits POST answers: all that the account then has (AMS §3), without those of four unlimited legs."""
    return with_a_limit(unique(limit_rows(body, firm=firm, number=number), where=f"{firm.name}/{number}"))


def with_a_limit(rows: Mapping[RowKey, LiveRow]) -> Mapping[RowKey, LiveRow]:
    """The rows that hold at least one number: a row of four unlimited legs is the same as none (AMS §3.3)."""
    return {key: row for key, row in rows.items() if row.legs != ALL_UNLIMITED}


def _limit_row(entry: JsonObject, where: str) -> tuple[RowKey, LiveRow]:
    product = _text(entry.get("product"), "product", where)
    key = RowKey(_execution_firm(entry, where), product)
    ef, cmf = _side(entry, "efLimits", key, where), _side(entry, "cmfLimits", key, where)
    legs = (
        _leg(ef, "efLimits", "long", key, where),
        _leg(ef, "efLimits", "short", key, where),
        _leg(cmf, "cmfLimits", "long", key, where),
        _leg(cmf, "cmfLimits", "short", key, where),
    )
    raw = (entry.get("efLimits"), entry.get("cmfLimits")) if UNLIMITED in legs else None
    usage = entry.get("usage")
    if usage is None:
        return key, LiveRow(legs=legs, wire=raw)
    return key, LiveRow(legs=legs, usage_long=_usage(usage, "long"), usage_short=_usage(usage, "short"), wire=raw)


_NO_SIDE: Final[JsonObject] = {}


def _side(entry: JsonObject, name: str, key: RowKey, where: str) -> JsonObject:
    side = entry.get(name)
    if type(side) is dict:
        return side
    if side is None or _says_unlimited(side):
        return _NO_SIDE
    raise _odd(name, f"{where}/{key}", "an object with long and short", side)


def _leg(side: JsonObject, side_name: str, name: str, key: RowKey, where: str) -> Amount:
    value = side.get(name)
    if type(value) is int and 0 <= value <= MAX_WIRE_LIMIT:
        return value
    if value is None or _says_unlimited(value):
        return UNLIMITED
    raise _odd(f"{side_name}.{name}", f"{where}/{key}", "a whole number from 0, null or Unlimited", value)


def _says_unlimited(value: object) -> bool:
    return isinstance(value, str) and value.strip().lower() == "unlimited"


def _usage(usage: object, name: str) -> int | None:
    """The use of one leg, where it is told per leg. A lone number does not say which leg it is of, so both stay unknown (AMS §3.7)."""
    value = usage.get(name) if isinstance(usage, dict) else None
    return value if type(value) is int and value >= 0 else None


# --- eligible products ---


def eligible_products(body: JsonObject, *, firm: Firm, number: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Execution firm → products of one page, in the order they came; one firm may come in several pieces."""
    where = f"{firm.name}/{number}"
    _same_request(body, firm=firm, number=number, where=where)
    return tuple(_eligible(entry, where) for entry in _objects(body, "products", where))


def _eligible(entry: JsonObject, where: str) -> tuple[str, tuple[str, ...]]:
    named = entry.get("executionFirm")
    name = _text(named, "executionFirm", where) if named is not None else _execution_firm(entry, where)
    listed = _items(entry.get("productList") or [], "productList", where)
    products = (item.get("product") if isinstance(item, dict) else item for item in listed)
    return name, tuple(_text(product, "product", f"{where}/{name}") for product in products)


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


def _same_request(body: JsonObject, *, firm: Firm, number: str | None, where: str) -> None:
    """An answer to another question is never used: service, firm and account must be those asked for, wherever the body names them."""
    service = body.get("service")
    if service is not None and not (isinstance(service, str) and service.upper() == SERVICE):
        raise _odd("the answer's service", where, SERVICE, service)
    named = body.get("clearingFirm")
    if named is not None and named not in (firm.name, firm.clearing_id):
        raise _odd("the answer's clearingFirm", where, f"{firm.name} or {firm.clearing_id}", named)
    account = body.get("accountNumber")
    if number is not None and account is not None and account != number:
        raise _odd("the answer's accountNumber", where, number, account)


def _execution_firm(entry: JsonObject, where: str) -> str:
    """The execution firm's id, whose key CME spells ``efId`` and ``efID``."""
    if len(spelled := [value for key, value in entry.items() if len(key) == 4 and key.lower() == "efid"]) == 1:
        return _text(spelled[0], "efId", where)
    raise AmsMalformed("an entry does not name its execution firm", where=where, expected="one efId", found=f"{len(spelled)} of them")


def _objects(body: JsonObject, name: str, where: str) -> Sequence[JsonObject]:
    if name not in body:
        raise AmsMalformed("the answer lacks its list", where=where, expected=name, found=_brief(sorted(body)))
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
        return (value or "").strip() or None
    raise _odd(name, where, "a text", value)


def _odd(what: str, where: str, expected: str, found: object) -> AmsMalformed:
    return AmsMalformed(f"{what} is not usable", where=where, expected=expected, found=_brief(found))


def _brief(value: object) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
