"""Documents to records: a strict decode in one pass that either understands a part or hands it on as refused.

A record is plain tuples, numbers and texts (``marshal`` writes it): an account of 100 rows must be small, and a book of a million rows is never in
memory at once. What is refused here is explained by ``explain`` with the JSON Schema; a test holds that both refuse the same documents.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple, TypeAlias

from amsctl.manifests.identifiers import (
    ACCOUNT_NUMBER,
    CLEARING_FIRM,
    EXECUTION_FIRM,
    LABEL_KEY,
    NAME,
    PRODUCT,
    matcher,
)
from amsctl.manifests.nodes import Map, Node, Scalar, Seq, pos_of

API_VERSION: Final = "amsctl/v1"
UNLIMITED: Final = -1
"""An unlimited leg within a record."""
MAX_LIMIT: Final = 2_147_483_647
MAX_PROFILES: Final = 100

FourLegs: TypeAlias = tuple[int | None, int | None, int | None, int | None]
FourPlaces: TypeAlias = tuple[int, int, int, int]


class Row(NamedTuple):
    """One row: ``legs`` are ``None`` (not managed), ``UNLIMITED`` or contracts; ``unset`` is the tombstone. Places are packed positions."""

    product: str
    pos: int
    unset: bool
    legs: FourLegs
    places: FourPlaces


class ExecutionFirm(NamedTuple):
    """One execution firm: ``profiles`` are (name, place) in the order written, ``rows`` those written here."""

    id: str
    pos: int
    suspended: bool | None
    suspended_pos: int
    profiles: tuple[tuple[str, int], ...]
    rows: tuple[Row, ...]


class Account(NamedTuple):
    """One account document."""

    firm: str
    number: str
    pos: int
    labels: tuple[tuple[str, str], ...]
    status: str | None
    status_pos: int
    undeclared: str | None
    protected: bool
    execution_firms: tuple[ExecutionFirm, ...]


class Profile(NamedTuple):
    """One limit profile."""

    name: str
    pos: int
    rows: tuple[Row, ...]


class Refused(NamedTuple):
    """A part that was not understood: the name of its definition in the schema, and the part, whose own parts are judged apart."""

    definition: str
    node: Node


class _Wrong(Exception):
    """This part is not as the schema wants it."""


_is_execution_firm: Final = matcher(EXECUTION_FIRM).match
_is_account_number: Final = matcher(ACCOUNT_NUMBER).match
_is_clearing_firm: Final = matcher(CLEARING_FIRM).match
_is_product: Final = matcher(PRODUCT).match
_is_name: Final = matcher(NAME).match
_is_label_key: Final = matcher(LABEL_KEY).match
_is_whole_number: Final = re.compile("(?:0|[1-9][0-9]{0,9})\\Z").match

_NO_LEGS: Final[FourLegs] = (None, None, None, None)
_NO_PLACES: Final[FourPlaces] = (0, 0, 0, 0)
_SIDES: Final = {"ef": 0, "cmf": 2}
_LEGS: Final = {"long": 0, "short": 1}


def kind_of(document: Node) -> str | None:
    """The text of ``kind``, or ``None`` when the document has none."""
    if isinstance(document, Map) and "kind" in document.entries:
        value = document.entries["kind"][1]
        return value[0] if isinstance(value, tuple) else None
    return None


def account(document: Map, refused: list[Refused]) -> Account | None:
    """The record of an ``Account`` document, or ``None`` with at least one part more in ``refused``."""
    before = len(refused)
    record: Account | None = None
    try:
        metadata, spec = _envelope(document, "Account")
        firm, number, pos, labels = _metadata(metadata)
        _only(spec, ("status", "undeclared", "protected", "executionFirms"))
        status, status_pos = _choice(spec, "status", ("Active", "Inactive"))
        undeclared, _ = _choice(spec, "undeclared", ("ignore", "report", "unset"))
        protected = "protected" in spec.entries and _switch(spec.entries["protected"][1])[0]
        firms = _mapping(spec, "executionFirms")
        record = Account(firm, number, pos, labels, status, status_pos, undeclared, protected, ())
    except _Wrong:
        refused.append(Refused("account", document))
        firms = _found_mapping(document, "spec", "executionFirms")
    execution_firms = _execution_firms(firms, refused) if firms is not None else ()
    if record is None or len(refused) > before:
        return None
    return record._replace(execution_firms=execution_firms)


def profile(document: Map, refused: list[Refused]) -> Profile | None:
    """The record of a ``LimitProfile`` document, or ``None`` with at least one part more in ``refused``."""
    before = len(refused)
    name, pos = "", 0
    try:
        metadata, spec = _envelope(document, "LimitProfile")
        _only(metadata, ("name",))
        name, pos = _text(metadata, "name", _is_name)
        _only(spec, ("limits",))
        limits = _mapping(spec, "limits")
        if limits is None:
            raise _Wrong
    except _Wrong:
        refused.append(Refused("limitProfile", document))
        limits = _found_mapping(document, "spec", "limits")
    rows = _rows(limits, refused) if limits is not None else ()
    return Profile(name, pos, rows) if len(refused) == before else None


def _envelope(document: Map, kind: str) -> tuple[Map, Map]:
    """Metadata and spec of a document whose outer keys are right."""
    entries = document.entries
    if len(entries) != 4:
        raise _Wrong
    _choice(document, "apiVersion", (API_VERSION,), required=True)
    _choice(document, "kind", (kind,), required=True)
    metadata, spec = _mapping(document, "metadata"), _mapping(document, "spec")
    if metadata is None or spec is None:
        raise _Wrong
    return metadata, spec


def _metadata(metadata: Map) -> tuple[str, str, int, tuple[tuple[str, str], ...]]:
    """Clearing firm, account number, its place, and the labels sorted by key."""
    _only(metadata, ("clearingFirm", "accountNumber", "labels"))
    firm, _ = _text(metadata, "clearingFirm", _is_clearing_firm)
    number, pos = _text(metadata, "accountNumber", _is_account_number)
    labels = _mapping(metadata, "labels")
    if labels is None:
        return firm, number, pos, ()
    for key in labels.entries:
        if not _is_label_key(key):
            raise _Wrong
    return firm, number, pos, tuple((key, _text(labels, key, _is_name)[0]) for key in sorted(labels.entries))


def _execution_firms(firms: Map, refused: list[Refused]) -> tuple[ExecutionFirm, ...]:
    """The execution firms sorted by id, without those that went to ``refused``."""
    found = []
    for id_, (pos, node) in firms.entries.items():
        record = _execution_firm(id_, pos, node, refused)
        if record is not None:
            found.append(record)
    found.sort()
    return tuple(found)


def _execution_firm(id_: str, pos: int, node: Node, refused: list[Refused]) -> ExecutionFirm | None:
    """One execution firm; the rows of a refused one are judged all the same."""
    limits: Map | None
    suspended: bool | None = None
    suspended_pos = 0
    profiles: tuple[tuple[str, int], ...] = ()
    understood = True
    try:
        if not isinstance(node, Map) or not _is_execution_firm(id_):
            raise _Wrong
        _only(node, ("suspended", "profiles", "limits"))
        if "suspended" in node.entries:
            suspended, suspended_pos = _switch(node.entries["suspended"][1])
        if "profiles" in node.entries:
            profiles = _profiles(node.entries["profiles"][1])
        limits = _mapping(node, "limits")
    except _Wrong:
        understood = False
        refused.append(Refused("executionFirms", _single(id_, pos, node)))
        limits = _found_mapping(node, "limits")
    rows = _rows(limits, refused) if limits is not None else ()
    return ExecutionFirm(id_, pos, suspended, suspended_pos, profiles, rows) if understood else None


def _rows(limits: Map, refused: list[Refused]) -> tuple[Row, ...]:
    """The rows sorted by product, without those that went to ``refused``."""
    found = []
    for product, (pos, node) in limits.entries.items():
        try:
            found.append(_row(product, pos, node))
        except _Wrong:
            refused.append(Refused("limits", _single(product, pos, node)))
    found.sort()
    return tuple(found)


def _row(product: str, pos: int, node: Node) -> Row:
    """One row: a tombstone, or up to four legs."""
    if not _is_product(product):
        raise _Wrong
    if not isinstance(node, Map):
        if not isinstance(node, tuple) or node[0] != "unset":
            raise _Wrong
        return Row(product, pos, True, _NO_LEGS, _NO_PLACES)
    legs: list[int | None] = [None, None, None, None]
    places = [0, 0, 0, 0]
    for side, (_, pair) in node.entries.items():
        base = _SIDES.get(side)
        if base is None or not isinstance(pair, Map):
            raise _Wrong
        for leg, (_, value) in pair.entries.items():
            offset = _LEGS.get(leg)
            if offset is None or not isinstance(value, tuple):
                raise _Wrong
            legs[base + offset] = _amount(value)
            places[base + offset] = value[2]
    return Row(product, pos, False, tuple(legs), tuple(places))  # type: ignore[arg-type]


def _amount(value: Scalar) -> int:
    """Contracts, or ``UNLIMITED``."""
    text, plain, _ = value
    if plain and _is_whole_number(text):
        contracts = int(text)
        if contracts <= MAX_LIMIT:
            return contracts
    elif text == "unlimited":
        return UNLIMITED
    raise _Wrong


def _switch(node: Node) -> tuple[bool, int]:
    """``true`` or ``false`` without quotes, and its place."""
    if isinstance(node, tuple) and node[1] and node[0] in ("true", "false"):
        return node[0] == "true", node[2]
    raise _Wrong


def _profiles(node: Node) -> tuple[tuple[str, int], ...]:
    """The names of profiles, each with its place."""
    if not isinstance(node, Seq) or len(node.items) > MAX_PROFILES:
        raise _Wrong
    names = []
    for item in node.items:
        if not isinstance(item, tuple) or not _is_name(item[0]):
            raise _Wrong
        names.append((item[0], item[2]))
    if len({name for name, _ in names}) < len(names):
        raise _Wrong
    return tuple(names)


def _only(node: Map, known: tuple[str, ...]) -> None:
    for key in node.entries:
        if key not in known:
            raise _Wrong


def _mapping(node: Map, key: str) -> Map | None:
    """The mapping under ``key``, or ``None`` when the key is not written."""
    if key not in node.entries:
        return None
    value = node.entries[key][1]
    if not isinstance(value, Map):
        raise _Wrong
    return value


def _text(node: Map, key: str, fits: object) -> tuple[str, int]:
    """The text under ``key``, which must be there and fit, and its place."""
    if key in node.entries:
        value = node.entries[key][1]
        if isinstance(value, tuple) and fits(value[0]):  # type: ignore[operator]
            return value[0], value[2]
    raise _Wrong


def _choice(node: Map, key: str, choices: tuple[str, ...], *, required: bool = False) -> tuple[str | None, int]:
    """One of ``choices`` under ``key`` and its place; ``None`` when it is not written and need not be."""
    if key not in node.entries and not required:
        return None, 0
    return _text(node, key, choices.__contains__)


def _found_mapping(node: Node, *path: str) -> Map | None:
    """The mapping at ``path`` when there is one, so that its own errors are found although something around it is wrong."""
    for key in path:
        if not isinstance(node, Map) or key not in node.entries:
            return None
        node = node.entries[key][1]
    return node if isinstance(node, Map) else None


def _single(key: str, pos: int, node: Node) -> Map:
    """A mapping of one entry."""
    single = Map(pos_of(node))
    single.entries[key] = (pos, node)
    return single


def text_at(node: Node, *path: str) -> str | None:
    """The text at ``path`` when there is one."""
    for key in path:
        if not isinstance(node, Map) or key not in node.entries:
            return None
        node = node.entries[key][1]
    return node[0] if isinstance(node, tuple) else None


def profile_uses(document: Map) -> Iterator[tuple[str, int]]:
    """The profiles that an account names, each with its place, as far as a document that was refused can be understood."""
    firms = _found_mapping(document, "spec", "executionFirms")
    for _, firm in firms.entries.values() if firms is not None else ():
        names = firm.entries["profiles"][1] if isinstance(firm, Map) and "profiles" in firm.entries else None
        for item in names.items if isinstance(names, Seq) else ():
            if isinstance(item, tuple) and _is_name(item[0]):
                yield item[0], item[2]
