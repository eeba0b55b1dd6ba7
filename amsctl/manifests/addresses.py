"""Which addresses an environment may have: none that would show or send a credential where it does not belong (AMS §2)."""

from __future__ import annotations

import ipaddress
import re
from typing import Final, NamedTuple
from urllib.parse import SplitResult, urlsplit

from amsctl.wire.addresses import normalised

_CME: Final = ".cmegroup.com"
_ODD_PATH: Final = re.compile("//|;|%")


class Wrong(NamedTuple):
    """What is wrong with an address: code, words, and what to do. The address itself is never repeated: it may hold a password."""

    code: str
    what: str
    expected: str | None = None
    hint: str | None = None


def judge_url(name: str, text: str, *, credentials: bool) -> Wrong | None:
    """What is wrong with the address under the key ``name``, or ``None``. ``credentials`` says whether a secret is sent to it."""
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return Wrong("url", f"{name} is not an address", "https://HOST/…", "check brackets and port")
    if parts.scheme not in ("http", "https") or not host:
        return Wrong("url", f"{name} is not an address", "https://HOST/…")
    if not text.isascii() or not text.isprintable() or " " in text or "\\" in text:
        return Wrong("url", f"{name} holds a blank or another character that no address has", "https://HOST/…")
    if "@" in parts.netloc:
        return Wrong(
            "url-credentials", f"{name} holds a user name or password", "https://HOST/…", "write them as clientId and clientSecret in auth"
        )
    if "?" in text or "#" in text:
        return Wrong("url", f"{name} holds a query or fragment", "https://HOST/…", "remove what begins with ? or #")
    if "%" in host or not host.strip("."):
        return Wrong(
            "url", f"{name} has a host that no server has", "https://HOST/…", "write the host as it is, without % and not dots alone"
        )
    if name == "url" and _ODD_PATH.search(urlsplit(normalised(text)).path):
        return Wrong(
            "url",
            "url holds an empty segment, a ; or an encoded sign in its path: a server may take it for another spelling of an address",
            "https://HOST/rest/v2",
            "one AMS has one address: locks and freezes are found by it",
        )
    if parts.scheme == "http" and credentials and not _is_loopback(host):
        return Wrong(
            "insecure", f"{name} would send credentials unencrypted", "https://HOST/…", "http:// is for 127.0.0.1 and localhost alone"
        )
    return None


def mixed_hosts(url: str, token_url: str) -> Wrong | None:
    """Whether a New Release host stands with the token host of production or the reverse (AMS §2)."""
    ours, theirs = _network(urlsplit(url)), _network(urlsplit(token_url))
    if ours is None or theirs is None or ours == theirs:
        return None
    return Wrong(
        "mixed-environments",
        f"url is of CME's {ours} network and tokenUrl of its {theirs} network",
        f"a token host of {ours}",
        "API IDs are per network: authnr.cmegroup.com serves New Release, auth.cmegroup.com production",
    )


def is_cme(url: str) -> bool:
    """Whether an address is on one of CME's hosts, whose hours are published (AMS §2)."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return False  # ``judge_url`` says what is wrong with it
    return f".{host.rstrip('.').lower()}".endswith(_CME)


def _network(parts: SplitResult) -> str | None:
    """``New Release`` or ``production`` for a host of CME, ``None`` for any other."""
    host = (parts.hostname or "").rstrip(".").lower()
    if not host.endswith(_CME):
        return None
    return "New Release" if host.removesuffix(_CME).split(".")[-1].endswith("nr") else "production"


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
