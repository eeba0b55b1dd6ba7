"""Where each call goes, relative to the environment's URL (AMS §3). Links that a server sends are never followed."""

from __future__ import annotations

from urllib.parse import quote

from amsctl.errors import AmsError
from amsctl.model import SERVICE

FIRMS = "/myFirms/"


def segment(text: str) -> str:
    """One path segment, percent-encoded so that it decodes to exactly ``text``; AmsError for what no URL can carry (empty, ``.``, ``..``, controls).

    An account called ``A?delete=true`` must never turn an update into a delete.
    """
    if text in {"", ".", ".."} or not text.isprintable():
        raise _unfit(text)
    return quote(text, safe="")


def query_value(text: str) -> str:
    """One value of a query string, percent-encoded; AmsError for what no URL can carry (controls, bytes that are no UTF-8)."""
    if not text.isprintable():
        raise _unfit(text)
    return quote(text, safe="")


def _unfit(text: str) -> AmsError:
    return AmsError(f"{text!r} cannot be part of an AMS address", hint="correct the identifier")


def accounts(firm: str) -> str:
    """All accounts of a clearing firm."""
    return f"/accounts/clearing/{SERVICE}/{segment(firm)}"


def limits(firm: str, number: str) -> str:
    """Limits of one account: GET reads, POST writes, POST with ``delete=true`` deletes."""
    return f"/accountLimitsUtilization/clearing/{SERVICE}/{segment(firm)}/{segment(number)}"


def execution_firm_status(firm: str, number: str) -> str:
    """Suspension of the execution firms of one account: GET reads, POST writes."""
    return f"/efStatus/clearing/{SERVICE}/{segment(firm)}/{segment(number)}"


def eligible_products(firm: str, number: str) -> str:
    """Products that may be given a limit, per execution firm."""
    return f"/eligibleProducts/clearing/{SERVICE}/{segment(firm)}/{segment(number)}"


def account_status(firm: str) -> str:
    """Activation of accounts of a clearing firm: POST only."""
    return f"/status/clearing/{segment(firm)}"
