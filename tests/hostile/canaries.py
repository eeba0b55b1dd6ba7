"""Secrets that must not come out: a search for them, in every encoding, over whatever the tests of the whole suite print or leave behind.

Three kinds are looked for. ``CANARIES`` stand for the whole session: the shared fixtures carry them, so that every ordinary test does. Whatever else a test
configures as a secret (a client secret, the password in a ledger's address, the key of a certificate) is looked for until that test ends. And a test may
register its own.

Searched are all that a console says, all that pytest captures, the output of every process that is waited for, and every file below a test's ``tmp_path``
or a folder of the session. A file that still holds just what the test itself wrote into it is its input, and may hold a secret.
"""

from __future__ import annotations

import re
from base64 import b64encode, urlsafe_b64encode
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit

SHORTEST: Final = 10
"""Shorter secrets (``x``, ``secret``) are words of ordinary texts."""
MOST: Final = 64
"""Of the secrets that one test configures so many are looked for, the latest ones: a test that makes thousands would search for ever."""
LARGEST_FILE: Final = 64 << 20

API_ID: Final = "API_CANARY"
CANARIES: Final = {
    "the client secret": "Cn01/clientSecret+key%1",
    "the Basic password": "Cn02/basicPassword+key%2",
    "the session password": "Cn03/logonPassword+key%3",
    "the bearer token": "Cn04-bearerToken.key_4",
    "the refresh token": "Cn05-refreshToken.key_5",
    "the ID token": "Cn06-idToken.key_6",
    "the session cookie": "Cn07-sessionCookie.key_7",
    "the proxy's password": "Cn08/proxyPassword+key%8",
    "the ledger's password": "Cn09/ledgerPassword+key%9",
    "a secret written into the project file": "Cn10/literalSecret+key%0",
    "another secret of the environment": "Cn11/ciJobToken+key%1",
}
"""And the twelfth: a line of each TLS key, made for each run."""
SECRET_VARIABLE: Final = "AMS_SECRET"
ENVIRON: Final = {
    SECRET_VARIABLE: CANARIES["the Basic password"],
    "AMS_PROXY": "http://robot:" + quote(CANARIES["the proxy's password"], safe="") + "@127.0.0.1:9",
    "AMS_LEDGER": "postgresql://robot:" + quote(CANARIES["the ledger's password"], safe="") + "@127.0.0.1:9/ledger?connect_timeout=1",
    "CI_JOB_TOKEN": CANARIES["another secret of the environment"],
}
"""What stands in the environment of every test and of every process that one starts."""
AUTH: Final = f'{{type: basic, clientId: {API_ID}, clientSecret: "${{{SECRET_VARIABLE}}}"}}'
"""How the project files of the shared fixtures log on."""


def encodings(text: str) -> tuple[str, str, str, str]:
    """The four of the specification: raw, URL encoded, base64, and as the header of Basic."""
    basic = b64encode(f"{API_ID}:{text}".encode()).decode()
    return (text, quote(text, safe=""), b64encode(text.encode()).decode(), f"Authorization: Basic {basic}")


@lru_cache(maxsize=4096)
def forms(text: str) -> frozenset[bytes]:
    """The text raw, URL encoded, as JSON and Python write it, and in base64 wherever it stands in what was encoded (so for ``user:text``, too)."""
    found = {text, quote(text, safe=""), quote_plus(text), quote(text), repr(text)[1:-1], text.replace("/", "\\/")}
    return frozenset({form.encode("utf-8", "surrogatepass") for form in found} | set(_base64_forms(text.encode("utf-8", "surrogatepass"))))


def _base64_forms(content: bytes) -> Iterator[bytes]:
    """The part of its base64 that does not depend on what stands before and after it, for each of the three ways in which it can lie."""
    for offset in range(3):
        for encode in (b64encode, urlsafe_b64encode):
            whole = encode(b"\0" * offset + content)
            end = {0: 0, 1: 3, 2: 2}[(offset + len(content)) % 3]
            yield whole[(0, 2, 3)[offset] : len(whole) - end]


def passwords(address: str) -> set[str]:
    """Every password of a ledger's address, as it stands there and as it is meant; of one that is no address, too."""
    found = set(re.findall(r"//[^/@]*?:([^/]*)@", address))
    try:
        parts = urlsplit(address)
        found |= {parts.password or ""}
        found |= {value for name, value in parse_qsl(parts.query) if "pass" in name}
    except ValueError:
        pass
    return {form for one in found if one for form in (one, unquote(one))}


