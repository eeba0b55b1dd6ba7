"""Secrets out of foreign text: the one place that decides what of a text that a server or program wrote may be shown. Standard library only.

A server may repeat what it was sent, whole or in part, in an encoding of its own. So a text is masked before it is cut, never after: what a cut leaves of a
secret is no longer recognisable. Masked is every secret whole, and every piece of eight characters or more of it or of one of its encodings.

What holds secrets keeps a :class:`Masks` for as long as they are in use; ``masked`` and ``quoted`` know all that are alive in this process.
"""

from __future__ import annotations

import html
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Final
from urllib.parse import quote, quote_plus
from weakref import WeakSet

MASK: Final = "•••"
PIECE: Final = 8
"""So many characters of a secret in a row are masked; fewer tell little, and stand in ordinary words."""
QUOTED: Final = 80


class Masks:
    """Some secrets, and every form in which they may come back."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._pieces: frozenset[str] = frozenset()
        self._whole: tuple[str, ...] = ()
        self.know(secrets)
        _ALIVE.add(self)

    def know(self, secrets: Iterable[str]) -> None:
        """From now on these are the secrets, in place of those before."""
        forms = {form for secret in secrets if secret for form in _forms(secret)}
        self._whole = tuple(sorted((form for form in forms if len(form) < PIECE), key=len, reverse=True))
        self._pieces = frozenset(form[at : at + PIECE] for form in forms for at in range(len(form) - PIECE + 1))

    def conceal(self, text: str) -> str:
        """The text with every secret masked, and every piece of one."""
        return _shown(text, self.marks(text))

    def marks(self, text: str) -> bytearray:
        """For each character of the text, whether it belongs to a secret."""
        marks = bytearray(len(text))
        for at in range(len(text) - PIECE + 1) if self._pieces else ():
            if text[at : at + PIECE] in self._pieces:
                marks[at : at + PIECE] = _PIECE_OF_MARKS
        for form in self._whole:
            at = text.find(form)
            while at >= 0:
                marks[at : at + len(form)] = b"\1" * len(form)
                at = text.find(form, at + 1)
        return marks

    def __repr__(self) -> str:
        return f"{type(self).__name__}({MASK})"


_ALIVE: Final[WeakSet[Masks]] = WeakSet()
_PIECE_OF_MARKS: Final = b"\1" * PIECE


def _shown(text: str, marks: bytearray) -> str:
    """The text with one mask for each run of marked characters."""
    if not any(marks):
        return text
    runs = groupby(zip(marks, text, strict=True), key=lambda pair: pair[0])
    return "".join(MASK if marked else "".join(letter for _, letter in run) for marked, run in runs)


def masked(text: str) -> str:
    """The text without any secret of any ``Masks`` that is alive."""
    return _shown(text, _all_marks(text))


def _all_marks(text: str) -> bytearray:
    marks = bytearray(len(text))
    for masks in list(_ALIVE):
        for at, mark in enumerate(masks.marks(text)):
            marks[at] |= mark
    return marks


def quoted(value: object, most: int = QUOTED) -> str:
    """A foreign value as a message quotes it: a text as it is, anything else as Python writes it; masked first, then cut after ``most`` characters of it.

    No more of the text is shown for what is masked in it.
    """
    text = value if isinstance(value, str) else repr(value)
    # A piece that begins before the cut is known by the characters after it.
    marks = _all_marks(text[: most + PIECE - 1])
    return _shown(text[:most], marks[:most]) + ("…" if len(text) > most else "")


# --- forms ---


def _forms(secret: str) -> Iterator[str]:
    """The secret as it may come back: raw, percent-encoded, escaped as JSON, HTML and Python do, in hexadecimal, and in base64 wherever it stood in
    what was encoded, which itself may be percent-encoded.
    """
    content = secret.encode("utf-8", "surrogatepass")
    yield from (secret, quote(content, safe=""), quote(content), quote_plus(content), content.hex(), content.hex().upper())
    yield from map(_lower_percent, (quote(content, safe=""), quote(content), quote_plus(content)))
    import json  # not for --help, which masks nothing

    for ascii_only in (True, False):
        escaped = json.dumps(secret, ensure_ascii=ascii_only)[1:-1]
        yield from (escaped, escaped.replace("/", "\\/"))
    yield from (html.escape(secret), html.escape(secret, quote=False), repr(secret)[1:-1])
    for encoded in _base64_forms(content):
        yield from (encoded, quote(encoded, safe=""), _lower_percent(quote(encoded, safe="")), encoded.replace("/", "\\/"))


def _lower_percent(text: str) -> str:
    return re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), text)


def _base64_forms(content: bytes) -> Iterator[str]:
    """Its base64 whole, and the part of it that does not depend on what stands before and after, for each of the three ways in which it can lie."""
    for encode in (b64encode, urlsafe_b64encode):
        yield encode(content).decode().rstrip("=")
        for offset in range(3):
            whole = encode(b"\0" * offset + content).decode()
            end = {0: 0, 1: 3, 2: 2}[(offset + len(content)) % 3]
            yield whole[(0, 2, 3)[offset] : len(whole) - end]
