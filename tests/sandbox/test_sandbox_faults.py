"""Every fault does what it says, over real HTTP, and strikes only the calls it is meant for."""

from __future__ import annotations

import gzip
import json
import threading
import time
import zlib
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from amsctl.sandbox.damage import MALFORMED
from amsctl.sandbox.faults import FAULT_KINDS, VARIANTS, Faults, Rule
from amsctl.sandbox.pagefaults import PAGING
from amsctl.sandbox.server import Sandbox
from tests.order import LATER_SECONDS, Postponed, until

from .conftest import ACCOUNT, ACCOUNTS, EF_STATUS, ELIGIBLE, FIRM, LIMITS, STATUS, body, ef_body, row

Keys = Callable[[httpx.Response], list[tuple[str, str]]]
ASKED = body(row(ef=(324, 600)))
TWO = body(row(ef=(1, 1)), row("350", ef=(2, 2), cmf=(1000, 30989)))
OLD, NEW = (324, 567, 9000, 2000), (324, 600, 9000, 2000)


def stored(sandbox: Sandbox, ef_id: str = "3N1") -> object:
    return sandbox.book.row(ACCOUNT, ef_id, "CJ.FUT.NYMEX")


# --- which calls are struck ----------------------------------------------------------------------------------------------------------------


def struck(faults: Faults, *calls: tuple[str, str]) -> list[int]:
    return [len(faults.striking(method, "/rest/v2" + path, "", b"")) for method, path in calls]


def test_a_rule_without_conditions_strikes_every_call() -> None:
    faults = Faults()
    faults.add(Rule(kind="slow"))
    assert struck(faults, ("GET", LIMITS), ("POST", STATUS), ("GET", "/myFirms/")) == [1, 1, 1]


def test_a_rule_matches_method_and_path_as_glob_or_expression() -> None:
    for rule in (
        Rule(kind="slow", method="POST", path="/efStatus/*"),
        Rule(kind="slow", method="POST", path=r"re:/rest/v2/efStatus/.*01A$"),
    ):
        faults = Faults()
        faults.add(rule)
        assert struck(faults, ("POST", EF_STATUS), ("GET", EF_STATUS), ("POST", LIMITS), ("POST", "/x" + EF_STATUS)) == [1, 0, 0, 0]


def test_a_rule_matches_the_query_so_that_deletes_can_be_told_apart() -> None:
    rule = Rule(kind="slow", query="*delete=true*")
    assert [rule.matches("POST", LIMITS, query, b"") for query in ("delete=true", "a=b&delete=true", "delete=false", "")] == [
        True,
        True,
        False,
        False,
    ]


def test_a_rule_matches_the_account_in_path_query_and_status_body() -> None:
    rule = Rule(kind="slow", account="A/1")
    assert rule.matches("GET", "/rest/v2/efStatus/clearing/ICC/780/A%2F1", "", b"")
    assert rule.matches("GET", "/rest/v2/accounts/clearing/ICC/780", "accountNumber=A%2F1", b"")
    assert rule.matches("POST", "/rest/v2/status/clearing/780", "", b'{"accountNumber":"A/1"}')
    assert not rule.matches("GET", "/rest/v2/efStatus/clearing/ICC/780/A%2F12", "", b"")


def test_nth_and_times_count_the_matching_calls_only() -> None:
    faults = Faults()
    second = faults.add(Rule(kind="slow", path="/efStatus/*", nth=2))
    assert struck(faults, ("GET", EF_STATUS), ("GET", LIMITS), ("GET", EF_STATUS), ("GET", EF_STATUS)) == [0, 0, 1, 0]
    assert faults.strikes(second.id) == 1
    faults.clear()
    twice = faults.add(Rule(kind="slow", times=2))
    assert struck(faults, *[("GET", LIMITS)] * 4) == [1, 1, 0, 0]
    assert faults.strikes(twice.id) == 2


