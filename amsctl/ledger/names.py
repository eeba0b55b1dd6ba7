"""Whose a record is: by the name of its AMS, or, where it was written before there were names, by its address. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from amsctl.errors import LedgerFailed
from amsctl.ledger.values import AMS_NAME
from amsctl.wire.addresses import normalised

_NAME: Final = re.compile(AMS_NAME.removesuffix("$"))


def is_name(ams: str) -> bool:
    """Whether an AMS may be called so."""
    return _NAME.fullmatch(ams) is not None


def check_name(ams: str) -> None:
    """LedgerFailed when this is no name for an AMS: an address, nothing, or a text that one cannot see or say."""
    if not is_name(ams):
        raise LedgerFailed(
            "an AMS cannot be called so",
            expected="letters, digits, dots, dashes and underscores, at most 63",
            found=repr(ams)[:80],
            hint="write ams: NAME into the environment in amsctl.yaml",
        )


class Names:
    """What the AMS at each address of before there were names is called: as a later record says, else as the project does, else by its address."""

    def __init__(self, recorded: Mapping[str, str], project: Mapping[str, str], addresses: tuple[str, ...]) -> None:
        self._recorded = recorded
        self._project = project
        self._addresses = addresses

    def of(self, url: str) -> str:
        """The name of the AMS at an address, however that is spelled; the address where it has none."""
        one = normalised(url)
        return self._recorded.get(url) or self._recorded.get(one) or self._project.get(one) or one

    def before(self, ams: str) -> list[str]:
        """The addresses, as records of before there were names have them, of an AMS."""
        return [url for url in self._addresses if self.of(url) == ams]
