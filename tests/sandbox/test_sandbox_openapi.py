"""The OpenAPI document is true: generated requests never break the stand-in, and its answers are as the document says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance, status_code_conformance

from amsctl.sandbox.openapi import openapi
from amsctl.sandbox.server import Sandbox
from tests.conftest import CAMPAIGN

from .conftest import ACCOUNT, FIRM

schema = schemathesis.openapi.from_dict(openapi())
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
KNOWN = {"clearingFirm": FIRM, "accountNumber": ACCOUNT, "owner": "Account Owner"}


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    """One connection for all generated calls."""
    with requests.Session() as session:
        session.trust_env = False
        yield session


def test_the_document_is_served_to_everybody(client: httpx.Client) -> None:
    assert client.get("/openapi.json").json() == openapi()


@schema.parametrize()
@settings(max_examples=5 * CAMPAIGN, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
def test_generated_calls_are_answered_as_described(case: Any, served: Sandbox, session: requests.Session) -> None:
    case.call_and_validate(base_url=served.url, checks=CHECKS, session=session)


@schema.parametrize()
@settings(max_examples=8 * CAMPAIGN, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
def test_generated_calls_to_a_known_account_are_answered_as_described(case: Any, served: Sandbox, session: requests.Session) -> None:
    """With real names in path and body, so that the generated rest gets past the first checks."""
    for name in case.path_parameters or {}:
        case.path_parameters[name] = KNOWN[name]
    if isinstance(case.body, dict):
        case.body |= {name: value for name, value in KNOWN.items() if name in case.body}
    case.call_and_validate(base_url=served.url, checks=CHECKS, session=session)


def test_every_call_of_the_interface_is_described() -> None:
    described = {(method.upper(), path.split("/")[1]) for path, methods in openapi()["paths"].items() for method in methods}
    assert described == {
        ("GET", "myFirms"), ("GET", "accounts"), ("GET", "eligibleProducts"), ("GET", "accountLimitsUtilization"),
        ("POST", "accountLimitsUtilization"), ("GET", "efStatus"), ("POST", "efStatus"), ("POST", "status"),
    }  # fmt: skip
