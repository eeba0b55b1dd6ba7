"""Records to values: an account as the planner wants it, profiles merged in."""

from __future__ import annotations

import marshal
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple, TypeAlias

from amsctl.diagnostics import Source
from amsctl.manifests.compile import UNLIMITED as UNLIMITED_RECORD
from amsctl.manifests.nodes import source
from amsctl.model import (
    UNLIMITED,
    AccountKey,
    AccountStatus,
    DesiredAccount,
    DesiredExecutionFirm,
    DesiredRow,
    FourWishes,
    Undeclared,
)

PlainRow: TypeAlias = tuple[str, int, bool, tuple[int | None, ...], tuple[int, int, int, int]]
"""As ``compile.Row``, without the names."""


class ProfileRows(NamedTuple):
    """The rows of a profile and the file they stand in."""

    file: str
    pos: int
    rows: tuple[PlainRow, ...]


class Layer(NamedTuple):
    """A profile that an execution firm of an account uses."""

    execution_firm: str
    profile: str


_STATUS: Final = {"Active": AccountStatus.ACTIVE, "Inactive": AccountStatus.INACTIVE}


def desired_account(record: bytes, file: str, profiles: Mapping[str, ProfileRows]) -> DesiredAccount:
    """The account of a record that was written from ``file``."""
    firm, number, pos, labels, status, status_pos, undeclared, protected, firms = marshal.loads(record)  # noqa: S302 - our own bytes, from our own spool
    return DesiredAccount(
        key=AccountKey(firm, number),
        source=source(file, pos),
        labels=dict(labels),
        status=_STATUS[status] if status is not None else None,  # type: ignore[arg-type]
        status_source=source(file, status_pos) if status is not None else None,
        undeclared=Undeclared(undeclared) if undeclared is not None else None,
        protected=protected,
        execution_firms=tuple(_execution_firm(firm, file, profiles) for firm in firms),
    )


def _execution_firm(record: Any, file: str, profiles: Mapping[str, ProfileRows]) -> DesiredExecutionFirm:
    id_, pos, suspended, suspended_pos, names, rows = record
    if names:
        merged = _merge(rows, file, [profiles[name] for name, _ in names])
        made = tuple(merged[product].row(id_, product) for product in sorted(merged))
    else:
        made = tuple(_row(id_, row, file) for row in rows)
    return DesiredExecutionFirm(
        id=id_,
        source=source(file, pos),
        suspended=suspended,
        suspended_source=source(file, suspended_pos) if suspended is not None else None,
        rows=made,
    )


def _row(id_: str, row: PlainRow, file: str) -> DesiredRow:
    product, pos, unset, legs, (first, second, third, fourth) = row
    return DesiredRow(
        execution_firm=id_,
        product=product,
        legs=_wishes(legs),
        sources=(
            source(file, first) if first else None,
            source(file, second) if second else None,
            source(file, third) if third else None,
            source(file, fourth) if fourth else None,
        ),
        source=source(file, pos),
        unset=unset,
    )


def _wishes(legs: tuple[int | None, ...]) -> FourWishes:
    if UNLIMITED_RECORD in legs:
        return tuple(UNLIMITED if leg == UNLIMITED_RECORD else leg for leg in legs)  # type: ignore[return-value]
    return legs  # type: ignore[return-value]


class _Merged:
    """One row while profiles and limits are laid over each other: the last word wins, leg by leg; a tombstone wipes all that came before it."""

    __slots__ = ("file", "legs", "pos", "sources", "unset")

    def __init__(self) -> None:
        self.legs: list[int | None] = [None] * 4
        self.sources: list[Source | None] = [None] * 4
        self.unset = False
        self.file = ""
        self.pos = 0

    def lay(self, row: PlainRow, file: str) -> None:
        _, self.pos, unset, legs, places = row
        self.file = file
        if unset:
            self.legs, self.sources, self.unset = [None] * 4, [None] * 4, True
            return
        for index, leg in enumerate(legs):
            if leg is not None:
                self.legs[index], self.sources[index] = leg, source(file, places[index])
                self.unset = False

    def row(self, id_: str, product: str) -> DesiredRow:
        return DesiredRow(
            execution_firm=id_,
            product=product,
            legs=_wishes(tuple(self.legs)),
            sources=tuple(self.sources),  # type: ignore[arg-type]
            source=source(self.file, self.pos),
            unset=self.unset,
        )


def _merge(rows: Iterable[PlainRow], file: str, profiles: Iterable[ProfileRows]) -> dict[str, _Merged]:
    merged: dict[str, _Merged] = {}
    for layer_file, layer in (*((profile.file, profile.rows) for profile in profiles), (file, rows)):
        for row in layer:
            merged.setdefault(row[0], _Merged()).lay(row, layer_file)
    return merged


def layers_of(record: bytes) -> tuple[Layer, ...]:
    """The profiles that an account's record uses, in the order in which they are laid over each other."""
    return tuple(Layer(firm[0], name) for firm in marshal.loads(record)[8] for name, _ in firm[4])  # noqa: S302 - our own bytes


def rows_of(profile: ProfileRows, execution_firm: str) -> tuple[DesiredRow, ...]:
    """The rows of a profile as an execution firm that uses it has them."""
    return tuple(_row(execution_firm, row, profile.file) for row in profile.rows)


def uses_of(record: bytes, name: str) -> list[int]:
    """The places at which an account's record uses a profile."""
    firms = marshal.loads(record)[8]  # noqa: S302 - our own bytes
    return [pos for firm in firms for used, pos in firm[4] if used == name]
