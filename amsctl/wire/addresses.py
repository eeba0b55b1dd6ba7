"""One AMS has one address: spellings that reach the same server are the same text (RFC 3986 §6.2). Pure."""

from __future__ import annotations

import ipaddress
import re
import socket
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

_ESCAPED: Final = re.compile("%([0-9A-Fa-f]{2})")
_UNRESERVED: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_USUAL_PORTS: Final = {"http": 80, "https": 443}
_is_number: Final = re.compile("[0-9]+|0[xX][0-9A-Fa-f]*").fullmatch


@lru_cache(maxsize=1024)
def normalised(url: str) -> str:
    """An address as locks, freezes and plans name it: scheme and host in small letters, the host without its last dot and as the number that it is, no port
    that goes without saying, no ``.`` and ``..`` in the path, nothing percent-encoded that need not be, no slash at the end.

    A text that is no address is given back as it is: ``manifests.addresses.judge_url`` says what is wrong with it.
    """
    try:
        parts = urlsplit(url)
        host, number = parts.hostname or "", parts.port
    except ValueError:
        return url
    if not host.strip("."):
        return url
    port = "" if number is None or number == _USUAL_PORTS.get(parts.scheme) else f":{number}"
    return f"{parts.scheme}://{_host(host)}{port}{_path(parts.path)}"


def _host(text: str) -> str:
    host = _decoded(text).lower().rstrip(".")
    if ":" in host:
        return _version_six(host)
    if _is_number(host.rpartition(".")[2]):
        try:
            # As the resolver reads it: 127.1, 0x7f.0.0.1 and 2130706433 are one machine.
            return socket.inet_ntoa(socket.inet_aton(host))
        except OSError:
            return host
    return host


def _version_six(host: str) -> str:
    try:
        address = ipaddress.IPv6Address(host)
    except ValueError:
        return f"[{host}]"
    inner = address.ipv4_mapped
    return f"[{address}]" if inner is None else str(inner)


def _path(text: str) -> str:
    kept: list[str] = []
    for segment in _decoded(text).split("/")[1:]:
        if segment == "..":
            kept[-1:] = []
        elif segment != ".":
            kept.append(segment)
    return "/".join(["", *kept]).rstrip("/")


def _decoded(text: str) -> str:
    """Without the percent-encodings that say nothing; the others in capitals."""

    def letter(match: re.Match[str]) -> str:
        plain = chr(int(match[1], 16))
        return plain if plain in _UNRESERVED else match[0].upper()

    return _ESCAPED.sub(letter, text)
