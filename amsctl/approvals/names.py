"""Names of people: when two of them are one, and who is who when several lists, addresses and accounts name the same person."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

_NOREPLY: Final = re.compile(r"^(?:[0-9]+[+-])?(?P<login>[^@+]+)@users\.noreply\.[^@]+$")
"""How GitHub (``1+sam@``) and GitLab (``1-sam@``) hide an address: the account stands in it."""


def folded(name: str) -> str:
    """A name as it is compared: capitals, compatibility forms and the number of blanks make no other person."""
    return " ".join(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold()).split())


def spoken_of(names: Iterable[str]) -> frozenset[str]:
    """The names, folded, with the account of each hidden address: whom they may mean. Conservative: it only ever finds more."""
    found = {folded(name) for name in names} - {""}
    return frozenset(found | {match["login"] for match in map(_NOREPLY.match, found) if match is not None})


@dataclass(frozen=True, slots=True)
class Identities:
    """Who is who: each folded name with all folded names of that person."""

    _people: Mapping[str, frozenset[str]]

    @staticmethod
    def of(groups: Iterable[Iterable[str]]) -> Identities:
        """Groups of names, each of one person; groups that share a name are one person."""
        people: dict[str, set[str]] = {}
        for group in groups:
            names = set(spoken_of(group))
            for name in tuple(names):
                names |= people.get(name, set())
            people.update(dict.fromkeys(names, names))
        return Identities({name: frozenset(names) for name, names in people.items()})

    def person(self, names: Iterable[str]) -> frozenset[str]:
        """All folded names of whom these names mean, those given among them."""
        given = spoken_of(names)
        return given.union(*(self._people.get(name, frozenset()) for name in given))

    def people(self) -> tuple[frozenset[str], ...]:
        """Everybody who is known, once each, in the order of their first name."""
        return tuple(sorted(set(self._people.values()), key=sorted))


def main_name(names: Iterable[str]) -> str:
    """The name that a person goes by in messages: an address where there is one."""
    return min(names, key=lambda name: ("@" not in name, name))
