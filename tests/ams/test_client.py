"""The reader and writer against the sandbox: live state whole, whatever the spelling; no result from a damaged read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from amsctl.ams.client import Reader, open_reader
from amsctl.ams.clock import stamp
from amsctl.ams.writer import open_writer
from amsctl.config import Assumptions, Auth, AuthType, Environment, OffsetCounts, Secret, UnlimitedAs, UnlimitedShownAs
from amsctl.errors import AmsError, AmsMalformed, AmsNoAnswer, AmsRefused, IncompleteRead
from amsctl.model import UNLIMITED, AccountKey, AccountStatus, Firm, LiveAccount, RowKey
from amsctl.sandbox.auth import Auth as SandboxAuth
from amsctl.sandbox.auth import Credential
from amsctl.sandbox.books import spec_book
from amsctl.sandbox.faults import Rule
from amsctl.sandbox.generator import generate
from amsctl.sandbox.oddities import Oddities
from amsctl.sandbox.pagefaults import PAGING
from amsctl.sandbox.server import Sandbox, serve
from amsctl.wire import bodies, paths
from tests.ams.doubles import JumpingClock, environment, requests, run
from tests.hostile.canaries import CANARIES

FIRM = Firm(name="GREENTEA_API_CLEARING2", clearing_id="780")
SPEC = "DV10121801A"


@pytest.fixture(scope="module")
def spec() -> Iterator[Sandbox]:
    with serve(spec_book()) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def book() -> Iterator[Sandbox]:
    with serve(generate(23, 4, seed=3, execution_firms=3)) as sandbox:
        yield sandbox


@pytest.fixture(autouse=True)
def _clean(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    for name in ("spec", "book"):
        if name in request.fixturenames:
            request.getfixturevalue(name).reset()


def reading(sandbox: Sandbox, act: Any, *, env: Mapping[str, Any] | None = None, **options: Any) -> Any:
    async def within() -> Any:
        async with open_reader(environment(sandbox.url, **(env or {})), requests(**options), clock=JumpingClock()) as reader:
            return await act(reader)

    return run(within())


def truth(sandbox: Sandbox, number: str) -> tuple[dict[str, bool], dict[RowKey, tuple[Any, ...]]]:
    account = sandbox.book.find(number, FIRM.name)
    assert account is not None
    rows = {RowKey(*key): tuple(UNLIMITED if leg is None else leg for leg in legs) for key, legs in account.items()}
    return dict(account.execution_firms), {key: legs for key, legs in rows.items() if set(legs) != {UNLIMITED}}


def assert_true(sandbox: Sandbox, live: LiveAccount) -> None:
    execution_firms, rows = truth(sandbox, live.key.number)
    assert dict(live.execution_firms) == execution_firms
    assert {key: row.legs for key, row in live.rows.items()} == rows


def test_firms_are_known_by_name_and_by_clearing_id(spec: Sandbox) -> None:
    """AMS §3.6; another firm is an error that says which there are; asked for once."""

    async def act(reader: Reader) -> None:
        assert await reader.resolve("GREENTEA_API_CLEARING2") == await reader.resolve("780") == FIRM
        with pytest.raises(AmsError, match=r"GREENTEA_API_CLEARING1 \(984\)") as caught:
            await reader.resolve("0780")
        assert "0780" in str(caught.value)
        assert reader.calls == 1

    reading(spec, act)


def test_a_firm_text_that_fits_two_firms_is_refused() -> None:
    """The name of one may be the id of another."""
    import httpx

    listed = [{"firmName": "780", "clearingId": "1"}, {"firmName": "B", "clearingId": "780"}]
    body = {"entitlements": [{"service": "ICC", "clearingFirms": listed}]}
    transport = httpx.MockTransport(lambda request: httpx.Response(200, json=body))

    async def within() -> None:
        async with open_reader(environment("http://x"), requests(), transport=transport) as reader:
            with pytest.raises(AmsError, match="ambiguous"):
                await reader.resolve("780")

    run(within())


def test_the_account_of_the_specification_is_read_whole(spec: Sandbox) -> None:
    """Status, suspension, rows, and what was fetched."""
    live = reading(spec, lambda reader: reader.account(FIRM, SPEC))
    assert live.key == AccountKey("GREENTEA_API_CLEARING2", SPEC)
    assert live.status is AccountStatus.ACTIVE
    assert (live.row_count, live.pages, live.read_at) == (3, 1, stamp(JumpingClock().wall()))
    assert live.rows[RowKey("3N1", "CJ.FUT.NYMEX")].legs == (324, 567, 9000, 2000)
    assert_true(spec, live)


def test_an_account_that_does_not_exist_is_an_error_not_an_empty_account(spec: Sandbox) -> None:
    """And exact: another spelling is another account."""
    for number in ("NOPE", SPEC.lower()):
        with pytest.raises(AmsError, match=f"no such account .*{number}"):
            reading(spec, lambda reader, number=number: reader.account(FIRM, number))


VARIANTS: list[dict[str, Any]] = [
    {"ef_as_strings": True, "ef_key": "efID", "status_words": "lower"},
    {"status_words": "letters", "unlimited_as": "omit", "links": "hostile", "extra_fields": True},
    {"unlimited_as": "omit_side", "usage": "number", "links": "none"},
    {"unlimited_as": "Unlimited", "usage": "object", "trailing_blanks": False, "links": "absolute"},
    {"no_available_offsets": True},
    {"no_paging_fields": True},
    {"max_page_size": 3},
    {"max_page_size": 3, "no_available_offsets": True},
    {"max_page_size": 3, "no_paging_fields": True},
    {"counts_means": "page"},
    {"counts_means": "page", "no_available_offsets": True, "max_page_size": 4},
    {"counts_means": "page", "no_paging_fields": True, "max_page_size": 4},
]


SHOWN_AS = {
    "null": UnlimitedShownAs.NULL,
    "Unlimited": UnlimitedShownAs.WORD,
    "omit": UnlimitedShownAs.LEG_ABSENT,
    "omit_side": UnlimitedShownAs.SIDE_ABSENT,
}
"""The setting for each way in which the stand-in can show a leg without a limit."""


@pytest.mark.parametrize("page_size", [4, 6, 12, 50])
@pytest.mark.parametrize("oddities", VARIANTS, ids=lambda oddities: ",".join(oddities))
def test_every_oddity_of_the_ams_is_survived(book: Sandbox, oddities: dict[str, Any], page_size: int) -> None:
    """Whatever the spelling and the page size: the account is read as it is, and so is the listing."""
    book.switch(**oddities)
    numbers = [account.number for account in book.book.accounts(FIRM.name)]

    async def act(reader: Reader) -> None:
        listed = [entry async for entry in reader.accounts(FIRM)]
        assert [entry.number for entry in listed] == numbers
        for entry in listed[:2]:
            assert_true(book, await reader.account(FIRM, entry.number, status=entry))
            products = await reader.eligible_products(FIRM, entry.number)
            assert set(products) == set(truth(book, entry.number)[0])

    shown_as = SHOWN_AS[str(oddities.get("unlimited_as", "null"))]
    reading(book, act, env={"assumptions": Assumptions(unlimited_shown_as=shown_as)}, page_size=page_size)


@pytest.mark.parametrize("page_size", [4, 5, 12])
def test_offsets_may_count_rows(book: Sandbox, page_size: int) -> None:
    """A setting, since CME does not say."""
    book.switch(offset_means="row")
    env = {"assumptions": Assumptions(offset_counts=OffsetCounts.ROWS)}
    number = next(iter(book.book.accounts(FIRM.name))).number
    assert_true(book, reading(book, lambda reader: reader.account(FIRM, number), env=env, page_size=page_size))


def test_an_offset_misunderstood_is_an_error_not_a_loss(book: Sandbox) -> None:
    """Rows counted as pages repeat most rows: noticed."""
    book.switch(offset_means="row")
    number = next(iter(book.book.accounts(FIRM.name))).number
    with pytest.raises(IncompleteRead):
        reading(book, lambda reader: reader.limits(FIRM, number), page_size=5)


@pytest.mark.parametrize("variant", sorted(PAGING))
@pytest.mark.parametrize("page_size", [4, 5, 12])
def test_no_account_comes_of_damaged_pages(book: Sandbox, variant: str, page_size: int) -> None:
    """Over real HTTP: an error, or every row; what cannot be noticed is a last page that silently lacks rows, and a shift that leaves all marks alone."""
    number = next(iter(book.book.accounts(FIRM.name))).number
    book.faults.add(Rule(kind="paging", variant=variant, path="/accountLimitsUtilization/*"))
    try:
        found = reading(book, lambda reader: reader.limits(FIRM, number), page_size=page_size)
    except (IncompleteRead, AmsMalformed):
        return
    if {key: row.legs for key, row in found.items()} != truth(book, number)[1]:
        total = 12
        unnoticed = {"short", "limit_ignored", "shifting", "first_missing"} if page_size >= total else {"shifting"}
        assert variant in unnoticed, (variant, page_size, len(found))


def test_a_listing_with_counts_notices_every_damage(book: Sandbox) -> None:
    """counts vouches for the last page too."""
    numbers = {account.number for account in book.book.accounts(FIRM.name)}
    for variant in sorted(PAGING):
        book.faults.clear()
        book.faults.add(Rule(kind="paging", variant=variant, path="/accounts/*"))
        for page_size in (5, 7, 23, 50):
            try:
                found = reading(book, lambda reader: reader.statuses(FIRM, numbers), page_size=page_size)
            except (IncompleteRead, AmsMalformed):
                continue
            assert set(found) == numbers, (variant, page_size)


def test_statuses_take_the_cheaper_way(book: Sandbox) -> None:
    """Few accounts are asked for one by one; many are paged through; what does not exist is missing."""
    numbers = [account.number for account in book.book.accounts(FIRM.name)]

    def calls(wanted: list[str], expected: int, page_size: int) -> None:
        async def act(reader: Reader) -> int:
            found = await reader.statuses(FIRM, wanted)
            assert set(found) == set(wanted) & set(numbers)
            return reader.calls

        assert reading(book, act, page_size=page_size) == expected

    calls([], 0, 5)
    calls([numbers[20]], 1, 5)
    calls([numbers[20], "NOPE"], 2, 5)
    calls(numbers, 5, 5)
    calls([*numbers[:4], numbers[22]], 2, 5)
    calls([*numbers[:4], "NOPE"], 2, 5)
    calls(["NOPE1", "NOPE2", "NOPE3", "NOPE4", *numbers[6:8]], 5, 5)
    calls([*numbers, "NOPE"], 1, 50)


def test_a_server_that_ignores_the_account_filter_is_looked_through() -> None:
    """The whole listing is read then, and the account found or not."""
    import httpx

    entries = [{"clearingFirm": "780", "accountNumber": f"A{index}", "status": "a"} for index in range(7)]

    def serve_all(request: httpx.Request) -> httpx.Response:
        page, limit = int(request.url.params["offset"]), int(request.url.params["limit"])
        rows = entries[(page - 1) * limit : page * limit]
        return httpx.Response(
            200, json={"service": "ICC", "counts": 7, "limit": limit, "offset": page, "availableOffsets": 3, "clearingAccounts": rows}
        )

    async def within(handler: Any) -> Any:
        async with open_reader(environment("http://x"), requests(page_size=3), transport=httpx.MockTransport(handler)) as reader:
            return await reader.statuses(FIRM, ["A6", "A9"])

    assert set(run(within(serve_all))) == {"A6"}
    gone = {"errorType": "404", "error": "no such account"}
    assert run(within(lambda request: httpx.Response(404, json=gone))) == {}
    with pytest.raises(AmsRefused):
        run(within(lambda request: httpx.Response(404)))


def test_many_statuses_where_nothing_says_how_many_pages_there_are() -> None:
    """counts alone is enough to choose by; nothing at all means the listing."""
    import httpx

    entries = [{"clearingFirm": "780", "accountNumber": f"A{index}", "status": "a"} for index in range(9)]

    def handler(counted: bool) -> Any:
        def serve_page(request: httpx.Request) -> httpx.Response:
            if "accountNumber" in request.url.params:
                rows = [entry for entry in entries if entry["accountNumber"] == request.url.params["accountNumber"]]
                return httpx.Response(200, json={"service": "ICC", "clearingAccounts": rows, "limit": 2})
            page = int(request.url.params["offset"])
            body = {
                "service": "ICC",
                "clearingAccounts": entries[(page - 1) * 2 : page * 2],
                "limit": 2,
                **({"counts": 9} if counted else {}),
            }
            return httpx.Response(200, json=body)

        return serve_page

    async def within(counted: bool) -> tuple[set[str], int]:
        async with open_reader(environment("http://x"), requests(page_size=2), transport=httpx.MockTransport(handler(counted))) as reader:
            return set(await reader.statuses(FIRM, ["A1", "A5", "A8"])), reader.calls

    assert run(within(True)) == ({"A1", "A5", "A8"}, 3)
    assert run(within(False)) == ({"A1", "A5", "A8"}, 5)


def test_one_failing_status_fails_the_lot(book: Sandbox) -> None:
    """A failed read is not an empty one."""
    numbers = [account.number for account in book.book.accounts(FIRM.name)][:2]
    book.faults.add(Rule(kind="error_before", account=numbers[1]))
    with pytest.raises(AmsRefused):
        reading(book, lambda reader: reader.statuses(FIRM, numbers))


@pytest.mark.parametrize("kind", ["error_before", "drop_before", "html", "too_many_requests", "unavailable", "redirect", "wrong_body"])
@pytest.mark.parametrize("path", ["/accounts/*", "/efStatus/*", "/accountLimitsUtilization/*"])
def test_no_account_comes_of_a_failed_part(spec: Sandbox, kind: Any, path: str) -> None:
    """Each of the three reads that make an account must succeed."""
    spec.faults.add(Rule(kind=kind, path=path))
    with pytest.raises(AmsError):
        reading(spec, lambda reader: reader.account(FIRM, SPEC), retries=1)
    assert [entry.method for entry in spec.log.calls() if entry.method != "GET"] == []


@pytest.mark.parametrize("kind", ["drop_before", "html", "too_many_requests", "unavailable"])
def test_a_passing_failure_is_read_over(spec: Sandbox, kind: Any) -> None:
    """What is tried again comes out as if nothing had happened."""
    spec.faults.add(Rule(kind=kind, path="/efStatus/*", times=2))
    assert_true(spec, reading(spec, lambda reader: reader.account(FIRM, SPEC), retries=3))


def test_malformed_answers_of_the_sandbox_are_errors(spec: Sandbox) -> None:
    """Every way in which it can damage a limits answer: a typed error, or every row."""
    from amsctl.sandbox.damage import MALFORMED

    harmless = 0
    for variant in sorted(MALFORMED):
        spec.reset()
        spec.faults.add(Rule(kind="malformed", variant=variant, path="/accountLimitsUtilization/*"))
        try:
            found = reading(spec, lambda reader: reader.limits(FIRM, SPEC))
        except AmsError:
            continue
        harmless += 1
        assert {key: row.legs for key, row in found.items()} == truth(spec, SPEC)[1], variant
    assert len(MALFORMED) - harmless >= 20


# --- writing ---


def write(
    sandbox: Sandbox, path: str, body: Mapping[str, Any], query: Mapping[str, str] | None = None, env: Environment | None = None
) -> Any:
    async def within() -> Any:
        async with open_writer(env or environment(sandbox.url), requests(retries=3)) as writer:
            return await writer.post(path, query or {}, body), await writer.reader.limits(FIRM, SPEC)

    return run(within())


KEY = RowKey("3N1", "CJ.FUT.NYMEX")
ACCOUNT = AccountKey(FIRM.name, SPEC)


def test_a_write_lands_once_and_reads_back(spec: Sandbox) -> None:
    """Upsert, then delete, through the same addresses that the reader uses."""
    row = bodies.limit_row(KEY, (324, 600, 9000, 2000), unlimited_as=UnlimitedAs.NULL)
    path = paths.limits(FIRM.name, SPEC)
    given, rows = write(spec, path, bodies.limits_body(ACCOUNT, [row]))
    assert given.http_status == 200
    assert rows[KEY].legs == (324, 600, 9000, 2000)
    _, rows = write(spec, path, bodies.limits_body(ACCOUNT, [row]), bodies.DELETE_QUERY)
    assert KEY not in rows
    assert [entry.query for entry in spec.log.calls("POST")] == ["", "delete=true"]


@pytest.mark.parametrize(
    ("kind", "variant"), [("drop_before", "close"), ("drop_after", "close"), ("drop_after", "reset"), ("malformed", "")]
)
def test_an_unknown_outcome_is_told_and_not_sent_again(spec: Sandbox, kind: Any, variant: str) -> None:
    """The connection ended, or what came cannot be read: it may have been applied."""
    spec.faults.add(Rule(kind=kind, variant=variant, method="POST"))
    with pytest.raises((AmsNoAnswer, AmsMalformed)):
        write(spec, paths.execution_firm_status(FIRM.name, SPEC), bodies.execution_firm_body(ACCOUNT, {"3N1": True}))
    assert len(spec.log.calls("POST")) == 1


@pytest.mark.parametrize("kind", ["basic", "oauth2", "session"])
def test_every_way_to_prove_who_we_are_works_over_http(kind: Any) -> None:
    """Read and write; tokens and sessions that expire at once are renewed."""
    credential = Credential(id="API_T", secret=CANARIES["the client secret"])
    auth = SandboxAuth(kind=kind, credentials=(credential,))
    with serve(spec_book(), auth=auth) as sandbox:
        ours = Auth(
            type=AuthType(kind), client_id="API_T", client_secret=Secret(CANARIES["the client secret"]), token_url=sandbox.token_url
        )
        env = environment(sandbox.url, auth=ours)
        _, rows = write(sandbox, paths.execution_firm_status(FIRM.name, SPEC), bodies.execution_firm_body(ACCOUNT, {"3N1": True}), env=env)
        assert len(rows) == 3
        assert sandbox.book.find(SPEC, FIRM.name).execution_firms["3N1"] is True
        assert sandbox.gate.tokens_issued + sandbox.gate.sessions_opened == (0 if kind == "basic" else 1)
        wrong = environment(
            sandbox.url, auth=Auth(type=AuthType(kind), client_id="API_T", client_secret=Secret("no"), token_url=sandbox.token_url)
        )
        with pytest.raises(AmsRefused):
            reading(sandbox, lambda reader: reader.firms(), env={"auth": wrong.auth})


def test_the_sandbox_is_as_odd_as_the_tests_think() -> None:
    """A switch that no longer exists would let its test pass for nothing."""
    for variant in VARIANTS:
        Oddities.from_mapping(variant)
