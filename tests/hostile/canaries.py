"""Secrets that must not come out: a search for them, in every encoding, over whatever the tests of the whole suite print or leave behind.

Two kinds are looked for. Every ``Secret`` that any test configures (a client secret, a ledger's address) is looked for in all that a command prints and
all that pytest captures. Canaries proper are registered by name; they are looked for in every file below the test's ``tmp_path`` besides.
"""

from __future__ import annotations

import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final
from urllib.parse import quote, quote_plus

SHORTEST: Final = 10
"""Shorter secrets (``x``, ``secret``) are words of ordinary texts."""
LARGEST_FILE: Final = 64 << 20


def forms(text: str) -> set[bytes]:
    """The text raw, URL encoded, as JSON and Python write it, and in base64 wherever it stands in what was encoded (so for ``user:text``, too)."""
    found = {text, quote(text, safe=""), quote_plus(text), quote(text), repr(text)[1:-1], text.replace("/", "\\/")}
    return {form.encode() for form in found} | set(_base64_forms(text.encode()))


def _base64_forms(content: bytes) -> Iterator[bytes]:
    """The part of its base64 that does not depend on what stands before and after it, for each of the three ways in which it can lie."""
    for offset in range(3):
        for encode in (b64encode, urlsafe_b64encode):
            whole = encode(b"\0" * offset + content)
            end = {0: 0, 1: 3, 2: 2}[(offset + len(content)) % 3]
            yield whole[(0, 2, 3)[offset] : len(whole) - end]


class Hunt:
    """What is looked for, and what was found since it was last asked."""

    def __init__(self) -> None:
        self._names: dict[bytes, str] = {}
        self._canaries: set[bytes] = set()
        self._patterns: dict[bool, re.Pattern[bytes] | None] = {}
        self._inputs: set[Path] = set()
        self.found: list[str] = []

    def register(self, name: str, text: str, *, canary: bool = True) -> None:
        """Look for this text from now on; a ``canary`` in files, too."""
        if len(text) < SHORTEST:
            return
        for form in forms(text):
            self._names.setdefault(form, name)
            if canary:
                self._canaries.add(form)
        self._patterns.clear()

    def secret(self, text: str) -> None:
        """Look for what a test configures as a secret. A ledger that is a file has an address that may be told."""
        if not text.startswith("sqlite:"):
            self.register("a secret that the test configured", text, canary=False)

    def input(self, path: Path) -> Path:
        """A file that the test itself wrote a canary into."""
        self._inputs.add(path.resolve())
        return path

    def search(self, text: str | bytes, where: str, *, canaries_only: bool = False) -> None:
        """Note it when a secret is in the text."""
        pattern = self._pattern(canaries_only)
        if pattern is None:
            return
        content = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
        for match in pattern.finditer(content):
            self.found.append(f"{self._names[match.group()]} in {where}: …{content[max(0, match.start() - 60) : match.end() + 20]!r}…")

    def search_files(self, folder: Path) -> int:
        """Search every file below the folder for canaries; how many there were."""
        if not self._canaries:
            return 0
        count = 0
        for path in sorted(folder.rglob("*")):
            if path.is_file() and not path.is_symlink() and path.resolve() not in self._inputs and path.stat().st_size <= LARGEST_FILE:
                self.search(path.read_bytes(), str(path), canaries_only=True)
                count += 1
        return count

    def taken(self) -> list[str]:
        """What was found since this was last asked."""
        found, self.found = self.found, []
        return found

    def forget(self) -> None:
        """Begin anew, for the next test."""
        self._names.clear()
        self._canaries.clear()
        self._patterns.clear()
        self._inputs.clear()
        self.found.clear()

    def _pattern(self, canaries_only: bool) -> re.Pattern[bytes] | None:
        if canaries_only not in self._patterns:
            needles: Iterable[bytes] = self._canaries if canaries_only else self._names
            text = b"|".join(re.escape(each) for each in sorted(needles, key=len, reverse=True))
            self._patterns[canaries_only] = re.compile(text) if text else None
        return self._patterns[canaries_only]


HUNT: Final = Hunt()
"""The one of this process."""
