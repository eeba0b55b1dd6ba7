"""One served stand-in per test module, brought back to its first state before each test, and a client for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from amsctl.sandbox.books import spec_book
from amsctl.sandbox.server import Sandbox, serve
from tests.order import postponed

__all__ = ["postponed"]

FIRM = "GREENTEA_API_CLEARING2"
ACCOUNT = "DV10121801A"
LIMITS = f"/accountLimitsUtilization/clearing/ICC/{FIRM}/{ACCOUNT}"
EF_STATUS = f"/efStatus/clearing/ICC/{FIRM}/{ACCOUNT}"
ELIGIBLE = f"/eligibleProducts/clearing/ICC/{FIRM}/{ACCOUNT}"
ACCOUNTS = f"/accounts/clearing/ICC/{FIRM}"
STATUS = f"/status/clearing/{FIRM}"


def row(ef_id: str = "3N1", product: str = "CJ.FUT.NYMEX", ef: Any = (324, 567), cmf: Any = (9000, 2000)) -> dict[str, Any]:
    """A row as a caller posts it; sides as (long, short)."""
    sides = {"efLimits": {"long": ef[0], "short": ef[1]}, "cmfLimits": {"long": cmf[0], "short": cmf[1]}}
    return {"efId": ef_id, "product": product, **sides}


def body(*rows: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A limits body for the example account."""
    return {"service": "ICC", "clearingFirm": FIRM, "accountNumber": ACCOUNT, "limits": list(rows), **changes}


def ef_body(**suspended: str) -> dict[str, Any]:
    """An EF status body for the example account; ids with an underscore in front."""
    firms = [{"efId": ef_id.lstrip("_"), "suspended": word} for ef_id, word in suspended.items()]
    return {"service": "ICC", "clearingFirm": FIRM, "accountNumber": ACCOUNT, "executionFirms": firms}


@pytest.fixture(scope="module")
def served() -> Iterator[Sandbox]:
    """The stand-in of this module, with the specification's book."""
    with serve(spec_book()) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(served: Sandbox) -> Sandbox:
    """The stand-in, as new."""
    served.reset()
    return served


@pytest.fixture(scope="module")
def connected(served: Sandbox) -> Iterator[httpx.Client]:
    """The client of this module: making one costs more than most tests."""
    with httpx.Client(base_url=served.url, trust_env=False, timeout=10) as client:
        yield client


@pytest.fixture
def client(connected: httpx.Client, sandbox: Sandbox) -> httpx.Client:
    """A client at the base URL of the stand-in, which is as new."""
    return connected


@pytest.fixture
def keys(client: httpx.Client) -> Callable[[httpx.Response], list[tuple[str, str]]]:
    """The (efId, product) pairs of a limits answer."""
    return lambda answer: [(entry["efId"], entry["product"]) for entry in answer.json()["limits"]]
