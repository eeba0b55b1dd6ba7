"""The decision on values alone: who counts under several sets of rules, who made a change and whose authorship is proven, and what is unknown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from amsctl.approvals.approval import Approval, Statement, is_digest_of
from amsctl.approvals.decision import Decision, Evidence, PlanFacts, RuleSet, decide
from amsctl.approvals.judging import Case, Rules, judge
from amsctl.approvals.keys import PublicKey
from amsctl.approvals.makers import ForgeRecord, Makers, UnknownMakers, UnprovenAuthor, makers, pushed_by
from amsctl.approvals.names import Identities
from amsctl.approvals.reviews import CommitRecord, PushRecord
from amsctl.approvals.signatures import Checked, Held, Keygen
from amsctl.config import Approvals, ApprovalSource, MakersFrom

NOW = datetime(2027, 1, 15, 8, tzinfo=UTC)
DIGEST = "sha256:" + "a1" * 32
PLAN = PlanFacts(
    digest=DIGEST,
    content="sha256:" + "c0" * 32,
    environment="production",
    url="https://ams/rest/v2",
    ams="main",
    commit="c" * 40,
    base_commit="b" * 40,
)
WHO = {"sam": "sam@firm", "kim": "kim@firm", "lee": "lee@firm", "jo": "jo@firm"}


def approval(who: str, **members: Any) -> Approval:
    statement = Statement(
        plan_digest=DIGEST,
        environment="production",
        url="https://ams/rest/v2",
        ams="main",
        base_commit="b" * 40,
        by=WHO[who],
        made_at="2027-01-15T07:00:00Z",
        expires_at="2027-01-16T07:00:00Z",
        nonce=who,
    )
    return Approval(statement=replace(statement, **members), signature=f"signed by {who}", file=f"{who}.json")


def checked(who: str, *known: bool) -> Checked:
    """A signature that holds by those lists that know the key."""
    held = tuple(
        Held(place=f"list {n}", names=(WHO[who],) if knows else (), reason="" if knows else "lacks the key")
        for n, knows in enumerate(known)
    )
    return Checked(key=PublicKey(identity=who), behind=frozenset({WHO[who]}), held=held)


def rules(needed: int, number: int | None = 0, made: Makers | UnknownMakers | None = None, **settings: Any) -> RuleSet:
    return RuleSet(
        place=f"set {number}",
        settings=Approvals(**settings),
        needed=needed,
        makers=made or Makers(names=frozenset({"jo@firm"})),
        list_number=number,
        people=tuple(frozenset({name}) for name in WHO.values()),
    )


def decided(
    sets: Sequence[RuleSet], *given: tuple[Approval, Checked], groups: Sequence[Sequence[str]] = (), plan: PlanFacts = PLAN
) -> Decision:
    return decide(plan, sets, Evidence(signatures=given), identities=Identities.of(groups), branch="main", now=NOW)


def said(decision: Decision) -> str:
    return str(decision.refusal())


# --- several sets of rules ---


def test_each_set_is_met_by_its_own_people() -> None:
    """A person whom one commit's list names counts there alone; both sets must be met."""
    sets = [rules(1, 0), rules(1, 1)]
    kim, lee = (approval("kim"), checked("kim", True, False)), (approval("lee"), checked("lee", False, True))
    assert decided(sets, kim, lee).enough
    assert [len(one.counted) for one in decided(sets, kim, lee).sets] == [1, 1]
    assert not decided(sets, kim).enough
    assert "(set 1)" in said(decided(sets, kim))


def test_a_laxer_set_makes_no_stricter_one_lighter() -> None:
    """An older policy that asks for one does not count for a newer one that asks for two, nor the other way round, in any order."""
    sam = (approval("sam"), checked("sam", True, True))
    kim = (approval("kim"), checked("kim", True, True))
    for sets in ([rules(1, 0), rules(2, 1)], [rules(2, 1), rules(1, 0)]):
        assert not decided(sets, sam).enough
        assert decided(sets, sam, kim).enough