def test_probability_is_drawn_from_the_seed_and_can_be_repeated() -> None:
    def run(seed: int) -> list[int]:
        faults = Faults()
        faults.add(Rule(kind="slow", probability=0.3, seed=seed))
        return struck(faults, *[("GET", LIMITS)] * 500)

    assert run(1) == run(1) != run(2)
    assert 100 < sum(run(1)) < 200


def test_rules_are_added_replaced_removed_and_cleared() -> None:
    faults = Faults()
    first, second = faults.add(Rule(kind="slow")), faults.add(Rule(kind="slow", id="mine"))
    assert [rule.id for rule in faults.rules()] == ["f1", "mine"]
    faults.add(Rule(kind="drop_before", id="mine"))
    assert [rule.kind for rule in faults.rules()] == ["slow", "drop_before"]
    assert (faults.remove(first.id), faults.remove(first.id), faults.strikes("gone")) == (True, False, 0)
    faults.clear()
    assert faults.rules() == ()
    assert second.variant == ""


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"kind": "explode"}, "unknown kind 'explode': expected one of error_before"),
        ({"kind": "slow", "colour": "red"}, "unknown field 'colour'"),
        ({"kind": "malformed", "variant": "worse"}, "malformed: unknown variant 'worse': expected one of truncated"),
        ({"kind": "slow", "variant": "very"}, "slow: unknown variant"),
        ({"kind": "slow", "path": "re:("}, "path: not a regular expression"),
        ({"kind": "slow", "probability": 2}, "expected 0 <= probability <= 1"),
        ({"kind": "slow", "probability": "x"}, "not a rule"),
        ({"kind": "slow", "seconds": -1}, "seconds >= 0"),
        ({"kind": "error_before", "status": 99}, "200 <= status <= 599"),
        ({"kind": "partial", "rows": 0}, "rows >= 1"),
        ({"kind": "slow", "when": "never"}, "when: expected before or after"),
        ({"kind": "foreign_edit"}, "edit must name an accountNumber"),
        ({}, "no kind: expected one of error_before"),
    ],
)
def test_a_rule_that_cannot_be_is_refused_before_any_call(document: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words.replace("(", r"\(")):
        Rule.from_mapping(document)


def test_a_rule_survives_its_json_form() -> None:
    rule = Rule(kind="foreign_edit", id="x", path="/limits/*", nth=3, when="after", edit={"accountNumber": "A", "status": "closed"})
    assert Rule.from_mapping(json.loads(json.dumps(rule.to_mapping()))) == rule
    assert Rule(kind="slow").to_mapping() == {"kind": "slow"}


# --- what a strike does --------------------------------------------------------------------------------------------------------------------


def test_errors_before_and_after_the_effect(client: httpx.Client, sandbox: Sandbox) -> None:
    rule = sandbox.faults.add(Rule(kind="error_before", method="POST", status=500))
    answer = client.post(LIMITS, json=ASKED)
    assert (answer.status_code, answer.json()) == (500, {"errorType": "500", "error": "Internal Server Error"})
    assert stored(sandbox) == OLD
    sandbox.faults.remove(rule.id)
    sandbox.faults.add(Rule(kind="error_after", method="POST", status=504, body="gone", content_type="text/plain"))
    answer = client.post(LIMITS, json=ASKED)
    assert (answer.status_code, answer.text, answer.headers["content-type"]) == (504, "gone", "text/plain")
    assert stored(sandbox) == NEW
    assert [len(entry.faults) for entry in sandbox.log] == [1, 1]
    assert next(iter(sandbox.log)).faults == (rule.id,)


def test_an_error_may_come_with_status_200_or_one_that_has_no_name(client: httpx.Client, sandbox: Sandbox) -> None:
    error = '{"errorType":"IllegalArgumentException","error":"Limit Type not found: x"}'
    sandbox.faults.add(Rule(kind="error_before", status=200, body=error, times=1))
    assert (client.get(LIMITS).status_code, stored(sandbox)) == (200, OLD)
    sandbox.faults.add(Rule(kind="error_before", status=599))
    assert client.get(LIMITS).json() == {"errorType": "599", "error": "Unknown"}


