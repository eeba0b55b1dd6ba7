"""Answers that are odd in ways that must not matter, or that repeat what they must not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from amsctl.ams.client import open_reader
from amsctl.ams.writer import open_writer
from amsctl.config import Auth, AuthType, Secret
from amsctl.errors import AmsError, AmsMalformed, AmsRefused, IncompleteRead
from amsctl.model import Firm
from tests.ams.doubles import JumpingClock, answer, environment, requests, run, wire
from tests.hostile.canaries import CANARIES

FIRM = Firm(name="GREENTEA", clearing_id="780")
SECRET = CANARIES["the Basic password"]


def asked(body: dict[str, Any] | list[dict[str, Any]], act: Any) -> Any:
    """What ``act`` makes of a server that answers the bodies in turn, the last one for ever."""
    bodies = body if isinstance(body, list) else [body]

    async def within() -> Any:
        left = list(bodies)
        async with wire(lambda _: answer(json.dumps(left.pop(0) if len(left) > 1 else left[0]))) as served:
            auth = Auth(type=AuthType.BASIC, client_id="API_T", client_secret=Secret(SECRET))
            async with open_reader(environment(served.url, auth=auth), requests(), clock=JumpingClock()) as reader:
                return await act(reader)

    return run(within())


HEAD = {"service": "ICC", "clearingFirm": "780", "accountNumber": "A"}
PRODUCTS = {"executionFirm": "3N1", "productList": [{"product": "CJ.FUT.NYMEX"}, {"product": "CJ.FUT.NYMEX"}, {"product": "GLB.FUT.CME"}]}


def test_a_product_named_twice_in_one_answer_is_eligible_once() -> None:
    """A set cannot be misread for a doubled entry; the plan must not stop at it."""
    body = {**HEAD, "products": [PRODUCTS, PRODUCTS], "limit": 50, "offset": 1, "availableOffsets": 1}
    found = asked(body, lambda reader: reader.eligible_products(FIRM, "A"))
    assert found == {"3N1": frozenset({"CJ.FUT.NYMEX", "GLB.FUT.CME"})}


def test_a_product_that_comes_on_two_pages_is_still_refused() -> None:
    pages = [{**HEAD, "products": [PRODUCTS], "limit": 50, "offset": offset, "availableOffsets": 2} for offset in (1, 2)] * 3
    with pytest.raises(IncompleteRead, match="nothing new"):
        asked(pages, lambda reader: reader.eligible_products(FIRM, "A"))


@pytest.mark.parametrize("number", [" A", "A ", " "])
def test_blanks_around_an_account_number_belong_to_it(number: str) -> None:
    """A manifest may name such an account (older ones exist), and one of them must not stop the reading of all others."""
    entries = [{"clearingFirm": "780", "accountNumber": each, "status": "Active", "executionFirms": []} for each in (number, "A")]
    found = asked({"service": "ICC", "clearingAccounts": entries, "counts": 2}, lambda reader: reader.statuses(FIRM, ["A", number, "B"]))
    assert set(found) == {number, "A"}


@pytest.mark.parametrize(
    ("body", "act"),
    [
        ({"entitlements": [{"service": "ICC", "clearingFirms": [{"firmName": f" {SECRET}", "clearingId": "1"}]}]}, lambda r: r.firms()),
        (
            {"service": "ICC", "clearingAccounts": [{"clearingFirm": "780", "accountNumber": "A", "status": SECRET}]},
            lambda r: r.statuses(FIRM, ["A"]),
        ),
        ({**HEAD, "limits": [{"product": "CJ.FUT.NYMEX", "efId": "3N1", "efLimits": {"long": SECRET}}]}, lambda r: r.limits(FIRM, "A")),
        ({**HEAD, "executionFirms": [{"efId": SECRET, "suspended": "?"}]}, lambda r: r.suspensions(FIRM, "A")),
    ],
    ids=["firm", "status", "limit", "efStatus"],
)
def test_a_secret_that_an_unusable_answer_repeats_is_masked(body: dict[str, Any], act: Any) -> None:
    with pytest.raises(AmsMalformed) as caught:
        asked(body, act)
    problem = caught.value
    assert SECRET not in f"{problem} {problem.args} {problem.what} {problem.where} {problem.found}"
    assert "•••" in str(problem)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("status", [201, 202, 203, 206, 207, 208, 226, 299])
def test_a_status_that_is_not_200_is_no_answer(status: int, method: str) -> None:
    """A part, a promise, a copy changed on the way, a difference: none of them is the whole. Of a POST the outcome is unknown then, not refused."""
    problem = _judged(answer(json.dumps({"limits": []}), status=f"{status} Odd"), method)
    assert isinstance(problem, AmsMalformed)
    assert problem.http_status == status
    assert problem.found == f"HTTP {status}"


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("status", [200, 206])
def test_an_answer_that_names_its_part_is_none(status: int, method: str) -> None:
    """Also where its status claims otherwise."""
    problem = _judged(answer("{}", status=f"{status} Odd", headers="Content-Range: bytes 0-1/4711\r\n"), method)
    assert isinstance(problem, AmsMalformed)
    assert problem.found == f"HTTP {status}, Content-Range bytes 0-1/4711"


@pytest.mark.parametrize("status", [201, 206, 226])
def test_a_failure_told_by_the_body_is_one_whatever_the_status(status: int) -> None:
    problem = _judged(answer(json.dumps({"errorType": "400", "error": "Bad Request"}), status=f"{status} Odd"), "GET")
    assert isinstance(problem, AmsRefused)


def _judged(body: bytes, method: str) -> AmsError:
    async def within() -> AmsError:
        async with (
            wire(lambda heard: body) as served,
            open_writer(environment(served.url), requests(retries=0), clock=JumpingClock()) as writer,
        ):
            with pytest.raises(AmsError) as caught:
                await (writer.reader.firms() if method == "GET" else writer.post("/status/clearing/F", {}, {"a": 1}))
            assert len(served.heard) == 1
            return caught.value

    return run(within())
