"""Bytes of an answer → one JSON object, or a sentence that says why not. Pure, and bounded whatever the bytes are.

A decoder that is generous here would let a truncated or doubled answer look like a smaller account, so nothing is repaired.
"""

from __future__ import annotations

import json
import re
import zlib
from typing import Final

MAX_DEPTH: Final = 64
MAX_RATIO: Final = 100
RATIO_FREE_BYTES: Final = 64 * 1024
MAX_DIGITS: Final = 18
_STEP: Final = 64 * 1024


class NotUsable(ValueError):
    """Why a body cannot be read, as one sentence for a person. Never holds the body itself."""


class Inflater:
    """A body as it comes in: counted, inflated when it is gzip, and cut off at its bounds.

    ``max_bytes`` bounds the decoded size; beyond the first 64 KiB it may also be at most 100 times the size that came over the wire.
    """

    def __init__(self, encoding: str, max_bytes: int) -> None:
        encoding = encoding.strip().lower()
        if encoding not in {"", "identity", "gzip", "x-gzip"}:
            raise NotUsable("its content encoding is neither gzip nor identity")
        self._zlib = zlib.decompressobj(wbits=31) if "gzip" in encoding else None
        self._max_bytes = max_bytes
        self._parts: list[bytes] = []
        self.raw_bytes = 0
        self.size = 0

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes; NotUsable as soon as a bound is passed."""
        self.raw_bytes += len(chunk)
        if self._zlib is None:
            self._keep(chunk)
            return
        try:
            while chunk:
                self._keep(self._zlib.decompress(chunk, _STEP))
                chunk = self._zlib.unconsumed_tail
        except zlib.error:
            raise NotUsable("its gzip encoding is broken") from None
        if self._zlib.unused_data:
            raise NotUsable("bytes follow the end of its gzip encoding")

    def _keep(self, part: bytes) -> None:
        self.size += len(part)
        if self.size > self._max_bytes:
            raise NotUsable(f"it is larger than {self._max_bytes} bytes")
        if self.size > RATIO_FREE_BYTES and self.size > MAX_RATIO * self.raw_bytes:
            raise NotUsable(f"it inflates to more than {MAX_RATIO} times its size")
        self._parts.append(part)

    def finish(self) -> bytes:
        """The whole decoded body; NotUsable when gzip ended too early."""
        if self._zlib is not None and self.raw_bytes and not self._zlib.eof:
            raise NotUsable("its gzip encoding ends too early")
        return self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)


def check_content_type(content_type: str) -> None:
    """Accept JSON's media types in UTF-8, and a missing header (CME does not document it); NotUsable for anything else."""
    media, _, parameters = content_type.strip().lower().partition(";")
    media = media.strip()
    if media in {"text/html", "application/xhtml+xml"}:
        raise NotUsable("it is a web page, not JSON")
    if media and media not in {"application/json", "text/json"} and not (media.startswith("application/") and media.endswith("+json")):
        raise NotUsable("its content type is not JSON")
    charset = re.search(r"charset\s*=\s*\"?([^\s;\"]+)", parameters)
    if charset and charset.group(1) not in {"utf-8", "utf8", "us-ascii"}:
        raise NotUsable("its character set is not UTF-8")


def parse_object(content: bytes) -> dict[str, object]:
    """The JSON object that the bytes are; NotUsable for anything that strict JSON (RFC 8259, UTF-8) does not allow.

    Refused too, though some parsers take them: duplicate keys, NaN and Infinity, more than 64 levels, whole numbers of more than 18 digits, lone
    surrogates, and any root but an object. Floats stay floats, so that whoever expects a limit can refuse them.
    """
    if _is_deep(content):
        raise NotUsable(f"it is nested deeper than {MAX_DEPTH} levels")
    value, reason = _parsed(content)
    if reason:
        raise NotUsable(reason)
    if not isinstance(value, dict):
        raise NotUsable("it is not a JSON object")
    if b"\\u" in content and _SURROGATE.search(content) is not None:
        _check_surrogates(value)
    return value


def _parsed(content: bytes) -> tuple[object, str]:
    """The JSON value, or why there is none. The parser's own errors hold the whole body, so none of them may hang on ours."""
    try:
        text = content.decode("utf-8")
        if _LONG_RUN not in content.translate(_DIGITS_AS_ZERO):
            return json.loads(text, object_pairs_hook=_object, parse_constant=_constant), ""
        return json.loads(text, object_pairs_hook=_object, parse_constant=_constant, parse_int=_whole_number), ""
    except NotUsable as reason:
        return None, str(reason)
    except UnicodeDecodeError:
        return None, "it is not UTF-8"
    except json.JSONDecodeError as error:
        if not content.strip():
            return None, "it is empty"
        page = content.lstrip()[:1] == b"<"
        return None, "it is a web page, not JSON" if page else f"it is not JSON ({error.msg}, line {error.lineno} column {error.colno})"
    except RecursionError:
        return None, f"it is nested deeper than {MAX_DEPTH} levels"


_LONG_RUN: Final = b"0" * (MAX_DIGITS + 1)
_DIGITS_AS_ZERO: Final = bytes.maketrans(b"123456789", b"000000000")
_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")
_NOT_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotUsable("an object has the same key twice")
    return found


def _constant(name: str) -> object:
    raise NotUsable(f"{name} is not JSON")


def _whole_number(digits: str) -> int:
    if len(digits.lstrip("-")) > MAX_DIGITS:
        raise NotUsable(f"a number has more than {MAX_DIGITS} digits")
    return int(digits)


def _is_deep(content: bytes) -> bool:
    """Whether brackets nest too deep. Peels pairs off from the inside, which is quick for what is sane; counts exactly only where that did not settle it."""
    brackets = content.translate(None, _NOT_BRACKETS)
    for _ in range(8):
        shorter = brackets.replace(b"{}", b"").replace(b"[]", b"")
        if not shorter or len(shorter) == len(brackets):
            break
        brackets = shorter
    if len(brackets) <= MAX_DEPTH // 2:
        return False
    return _depth(content) > MAX_DEPTH


_TOKEN: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', re.DOTALL)


def _depth(content: bytes) -> int:
    depth = deepest = 0
    for token in _TOKEN.finditer(content):
        mark = token.group()[:1]
        if mark in b"[{":
            depth += 1
            deepest = max(deepest, depth)
            if deepest > MAX_DEPTH:
                break
        elif mark in b"]}":
            depth -= 1
    return deepest


def _check_surrogates(value: object) -> None:
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            try:
                item.encode()
            except UnicodeEncodeError:
                raise NotUsable("a text holds half a character (a lone surrogate)") from None
        elif isinstance(item, dict):
            waiting.extend(item)
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
