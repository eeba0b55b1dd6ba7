"""Bytes become one JSON object or a sentence; nothing is repaired, everything is bounded."""

from __future__ import annotations

import gzip
import time
import tracemalloc
import zlib

import pytest

from amsctl.ams.body import Inflater, NotUsable, check_content_type, parse_object
from tests.patience import unit_seconds

MALFORMED = {
    "empty": b"",
    "blank": b" \n",
    "truncated object": b'{"limits": [',
    "truncated text": b'{"limits": "a',
    "two roots": b"{}{}",
    "trailing text": b"{} x",
    "trailing comma": b'{"a": 1,}',
    "single quotes": b"{'a': 1}",
    "comment": b"{} // ok",
    "NaN": b'{"a": NaN}',
    "Infinity": b'{"a": -Infinity}',
    "leading zero": b'{"a": 010}',
    "plus sign": b'{"a": +1}',
    "hex": b'{"a": 0x10}',
    "underscore": b'{"a": 1_0}',
    "duplicate key": b'{"limits": [], "limits": [1]}',
    "nested duplicate key": b'{"a": {"long": 1, "short": 2, "long": 3}}',
    "huge number": b'{"a": ' + b"9" * 20_000 + b"}",
    "nineteen digits": b'{"a": 1234567890123456789}',
    "array": b"[]",
    "text": b'"limits"',
    "number": b"5",
    "null": b"null",
    "latin-1": '{"a": "é"}'.encode("latin-1"),
    "utf-16": '{"a": 1}'.encode("utf-16"),
    "byte order mark": b'\xef\xbb\xbf{"a": 1}',
    "overlong": b'{"a": "\xc0\xaf"}',
    "raw surrogate": b'{"a": "\xed\xa0\x80"}',
    "lone surrogate": b'{"a": "\\ud800"}',
    "lone surrogate in a key": b'{"b": [{"\\uDC00": 1}]}',
    "control in text": b'{"a": "\n"}',
    "bad escape": b'{"a": "\\x41"}',
    "web page": b"<!DOCTYPE html><html><body>503</body></html>",
    "XML": b"<error/>",
    "deep": b'{"a":' * 65 + b"1" + b"}" * 65,
    "deeper": b'{"a":' + b"[" * 200_000,
    "deep and closed": b'{"a":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    "null byte": b'{"a": 1}\x00',
}


@pytest.mark.parametrize("kind", MALFORMED)
def test_every_kind_of_malformed_body_is_refused_in_a_sentence(kind: str) -> None:
    """38 kinds, each refused fast and without a traceback of another sort."""
    started = time.process_time()
    with pytest.raises(NotUsable) as caught:
        parse_object(MALFORMED[kind])
    assert str(caught.value)
    assert time.process_time() - started < 100 * unit_seconds()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b'{"a": 1}', {"a": 1}),
        (b'{"a": 1.0, "b": 1e3}', {"a": 1.0, "b": 1000.0}),
        (b'{"a": "12345678901234567890"}', {"a": "12345678901234567890"}),
        (b'{"a": 123456789012345678, "b": "12345678901234567890"}', {"a": 123456789012345678, "b": "12345678901234567890"}),
        (b'{"a": "\\ud83d\\ude00"}', {"a": "\U0001f600"}),
        (b'{"a": ' + b"[" * 63 + b"]" * 63 + b"}", None),
        (b'{"a": "' + b"[" * 500 + b'"}', {"a": "[" * 500}),
        (b'{"a": "\\"' + b"{" * 500 + b'", "b": ["]]]]", "}}}}"]}', {"a": '"' + "{" * 500, "b": ["]]]]", "}}}}"]}),
    ],
)
def test_sound_json_is_read(content: bytes, expected: object) -> None:
    """Floats stay floats; long digit runs and brackets inside texts are texts; 64 levels are allowed."""
    found = parse_object(content)
    assert expected is None or found == expected


@pytest.mark.parametrize(
    "kind",
    [
        "",
        "application/json",
        "Application/JSON; charset=UTF-8",
        "application/hal+json",
        "text/json",
        'application/json;charset="utf-8"',
        "application/json; charset=us-ascii",
    ],
)
def test_json_media_types_are_taken(kind: str) -> None:
    """A missing header too: CME does not document it, and the body is parsed strictly anyway."""
    check_content_type(kind)


@pytest.mark.parametrize(
    "kind",
    [
        "text/html",
        "text/html; charset=utf-8",
        "text/plain",
        "application/xml",
        "image/json",
        "application/json; charset=iso-8859-1",
        "json",
    ],
)
def test_other_media_types_are_refused(kind: str) -> None:
    """What says that it is something else is not read as limits."""
    with pytest.raises(NotUsable):
        check_content_type(kind)


def inflate(content: bytes, encoding: str, step: int = 1000, limit: int = 1 << 24) -> bytes:
    inflater = Inflater(encoding, limit)
    for start in range(0, len(content), step):
        inflater.feed(content[start : start + step])
    return inflater.finish()


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "GZIP "])
@pytest.mark.parametrize("step", [1, 7, 1 << 20])
def test_gzip_is_inflated_in_pieces(encoding: str, step: int) -> None:
    """However the bytes are cut."""
    body = b'{"limits": []}' * 50
    assert inflate(gzip.compress(body), encoding, step) == body


def test_plain_bodies_pass_and_are_counted() -> None:
    """identity and no encoding at all."""
    assert inflate(b"abc", "identity") == b"abc"
    inflater = Inflater("", 10)
    inflater.feed(b"abc")
    assert (inflater.finish(), inflater.raw_bytes) == (b"abc", 3)
    assert Inflater("gzip", 10).finish() == b""


@pytest.mark.parametrize("encoding", ["br", "deflate", "zstd", "gzip, gzip", "compress"])
def test_other_encodings_are_refused(encoding: str) -> None:
    """Only what is asked for is decoded."""
    with pytest.raises(NotUsable, match="neither gzip nor identity"):
        Inflater(encoding, 10)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (gzip.compress(b"x" * 5000, mtime=0)[:-1], "too early"),
        (gzip.compress(b"x" * 5000, mtime=0)[:20], "too early"),
        (b"not gzip at all", "broken"),
        (gzip.compress(b"x", mtime=0)[:-8] + b"\x00" * 8, "broken"),
        (gzip.compress(b"x", mtime=0) + b"tail", "follow the end"),
        (gzip.compress(b"{}", mtime=0) + gzip.compress(b"{}", mtime=0), "follow the end"),
        (zlib.compress(b"x"), "broken"),
    ],
)
def test_broken_gzip_is_refused(content: bytes, reason: str) -> None:
    """A truncated stream must not pass for a shorter body."""
    with pytest.raises(NotUsable, match=reason):
        inflate(content, "gzip")


def test_a_bomb_is_cut_off_in_bounded_memory() -> None:
    """300 MiB in 305 KB: refused by the ratio within a few MiB."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(300)) + packer.flush()
    tracemalloc.start()
    with pytest.raises(NotUsable, match="100 times"):
        inflate(bomb, "gzip", step=1000)
    assert tracemalloc.get_traced_memory()[1] < 32 * 1024 * 1024
    tracemalloc.stop()


def test_the_decoded_size_is_bounded() -> None:
    """Plain or inflated."""
    with pytest.raises(NotUsable, match="larger than 100 bytes"):
        inflate(b"x" * 101, "", limit=100)
    with pytest.raises(NotUsable, match="larger than 100 bytes"):
        inflate(gzip.compress(b"x" * 101), "gzip", limit=100)
    assert len(inflate(b"x" * 100, "", limit=100)) == 100