@pytest.mark.parametrize("variant", ["close", "reset"])
@pytest.mark.parametrize(("kind", "after"), [("drop_before", OLD), ("drop_after", NEW)])
def test_a_dropped_connection_without_or_with_the_effect(
    client: httpx.Client, sandbox: Sandbox, kind: Any, variant: str, after: object
) -> None:
    sandbox.faults.add(Rule(kind=kind, variant=variant, method="POST"))
    with pytest.raises(httpx.RemoteProtocolError if variant == "close" else httpx.ReadError):
        client.post(LIMITS, json=ASKED)
    assert stored(sandbox) == after
    assert next(iter(sandbox.log)).status is None
    assert client.get(LIMITS).status_code == 200


@pytest.mark.parametrize("variant", ["close", "error"])
def test_a_late_effect_lands_after_the_caller_was_told_nothing(
    client: httpx.Client, sandbox: Sandbox, postponed: Postponed, variant: str
) -> None:
    sandbox.faults.add(Rule(kind="late", variant=variant, seconds=LATER_SECONDS, method="POST"))
    if variant == "error":
        assert client.post(LIMITS, json=ASKED).status_code == 504
    else:
        with pytest.raises(httpx.RemoteProtocolError):
            client.post(LIMITS, json=ASKED)
    assert stored(sandbox) == OLD
    postponed.happen()
    until(lambda: stored(sandbox) == NEW)


def test_nothing_is_stored_and_the_answer_says_what_was_asked_or_what_is(client: httpx.Client, sandbox: Sandbox) -> None:
    rule = sandbox.faults.add(Rule(kind="stored_nothing", method="POST"))
    answer = client.post(LIMITS, json=ASKED)
    assert (answer.status_code, answer.json()["limits"][0]["efLimits"]["short"], stored(sandbox)) == (200, 600, OLD)
    assert client.post(EF_STATUS, json=ef_body(_451="Y")).json()["executionFirms"][3]["suspended"] == "Y"
    status = {"service": "ICC", "clearingAccounts": [{"clearingFirm": FIRM, "accountNumber": ACCOUNT, "status": "I"}]}
    assert client.post(STATUS, json=status).json()["clearingAccounts"][0]["status"] == "Successful"
    sandbox.faults.remove(rule.id)
    sandbox.faults.add(Rule(kind="stored_nothing", variant="old", method="POST"))
    answer = client.post(LIMITS, json=ASKED)
    assert (answer.status_code, answer.json()["limits"][0]["efLimits"]["short"], stored(sandbox)) == (200, 567, OLD)
    assert client.post(EF_STATUS, json=ef_body(_451="Y")).json()["executionFirms"][3]["suspended"] == "N"
    assert client.post(STATUS, json=status).json()["clearingAccounts"][0]["status"] == "Successful"
    assert client.post(LIMITS, json=body()).status_code == 400
    assert (sandbox.book.account(ACCOUNT).status, any(sandbox.book.account(ACCOUNT).execution_firms.values())) == ("Active", False)


def test_a_read_after_a_store_of_nothing_shows_the_old_row(client: httpx.Client, sandbox: Sandbox) -> None:
    client.get(LIMITS)
    sandbox.faults.add(Rule(kind="stored_nothing", method="POST"))
    client.post(LIMITS, json=ASKED)
    assert client.get(LIMITS).json()["limits"][0]["efLimits"]["short"] == 567


@pytest.mark.parametrize(("variant", "status", "shown"), [("true", 200, [1, 456]), ("asked", 200, [1, 2]), ("error", 500, None)])
def test_only_the_first_rows_are_stored(client: httpx.Client, sandbox: Sandbox, variant: str, status: int, shown: list[int] | None) -> None:
    sandbox.faults.add(Rule(kind="partial", rows=1, variant=variant, method="POST"))
    answer = client.post(LIMITS, json=TWO)
    assert answer.status_code == status
    if shown is not None:
        assert [entry["efLimits"]["short"] for entry in answer.json()["limits"]][:2] == shown
    assert (stored(sandbox), stored(sandbox, "350")) == ((1, 1, 9000, 2000), (123, 456, 1000, 30989))