def test_a_policy_in_between_counts() -> None:
    """Of three sets the strictest is the middle one."""
    sam, kim = ((approval(who), checked(who, True, True, True)) for who in ("sam", "kim"))
    sets = [rules(1, 0), rules(2, 1), rules(1, 2)]
    assert [one.met for one in decided(sets, sam).sets] == [True, False, True]
    assert decided(sets, sam, kim).enough


def test_a_maker_under_one_set_approves_under_none() -> None:
    """Who made the change is one fact, although the sets prove it differently."""
    sets = [rules(1, 0, Makers(names=frozenset({"sam@firm"}))), rules(1, 1, Makers(names=frozenset({"jo@firm"})))]
    found = decided(sets, (approval("sam"), checked("sam", True, True)))
    assert [len(one.counted) for one in found.sets] == [0, 0]
    assert "sam@firm has made or pushed this change" in said(found)


def test_a_set_of_no_need_is_met_without_looking() -> None:
    """A plan that only tightens needs no approval, whoever made it."""
    unproven = Makers(names=frozenset(), unproven=(UnprovenAuthor(name="x", why="y"),))
    assert decided([rules(0, 0, unproven)]).enough
    assert decided([rules(0, 0, UnknownMakers(reason="shallow"))]).enough
    assert decided([]).enough


# --- one person once ---


def test_one_person_counts_once_over_keys_and_lists() -> None:
    """Two keys, two names, and a third name that links them on another list: one pair of eyes."""
    two = [(approval("sam"), checked("sam", True)), (approval("kim"), checked("kim", True))]
    assert decided([rules(2)], *two).enough
    linked = decided([rules(2)], *two, groups=[["sam@firm", "s"], ["s", "kim@firm"]])
    assert not linked.enough
    assert "kim@firm has approved already, and counts once" in said(linked)


def test_a_name_that_any_list_links_to_a_maker() -> None:
    """A list of another commit says that the approver is the author."""
    found = decided([rules(1)], (approval("sam"), checked("sam", True)), groups=[["sam@firm", "JO@firm"]])
    assert not found.enough
    assert "jo@firm has made or pushed this change" in said(found)


# --- authors who are not proven ---


@pytest.mark.parametrize(("unproven", "signers", "enough"), [(0, 1, True), (1, 1, False), (1, 2, True), (2, 2, False), (2, 3, True)])
def test_each_author_who_is_not_proven_needs_one_more(unproven: int, signers: int, enough: bool) -> None:
    """With n authors who may be anybody, n approvals may be theirs."""
    made = Makers(names=frozenset({"jo@firm"}), unproven=tuple(UnprovenAuthor(name=f"x{n}", why="why") for n in range(unproven)))
    given = [(approval(who), checked(who, True)) for who in ("sam", "kim", "lee")[:signers]]
    found = decided([rules(1, 0, made)], *given)
    assert found.enough is enough
    if not enough:
        assert f"the plan needs {1 + unproven} approvals, {unproven} of them for authors who are not proven" in said(found)
        assert "the author x0 is not proven (why)" in said(found)


def test_unknown_makers_mean_that_none_counts() -> None:
    """What git or the forge did not answer is no answer."""
    found = decided([rules(1, 0, UnknownMakers(reason="the clone is shallow"))], (approval("sam"), checked("sam", True)))
    assert not found.enough
    assert "who made the change is unknown, so no approval counts: the clone is shallow" in said(found)


# --- statements ---


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ({"plan_digest": "sha256:" + "a1" * 31 + "a2"}, "it is for another plan"),
        ({"plan_digest": DIGEST[:39]}, "it is for another plan"),
        ({"environment": "test"}, "it is for another environment"),
        ({"url": "https://ams/rest/v2/"}, "it is for another environment"),
        ({"ams": "other"}, "it is for another environment"),
        ({"base_commit": "d" * 40}, "held against another commit"),
        ({"base_commit": None}, "held against another commit (none)"),
        ({"made_at": "2027-01-15T08:05:01Z"}, "it was made in the future"),
        ({"made_at": "soon"}, "its times cannot be read"),
        ({"expires_at": "2027-01-15T08:00:00Z"}, "it has expired (at 2027-01-15T08:00:00Z)"),
        ({"made_at": "2027-01-14T08:00:00Z", "expires_at": "2099-01-01T00:00:00Z"}, "it has expired (at 2027-01-15T08:00:00Z)"),
        ({"by": "kim@firm"}, "it names kim@firm, and the key of sam@firm has signed it"),
    ],
)
def test_what_is_signed_binds(members: dict[str, Any], says: str) -> None:
    """The whole digest, the environment with its address and AMS, the commit that it is held against, and a bounded time."""
    found = decided([rules(1)], (approval("sam", **members), checked("sam", True)))
    assert not found.enough
    assert says in said(found)


