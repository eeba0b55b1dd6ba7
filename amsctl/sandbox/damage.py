"""Ways in which an answer's body, or its framing, can be broken: each a function from a good answer to a bad one. Standard library only."""

from __future__ import annotations

import dataclasses
import functools
import gzip
import json
import zlib
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final, TypeAlias

from amsctl.sandbox.endpoints import Answer
from amsctl.sandbox.rendering import encode

Damage: TypeAlias = Callable[[Answer], Answer]

_BOMB_BYTES: Final = 256 * 1024 * 1024
_SIDES: Final = ("efLimits", "cmfLimits")


def damaged(answer: Answer, variant: str) -> Answer:
    """The answer, damaged in this way. Raises ``KeyError`` for an unknown variant."""
    return MALFORMED[variant](answer)


def _bytes(change: Callable[[bytes], bytes]) -> Damage:
    return lambda answer: dataclasses.replace(answer, body=change(answer.body))


def _headed(content_type: str) -> Damage:
    return lambda answer: dataclasses.replace(answer, content_type=content_type)


def _encoded(encoding: str, change: Callable[[bytes], bytes]) -> Damage:
    return lambda answer: dataclasses.replace(answer, body=change(answer.body), headers=(*answer.headers, ("Content-Encoding", encoding)))


def _document(change: Callable[[dict[str, Any]], object]) -> Damage:
    """Change the decoded object in place, or give another one; what is no JSON object already is left as it is."""

    def damage(answer: Answer) -> Answer:
        try:
            document = json.loads(answer.body)
        except ValueError:
            return answer
        if not isinstance(document, dict):
            return answer
        changed = change(document)
        return dataclasses.replace(answer, body=encode(document if changed is None else changed))

    return damage


def _limits(change: Callable[[Any], object]) -> Damage:
    """Change every leg of the first row; an answer without rows is left with a field that is wrong in the same way."""

    def apply(document: dict[str, Any]) -> None:
        rows = document.get("limits") or [document]
        for side in _SIDES:
            legs = rows[0].get(side) or {"short": 1, "long": 1}
            rows[0][side] = {leg: change(amount if isinstance(amount, int) else 1) for leg, amount in legs.items()}

    return _document(apply)


def _text_limits(text: bytes) -> Damage:
    """Write the first row's legs as this raw text, which need not be JSON."""
    mark = "@leg@"
    marked = _limits(lambda amount: mark)
    return lambda answer: dataclasses.replace(answer, body=marked(answer).body.replace(f'"{mark}"'.encode(), text))


def _rows(change: Callable[[list[Any]], None]) -> Damage:
    """Change the list of rows (execution firms, accounts) in place."""

    def apply(document: dict[str, Any]) -> None:
        for name in ("limits", "executionFirms", "clearingAccounts", "products", "entitlements"):
            if isinstance(document.get(name), list):
                change(document[name])
                return

    return _document(apply)


def _set(name: str, value: object) -> Damage:
    return _document(lambda document: document.__setitem__(name, value))


def _first(name: str, value: object) -> Damage:
    def change(rows: list[Any]) -> None:
        if rows and isinstance(rows[0], dict):
            rows[0][name] = value

    return _rows(change)


def _without(name: str) -> Damage:
    def change(rows: list[Any]) -> None:
        if rows and isinstance(rows[0], dict):
            rows[0].pop(name, None)

    return _rows(change)


def _every_row(change: Callable[[dict[str, Any]], object]) -> Damage:
    """Change every row of limits in place; an answer without rows is left as it is."""

    def apply(document: dict[str, Any]) -> None:
        rows = document.get("limits")
        for row in rows if isinstance(rows, list) else ():
            change(row)

    return _document(apply)


def _side(side: str, change: Callable[[dict[str, Any]], object]) -> Damage:
    """Show one side of every row otherwise: ``change`` takes its legs and gives what stands in their place."""
    return _every_row(lambda row: row.update({side: change(row.get(side) or {})}))


def _renamed(old: str, new: str) -> Damage:
    return _every_row(lambda row: row.update({new: row.pop(old, None)}))


def _legs_in_capitals(row: dict[str, Any]) -> None:
    for side in _SIDES:
        row[side] = {leg.title(): amount for leg, amount in (row.get(side) or {}).items()}


