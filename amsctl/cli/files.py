"""Files that commands read and write: whole or not at all, and every failure told as one line."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import tempfile
from collections.abc import Iterable
from typing import Final

from amsctl.errors import AmsctlError, PlanFileError
from amsctl.jsontext import json_value

__all__ = ["FileFailure", "json_value", "read_content", "read_json", "write_atomically"]

MAX_JSON_BYTES: Final = 1 << 30
"""A plan of a large book has some hundred megabytes; what is larger than this is not one."""

_PRIVATE: Final = 0o600


class FileFailure(AmsctlError):
    """A file could not be read or written."""

    code = "file"


def write_atomically(path: str, text: str | Iterable[str], *, private: bool = False) -> None:
    """The file holds all of the text or is left as it was, and keeps its mode; a new one gets the usual mode. ``private``: readable by its owner
    alone, whatever it was. A link is followed, not replaced; what is no regular file (``/dev/stdout``) is written into. Raises FileFailure.
    """
    pieces = [text] if isinstance(text, str) else text
    encoded = (piece.encode("utf-8", "backslashreplace") for piece in pieces)
    try:
        target = os.path.realpath(path)
        mode = _mode(target)
        if mode is not None and not stat.S_ISREG(mode):
            with open(target, "wb") as stream:
                stream.writelines(encoded)
            return
        kept = _usual_mode() if mode is None else stat.S_IMODE(mode)
        _replace(target, encoded, _PRIVATE if private else kept)
    except OSError as error:
        raise FileFailure(f"cannot write the file: {error.strerror}", where=path) from None


def _mode(path: str) -> int | None:
    try:
        return os.stat(path).st_mode
    except FileNotFoundError:
        return None


def _usual_mode() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _replace(target: str, content: Iterable[bytes], mode: int) -> None:
    descriptor, temporary = tempfile.mkstemp(prefix=".amsctl-", dir=os.path.dirname(target))
    try:
        with open(descriptor, "wb") as stream:
            stream.writelines(content)
            stream.flush()
            os.fchmod(stream.fileno(), mode)
            os.fsync(stream.fileno())
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def read_json(path: str) -> object:
    """The JSON value in a file, as :func:`read_content` and :func:`json_value`."""
    return json_value(read_content(path), path)


def read_content(path: str) -> bytes:
    """The bytes of a file (``-``: standard input). Raises FileFailure, or PlanFileError when it is too large to be a plan."""
    try:
        if path == "-" and sys.stdin is None:
            raise FileFailure("standard input is closed", where=path)
        if path == "-":
            content = sys.stdin.buffer.read(MAX_JSON_BYTES + 1)
        else:
            with open(path, "rb") as stream:
                content = stream.read(MAX_JSON_BYTES + 1)
    except OSError as error:
        raise FileFailure(f"cannot read the file: {error.strerror}", where=path) from None
    if len(content) > MAX_JSON_BYTES:
        raise PlanFileError("the file is too large", where=path, expected=f"at most {MAX_JSON_BYTES:,} bytes")
    return content