def test_the_times_of_each_set_hold() -> None:
    """The shorter life of one set does not end the approval under the other."""
    given = (approval("sam", made_at="2027-01-15T05:00:00Z"), checked("sam", True, True))
    found = decided([rules(1, 0, valid_hours=2), rules(1, 1, valid_hours=48)], given)
    assert [one.met for one in found.sets] == [False, True]


def test_the_ledger_keeps_how_makers_were_known() -> None:
    """It says of each approval whether addresses alone were believed."""
    (kept,) = decided([rules(1), rules(1, 1)], (approval("sam"), checked("sam", True, True))).approvals
    assert (kept["by"], kept["how"], kept["sha256"]) == ("sam@firm", "signature", approval("sam").sha256)
    assert kept["makers"] == "proven or counted as unproven"
    weak = Makers(names=frozenset({"jo@firm"}), weak=True)
    decision = decided([rules(1, 0, weak)], (approval("sam"), checked("sam", True)))
    assert decision.sets[0].weak
    assert decision.approvals[0]["makers"] == "addresses (weak)"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (DIGEST, True),
        (DIGEST[:39], True),
        (DIGEST[7:39], True),
        (DIGEST[:38], False),
        ("sha256:", False),
        ("", False),
        (DIGEST[:38] + "0", False),
        (DIGEST + "0", False),
        (DIGEST.upper(), False),
    ],
)
def test_a_digest_is_named_by_32_digits(text: str, names: bool) -> None:
    """Two plans with the same twelve digits take two minutes to find."""
    assert is_digest_of(text, DIGEST) is names


# --- makers ---


@dataclass(frozen=True)
class P:
    name: str
    address: str
    word: str = ""


@dataclass(frozen=True)
class C:
    id: str
    author: P
    committer: P
    parents: tuple[str, ...] = ()
    named: tuple[P, ...] = ()
    signature: None = None


JO, KIM, HUB = P("Jo", "jo@firm"), P("Kim", "kim@firm"), P("GitHub", "noreply@github.com")


def made_by(commits: Sequence[C], proof: MakersFrom, **more: Any) -> Makers:
    given: dict[str, Any] = {"identities": Identities.of(more.pop("groups", ())), "signed": {}, "list_number": 0, "forge": None, **more}
    return makers(commits, proof, **given)


@pytest.mark.parametrize("proof", MakersFrom)
def test_everybody_whom_a_commit_names_is_a_maker(proof: MakersFrom) -> None:
    """Author, committer and co-authors, by name, address and the account of a hidden address; those who looked at it, and the forge itself, are not."""
    named = (
        P("Lee", "9+lee-gh@users.noreply.github.com", "co-authored-by"),
        P("Pat", "pat@firm", "Reviewed-by"),
        P("Ann", "ann@firm", "signed-off-by"),
    )
    found = made_by([C("1" * 40, JO, KIM, named=named), C("2" * 40, JO, HUB)], proof, also=["Bot-Starter"])
    expected = {"jo", "jo@firm", "kim", "kim@firm", "lee", "lee-gh", "9+lee-gh@users.noreply.github.com", "ann", "ann@firm", "bot-starter"}
    assert found.names == expected
    assert found.weak is (proof is MakersFrom.ADDRESSES)


def test_all_names_of_a_maker_are_makers() -> None:
    """A list knows the author's address under another name."""
    assert "boss@firm" in made_by([C("1", JO, JO)], MakersFrom.ADDRESSES, groups=[["jo@firm", "boss@firm"]]).names


