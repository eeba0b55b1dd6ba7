"""The ids that git gives to bytes: what a file that was read is compared by with what a commit holds. Standard library only."""

from __future__ import annotations

import hashlib
from typing import NamedTuple


def object_id(kind: str, content: bytes, *, digits: int) -> str:
    """The id of an object of git: of 40 digits in a repository of SHA-1, of 64 in one of SHA-256."""
    digest = hashlib.sha1(usedforsecurity=False) if digits == 40 else hashlib.sha256()
    digest.update(f"{kind} {len(content)}\0".encode("ascii"))
    digest.update(content)
    return digest.hexdigest()


class BlobIds(NamedTuple):
    """The ids of a file's bytes, and of the same with each CRLF as LF, which are empty where there is none."""

    sha1: str
    sha256: str
    lf_sha1: str = ""
    lf_sha256: str = ""

    def are(self, blob: str) -> bool:
        """Whether these are the bytes of a blob."""
        return blob in {self.sha1, self.sha256}

    def are_but_for_line_ends(self, blob: str) -> bool:
        """Whether they are, once each CRLF is an LF."""
        return bool(blob) and blob in {self.lf_sha1, self.lf_sha256}


def blob_ids(content: bytes) -> BlobIds:
    """The ids that a file of these bytes has."""
    ids = _both(content)
    return BlobIds(*ids, *_both(content.replace(b"\r\n", b"\n"))) if b"\r\n" in content else BlobIds(*ids)


def _both(content: bytes) -> tuple[str, str]:
    return object_id("blob", content, digits=40), object_id("blob", content, digits=64)
