"""The approvals that a plan came with: found and read."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from amsctl.cli.files import json_value, read_content

if TYPE_CHECKING:
    from amsctl.approvals.reviews import Reviews
    from amsctl.config import GuardName
    from amsctl.operations.authorise import Evidence

SUFFIX = ".approval.json"


def approval_file(plan: str, name: str) -> str:
    """Where an approval of a plan file is kept: beside it, so that apply finds it."""
    kept = "".join(letter if (letter.isalnum() and letter.isascii()) or letter in "._-" else "-" for letter in name)
    return f"{plan.removesuffix('.json')}.{kept}{SUFFIX}"


def evidence_of(
    file: str | None, approvals: Sequence[str], reviews: str | None, overrides: tuple[GuardName, ...], merged: str | None
) -> Evidence:
    """What was brought along: the approvals named and those that lie beside the plan file, the reviews, the overrides and the merged commit."""
    from amsctl.approvals.approval import decode_approval
    from amsctl.operations.authorise import Evidence

    beside = [] if file is None else glob.glob(f"{glob.escape(file.removesuffix('.json'))}.*{SUFFIX}")
    paths = dict.fromkeys(map(os.path.normpath, (*sorted(beside), *approvals)))
    return Evidence(
        approvals=tuple(decode_approval(json_value(read_content(path), path), path) for path in paths),
        reviews=read_reviews(reviews),
        overrides=overrides,
        merged=merged,
    )


def read_reviews(path: str | None) -> Reviews | None:
    """The reviews in a file; ``None`` where none is named."""
    from amsctl.approvals.reviews import decode_reviews

    return None if path is None else decode_reviews(json_value(read_content(path), path), path)