@pytest.mark.parametrize(
    ("signature", "why"),
    [
        (None, "is not signed with an OpenSSH key"),
        (
            Checked(key=None, behind=frozenset(), held=(Held(place="l", names=()),), problem="it is no signature of OpenSSH"),
            "no signature of OpenSSH",
        ),
        (Checked(key=None, behind=frozenset({"jo@firm"}), held=(Held(place="l", names=(), reason="expired"),)), "proves nothing: expired"),
        (checked("kim", True), "is signed by kim@firm, and names another author"),
    ],
)
def test_a_commit_without_its_authors_signature(signature: Checked | None, why: str) -> None:
    """Only a signature by the author's own key on the list proves an author."""
    found = made_by([C("1" * 40, JO, JO)], MakersFrom.SIGNED, signed={} if signature is None else {"1" * 40: signature})
    assert [one.name for one in found.unproven] == ["jo@firm"]
    assert why in found.unproven[0].why
    if signature is not None:
        assert signature.behind <= found.names


def test_signed_commits_prove_their_authors() -> None:
    """Under any name that the list knows the signer by; an author of several commits who is not proven is one."""
    commits = [C("1", JO, KIM), C("2", P("J", "jo@home"), JO), C("3", KIM, KIM), C("4", KIM, KIM)]
    signed = {"1": checked("jo", True), "2": checked("jo", True)}
    found = made_by(commits, MakersFrom.SIGNED, signed=signed, groups=[["jo@firm", "jo@home"]])
    assert [one.name for one in found.unproven] == ["kim@firm"]


def test_the_list_of_the_set_proves() -> None:
    """A key that another commit's list knows proves nothing by this one, and without a list nothing is proven."""
    signed = {"1": checked("jo", False, True)}
    assert made_by([C("1", JO, JO)], MakersFrom.SIGNED, signed=signed, list_number=1).unproven == ()
    for number in (0, None):
        assert len(made_by([C("1", JO, JO)], MakersFrom.SIGNED, signed=signed, list_number=number).unproven) == 1
    assert "there is no list of signers" in made_by([C("1", JO, JO)], MakersFrom.SIGNED, list_number=None).unproven[0].why


def record(
    *commits: CommitRecord, pushes: Sequence[PushRecord] = (), author: str = "jo-gh", bots: frozenset[str] = frozenset()
) -> ForgeRecord:
    return ForgeRecord(author=author, commits={one.id: one for one in commits}, pushes=tuple(pushes), bots=bots)


def commit(number: str, author: str | None, verified: str | None = None, committer: str | None = None) -> CommitRecord:
    return CommitRecord(id=number, author=author, committer=committer, verified=verified)


def push(after: str, by: str, before: str = "x") -> PushRecord:
    return PushRecord(before=before, after=after, by=by, at="")


CHAIN = [C("3", JO, JO, ("2",)), C("2", JO, JO, ("1",)), C("1", JO, JO, ("0",))]


@pytest.mark.parametrize(
    ("pushes", "expected"),
    [
        ([push("3", "jo")], {"1": "jo", "2": "jo", "3": "jo"}),
        ([push("1", "kim"), push("3", "jo")], {"1": "kim", "2": "jo", "3": "jo"}),
        ([push("2", "jo"), push("gone", "kim"), push("3", "kim")], {"1": "jo", "2": "jo", "3": "kim"}),
        ([push("2", "jo")], {"1": "jo", "2": "jo"}),
        ([], {}),
    ],
)
def test_who_pushed_which_commit(pushes: list[PushRecord], expected: dict[str, str]) -> None:
    """The first push that brought a commit along; what no push reached is known of none."""
    assert pushed_by(CHAIN, pushes) == expected


