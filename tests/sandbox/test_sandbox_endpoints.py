"""The calls of the AMS over real HTTP, with the switches at their defaults."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from amsctl.sandbox.server import Sandbox
from amsctl.sandbox.state import Account

from .conftest import ACCOUNT, ACCOUNTS, EF_STATUS, ELIGIBLE, FIRM, LIMITS, STATUS, body, ef_body, row

Keys = Callable[[httpx.Response], list[tuple[str, str]]]
BAD_REQUEST = {"errorType": "400", "error": "Bad Request"}


def illegal(answer: httpx.Response) -> str:
    """The text of an IllegalArgumentException answer."""
    assert answer.status_code == 400
    assert answer.json()["errorType"] == "IllegalArgumentException"
    return str(answer.json()["error"])


# --- reads -------------------------------------------------------------------------------------------------------------------------------


def test_my_firms_gives_name_and_clearing_id_for_each_service(client: httpx.Client) -> None:
    answer = client.get("/myFirms/")
    assert answer.headers["content-type"] == "application/json"
    entitlements = answer.json()["entitlements"]
    assert [entry["service"] for entry in entitlements] == ["CPC", "CMED", "ICC"]
    assert entitlements[2]["clearingFirms"][0] == {"firmName": FIRM, "firmLongName": FIRM, "clearingId": "780"}
    assert client.get("/myFirms").json() == answer.json()


def test_the_limits_example_of_the_specification_comes_back(client: httpx.Client) -> None:
    answer = client.get(LIMITS).json()
    cocoa, index = "NYMEX Cocoa Futures ", "Bloomberg Roll Select Commodity Index Futures "
    assert answer["limits"] == [
        row("3N1", "CJ.FUT.NYMEX", (324, 567), (9000, 2000)) | {"productFullName": cocoa},
        row("350", "CJ.FUT.NYMEX", (123, 456), (1000, 30989)) | {"productFullName": cocoa},
        row("350", "DRS.FUT.CBT", (456, 789), (120, 120)) | {"productFullName": index},
    ]
    assert (answer["service"], answer["clearingFirm"], answer["accountNumber"]) == ("ICC", FIRM, ACCOUNT)
    assert (answer["limit"], answer["offset"], answer["availableOffsets"]) == (50, 1, 1)


def test_a_firm_is_named_by_clearing_id_as_well(client: httpx.Client) -> None:
    assert client.get(LIMITS.replace(FIRM, "780")).json() == client.get(LIMITS).json()


def test_limits_come_in_pages_counted_from_one(client: httpx.Client, keys: Keys) -> None:
    pages = [client.get(LIMITS, params={"limit": 2, "offset": offset}) for offset in (1, 2, 3)]
    assert [keys(page) for page in pages] == [[("3N1", "CJ.FUT.NYMEX"), ("350", "CJ.FUT.NYMEX")], [("350", "DRS.FUT.CBT")], []]
    assert [(page.json()["offset"], page.json()["availableOffsets"]) for page in pages] == [(1, 2), (2, 2), (3, 2)]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=-1", "limit=x", "limit=", "offset=0", "offset=1.5", "offset=²", "tradable=yes", "nonZeroLimits=1"]
)
def test_a_bad_query_is_a_bad_request(client: httpx.Client, query: str) -> None:
    answer = client.get(f"{LIMITS}?{query}")
    assert (answer.status_code, answer.json()) == (400, BAD_REQUEST)


def test_a_page_is_never_larger_than_the_largest(client: httpx.Client) -> None:
    assert client.get(LIMITS, params={"limit": 100_000}).json()["limit"] == 1000


def test_the_filters_drop_rows_of_zero_and_rows_no_longer_tradable(client: httpx.Client, sandbox: Sandbox, keys: Keys) -> None:
    sandbox.book.put(ACCOUNT, "350", "GONE.FUT.CME", (1, 1, 1, 1))
    sandbox.book.put(ACCOUNT, "350", "CC.FUT.NYMEX", (1, 1, 1, 0))
    everything = keys(client.get(LIMITS))
    assert set(everything) - set(keys(client.get(LIMITS, params={"tradable": "true"}))) == {("350", "GONE.FUT.CME")}
    assert set(everything) - set(keys(client.get(LIMITS, params={"nonZeroLimits": "TRUE"}))) == {("350", "CC.FUT.NYMEX")}
    assert keys(client.get(LIMITS, params={"tradable": "false", "nonZeroLimits": "false"})) == everything


def test_an_unlimited_leg_is_null_and_a_row_of_four_is_hidden_until_traded(client: httpx.Client, sandbox: Sandbox, keys: Keys) -> None:
    sandbox.book.put(ACCOUNT, "113", "CC.FUT.NYMEX", (None, 5, None, None))
    sandbox.book.put(ACCOUNT, "451", "CC.FUT.NYMEX", (None, None, None, None))
    last = client.get(LIMITS).json()["limits"][-1]
    assert (last["efId"], last["efLimits"], last["cmfLimits"]) == ("113", {"short": 5, "long": None}, {"short": None, "long": None})
    sandbox.book.trade(ACCOUNT, "451", "CC.FUT.NYMEX")
    assert keys(client.get(LIMITS))[-1] == ("451", "CC.FUT.NYMEX")


def test_accounts_are_listed_filtered_and_counted(client: httpx.Client) -> None:
    everything = client.get(ACCOUNTS).json()
    assert (everything["counts"], [entry["accountNumber"] for entry in everything["clearingAccounts"]]) == (2, [ACCOUNT, "DV101218B"])
    second = client.get(ACCOUNTS, params={"limit": 1, "offset": 2}).json()
    assert (second["counts"], second["availableOffsets"], second["clearingAccounts"][0]["accountNumber"]) == (2, 2, "DV101218B")
    for path in (
        f"{ACCOUNTS}?accountNumber=DV101218B",
        f"{ACCOUNTS}/050",
        f"{ACCOUNTS}/050/DV101218B",
        f"{ACCOUNTS}/050/?accountNumber=DV101218B",
    ):
        found = client.get(path).json()
        assert (found["counts"], [entry["accountNumber"] for entry in found["clearingAccounts"]]) == (1, ["DV101218B"])
    for path in (
        f"{ACCOUNTS}?accountNumber=NOBODY",
        f"{ACCOUNTS}/nobody",
        f"{ACCOUNTS}/050/{ACCOUNT}",
        f"{ACCOUNTS}/050/DV101218B?accountNumber={ACCOUNT}",
    ):
        assert client.get(path).json()["counts"] == 0


def test_an_account_shows_what_the_specification_shows_and_never_a_suspension(client: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.book.write_suspensions(sandbox.book.account("DV101218B"), {"8T4": True})
    entry = client.get(ACCOUNTS).json()["clearingAccounts"][1]
    links = entry.pop("links")
    assert entry == {
        "clearingFirm": FIRM, "accountNumber": "DV101218B", "owner": "050", "segType": "C", "status": "Active", "ownerLongName": "050",
        "executionFirms": [{"efId": "8T4", "suspended": "N"}],
    }  # fmt: skip
    assert [link["rel"] for link in links] == ["self", "get accountLimitsUtilization", "get eligibleProducts", "get efStatus"]
    assert all(client.get(link["href"]).status_code == 200 for link in links)


def test_eligible_products_are_paged_across_execution_firms(client: httpx.Client, sandbox: Sandbox) -> None:
    pages = [client.get(ELIGIBLE, params={"limit": 10, "offset": offset}).json() for offset in range(1, 7)]
    assert pages[0]["availableOffsets"] == 6
    assert [(group["executionFirm"], len(group["productList"])) for group in pages[0]["products"]] == [("3N1", 8), ("350", 2)]
    pairs = [(group["executionFirm"], entry["product"]) for page in pages for group in page["products"] for entry in group["productList"]]
    assert len(pairs) == len(set(pairs)) == 7 * 8


def test_suspensions_are_read_from_ef_status(client: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.book.write_suspensions(sandbox.book.account(ACCOUNT), {"451": True})
    answer = client.get(EF_STATUS, params={"limit": 4}).json()
    assert answer["owner"] == "Account Owner"
    assert answer["executionFirms"] == [
        {"efId": "3N1", "suspended": "N"}, {"efId": "350", "suspended": "N"}, {"efId": "XX0", "suspended": "N"}, {"efId": "451", "suspended": "Y"},
    ]  # fmt: skip
    assert answer["availableOffsets"] == 2


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (LIMITS.replace(FIRM, "NOBODY"), "Clearing Firm not found: NOBODY"),
        (LIMITS.replace(ACCOUNT, "NOBODY"), "Account not found: NOBODY"),
        (LIMITS.replace("ICC", "CPC"), "Service not found: CPC"),
        (LIMITS.replace("clearing/", "trading/"), "Type not found: trading"),
        (ACCOUNTS.replace(FIRM, "0780"), "Clearing Firm not found: 0780"),
    ],
)
def test_unknown_names_are_illegal_arguments(client: httpx.Client, path: str, words: str) -> None:
    assert illegal(client.get(path)) == words


@pytest.mark.parametrize(
    "path", ["/nothing", "/", "", "/myFirms/x", LIMITS + "/more", LIMITS.removesuffix("/" + ACCOUNT), "/accounts/clearing/ICC",
     f"{ACCOUNTS}/a/b/c", "/accounts/clearing//780"]
)  # fmt: skip
def test_unknown_paths_are_not_found(client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.json()) == (404, {"errorType": "404", "error": "Not Found"})


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("PUT", LIMITS, "GET, POST"), ("DELETE", LIMITS, "GET, POST"), ("GET", STATUS, "POST"), ("POST", "/myFirms/", "GET")],
)
def test_other_methods_are_not_allowed(client: httpx.Client, method: str, path: str, allowed: str) -> None:
    answer = client.request(method, path)
    assert (answer.status_code, answer.headers["allow"], answer.json()["error"]) == (405, allowed, "Method Not Allowed")


@pytest.mark.parametrize("number", ["A?delete=true", "A/B", "A%2FB", "../A", "A#B", "A B", "A+B", "a&b=c", "A;B"])
def test_account_numbers_with_special_characters_are_reached_by_their_encoding(client: httpx.Client, sandbox: Sandbox, number: str) -> None:
    firm = sandbox.book.firms[0]
    sandbox.book.add_account(
        Account(firm=firm, number=number, execution_firms={"3N1": False}, rows={("3N1", "CJ.FUT.NYMEX"): (1, 2, 3, 4)})
    )
    encoded = "".join(f"%{byte:02X}" for byte in number.encode())
    url = f"{sandbox.url}/accountLimitsUtilization/clearing/ICC/780/{encoded}"
    assert client.get(url).json()["accountNumber"] == number
    posted = client.post(url, json=body(row(ef=(5, 6), cmf=(7, 8)), accountNumber=number))
    assert posted.status_code == 200
    assert sandbox.book.row(number, "3N1", "CJ.FUT.NYMEX") == (5, 6, 7, 8)


# --- writing limits ----------------------------------------------------------------------------------------------------------------------


def test_an_update_stores_the_row_posted_and_answers_all_rows_without_paging(client: httpx.Client, sandbox: Sandbox) -> None:
    answer = client.post(LIMITS, json=body(row(ef=(324, 600))))
    assert [entry["efLimits"]["short"] for entry in answer.json()["limits"]] == [600, 456, 789]
    assert "limit" not in answer.json()
    assert "availableOffsets" not in answer.json()
    assert sandbox.book.row(ACCOUNT, "3N1", "CJ.FUT.NYMEX") == (324, 600, 9000, 2000)
    assert client.get(LIMITS).json()["limits"] == answer.json()["limits"]


def test_an_update_may_add_rows_and_name_the_firm_by_its_id(client: httpx.Client, keys: Keys) -> None:
    answer = client.post(
        LIMITS, json=body(row(product="CC.FUT.NYMEX", ef=(1, 0), cmf=(None, "unLIMITED")), row(ef_id="113"), clearingFirm="780")
    )
    assert keys(answer)[3:] == [("3N1", "CC.FUT.NYMEX"), ("113", "CJ.FUT.NYMEX")]
    assert answer.json()["limits"][3]["cmfLimits"] == {"short": None, "long": None}


def test_a_side_or_leg_that_is_not_posted_becomes_unlimited(client: httpx.Client, sandbox: Sandbox) -> None:
    client.post(LIMITS, json=body({"efId": "3N1", "product": "CJ.FUT.NYMEX", "efLimits": {"short": 600}})).raise_for_status()
    assert sandbox.book.row(ACCOUNT, "3N1", "CJ.FUT.NYMEX") == (None, 600, None, None)


def test_usage_names_and_unknown_fields_in_a_body_are_ignored(client: httpx.Client, sandbox: Sandbox) -> None:
    read = client.get(LIMITS).json()
    read["limits"][0] |= {"usage": 999, "productFullName": "x", "note": {}}
    assert client.post(LIMITS, json=read).json()["limits"] == client.get(LIMITS).json()["limits"]


def test_a_row_set_unlimited_disappears_from_the_answer_but_stays_if_it_traded(client: httpx.Client, sandbox: Sandbox, keys: Keys) -> None:
    assert ("3N1", "CJ.FUT.NYMEX") not in keys(client.post(LIMITS, json=body(row(ef=(None, None), cmf=(None, None)))))
    sandbox.book.trade(ACCOUNT, "3N1", "CJ.FUT.NYMEX")
    assert ("3N1", "CJ.FUT.NYMEX") in keys(client.get(LIMITS))


@pytest.mark.parametrize(
    ("posted", "words"),
    [
        (body(row(ef_id="ZZZ")), "Execution Firm not found: ZZZ"),
        (body(row(ef_id=350)), "Execution Firm not found: 350"),  # type: ignore[arg-type]
        (body({"product": "CJ.FUT.NYMEX"}), "Execution Firm not found: None"),
        (body(row(product="NO.FUT.CME")), "Product not eligible: NO.FUT.CME for Execution Firm 3N1"),
        (body({"efId": "3N1"}), "Product not found: None"),
        (body(row(ef=(-1, 5))), "Invalid limit: efLimits long -1"),
        (body(row(ef=(5, 1.5))), "Invalid limit: efLimits short 1.5"),
        (body(row(cmf=(5.0, 1))), "Invalid limit: cmfLimits long 5.0"),
        (body(row(cmf=(5, "6"))), 'Invalid limit: cmfLimits short "6"'),
        (body(row(cmf=(5, True))), "Invalid limit: cmfLimits short true"),
        (body(row(ef=(2**31, 1))), "Invalid limit: efLimits long 2147483648"),
        (body({"efId": "3N1", "product": "CJ.FUT.NYMEX", "efLimits": 5}), "efLimits must be an object"),
        (body(row(), row()), "Duplicate limit: 3N1 CJ.FUT.NYMEX"),
        (body(), "limits must be a list of at least one object"),
        (body("row"), "limits must be a list of at least one object"),  # type: ignore[arg-type]
        (body(row(), service="CPC"), "Service not found: CPC"),
        (body(row(), clearingFirm="OTHER"), "Clearing Firm in the body does not match the request: OTHER"),
        (body(row(), accountNumber="DV101218B"), "Account in the body does not match the request: DV101218B"),
        ({"limits": [row()]}, "Service not found: None"),
    ],
)
def test_a_body_that_cannot_be_stored_is_refused_whole(client: httpx.Client, sandbox: Sandbox, posted: dict[str, Any], words: str) -> None:
    before = dict(sandbox.book.account(ACCOUNT).items())
    assert illegal(client.post(LIMITS, json=posted)) == words
    assert dict(sandbox.book.account(ACCOUNT).items()) == before


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b"null", b'"x"', b'{"service":"ICC","service":"ICC"}', b'{"service":NaN}', b"[" * 100_000, b"\xff", b'{"a":' + b"9" * 41 + b"}"]
)  # fmt: skip
def test_a_body_that_is_not_a_json_object_is_a_bad_request(client: httpx.Client, raw: bytes) -> None:
    answer = client.post(LIMITS, content=raw, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()) == (400, BAD_REQUEST)


def test_half_a_surrogate_pair_in_a_body_is_an_illegal_argument_not_a_crash(client: httpx.Client) -> None:
    posted = b'{"service":"ICC","clearingFirm":"780","accountNumber":"\\ud800","limits":[]}'
    answer = client.post(LIMITS, content=posted, headers={"Content-Type": "application/json"})
    assert illegal(answer) == "Account in the body does not match the request: ?"


def test_a_body_must_say_that_it_is_json(client: httpx.Client) -> None:
    answer = client.post(LIMITS, content=b"{}", headers={"Content-Type": "text/plain"})
    assert (answer.status_code, answer.json()["errorType"]) == (415, "415")
    assert client.post(LIMITS, json=body(row()), headers={"Content-Type": "Application/JSON; charset=utf-8"}).status_code == 200


def test_a_body_of_more_than_32_mebibytes_is_refused(client: httpx.Client) -> None:
    answer = client.post(LIMITS, content=b" " * (32 * 1024 * 1024 + 1), headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["errorType"]) == (413, "413")


def test_a_closed_account_is_read_but_not_written(client: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.book.write_status(sandbox.book.account(ACCOUNT), "closed")
    assert client.get(LIMITS).status_code == 200
    assert client.get(ACCOUNTS).json()["clearingAccounts"][0]["status"] == "closed"
    for answer in (
        client.post(LIMITS, json=body(row())),
        client.post(f"{LIMITS}?delete=true", json=body(row())),
        client.post(EF_STATUS, json=ef_body(_350="Y")),
    ):
        assert illegal(answer) == f"Account is closed: {ACCOUNT}"


def test_a_delete_removes_the_rows_named_and_answers_those_that_remain(client: httpx.Client, sandbox: Sandbox, keys: Keys) -> None:
    answer = client.post(f"{LIMITS}?delete=true", json=body(row(), {"efId": "350", "product": "DRS.FUT.CBT"}))
    assert keys(answer) == [("350", "CJ.FUT.NYMEX")]
    assert keys(client.post(f"{LIMITS}?delete=true", json=body(row()))) == [("350", "CJ.FUT.NYMEX")]
    assert keys(client.post(f"{LIMITS}?delete=true", json=body(row(ef_id="350")))) == []
    assert client.get(LIMITS).json()["limits"] == []


def test_a_row_of_a_product_no_longer_eligible_may_be_deleted_but_not_written(client: httpx.Client, sandbox: Sandbox, keys: Keys) -> None:
    sandbox.book.put(ACCOUNT, "350", "GONE.FUT.CME", (1, 1, 1, 1))
    assert illegal(client.post(LIMITS, json=body(row("350", "GONE.FUT.CME")))).startswith("Product not eligible")
    assert ("350", "GONE.FUT.CME") not in keys(client.post(f"{LIMITS}?delete=true", json=body(row("350", "GONE.FUT.CME"))))


def test_delete_false_is_an_update(client: httpx.Client, sandbox: Sandbox) -> None:
    client.post(f"{LIMITS}?delete=false", json=body(row(ef=(1, 1)))).raise_for_status()
    assert sandbox.book.row(ACCOUNT, "3N1", "CJ.FUT.NYMEX") == (1, 1, 9000, 2000)


# --- writing statuses --------------------------------------------------------------------------------------------------------------------


def test_suspending_names_only_the_firms_to_change_and_answers_all(client: httpx.Client, sandbox: Sandbox) -> None:
    answer = client.post(EF_STATUS, json=ef_body(_451="Y", _350="N")).json()
    assert {entry["efId"]: entry["suspended"] for entry in answer["executionFirms"]} == {
        "3N1": "N", "350": "N", "XX0": "N", "451": "Y", "113": "N", "763": "N", "4V9": "N",
    }  # fmt: skip
    assert "limit" not in answer
    assert sandbox.book.account(ACCOUNT).execution_firms["451"] is True
    assert client.get(EF_STATUS).json()["executionFirms"] == answer["executionFirms"]


@pytest.mark.parametrize(
    ("posted", "words"),
    [
        (ef_body(ZZZ="Y"), "Execution Firm not found: ZZZ"),
        (ef_body(_451="yes"), "Invalid suspended: yes"),
        (ef_body(_451="Y", __451="N"), "Duplicate Execution Firm: 451"),
        (ef_body(), "executionFirms must be a list of at least one object"),
        (ef_body(_451="Y") | {"accountNumber": "DV101218B"}, "Account in the body does not match the request: DV101218B"),
    ],
)
def test_a_bad_suspension_is_refused_whole(client: httpx.Client, sandbox: Sandbox, posted: dict[str, Any], words: str) -> None:
    assert illegal(client.post(EF_STATUS, json=posted)) == words
    assert not any(sandbox.book.account(ACCOUNT).execution_firms.values())


def statuses(*entries: tuple[str, str], firm: str = FIRM) -> dict[str, Any]:
    return {
        "service": "ICC",
        "clearingAccounts": [{"clearingFirm": firm, "accountNumber": number, "status": word} for number, word in entries],
    }


def test_several_accounts_change_status_in_one_call_each_answered_for_itself(client: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.book.add_account(Account(firm=sandbox.book.firms[0], number="SHUT", status="closed"))
    answer = client.post(STATUS, json=statuses((ACCOUNT, "I"), ("NOBODY", "I"), ("SHUT", "A"), ("DV101218B", "X")))
    assert answer.json() == {
        "clearingAccounts": [
            {"accountNumber": ACCOUNT, "status": "Successful"},
            {"accountNumber": "NOBODY", "status": "Account not found: NOBODY"},
            {"accountNumber": "SHUT", "status": "Account is closed: SHUT"},
            {"accountNumber": "DV101218B", "status": "Invalid status: X"},
        ]
    }
    assert [entry["status"] for entry in client.get(ACCOUNTS).json()["clearingAccounts"]] == ["Inactive", "Active", "closed"]
    assert client.post(STATUS, json=statuses((ACCOUNT, "A"), firm="780")).json()["clearingAccounts"][0]["status"] == "Successful"
    assert sandbox.book.account(ACCOUNT).status == "Active"


def test_an_account_of_another_firm_is_not_changed(client: httpx.Client, sandbox: Sandbox) -> None:
    answer = client.post(STATUS, json=statuses(("CPCICCCOPY", "I"), firm="984")).json()
    assert answer["clearingAccounts"][0]["status"] == "Clearing Firm does not match the request: 984"
    assert (
        client.post(STATUS, json=statuses(("CPCICCCOPY", "I"))).json()["clearingAccounts"][0]["status"] == "Account not found: CPCICCCOPY"
    )
    assert sandbox.book.account("CPCICCCOPY").status == "Active"


def test_a_status_body_that_is_not_one_is_refused_whole(client: httpx.Client) -> None:
    assert illegal(client.post(STATUS, json={"service": "ICC"})) == "clearingAccounts must be a list of at least one object"
    assert illegal(client.post(STATUS, json={"service": "ICC", "clearingAccounts": [{"status": "A"}]})) == "accountNumber is required"
    assert illegal(client.post(STATUS.replace("clearing", "trading"), json=statuses((ACCOUNT, "I")))) == "Type not found: trading"
    assert client.post(STATUS + "/more", json=statuses((ACCOUNT, "I"))).status_code == 404
