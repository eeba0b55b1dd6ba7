"""What names may look like (AMS §3.9). The same patterns stand in ``schemas/``; a test compares them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Final

EXECUTION_FIRM: Final = "^[A-Za-z0-9]{3}$"
ACCOUNT_NUMBER: Final = "^(?!\\.{1,2}$)[ -~]{1,20}$"
CLEARING_FIRM: Final = "^[!-~]([ -~]{0,62}[!-~])?$"
PRODUCT: Final = "^[A-Za-z0-9][A-Za-z0-9_+&/-]{0,19}\\.[A-Z][A-Z0-9]{0,9}\\.[A-Z][A-Z0-9]{0,9}$"
NAME: Final = "^[!-~]([ -~]{0,62}[!-~])?$"
"""Profile names and label values."""
LABEL_KEY: Final = "^[!-<>-~]([ -<>-~]{0,62}[!-<>-~])?$"
"""As a name, without ``=``: a selection is written key=value."""
ENVIRONMENT: Final = "^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"

_NUMBER_OF_NOTE: Final = 12
"""Characters that CME's help page allows an account number on Globex today."""
_SPECIAL: Final = re.compile("[^A-Za-z0-9]")


def matcher(pattern: str) -> re.Pattern[str]:
    """A pattern of JSON Schema, whose ``$`` is the very end, as one of Python, whose ``$`` also stands before a last line end."""
    return re.compile(pattern.removesuffix("$") + "\\Z" if pattern.endswith("$") else pattern)


def naming_breach(number: str) -> str | None:
    """How an account number breaks CME's naming rule of today, or ``None``. Older accounts break it, so it is only ever a warning."""
    if len(number) > _NUMBER_OF_NOTE:
        return f"longer than {_NUMBER_OF_NOTE} characters"
    if _SPECIAL.search(number[:2]):
        return "a special character among the first two"
    if _SPECIAL.search(number[-1:]):
        return "a special character at the end"
    return None


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant, or ``None``."""
    choices = sorted(known)
    for choice in choices:
        if choice.casefold() == word.casefold():
            return choice
    close = difflib.get_close_matches(word[:64], choices, n=1, cutoff=0.6)
    return close[0] if close else None


def product_meant(text: str) -> str | None:
    """The product that was probably meant by a text with other separators, blanks or lower case (``cj-fut-nymex``), or ``None``."""
    parts = [part for part in re.split("[^A-Za-z0-9]+", text[:64]) if part]
    candidate = ".".join(parts).upper()
    return candidate if len(parts) == 3 and matcher(PRODUCT).match(candidate) else None
