"""Files that commands read and write: whole or not at all, and every failure told as one line."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from amsctl.errors import AmsctlError, PlanFileError
from amsctl.jsontext import json_value

__all__ = ["FileFailure", "json_value", "read_content", "read_json", "refuse_links", "write_atomically"]

MAX_JSON_BYTES: Final = 1 << 30
"""A plan of a large book has some hundred megabytes; what is larger than this is not one."""

_PRIVATE: Final = 0o600


class FileFailure(AmsctlError):
    """A file could not be read or written."""

    code = "file"


def write_atomically(path: str, text: str | Iterable[str], *, private: bool = False) -> None:
    """The file holds all of the text or is left as it was, and keeps its mode; a new one gets the usual mode. ``private``: readable by its owner
    alone, whatever it was. A link is followed, not replaced, unless it lies in a repository (``refuse_links``); what is no regular file
    (``/dev/stdout``) is written into. Raises FileFailure.
    """
    pieces = [text] if isinstance(text, str) else text
    encoded = (piece.encode("utf-8", "backslashreplace") for piece in pieces)
    try:
        refuse_links(path)
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


def refuse_links(path: str) -> None:
    """FileFailure where the way to a file that is to be written leads over a link inside a git repository: a commit can bring one, and then says where
    the text goes. Links elsewhere are the user's own.
    """
    link = _committable_link(path)
    if link is not None:
        raise FileFailure(
            "the file is not written through a link inside a git repository",
            where=path,
            expected="a path without links, or a place outside of the repository",
            found=f"{link} is a link to {os.readlink(link)}",
            hint="a commit may have put it there: delete the link, or name another file",
        )


_MOST_LINKS: Final = 40
"""As many as Linux follows."""


def _committable_link(path: str) -> str | None:
    """The first link on the way to a path that lies in a repository, where it really is; links are followed one by one, as the system does."""
    absolute = Path(os.path.abspath(os.curdir), path)
    at, ahead, links = absolute.anchor, list(reversed(absolute.parts[1:])), 0
    while ahead and links < _MOST_LINKS:
        part = ahead.pop()
        there = os.path.dirname(at) if part == os.pardir else os.path.join(at, part)
        if not os.path.islink(there):
            at = there
            continue
        if any(os.path.lexists(os.path.join(folder, ".git")) for folder in (at, *map(str, Path(at).parents))):
            return there
        links += 1
        target = Path(at, os.readlink(there))
        at, ahead = target.anchor, [*ahead, *reversed(target.parts[1:])]
    return None


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