def test_a_partial_store_of_suspensions_and_statuses(client: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.faults.add(Rule(kind="partial", rows=1))
    client.post(EF_STATUS, json=ef_body(_451="Y", _113="Y")).raise_for_status()
    assert [ef_id for ef_id, suspended in sandbox.book.account(ACCOUNT).execution_firms.items() if suspended] == ["451"]
    accounts = [{"clearingFirm": FIRM, "accountNumber": number, "status": "I"} for number in (ACCOUNT, "DV101218B")]
    client.post(STATUS, json={"service": "ICC", "clearingAccounts": accounts}).raise_for_status()
    assert [account.status for account in sandbox.book.accounts("780")] == ["Inactive", "Active"]
    assert client.get(LIMITS).status_code == 200


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_slow_answer_takes_its_seconds_and_others_do_not_wait(
    client: httpx.Client, sandbox: Sandbox, postponed: Postponed, when: Any
) -> None:
    sandbox.faults.add(Rule(kind="slow", seconds=LATER_SECONDS, when=when, method="POST"))
    answers: list[int] = []

    def post() -> None:
        answers.append(httpx.post(sandbox.url + LIMITS, json=ASKED, trust_env=False, timeout=None).status_code)

    thread = threading.Thread(target=post)
    thread.start()
    until(lambda: bool(postponed.due))
    assert stored(sandbox) == (OLD if when == "before" else NEW)
    client.get(LIMITS).raise_for_status()
    assert answers == []
    postponed.happen()
    thread.join()
    assert answers == [200]
    assert (stored(sandbox), sandbox.log.peak_in_flight) == (NEW, 2)


@pytest.mark.parametrize(("kind", "status"), [("too_many_requests", 429), ("unavailable", 503)])
@pytest.mark.parametrize("retry_after", ["7", "Wed, 21 Oct 2026 07:28:00 GMT", ""])
def test_refusals_that_say_when_to_come_back(client: httpx.Client, sandbox: Sandbox, kind: Any, status: int, retry_after: str) -> None:
    sandbox.faults.add(Rule(kind=kind, retry_after=retry_after, times=1))
    answer = client.post(LIMITS, json=ASKED)
    assert (answer.status_code, answer.headers.get("retry-after", ""), stored(sandbox)) == (status, retry_after, OLD)
    assert client.post(LIMITS, json=ASKED).status_code == 200


def test_a_web_page_in_place_of_an_answer(client: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.faults.add(Rule(kind="html", times=1))
    answer = client.post(LIMITS, json=ASKED)
    assert (answer.status_code, answer.headers["content-type"], stored(sandbox)) == (502, "text/html; charset=utf-8", OLD)
    assert "<h1>Bad Gateway</h1>" in answer.text
    sandbox.faults.add(Rule(kind="html", status=200, when="after"))
    answer = client.post(LIMITS, json=ASKED)
    assert (answer.status_code, "maintenance" in answer.text, stored(sandbox)) == (200, True, NEW)


def test_a_redirect_to_another_origin(client: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.faults.add(Rule(kind="redirect", times=1))
    answer = client.post(LIMITS, json=ASKED)
    assert (answer.status_code, answer.headers["location"]) == (307, f"http://127.0.0.2:9/rest/v2{LIMITS}")
    sandbox.faults.add(Rule(kind="redirect", status=302, location="//evil.invalid/"))
    assert client.get(LIMITS).headers["location"] == "//evil.invalid/"
    assert stored(sandbox) == OLD


@pytest.mark.parametrize(("when", "seen"), [("before", 5), ("after", 567)])
def test_a_third_party_changes_a_row_around_the_nth_call(client: httpx.Client, sandbox: Sandbox, when: Any, seen: int) -> None:
    edit = {"accountNumber": ACCOUNT, "efId": "3N1", "product": "CJ.FUT.NYMEX", "efLimits": {"short": 5}}
    sandbox.faults.add(Rule(kind="foreign_edit", nth=2, when=when, edit=edit, method="GET"))
    shorts = [client.get(LIMITS).json()["limits"][0]["efLimits"]["short"] for _ in range(3)]
    assert shorts == [567, seen, 5]


def test_the_answer_of_another_account(client: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.faults.add(Rule(kind="wrong_body"))
    assert client.get(LIMITS).json()["accountNumber"] == "DV101218B"
    assert client.get(EF_STATUS).json()["executionFirms"] == [{"efId": "8T4", "suspended": "N"}]
    assert client.post(LIMITS, json=ASKED).json()["accountNumber"] == "DV101218B"
    assert stored(sandbox) == NEW
    assert "entitlements" in client.get(ACCOUNTS).json()
    assert "clearingAccounts" in client.get("/myFirms/").json()
    sandbox.faults.clear()
    sandbox.faults.add(Rule(kind="wrong_body", other="CPCICCCOPY"))
    assert client.get(LIMITS).json()["clearingFirm"] == "GREENTEA_API_CLEARING1"


def test_of_two_rules_the_first_answers_and_slowness_adds_up(client: httpx.Client, sandbox: Sandbox) -> None:
    for rule in (Rule(kind="slow", seconds=0.1), Rule(kind="unavailable"), Rule(kind="error_before"), Rule(kind="error_after", status=400)):
        sandbox.faults.add(rule)
    begun = time.monotonic()
    assert client.get(LIMITS).status_code == 503
    assert time.monotonic() - begun >= 0.1
    assert next(iter(sandbox.log)).faults == tuple(rule.id for rule in sandbox.faults.rules())


def test_damage_leaves_alone_what_is_no_answer_any_more(client: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.faults.add(Rule(kind="error_after", body="gone", times=1))
    sandbox.faults.add(Rule(kind="malformed", variant="wrong_firm"))
    assert client.get(LIMITS).text == "gone"
    sandbox.faults.add(Rule(kind="error_after", body="[]", times=1, id="first"))
    sandbox.faults.add(Rule(kind="malformed", variant="wrong_account", id="second"))
    assert client.get(LIMITS).text == "[]"
    sandbox.faults.clear()
    sandbox.faults.add(Rule(kind="drop_after"))
    sandbox.faults.add(Rule(kind="malformed", variant="truncated"))
    with pytest.raises(httpx.RemoteProtocolError):
        client.get(LIMITS)


def test_a_rule_that_cannot_be_carried_out_is_a_500_that_says_so(client: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.faults.add(Rule(kind="foreign_edit", edit={"accountNumber": "NOBODY", "status": "closed"}))
    answer = client.get(LIMITS)
    assert (answer.status_code, answer.json()["errorType"]) == (500, "SandboxError")
    assert "no account 'NOBODY'" in answer.json()["error"]


def test_faults_reach_the_token_endpoint_too(client: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.faults.add(Rule(kind="error_before", path="/as/token.oauth2", status=503))
    assert client.post(sandbox.token_url).status_code == 503


# --- damaged answers -----------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def damaged(client: httpx.Client, sandbox: Sandbox) -> Callable[[str], httpx.Response]:
    def get(variant: str) -> httpx.Response:
        sandbox.faults.clear()
        sandbox.faults.add(Rule(kind="malformed", variant=variant))
        return client.get(LIMITS)

    return get


NOT_JSON = [
    "truncated", "trailing_garbage", "two_documents", "zero_padded_limits", "empty_body", "blank_body", "bom", "utf16", "invalid_utf8", "nul_bytes",
    "control_characters", "single_quotes", "comments", "deep_nesting",
]  # fmt: skip
FALSE_FRAMES = ["content_length_long", "content_length_twice", "chunk_cut", "chunk_size_bad", "not_http", "header_cut"]
FIRST_LEG: dict[str, object] = {
    "float_limits": 567.5, "whole_float_limits": 567.0, "string_limits": "567", "negative_limits": -568, "large_limits": 2**63, "bool_limits": True,
    "list_limits": [567], "word_limits": "several", "exponent_limits": 1000.0,
}  # fmt: skip


def test_there_are_enough_kinds_of_damage() -> None:
    assert len(MALFORMED) >= 50
    assert VARIANTS["malformed"] == tuple(MALFORMED)
    assert set(FAULT_KINDS) >= set(VARIANTS)


@pytest.mark.parametrize("variant", NOT_JSON)
def test_bodies_that_are_not_one_json_document_of_utf8(damaged: Callable[[str], httpx.Response], variant: str) -> None:
    answer = damaged(variant)
    assert answer.status_code == 200
    with pytest.raises((ValueError, RecursionError)):
        json.loads(answer.content.decode("utf-8"))


@pytest.mark.parametrize("variant", ["nan", "infinity"])
def test_numbers_that_json_does_not_have(damaged: Callable[[str], httpx.Response], variant: str) -> None:
    def refused(text: str) -> None:
        raise ValueError(text)

    with pytest.raises(ValueError, match="NaN" if variant == "nan" else "-Infinity"):
        json.loads(damaged(variant).content, parse_constant=refused)


@pytest.mark.parametrize(("variant", "leg"), list(FIRST_LEG.items()))
def test_legs_that_are_no_whole_numbers(damaged: Callable[[str], httpx.Response], variant: str, leg: object) -> None:
    found = damaged(variant).json()["limits"][0]["efLimits"]["short"]
    assert (found, type(found)) == (leg, type(leg))


def test_a_number_of_five_thousand_digits(damaged: Callable[[str], httpx.Response]) -> None:
    assert b"9" * 5000 in damaged("huge_limits").content


@pytest.mark.parametrize(
    ("variant", "root"),
    [("root_list", list), ("root_string", str), ("root_null", type(None)), ("root_number", int), ("empty_object", dict)],
)
def test_roots_of_another_kind(damaged: Callable[[str], httpx.Response], variant: str, root: type) -> None:
    document = damaged(variant).json()
    assert type(document) is root
    assert variant != "empty_object" or document == {}


@pytest.mark.parametrize(
    ("variant", "field", "value"), [("wrong_account", "accountNumber", "SOMEONE-ELSE"), ("wrong_firm", "clearingFirm", "ANOTHER_FIRM"),
     ("wrong_service", "service", "CPC")]
)  # fmt: skip
def test_answers_in_another_name(damaged: Callable[[str], httpx.Response], variant: str, field: str, value: str) -> None:
    assert damaged(variant).json()[field] == value


def test_rows_that_are_not_rows(damaged: Callable[[str], httpx.Response]) -> None:
    assert isinstance(damaged("rows_as_object").json()["limits"], dict)
    assert "limits" not in damaged("rows_missing").json()
    assert damaged("rows_of_null").json()["limits"][-1] is None
    assert "efId" not in damaged("no_ef_id").json()["limits"][0]
    assert damaged("ef_id_number").json()["limits"][0]["efId"] == 27
    assert "product" not in damaged("no_product").json()["limits"][0]


def test_a_row_that_comes_twice_with_other_numbers(damaged: Callable[[str], httpx.Response]) -> None:
    rows = damaged("duplicate_row").json()["limits"]
    assert [(entry["efId"], entry["product"]) for entry in (rows[0], rows[-1])] == [("3N1", "CJ.FUT.NYMEX")] * 2
    assert rows[0]["efLimits"] != rows[-1]["efLimits"]


def test_a_key_that_comes_twice(damaged: Callable[[str], httpx.Response]) -> None:
    answer = damaged("duplicate_keys")
    assert answer.content.count(b'"limits":') == 2
    assert len(answer.json()["limits"]) == 3


def test_statuses_and_suspensions_that_do_not_exist(client: httpx.Client, sandbox: Sandbox) -> None:
    def get(variant: str, path: str) -> Any:
        sandbox.faults.clear()
        sandbox.faults.add(Rule(kind="malformed", variant=variant))
        return client.get(path).json()

    assert get("suspended_unknown", EF_STATUS)["executionFirms"][0]["suspended"] == "MAYBE"
    assert get("suspended_bool", EF_STATUS)["executionFirms"][0]["suspended"] is True
    assert get("status_unknown", ACCOUNTS)["clearingAccounts"][0]["status"] == "Sleeping"


def test_a_lone_surrogate_is_json_but_no_text(damaged: Callable[[str], httpx.Response]) -> None:
    with pytest.raises(UnicodeEncodeError):
        damaged("lone_surrogate").json()["service"].encode()


def test_content_types_that_are_wrong_or_missing(damaged: Callable[[str], httpx.Response]) -> None:
    assert damaged("content_type_html").headers["content-type"] == "text/html"
    assert "content-type" not in damaged("content_type_absent").headers
    assert len(damaged("content_type_absent").json()["limits"]) == 3


def raw(client: httpx.Client) -> tuple[httpx.Response, bytes]:
    with client.stream("GET", LIMITS) as answer:
        return answer, b"".join(answer.iter_raw())


@pytest.mark.parametrize("variant", ["gzip_plain", "gzip_truncated", "gzip_bomb", "encoding_unknown"])
def test_encodings_that_lie(client: httpx.Client, sandbox: Sandbox, variant: str) -> None:
    sandbox.faults.add(Rule(kind="malformed", variant=variant))
    answer, content = raw(client)
    match variant:
        case "gzip_plain":
            with pytest.raises(gzip.BadGzipFile):
                gzip.decompress(content)
        case "gzip_truncated":
            with pytest.raises(EOFError):
                gzip.decompress(content)
        case "gzip_bomb":
            unpacker = zlib.decompressobj(31)
            assert len(content) < 1_000_000
            unpacked = sum(iter(lambda: len(unpacker.decompress(unpacker.unconsumed_tail, 16_000_000)), 0)) + len(
                unpacker.decompress(content, 16_000_000)
            )
            assert unpacked >= 16_000_000
        case _:
            assert json.loads(content)["limits"]
    assert answer.headers["content-encoding"] == ("rot13" if variant == "encoding_unknown" else "gzip")


@pytest.mark.parametrize("variant", FALSE_FRAMES)
def test_frames_that_lie(client: httpx.Client, sandbox: Sandbox, variant: str) -> None:
    sandbox.faults.add(Rule(kind="malformed", variant=variant))
    with pytest.raises(httpx.RemoteProtocolError):
        client.get(LIMITS)
    sandbox.faults.clear()
    assert client.get(LIMITS).status_code == 200


def test_a_content_length_that_is_too_short_cuts_the_document(damaged: Callable[[str], httpx.Response]) -> None:
    with pytest.raises(ValueError, match=r"delimiter|Unterminated|Expecting"):
        damaged("content_length_short").json()


@pytest.mark.parametrize("path", ["/myFirms/", ACCOUNTS, ELIGIBLE, LIMITS, LIMITS.replace(ACCOUNT, "DV101218B"), EF_STATUS, "/nothing"])
def test_every_damage_can_be_done_to_every_answer(client: httpx.Client, sandbox: Sandbox, path: str) -> None:
    for variant in MALFORMED:
        if variant == "gzip_bomb":
            continue
        sandbox.faults.clear()
        sandbox.faults.add(Rule(kind="malformed", variant=variant))
        try:
            status = client.get(path).status_code
        except (httpx.RemoteProtocolError, httpx.DecodingError):
            continue
        good = 206 if variant == "partial_content" else 200
        assert status == (404 if path == "/nothing" and "content_length" not in variant else good), variant


def test_damage_to_a_post_comes_after_its_effect(client: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.faults.add(Rule(kind="malformed", variant="truncated"))
    client.post(LIMITS, json=ASKED)
    assert stored(sandbox) == NEW


# --- false pages ---------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def pages(client: httpx.Client, sandbox: Sandbox) -> Callable[[str], list[dict[str, Any]]]:
    """The three pages of seven rows under a paging fault."""
    for i, product in enumerate(("CC.FUT.NYMEX", "GIE.FUT.CME", "6Z.FUT.CME", "RO.OOF.CME")):
        sandbox.book.put(ACCOUNT, "113", product, (i, i, i, i))

    def get(variant: str) -> list[dict[str, Any]]:
        sandbox.faults.clear()
        if variant:
            sandbox.faults.add(Rule(kind="paging", variant=variant))
        return [client.get(LIMITS, params={"limit": 3, "offset": offset}).json() for offset in (1, 2, 3)]

    return get


def positions(pages: list[dict[str, Any]], order: list[Any]) -> list[list[int]]:
    return [[order.index(entry) for entry in page["limits"]] for page in pages]


@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        ("loop", [[0, 1, 2], [0, 1, 2], [0, 1, 2]]),
        ("endless", [[0, 1, 2], [0, 1, 2], [0, 1, 2]]),
        ("duplicate", [[0, 1, 2, 0], [3, 4, 5, 3], [6, 6]]),
        ("overlap", [[0, 1, 2], [2, 4, 5], [5]]),
        ("short", [[0, 1], [3, 4], []]),
        ("missing", [[0, 1, 2], [], []]),
        ("first_missing", [[], [3, 4, 5], [6]]),
        ("shifting", [[0, 1, 2], [4, 5, 6], []]),
        ("shifting_back", [[0, 1, 2], [2, 3, 4], [5, 6]]),
        ("limit_ignored", [[0], [3], []]),
        ("all_at_once", [[0, 1, 2, 3, 4, 5, 6]] * 3),
    ],
)
def test_pages_with_the_wrong_rows(pages: Callable[[str], list[dict[str, Any]]], variant: str, expected: list[list[int]]) -> None:
    order = [entry for page in pages("") for entry in page["limits"]]
    false = pages(variant)
    assert positions(false, order) == expected
    assert [page["availableOffsets"] for page in false] == ([2, 3, 4] if variant == "endless" else [3, 3, 3])


@pytest.mark.parametrize(
    ("variant", "field", "expected"),
    [
        ("available_more", "availableOffsets", [4, 4, 4]),
        ("available_less", "availableOffsets", [2, 2, 2]),
        ("available_zero", "availableOffsets", [0, 0, 0]),
        ("available_text", "availableOffsets", ["many"] * 3),
        ("available_huge", "availableOffsets", [10**12] * 3),
        ("offset_wrong", "offset", [2, 3, 4]),
        ("limit_wrong", "limit", [4, 4, 4]),
    ],
)
def test_pages_with_the_right_rows_and_false_fields(
    pages: Callable[[str], list[dict[str, Any]]], variant: str, field: str, expected: list[Any]
) -> None:
    true = pages("")
    false = pages(variant)
    assert [page["limits"] for page in false] == [page["limits"] for page in true]
    assert [page[field] for page in false] == expected


@pytest.mark.parametrize(("variant", "counts"), [("counts_more", 3), ("counts_less", 1)])
def test_counts_that_lie(client: httpx.Client, sandbox: Sandbox, variant: str, counts: int) -> None:
    sandbox.faults.add(Rule(kind="paging", variant=variant))
    answer = client.get(ACCOUNTS).json()
    assert (answer["counts"], len(answer["clearingAccounts"])) == (counts, 2)


@pytest.mark.parametrize("variant", list(PAGING))
def test_every_false_page_can_be_had_of_every_list(client: httpx.Client, sandbox: Sandbox, variant: str) -> None:
    sandbox.faults.add(Rule(kind="paging", variant=variant))
    for path in ("/myFirms/", ACCOUNTS, ELIGIBLE, EF_STATUS, LIMITS):
        assert client.get(path, params={"limit": 2, "offset": 2}).status_code == 200
    assert client.get("/nothing").status_code == 404
    assert client.post(LIMITS, json=ASKED).json()["limits"][0]["efLimits"]["short"] == 600


def test_eligible_products_are_falsified_by_product(client: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.faults.add(Rule(kind="paging", variant="short"))
    groups = client.get(ELIGIBLE, params={"limit": 10}).json()["products"]
    assert sum(len(group["productList"]) for group in groups) == 9
