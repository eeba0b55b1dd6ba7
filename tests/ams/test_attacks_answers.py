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


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ("Age: 6\r\n", "Age: 6"),
        ("Age: 600\r\nX-Cache: HIT\r\n", "Age: 600"),
        ("age: 0\r\nAGE: 600\r\n", "Age: 600"),
        (f"Age: {'9' * 5000}\r\n", f"Age: {'9' * 80}…"),
        ("Age: 0, 600\r\n", "Age: 0, 600"),
        ("Age: -1\r\n", "Age: -1"),
        ("Age: \r\n", "Age: "),
        ("Age: soon\r\n", "Age: soon"),
        ('Warning: 110 - "Response is Stale"\r\n', 'Warning: 110 - "Response is Stale"'),
        ('Warning: 199 a "x", 111 b "Revalidation Failed"\r\n', 'Warning: 199 a "x", 111 b "Revalidation Failed"'),
        ("Warning: 113\r\n", "Warning: 113"),
    ],
)
@pytest.mark.parametrize("refusal", [False, True])
def test_what_a_cache_kept_is_no_answer(headers: str, found: str, method: str, refusal: bool) -> None:
    """An account that is "not there" by an old refusal, or limits of ten minutes ago, were so at another time."""
    body = {"errorType": "404", "error": "no"} if refusal else {"entitlements": []}
    problem = _judged(answer(json.dumps(body), status="404 Not Found" if refusal else "200 OK", headers=headers), method)
    assert isinstance(problem, AmsMalformed)
    assert (problem.found, problem.what) == (found, "the answer is an old one that a cache kept")
    assert problem.http_status == (404 if refusal else 200)


@pytest.mark.parametrize("headers", ["", "Age: 0\r\n", "Age: 5\r\n", 'Warning: 199 gateway "110 is near"\r\n', "X-Cache: HIT\r\n"])
def test_an_answer_may_be_on_its_way_for_some_seconds(headers: str) -> None:
    """A gateway that passes answers on may give their age; and each GET asks for what is so now."""

    async def within() -> None:
        body = answer(json.dumps({"entitlements": []}), headers=headers)
        async with wire(lambda _: body) as served, open_reader(environment(served.url), requests(), clock=JumpingClock()) as reader:
            assert await reader.firms() == ()
            (heard,) = served.heard
            assert (heard.header("cache-control"), heard.header("pragma")) == ("no-cache", "no-cache")

    run(within())


def test_an_old_page_of_a_gateway_is_tried_again_like_any() -> None:
    """What stands for an outage says so by its status, however old the page is."""

    async def within() -> None:
        bodies = [answer("<html>", status="503 Closed", headers="Age: 900\r\n"), answer(json.dumps({"entitlements": []}))]
        async with wire(lambda _: bodies.pop(0)) as served:  # noqa: SIM117
            async with open_reader(environment(served.url), requests(retries=1), clock=JumpingClock()) as reader:
                assert await reader.firms() == ()

    run(within())


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
