"""The executor's tests ask what becomes of a plan that was let through; that the door lets it through is asked by the tests of ``operations``."""

from __future__ import annotations

from amsctl.applying.authorised import AuthorisedPlan, grant
from amsctl.planning.plan import Plan


def authorised(plan: Plan) -> AuthorisedPlan:
    """The plan, as if every part of it had been derived and approved: no account was read for that."""
    return grant(plan)