@pytest.mark.parametrize(
    ("forge", "names"),
    [
        (record(commit("1", "jo-gh"), pushes=[push("1", "JO-gh")]), []),
        (record(commit("1", "jo-gh", "jo-gh"), pushes=[push("1", "kim-gh")]), []),
        (record(commit("1", "jo-gh", "kim-gh"), pushes=[push("1", "kim-gh")]), ["jo-gh"]),
        (record(commit("1", None), pushes=[push("1", "jo-gh")]), ["jo@firm"]),
        (record(commit("1", "jo-gh"), pushes=[push("1", "kim-gh")]), ["jo-gh"]),
        (record(commit("1", "ci[bot]"), pushes=[push("1", "ci[bot]")]), ["ci[bot]"]),
        (record(commit("1", "ci[bot]", "ci[bot]"), pushes=[push("1", "ci[bot]")]), ["ci[bot]"]),
        (record(commit("1", "project_7_bot_1a"), pushes=[push("1", "project_7_bot_1a")]), ["project_7_bot_1a"]),
        (record(commit("1", "Copilot"), pushes=[push("1", "Copilot")], bots=frozenset({"copilot"})), ["Copilot"]),
        (record(commit("1", "jo-gh", "jo-gh"), pushes=[push("1", "ci[bot]")]), []),
        (record(commit("1", "jo-gh")), ["jo-gh", "the account that pushed 1"]),
        (record(commit("1", "jo-gh", "jo-gh")), ["the account that pushed 1"]),
        (record(pushes=[push("1", "jo-gh")]), ["jo@firm"]),
        (None, ["jo@firm"]),
    ],
)
def test_the_forge_proves_by_pushes_and_signatures(forge: ForgeRecord | None, names: list[str]) -> None:
    """A login that was derived from an address proves nothing until the account pushed the commit, or the forge verified its signature."""
    found = made_by([C("1", JO, JO)], MakersFrom.FORGE, forge=forge)
    assert [one.name for one in found.unproven] == names
    if forge is not None:
        assert {one.by.casefold() for one in forge.pushes} | {"jo-gh"} <= found.names


def test_who_pushed_since_the_branch_was_made_is_a_maker() -> None:
    """Also what was replaced; not who pushed to an older branch of the same name, unless one of these commits."""
    pushes = [push("9", "old-gh", "0" * 40), push("1", "first-gh"), push("8", "lee-gh", "0" * 40), push("1", "jo-gh")]
    found = made_by([C("1", JO, JO)], MakersFrom.FORGE, forge=record(commit("1", "jo-gh"), pushes=pushes))
    assert {"first-gh", "lee-gh", "jo-gh"} <= found.names
    assert "old-gh" not in found.names


# --- the case ---


def no_keygen() -> Keygen:
    raise AssertionError("there is no signature to look at")


def case(**members: Any) -> Case:
    asked = Rules(place="main", settings=Approvals(source=ApprovalSource.GITHUB, approvers=("sam",)), needed=1)
    given: dict[str, Any] = {"plan": PLAN, "rules": (asked,), "commits": [C("c" * 40, JO, JO)], "branch": "main", **members}
    return Case(**given)


def test_a_change_of_no_commits_has_unknown_makers() -> None:
    """A base that has the change already leaves none; nobody knows then who made it."""
    found = judge(case(commits=[]), (), None, keygen=no_keygen, now=NOW)
    assert "no commit lies between the base and what was planned" in said(found)
    rolled = judge(case(commits=[], without_commits=True), (), None, keygen=no_keygen, now=NOW)
    assert "no reviews were brought along" in said(rolled)


def test_a_rollback_by_a_person_who_is_not_proven() -> None:
    """Whoever asks at a terminal may be anybody: one more must agree."""
    asked = case(commits=[], without_commits=True, unproven=(UnprovenAuthor(name="root", why="asked at a terminal"),))
    assert "the plan needs 2 approvals" in said(judge(asked, (), None, keygen=no_keygen, now=NOW))


def test_nothing_is_looked_at_where_nothing_is_needed() -> None:
    """ssh-keygen need not be here for a plan that only tightens."""
    free = case(rules=(Rules(place="main", settings=Approvals(), needed=0),), commits=UnknownMakers(reason="x"))
    assert judge(free, [approval("sam")], None, keygen=no_keygen, now=NOW).enough
