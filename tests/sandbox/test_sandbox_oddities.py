"""Every switch does what its name says."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from amsctl.sandbox.auth import Auth
from amsctl.sandbox.oddities import Oddities
from amsctl.sandbox.server import Sandbox

from .conftest import ACCOUNT, ACCOUNTS, EF_STATUS, ELIGIBLE, LIMITS, body, ef_body, row

Keys = Callable[[httpx.Response], list[tuple[str, str]]]


def as_principal(sandbox: Sandbox, principal: Any) -> None:
    """Everybody is this principal until the end of the test."""
    sandbox.gate.auth = Auth(principal=principal)


@pytest.fixture(autouse=True)
def _everybody_is_both(sandbox: Sandbox) -> None:
    sandbox.gate.auth = Auth()


# --- the value ---------------------------------------------------------------------------------------------------------------------------


def test_switches_are_read_from_text_and_from_json() -> None:
    read = Oddities.from_mapping(
        {"ef_as_strings": "True", "default_page_size": "7", "unlimited_as": "999", "links": "none", "extra_fields": True}
    )
    assert (read.ef_as_strings, read.default_page_size, read.unlimited_as, read.links, read.extra_fields) == (True, 7, 999, "none", True)
    assert Oddities().replace(unlimited_as="omit", usage="number") == Oddities(unlimited_as="omit", usage="number")
    assert Oddities.from_mapping(read.to_mapping()) == read


@pytest.mark.parametrize(
    ("switches", "words"),
    [
        ({"efs_as_strings": True}, "unknown switch 'efs_as_strings': expected one of accounts_suspended_always_n"),
        ({"links": "broken"}, "switch 'links': expected spec, absolute, hostile, none, found 'broken'"),
        ({"ef_as_strings": 1}, "switch 'ef_as_strings': expected bool, found 1"),
        ({"default_page_size": True}, "expected int, found True"),
        ({"unlimited_as": "zero"}, "expected null, omit, omit_side, Unlimited, int, found 'zero'"),
    ],
)
def test_a_switch_or_value_that_does_not_exist_is_refused_by_name(switches: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Oddities.from_mapping(switches)


def test_every_switch_has_a_sentence_and_can_be_set_to_its_default() -> None:
    defaults = Oddities().to_mapping()
    assert set(defaults) == set(typing.get_type_hints(Oddities)) == {entry.name for entry in dataclasses.fields(Oddities)}
    assert Oddities().replace(**defaults) == Oddities()


# --- spelling ----------------------------------------------------------------------------------------------------------------------------


def test_execution_firms_as_strings_in_accounts_only(client: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.switch(ef_as_strings=True)
    assert client.get(ACCOUNTS).json()["clearingAccounts"][1]["executionFirms"] == ["8T4"]
    assert client.get(EF_STATUS).json()["executionFirms"][0] == {"efId": "3N1", "suspended": "N"}


def test_the_key_of_an_execution_firm_may_be_spelled_otherwise_and_both_are_read(client: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.switch(ef_key="efID")
    assert client.get(ACCOUNTS).json()["clearingAccounts"][1]["executionFirms"] == [{"efID": "8T4", "suspended": "N"}]
    answer = client.post(EF_STATUS, json=ef_body() | {"executionFirms": [{"efID": "451", "suspended": "Y"}]})
    assert answer.json()["executionFirms"][3] == {"efID": "451", "suspended": "Y"}


@pytest.mark.parametrize(
    ("words", "expected"),
    [("title", ["Active", "Inactive", "closed"]), ("lower", ["active", "inactive", "closed"]), ("letters", ["A", "I", "closed"])],
)
def test_statuses_in_three_spellings(client: httpx.Client, sandbox: Sandbox, words: str, expected: list[str]) -> None:
    sandbox.switch(status_words=words)
    seen = []
    for status in ("Active", "Inactive", "closed"):
        sandbox.book.write_status(sandbox.book.account(ACCOUNT), status)
        seen.append(client.get(ACCOUNTS).json()["clearingAccounts"][0]["status"])
    assert seen == expected


def test_accounts_may_show_the_true_suspension(client: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.switch(accounts_suspended_always_n=False)
    sandbox.book.write_suspensions(sandbox.book.account("DV101218B"), {"8T4": True})
    assert client.get(ACCOUNTS).json()["clearingAccounts"][1]["executionFirms"] == [{"efId": "8T4", "suspended": "Y"}]


@pytest.mark.parametrize(
    ("unlimited_as", "half", "none"),
    [
        ("null", {"short": 5, "long": None}, {"short": None, "long": None}),
        ("omit", {"short": 5}, {}),
        ("omit_side", {"short": 5}, None),
        ("Unlimited", {"short": 5, "long": "Unlimited"}, {"short": "Unlimited", "long": "Unlimited"}),
        (999_999_999, {"short": 5, "long": 999_999_999}, {"short": 999_999_999, "long": 999_999_999}),
    ],
)
def test_unlimited_legs_in_each_spelling_survive_a_round_trip(
    client: httpx.Client, sandbox: Sandbox, unlimited_as: str | int, half: dict[str, Any], none: dict[str, Any] | None
) -> None:
    sandbox.switch(unlimited_as=unlimited_as)
    sandbox.book.put(ACCOUNT, "113", "CC.FUT.NYMEX", (None, 5, None, None))
    read = client.get(LIMITS).json()["limits"][-1]
    assert (read["efLimits"], read.get("cmfLimits")) == (half, none)
    client.post(LIMITS, json=body(read)).raise_for_status()
    assert sandbox.book.row(ACCOUNT, "113", "CC.FUT.NYMEX") == (None, 5, None, None)


def test_a_blank_after_the_full_name_or_none(client: httpx.Client, sandbox: Sandbox) -> None:
    assert client.get(LIMITS).json()["limits"][0]["productFullName"] == "NYMEX Cocoa Futures "
    sandbox.switch(trailing_blanks=False)
    assert client.get(LIMITS).json()["limits"][0]["productFullName"] == "NYMEX Cocoa Futures"


def test_usage_is_absent_unless_switched_on_and_known(client: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.book.account(ACCOUNT).usage = {("3N1", "CJ.FUT.NYMEX"): (4, 9)}
    assert "usage" not in client.get(LIMITS).json()["limits"][0]
    sandbox.switch(usage="object")
    assert [entry.get("usage") for entry in client.get(LIMITS).json()["limits"]] == [{"short": 9, "long": 4}, None, None]
    sandbox.switch(usage="number")
    assert client.get(LIMITS).json()["limits"][0]["usage"] == 9


def test_fields_that_nobody_announced_are_in_every_object(client: httpx.Client, sandbox: Sandbox) -> None:
    plain = {path: client.get(path).json() for path in ("/myFirms/", ACCOUNTS, ELIGIBLE, LIMITS, EF_STATUS)}
    sandbox.switch(extra_fields=True)
    for path, document in plain.items():
        odd = client.get(path).json()
        assert odd["x-sandbox"]
        assert without_extra(odd) == document
    assert client.get(LIMITS).json()["limits"][0]["x-sandbox"]


def without_extra(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_extra(entry) for name, entry in value.items() if name != "x-sandbox"}
    return [without_extra(entry) for entry in value] if isinstance(value, list) else value


def test_an_empty_list_may_be_null_or_absent(client: httpx.Client, sandbox: Sandbox) -> None:
    path = LIMITS.replace(ACCOUNT, "DV101218B")
    assert client.get(path).json()["limits"] == []
    sandbox.switch(empty_list="null")
    assert client.get(path).json()["limits"] is None
    sandbox.switch(empty_list="absent")
    assert "limits" not in client.get(path).json()
    assert "limits" in client.get(LIMITS).json()


# --- links -------------------------------------------------------------------------------------------------------------------------------


def hrefs(client: httpx.Client, path: str) -> list[str]:
    document = client.get(path).json()
    return [link["href"] for link in document.get("links", [])]


def test_links_are_broken_like_the_specifications(client: httpx.Client) -> None:
    assert hrefs(client, LIMITS) == [f"_/v#{LIMITS}", f"_/v#{LIMITS}?delete=true"]
    assert hrefs(client, "/myFirms/")[0].startswith("Eligible Products and Permissioned Products for an Account/v#/accounts/clearing/CMED/")
    assert hrefs(client, EF_STATUS) == [f"_/v#{ACCOUNTS}?accountNumber={ACCOUNT}"]


def test_links_may_be_whole_or_absent(client: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.switch(links="absolute")
    found = [
        href
        for path in ("/myFirms/", LIMITS, ELIGIBLE, EF_STATUS)
        for href in hrefs(client, path)
        if "CPC" not in href and "CMED" not in href
    ]
    assert len(found) == 7
    assert all(client.get(href).status_code == 200 for href in found)
    sandbox.switch(links="none")
    assert all("links" not in client.get(path).json() for path in ("/myFirms/", ACCOUNTS, LIMITS, ELIGIBLE, EF_STATUS))


def test_hostile_links_lead_elsewhere_under_the_expected_names(client: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.switch(links="hostile", hostile_origin="http://127.0.0.9:1")
    document = client.get(LIMITS).json()
    assert {link["rel"] for link in document["links"]} == {"get/update accountLimitsUtilization", "delete accountLimitsUtilization"}
    found = [link["href"] for link in document["links"]]
    assert len(set(found)) >= 16
    assert f"http://127.0.0.9:1{LIMITS}" in found
    assert all(urlsplit(href).netloc != urlsplit(sandbox.origin).netloc for href in found if "[" not in href)


# --- paging ------------------------------------------------------------------------------------------------------------------------------


def test_paging_fields_may_be_missing_though_pages_are_not(client: httpx.Client, sandbox: Sandbox, keys: Keys) -> None:
    sandbox.switch(no_available_offsets=True, default_page_size=2)
    answer = client.get(LIMITS)
    assert ("availableOffsets" in answer.json(), answer.json()["limit"], len(keys(answer))) == (False, 2, 2)
    sandbox.switch(no_paging_fields=True)
    answer = client.get(LIMITS, params={"offset": 2})
    assert not {"limit", "offset", "availableOffsets"} & set(answer.json())
    assert keys(answer) == [("350", "DRS.FUT.CBT")]


def test_page_sizes_and_the_meaning_of_offset(client: httpx.Client, sandbox: Sandbox, keys: Keys) -> None:
    sandbox.switch(max_page_size=1)
    assert (len(keys(client.get(LIMITS, params={"limit": 50}))), client.get(LIMITS, params={"limit": 50}).json()["limit"]) == (1, 1)
    sandbox.switch(max_page_size=2, offset_means="row")
    assert keys(client.get(LIMITS, params={"offset": 2})) == [("350", "CJ.FUT.NYMEX"), ("350", "DRS.FUT.CBT")]


def test_counts_may_be_of_the_page(client: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.switch(counts_means="page")
    assert client.get(ACCOUNTS, params={"limit": 1}).json()["counts"] == 1


# --- writing -----------------------------------------------------------------------------------------------------------------------------


def test_an_illegal_argument_may_come_with_status_200(client: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.switch(illegal_argument_status=200)
    answer = client.get(LIMITS.replace(ACCOUNT, "NOBODY"))
    assert (answer.status_code, answer.json()) == (200, {"errorType": "IllegalArgumentException", "error": "Account not found: NOBODY"})
    assert client.get("/nothing").status_code == 404


def test_what_is_missing_may_stay_as_it_is_or_be_refused(client: httpx.Client, sandbox: Sandbox) -> None:
    half = body({"efId": "3N1", "product": "CJ.FUT.NYMEX", "efLimits": {"short": 600}})
    sandbox.switch(missing_means="unchanged")
    client.post(LIMITS, json=half).raise_for_status()
    assert sandbox.book.row(ACCOUNT, "3N1", "CJ.FUT.NYMEX") == (324, 600, 9000, 2000)
    sandbox.switch(missing_means="refuse")
    assert client.post(LIMITS, json=half).json()["error"] == "Limit Type not found: efLimits long"


@pytest.mark.parametrize(("principal", "own", "side"), [("ef", {"ef": (1, 2)}, "cmfLimits"), ("cmf", {"cmf": (1, 2)}, "efLimits")])
def test_a_principal_changes_its_own_side_only(
    client: httpx.Client, sandbox: Sandbox, principal: str, own: dict[str, Any], side: str
) -> None:
    as_principal(sandbox, principal)
    client.post(LIMITS, json=body(row(**own))).raise_for_status()
    stored = sandbox.book.row(ACCOUNT, "3N1", "CJ.FUT.NYMEX")
    assert stored == ((1, 2, 9000, 2000) if principal == "ef" else (324, 567, 1, 2))
    foreign = {"cmf" if principal == "ef" else "ef": (7, 7)}
    answer = client.post(LIMITS, json=body(row(**(own | foreign))))
    assert (answer.status_code, answer.json()["error"]) == (400, f"Not permitted to change {side}: 3N1 CJ.FUT.NYMEX")
    assert sandbox.book.row(ACCOUNT, "3N1", "CJ.FUT.NYMEX") == stored


def test_a_principal_that_forgets_to_echo_the_other_side_is_refused(client: httpx.Client, sandbox: Sandbox) -> None:
    as_principal(sandbox, "ef")
    answer = client.post(LIMITS, json=body({"efId": "3N1", "product": "CJ.FUT.NYMEX", "efLimits": {"long": 1, "short": 1}}))
    assert answer.json()["error"] == "Not permitted to change cmfLimits: 3N1 CJ.FUT.NYMEX"


def test_a_foreign_side_may_be_ignored_or_applied(client: httpx.Client, sandbox: Sandbox) -> None:
    as_principal(sandbox, "ef")
    sandbox.switch(foreign_side="ignore")
    client.post(LIMITS, json=body(row(ef=(1, 2), cmf=(3, 4)))).raise_for_status()
    assert sandbox.book.row(ACCOUNT, "3N1", "CJ.FUT.NYMEX") == (1, 2, 9000, 2000)
    sandbox.switch(foreign_side="apply")
    client.post(LIMITS, json=body(row(ef=(1, 2), cmf=(3, 4)))).raise_for_status()
    assert sandbox.book.row(ACCOUNT, "3N1", "CJ.FUT.NYMEX") == (1, 2, 3, 4)


def test_deleting_a_row_whose_other_side_is_set(client: httpx.Client, sandbox: Sandbox) -> None:
    as_principal(sandbox, "ef")
    assert client.post(f"{LIMITS}?delete=true", json=body(row())).json()["error"].startswith("Not permitted to change cmfLimits")
    sandbox.switch(foreign_side="ignore")
    client.post(f"{LIMITS}?delete=true", json=body(row())).raise_for_status()
    assert sandbox.book.row(ACCOUNT, "3N1", "CJ.FUT.NYMEX") == (None, None, 9000, 2000)
    sandbox.switch(foreign_side="apply")
    client.post(f"{LIMITS}?delete=true", json=body(row())).raise_for_status()
    assert sandbox.book.row(ACCOUNT, "3N1", "CJ.FUT.NYMEX") is None


def test_a_new_row_of_one_principal_leaves_the_other_side_unlimited(client: httpx.Client, sandbox: Sandbox) -> None:
    as_principal(sandbox, "cmf")
    client.post(LIMITS, json=body(row(product="CC.FUT.NYMEX", ef=(None, None), cmf=(3, 4)))).raise_for_status()
    assert sandbox.book.row(ACCOUNT, "3N1", "CC.FUT.NYMEX") == (None, None, 3, 4)
    answer = client.post(LIMITS, json=body(row(product="GIE.FUT.CME", ef=(1, 1), cmf=(3, 4))))
    assert answer.json()["error"] == "Not permitted to change efLimits: 3N1 GIE.FUT.CME"


def test_deleting_what_is_not_there_may_be_refused(client: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.switch(delete_missing="refuse")
    answer = client.post(f"{LIMITS}?delete=true", json=body(row(product="CC.FUT.NYMEX")))
    assert answer.json()["error"] == "Limit not found: 3N1 CC.FUT.NYMEX"
    assert client.post(f"{LIMITS}?delete=true", json=body(row())).status_code == 200


def test_a_post_may_answer_only_what_it_touched(client: httpx.Client, sandbox: Sandbox, keys: Keys) -> None:
    sandbox.switch(post_answers="posted")
    assert keys(client.post(LIMITS, json=body(row(ef_id="350")))) == [("350", "CJ.FUT.NYMEX")]


def test_a_post_may_be_stored_up_to_its_first_bad_row(client: httpx.Client, sandbox: Sandbox) -> None:
    posted = body(row(ef=(1, 1)), row(ef_id="ZZZ"), row(ef_id="350", ef=(1, 1)))
    assert client.post(LIMITS, json=posted).status_code == 400
    assert sandbox.book.row(ACCOUNT, "3N1", "CJ.FUT.NYMEX") == (324, 567, 9000, 2000)
    sandbox.switch(post_atomic=False)
    assert client.post(LIMITS, json=posted).status_code == 400
    assert sandbox.book.row(ACCOUNT, "3N1", "CJ.FUT.NYMEX") == (1, 1, 9000, 2000)
    assert sandbox.book.row(ACCOUNT, "350", "CJ.FUT.NYMEX") == (123, 456, 1000, 30989)
    assert client.post(LIMITS, json=body(row(ef_id="ZZZ"))).status_code == 400


def test_the_worked_example_of_the_specification_stores_600_for_567(client: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.switch(spec_example_600=True)
    assert client.post(LIMITS, json=body(row(ef=(324, 567)))).json()["limits"][0]["efLimits"] == {"short": 600, "long": 324}
    assert client.post(LIMITS, json=body(row(ef=(324, 568)))).json()["limits"][0]["efLimits"] == {"short": 568, "long": 324}


def test_the_largest_limit_is_a_switch(client: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.switch(max_limit=600)
    assert client.post(LIMITS, json=body(row(ef=(600, 600), cmf=(1, 1)))).status_code == 200
    assert client.post(LIMITS, json=body(row(ef=(601, 600), cmf=(1, 1)))).json()["error"] == "Invalid limit: efLimits long 601"