def _names(*names: str) -> Damage:
    """Leave out what an answer about one account, or a listing, names beside its list."""

    def apply(document: dict[str, Any]) -> None:
        for name in names:
            document.pop(name, None)
            for entry in document.get("clearingAccounts", ()):
                if isinstance(entry, dict) and "efId" not in entry:
                    entry.pop(name, None)

    return _document(apply)


def _partial(answer: Answer) -> Answer:
    """A good answer as a part of itself."""
    if answer.status != HTTPStatus.OK:
        return answer
    size = len(answer.body)
    return dataclasses.replace(
        answer, status=HTTPStatus.PARTIAL_CONTENT, headers=(*answer.headers, ("Content-Range", f"bytes 0-{size - 1}/{2 * size}"))
    )


def _twin_row(rows: list[Any]) -> None:
    """The first row once more at the end, with other numbers."""
    if not rows or not isinstance(rows[0], dict):
        return
    twin = json.loads(json.dumps(rows[0]))
    for side in _SIDES:
        if isinstance(twin.get(side), dict):
            twin[side] = {leg: 1 if amount != 1 else 2 for leg, amount in twin[side].items()}
    rows.append(twin)


def _rows_as_object(document: dict[str, Any]) -> None:
    for name in ("limits", "executionFirms", "clearingAccounts", "products", "entitlements"):
        if isinstance(document.get(name), list):
            document[name] = {str(i): row for i, row in enumerate(document[name])}


def _no_rows_key(document: dict[str, Any]) -> None:
    for name in ("limits", "executionFirms", "clearingAccounts", "products", "entitlements"):
        document.pop(name, None)


def _duplicate_key(body: bytes) -> bytes:
    """Name each list twice in the root object, the empty one first."""
    return b'{"limits":[],"executionFirms":[],"clearingAccounts":[],' + body[1:]


