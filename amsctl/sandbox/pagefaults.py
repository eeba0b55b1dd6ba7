"""Ways in which a page can be other than it should: each a function of the call and of a way to answer it. Standard library only."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias
from urllib.parse import urlencode

from amsctl.sandbox.endpoints import Answer, Call
from amsctl.sandbox.rendering import encode

Answering: TypeAlias = Callable[[Call], Answer]
_LISTS: Final = ("limits", "clearingAccounts", "executionFirms", "products")


@dataclasses.dataclass(slots=True)
class _Paged:
    """A page being falsified: the call, its true answer decoded, and how to get others."""

    call: Call
    answering: Answering
    document: dict[str, Any]

    @property
    def offset(self) -> int:
        return int(self.call.parameters.get("offset", "1"))

    @property
    def rows(self) -> list[Any]:
        return _flat(self.document)

    @rows.setter
    def rows(self, rows: list[Any]) -> None:
        _unflatten(self.document, rows)

    def all_rows(self) -> list[Any]:
        """Every row of every page, in order."""
        rows: list[Any] = []
        for offset in range(1, 100_000):
            page = self.page(offset)
            if not page:
                break
            rows += page
        return rows

    def page(self, offset: int) -> list[Any]:
        """The true rows of another page."""
        query = urlencode({**self.call.parameters, "offset": str(offset)})
        return _flat(json.loads(self.answering(dataclasses.replace(self.call, query=query)).body))

    def add(self, name: str, by: int) -> None:
        """Change a number of the paging fields, where it is there."""
        if isinstance(self.document.get(name), int):
            self.document[name] += by


def _flat(document: Mapping[str, Any]) -> list[Any]:
    name = next((name for name in _LISTS if isinstance(document.get(name), list)), None)
    if name is None:
        return []
    if name == "products":
        return [
            {"executionFirm": group["executionFirm"], "productList": [entry]} for group in document[name] for entry in group["productList"]
        ]
    return list(document[name])


def _unflatten(document: dict[str, Any], rows: list[Any]) -> None:
    for name in _LISTS:
        if isinstance(document.get(name), list):
            document[name] = rows
            return


def misprinted(call: Call, answering: Answering, variant: str) -> Answer:
    """The answer to a paged call, wrong in this way; an answer that is not a page comes as it is. Raises ``KeyError`` for an unknown variant."""
    misprint = PAGING[variant]
    answer = answering(call)
    document = json.loads(answer.body)
    if answer.status != 200 or "errorType" in document or call.method != "GET":
        return answer
    paged = _Paged(call, answering, document)
    misprint(paged)
    return dataclasses.replace(answer, body=encode(paged.document))


def _loop(paged: _Paged) -> None:
    paged.rows = paged.page(1)


def _endless(paged: _Paged) -> None:
    paged.rows = paged.page(1)
    paged.document["availableOffsets"] = paged.offset + 1


def _duplicate(paged: _Paged) -> None:
    paged.rows = [*paged.rows, *paged.rows[:1]]


def _overlap(paged: _Paged) -> None:
    if paged.offset > 1:
        paged.rows = [*paged.page(paged.offset - 1)[-1:], *paged.rows[1:]]


def _short(paged: _Paged) -> None:
    paged.rows = paged.rows[:-1]


def _missing(paged: _Paged) -> None:
    if paged.offset > 1:
        paged.rows = []


def _first_missing(paged: _Paged) -> None:
    if paged.offset == 1:
        paged.rows = []


def _shifting(paged: _Paged) -> None:
    """A row of the first page went away meanwhile: each later page starts one row late."""
    if paged.offset > 1:
        paged.rows = [*paged.rows[1:], *paged.page(paged.offset + 1)[:1]]


def _shifting_back(paged: _Paged) -> None:
    """A row came in front meanwhile: each later page starts with the last row of the page before."""
    if paged.offset > 1:
        paged.rows = [*paged.page(paged.offset - 1)[-1:], *paged.rows[: -1 if len(paged.page(paged.offset + 1)) else None]]


def _limit_ignored(paged: _Paged) -> None:
    """Half of what was asked for on each page, the fields claiming otherwise; the rest never comes."""
    paged.rows = paged.rows[: len(paged.rows) // 2]


def _all_at_once(paged: _Paged) -> None:
    """Every page carries every row."""
    paged.rows = paged.all_rows()


PAGING: Final[Mapping[str, Callable[[_Paged], None]]] = {
    "loop": _loop,
    "endless": _endless,
    "duplicate": _duplicate,
    "overlap": _overlap,
    "short": _short,
    "missing": _missing,
    "first_missing": _first_missing,
    "shifting": _shifting,
    "shifting_back": _shifting_back,
    "limit_ignored": _limit_ignored,
    "all_at_once": _all_at_once,
    "counts_more": lambda paged: paged.add("counts", 1),
    "counts_less": lambda paged: paged.add("counts", -1),
    "available_more": lambda paged: paged.add("availableOffsets", 1),
    "available_less": lambda paged: paged.add("availableOffsets", -1),
    "available_text": lambda paged: paged.document.update(availableOffsets="many"),
    "available_zero": lambda paged: paged.document.update(availableOffsets=0),
    "available_huge": lambda paged: paged.document.update(availableOffsets=10**12),
    "offset_wrong": lambda paged: paged.add("offset", 1),
    "limit_wrong": lambda paged: paged.add("limit", 1),
}
"""Every kind of false page by name."""
