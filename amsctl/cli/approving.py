"""The approvals that a plan came with: found, read and judged before it is carried out."""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from amsctl.cli.files import json_value, read_content
from amsctl.errors import Stale

if TYPE_CHECKING:
    from amsctl.approving import Given
    from amsctl.cli.session import Session
    from amsctl.config import GuardName
    from amsctl.planning.plan import Plan

SUFFIX = ".approval.json"


def approval_file(plan: str, name: str) -> str:
    """Where an approval of a plan file is kept: beside it, so that apply finds it."""
    kept = "".join(letter if (letter.isalnum() and letter.isascii()) or letter in "._-" else "-" for letter in name)
    return f"{plan.removesuffix('.json')}.{kept}{SUFFIX}"


def agreed_to(
    session: Session, plan: Plan, file: str, approvals: Sequence[str], reviews: str | None, overrides: Sequence[GuardName]
) -> tuple[Mapping[str, object], ...]:
    """The approvals of a saved plan that count. ApprovalMissing when they are not enough. Where reviews are what counts, they are of a commit and not of
    this file: it must be what that commit gives.
    """
    from amsctl.ams.clock import SystemClock
    from amsctl.approving import approved
    from amsctl.config import ApprovalSource

    given = _given(file, approvals, reviews)
    counted = approved(plan, session.project(), given, SystemClock(), overrides, branch=_branch(session))
    if any(one["how"] != ApprovalSource.SIGNATURES and one["how"] != "signature" for one in counted):
        _check_made_of_it(session, plan)
    return counted


def _branch(session: Session) -> str | None:
    """The branch of record, as the job's event names it, or the project outside of a pipeline."""
    from amsctl.provenance.pipeline import pipeline_of

    pipeline = pipeline_of(session.environ)
    if pipeline is None:
        return session.project().base_branch
    return pipeline.branch if isinstance(pipeline.branch, str) and pipeline.branch else None


def _given(file: str, approvals: Sequence[str], reviews: str | None) -> Given:
    from amsctl.approvals.approval import decode_approval
    from amsctl.approvals.reviews import decode_reviews
    from amsctl.approving import Given

    beside = glob.glob(f"{glob.escape(file.removesuffix('.json'))}.*{SUFFIX}")
    paths = dict.fromkeys(map(os.path.normpath, (*sorted(beside), *approvals)))
    return Given(
        approvals=tuple(decode_approval(json_value(read_content(path), path), path) for path in paths),
        reviews=None if reviews is None else decode_reviews(json_value(read_content(reviews), reviews), reviews),
    )


def _check_made_of_it(session: Session, plan: Plan) -> None:
    """Stale unless planning again gives the same changes and calls."""
    from amsctl.cli.planning import make_plan

    base = plan.origin.base
    fresh = make_plan(session, plan.origin.selection, base=None if base is None else base.commit)
    if (fresh.changes, fresh.steps, fresh.guards) != (plan.changes, plan.steps, plan.guards):
        raise Stale(
            "the plan is not what these manifests give on what is live now",
            where=file_words(plan),
            hint="plan again, and have that plan reviewed",
        )


def file_words(plan: Plan) -> str:
    """Which plan it is, in a message."""
    git = plan.origin.git
    return plan.digest[:19] if git is None else f"{plan.digest[:19]} of commit {git.commit[:12]}"