@functools.cache
def _bomb() -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    chunk = b" " * (1024 * 1024)
    return b"".join([packer.compress(b'{"limits":['), *(packer.compress(chunk) for _ in range(_BOMB_BYTES // len(chunk))), packer.flush()])


def _framed(frame: Callable[[bytes], bytes]) -> Damage:
    """Bytes written to the connection as they are, which is then closed."""
    return lambda answer: dataclasses.replace(answer, wire=frame(answer.body))


def _head(*lines: str) -> bytes:
    return "\r\n".join(("HTTP/1.1 200 OK", "Content-Type: application/json", "Connection: close", *lines, "", "")).encode()


MALFORMED: Final[Mapping[str, Damage]] = {
    "truncated": _bytes(lambda body: body[: len(body) // 2]),
    "trailing_garbage": _bytes(lambda body: body + b"}garbage"),
    "two_documents": _bytes(lambda body: body + b"\n" + body),
    "nan": _text_limits(b"NaN"),
    "infinity": _text_limits(b"-Infinity"),
    "exponent_limits": _text_limits(b"1e3"),
    "zero_padded_limits": _text_limits(b"0600"),
    "float_limits": _limits(lambda amount: amount + 0.5),
    "whole_float_limits": _limits(float),
    "string_limits": _limits(str),
    "negative_limits": _limits(lambda amount: -amount - 1),
    "huge_limits": _text_limits(b"9" * 5000),
    "large_limits": _limits(lambda amount: 2**63),
    "bool_limits": _limits(lambda amount: True),
    "list_limits": _limits(lambda amount: [amount]),
    "word_limits": _limits(lambda amount: "several"),
    "duplicate_keys": _bytes(_duplicate_key),
    "duplicate_row": _rows(_twin_row),
    "root_list": _document(lambda document: [document]),
    "root_string": _document(lambda document: "Successful"),
    "root_null": _bytes(lambda body: b"null"),
    "root_number": _document(lambda document: 200),
    "empty_object": _document(lambda document: {}),
    "rows_as_object": _document(_rows_as_object),
    "rows_missing": _document(_no_rows_key),
    "rows_of_null": _rows(lambda rows: rows.append(None)),
    "ef_side_absent": _every_row(lambda row: row.pop("efLimits", None)),
    "cmf_side_absent": _every_row(lambda row: row.pop("cmfLimits", None)),
    "ef_side_null": _side("efLimits", lambda legs: None),
    "cmf_side_null": _side("cmfLimits", lambda legs: None),
    "ef_side_empty": _side("efLimits", lambda legs: {}),
    "cmf_side_empty": _side("cmfLimits", lambda legs: {}),
    "ef_side_one_legged": _side("efLimits", lambda legs: {"long": legs.get("long")}),
    "cmf_side_one_legged": _side("cmfLimits", lambda legs: {"short": legs.get("short")}),
    "cmf_side_word": _side("cmfLimits", lambda legs: "Unlimited"),
    "legs_word": _side("cmfLimits", lambda legs: {"short": "Unlimited", "long": "Unlimited"}),
    "legs_more": _side("efLimits", lambda legs: {**legs, "max": 1}),
    "ef_side_misspelt": _renamed("efLimits", "efLimit"),
    "cmf_side_misspelt": _renamed("cmfLimits", "CmfLimits"),
    "sides_misspelt_too": _every_row(lambda row: row.update({"efLimit": row.get("efLimits")})),
    "legs_misspelt": _every_row(_legs_in_capitals),
    "no_names": _names("service", "clearingFirm", "accountNumber"),
    "no_service": _names("service"),
    "no_firm": _names("clearingFirm"),
    "no_account": _names("accountNumber"),
    "partial_content": _partial,
    "wrong_account": _set("accountNumber", "SOMEONE-ELSE"),
    "wrong_firm": _set("clearingFirm", "ANOTHER_FIRM"),
    "wrong_service": _set("service", "CPC"),
    "no_ef_id": _without("efId"),
    "ef_id_number": _first("efId", 27),
    "no_product": _without("product"),
    "suspended_unknown": _first("suspended", "MAYBE"),
    "suspended_bool": _first("suspended", True),
    "status_unknown": _first("status", "Sleeping"),
    "deep_nesting": _bytes(lambda body: b'{"limits":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "empty_body": _bytes(lambda body: b""),
    "blank_body": _bytes(lambda body: b" \r\n\t "),
    "bom": _bytes(lambda body: b"\xef\xbb\xbf" + body),
    "utf16": _bytes(lambda body: body.decode().encode("utf-16")),
    "invalid_utf8": _bytes(lambda body: body.replace(b'":"', b'":"\xff\xfe', 1)),
    "lone_surrogate": _bytes(lambda body: body.replace(b'":"', b'":"\\ud800', 1)),
    "nul_bytes": _bytes(lambda body: body + b"\x00" * 8),
    "control_characters": _bytes(lambda body: body.replace(b'":"', b'":"\x1b[31m\x07', 1)),
    "single_quotes": _bytes(lambda body: body.replace(b'"', b"'")),
    "comments": _bytes(lambda body: b"// limits of the day\n" + body),
    "content_type_html": _headed("text/html"),
    "content_type_absent": _headed(""),
    "gzip_plain": _encoded("gzip", lambda body: body),
    "gzip_truncated": _encoded("gzip", lambda body: gzip.compress(body)[:-12]),
    "gzip_bomb": _encoded("gzip", lambda body: _bomb()),
    "encoding_unknown": _encoded("rot13", lambda body: body),
    "content_length_long": _framed(lambda body: _head(f"Content-Length: {len(body) + 100}") + body),
    "content_length_short": _framed(lambda body: _head(f"Content-Length: {max(0, len(body) - 10)}") + body),
    "content_length_twice": _framed(lambda body: _head(f"Content-Length: {len(body)}", f"Content-Length: {len(body) // 2}") + body),
    "chunk_cut": _framed(lambda body: _head("Transfer-Encoding: chunked") + f"{len(body):x}\r\n".encode() + body[: len(body) // 2]),
    "chunk_size_bad": _framed(lambda body: _head("Transfer-Encoding: chunked") + b"zz\r\n" + body + b"\r\n0\r\n\r\n"),
    "not_http": _framed(lambda body: b"220 mail.example ESMTP ready\r\n"),
    "header_cut": _framed(lambda body: b"HTTP/1.1 200 OK\r\nContent-Ty"),
}
"""Every kind of damage by name."""