class Hunt:
    """What is looked for, what was found since it was last asked, and how much was searched."""

    def __init__(self) -> None:
        self._standing: dict[bytes, str] = {}
        self._names: dict[bytes, str] = {}
        self._secrets: dict[str, None] = {}
        self._inputs: dict[Path, int | None] = {}
        self._searched: set[Path] = set()
        self.found: list[str] = []
        self.texts = self.files = self.bytes = 0
        self.carried: Counter[str] = Counter()

    # --- what is looked for ---

    def stand(self, name: str, text: str) -> None:
        """Look for this text to the end of the session."""
        self._standing.update(dict.fromkeys(forms(text), name))

    def register(self, name: str, text: str) -> None:
        """Look for this text until the test ends."""
        if len(text) < SHORTEST:
            return
        for form in forms(text):
            if form not in self._standing:
                self._names.setdefault(form, name)

    def secret(self, text: str) -> None:
        """Look for what a test configures as a secret; of a ledger's address, for the password, too.

        A ledger that is a file has an address that may be told, and a reference to the environment is what should be written.
        """
        if text.startswith("sqlite:") or re.fullmatch(r"(\$\{\w+\})+", text):
            return
        texts = {text, *passwords(text)} if "://" in text else {text}
        for one in texts:
            self.carried[next((name for name, canary in CANARIES.items() if canary in one), "")] += 1
            if len(one) >= SHORTEST and one not in self._secrets:
                self._secrets[one] = None
                self.register("a secret that the test configured", one)
        while len(self._secrets) > MOST:
            oldest = next(iter(self._secrets))
            del self._secrets[oldest]
            for form in forms(oldest):
                self._names.pop(form, None)

    def input(self, path: Path, content: bytes | None = None) -> Path:
        """A file that the test itself wrote a secret into; with ``content``, for as long as it holds that."""
        self._inputs[path.absolute()] = None if content is None else hash(content)
        return path

    def holds(self, content: bytes) -> bool:
        """Whether one of the secrets is in it."""
        return any(needle in content for needle in (*self._standing, *self._names))

    # --- where it is looked for ---

    def search(self, text: str | bytes, where: str) -> None:
        """Note it when a secret is in the text."""
        content = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
        self.texts += 1
        self.bytes += len(content)
        for needles in (self._standing, self._names):
            # One after the other, each at the speed of memory; one pattern of them all is a hundred times slower. A test's thread may register more.
            for needle, name in list(needles.items()):
                at = content.find(needle)
                if at >= 0:
                    self.found.append(f"{name} in {where}: …{content[max(0, at - 60) : at + len(needle) + 20]!r}…")

    def search_files(self, folder: Path) -> int:
        """Search every file below the folder; how many there were."""
        count = 0
        self._searched.add(folder)
        for path in sorted(folder.rglob("*")):
            try:
                if path.is_symlink() or not path.is_file() or path.stat().st_size > LARGEST_FILE:
                    continue
                content = path.read_bytes()
            except OSError:  # it has gone, or belongs to somebody else
                continue
            known = self._inputs.get(path.absolute(), 0)
            if path.absolute() not in self._inputs or known not in (None, hash(content)):
                self.search(content, str(path))
                self.texts -= 1
                self.files += 1
                count += 1
        return count

    def search_rest(self, base: Path) -> None:
        """Search the folders of the session that no test has searched as its own."""
        for folder in sorted(base.iterdir()) if base.is_dir() else ():
            if folder.is_dir() and not folder.is_symlink() and folder not in self._searched:
                self.search_files(folder)

    # --- what came of it ---

    def taken(self) -> list[str]:
        """What was found since this was last asked."""
        found, self.found = self.found, []
        return found

    def forget(self) -> None:
        """Begin anew, for the next test."""
        self._names.clear()
        self._secrets.clear()
        self.found.clear()

    def bites(self, folder: Path) -> list[str]:
        """What this search would not find, of each canary in each encoding, in a text and in a file: nothing."""
        missed, self.found = [], []
        counted = (self.texts, self.files, self.bytes)
        for name, canary in CANARIES.items():
            for number, encoded in enumerate(encodings(canary)):
                self.search(f"before {encoded} after", "a text")
                place = folder / f"{number}.bin"
                place.write_bytes(b"\0before")
                with place.open("ab") as written:
                    written.write(f"{encoded}\0after".encode())
                self.search_files(folder)
                place.unlink()
                told = self.taken()
                missed += [f"{name}, encoding {number}, {kind}" for kind in ("a text", str(place)) if not any(kind in one for one in told)]
        self.texts, self.files, self.bytes = counted
        return missed


HUNT: Final = Hunt()
"""The one of this process."""
for _name, _canary in CANARIES.items():
    HUNT.stand(_name, _canary)
