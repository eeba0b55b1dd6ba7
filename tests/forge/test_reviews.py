"""amsctl ci reviews over real HTTP: who made a request and pushed it, which plans it showed since when, who may write; what is listed in part is unknown."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from amsctl.approvals.decision import first_seen
from amsctl.approvals.reviews import Reviews, decode_reviews
from amsctl.config import ApprovalSource
from amsctl.forge import github
from amsctl.forge.sticky import marker
from amsctl.planning.codec import decode, text_of
from amsctl.planning.content import content_of
from amsctl.sandbox.books import spec_book
from amsctl.sandbox.server import serve
from tests.cli.conftest import ACCOUNT, PROJECT, Run, run
from tests.cli.schemas import assert_valid
from tests.forge.fake import FakeForge, served
from tests.forge.test_ci import HEAD, MERGED, Ci, leave_plan, pull
from tests.hostile.canaries import AUTH
from tests.planning.test_codec import plan as some_plan

__all__ = ["run"]
OTHER, ZEROS = "b" * 40, "0" * 40
PLAN = some_plan()
TEXT = "".join(text_of(PLAN))


@pytest.fixture(params=["github", "gitlab"])
def forge(request: pytest.FixtureRequest) -> Iterator[FakeForge]:
    hub = request.param == "github"
    made = FakeForge(kind=request.param, repository="firm/limits" if hub else "42", app_token=hub)
    made.who = "github-actions[bot]" if hub else "project_42_bot"
    with served(made):
        commits(made, (OTHER, "jo", None), (HEAD, "jo", "jo"))
        pushed(made, (ZEROS, OTHER, "jo"), (OTHER, HEAD, "kim"))
        yield made


@pytest.fixture
def ci(run: Run, forge: FakeForge, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Ci:
    return Ci(run, forge, monkeypatch, tmp_path)


def commits(forge: FakeForge, *listed: tuple[str, str | None, str | None]) -> None:
    """The request's commits: id, author's account, account whose signature was verified."""
    forge.commits_of[7] = [
        {
            "sha": number,
            "author": author and {"login": author},
            "committer": {"login": verified or "jo"},
            "commit": {"verification": {"verified": verified is not None}},
        }
        if forge.github
        else {"id": number, "author_email": "jo@x", "committer_email": "jo@x"}
        for number, author, verified in listed
    ]
    forge.accounts = {number: (author, verified) for number, author, verified in listed}
    forge.pulls[7] = pull(forge)


def pushed(forge: FakeForge, *listed: tuple[str, str, str]) -> None:
    """The record of pushes, the oldest first."""
    at = "2026-01-01T00:00:00Z"
    if forge.github:
        made = [{"before": before, "after": after, "actor": {"login": by}, "timestamp": at} for before, after, by in listed]
        forge.activity = [*reversed(made), {"after": HEAD, "actor": None, "timestamp": at}]
        return
    forge.activity = [
        {
            "author": {"username": by},
            "created_at": at,
            "push_data": {"ref_type": "branch", "ref": "change", "commit_from": None if before == ZEROS else before, "commit_to": after},
        }
        for before, after, by in listed
    ]
    forge.activity.append(
        {"author": {"username": "x"}, "created_at": at, "push_data": {"ref_type": "branch", "ref": "else", "commit_to": HEAD}}
    )


def approved(forge: FakeForge, by: str, at: str = "2026-01-05T00:00:00Z", *, may: bool = True, **user: Any) -> None:
    forge.permissions[by], forge.levels[by] = ("write", 30) if may else ("read", 20)
    if forge.github:
        forge.reviews.setdefault(7, []).append(
            {
                "user": {**forge.member(by), **user},
                "state": "APPROVED",
                "commit_id": HEAD,
                "submitted_at": at,
                "author_association": "MEMBER",
            }
        )
    else:
        forge.versions[7] = [{"head_commit_sha": HEAD, "created_at": "2026-01-01T00:00:00.000Z"}]
        forge.approvals.setdefault(7, {"approved_by": []})["approved_by"].append({"user": {**forge.member(by), **user}, "approved_at": at})


def read(ci: Ci, tmp_path: Path, *arguments: str) -> Reviews:
    out = tmp_path / "reviews.json"
    ran = ci("reviews", "-o", str(out), "--commit", MERGED, *arguments)
    assert ran.code == 0, ran.err
    value = json.loads(out.read_text())
    assert_valid("reviews.v1", value)
    return decode_reviews(value, "reviews.json")


def test_a_request_is_told_as_it_is(ci: Ci, forge: FakeForge, tmp_path: Path) -> None:
    """Its commits with their accounts, who pushed what in order, its base and what merging made."""
    approved(forge, "sam")
    found = read(ci, tmp_path)
    assert (found.number, found.state, found.head_commit, found.merge_commit, found.author) == (7, "merged", HEAD, MERGED, "jo")
    assert (found.base, found.unknown) == ("main", ())
    assert [(one.id, one.author, one.verified) for one in found.commits] == [(OTHER, "jo", None), (HEAD, "jo", "jo")]
    assert [(one.before, one.after, one.by) for one in found.pushes] == [(ZEROS, OTHER, "jo"), (OTHER, HEAD, "kim")]
    assert [(one.by, one.state, one.commit, one.at, one.standing) for one in found.reviews] == [
        ("sam", "approved", HEAD, "2026-01-05T00:00:00Z", "writes")
    ]
    assert found.forge in list(ApprovalSource)


def test_who_may_write(ci: Ci, forge: FakeForge, tmp_path: Path) -> None:
    """People with write access; a reader, a bot and an account of which the forge does not tell are told apart."""
    for name in ("sam", "kim"):
        approved(forge, name)
    approved(forge, "nobody42", may=False)
    approved(forge, "lee")
    if forge.github:
        forge.permissions |= {"kim": "admin", "lee": "refused"}
        approved(forge, "github-actions[bot]", type="Bot")
        approved(forge, "machine")
    else:
        forge.levels |= {"kim": 50}
        del forge.levels["lee"]
        approved(forge, "project_42_bot_1a2b")
        approved(forge, "machine")
    forge.bots = {"machine"}
    standing = {one.by: one.standing.value for one in read(ci, tmp_path).reviews}
    bot = "github-actions[bot]" if forge.github else "project_42_bot_1a2b"
    assert standing == {"sam": "writes", "kim": "writes", "nobody42": "reads", "lee": "unknown", bot: "bot", "machine": "bot"}


def test_accounts_that_are_no_persons(ci: Ci, forge: FakeForge, tmp_path: Path) -> None:
    """By what the forge says of those who made the request, whatever they are called."""
    forge.bots = {"copilot", "signer"}
    commits(forge, (OTHER, "jo", None), (HEAD, "copilot", "signer"))
    if forge.github:
        forge.commits_of[7][1] |= {"author": {"login": "copilot", "type": "Bot"}, "committer": {"login": "signer", "type": "Organization"}}
        forge.activity[1]["actor"] = {"login": "pusher", "type": "Bot"}
        forge.pulls[7]["user"] = {"login": "opener", "type": "Bot"}
    found = read(ci, tmp_path)
    assert sorted(found.bots) == (["copilot", "opener", "pusher", "signer"] if forge.github else ["copilot", "signer"])


def test_a_state_that_is_not_approved(ci: Ci, forge: FakeForge, tmp_path: Path) -> None:
    """Changes that are asked for, dismissals and comments; at GitLab what asks for changes takes an approval back."""
    if forge.github:
        words = {"APPROVED": "approved", "CHANGES_REQUESTED": "changes-requested", "DISMISSED": "dismissed", "COMMENTED": "commented"}
        for number, state in enumerate([*words, "PENDING"]):
            approved(forge, f"r{number}", f"2026-01-0{number + 1}T00:00:00Z")
            forge.reviews[7][-1]["state"] = state
        forge.reviews[7] += [{"user": None, "state": "APPROVED", "submitted_at": "2026-01-09T00:00:00Z"}]
        assert [one.state.value for one in read(ci, tmp_path).reviews] == [*words.values(), "commented"]
        return
    approved(forge, "sam")
    approved(forge, "kim", "2025-12-31T23:59:59.999Z")
    approved(forge, "lee", "")
    forge.reviewers = [{"user": forge.member("sam"), "state": "requested_changes", "created_at": "2026-01-06T00:00:00Z"}]
    forge.reviewers += [{"user": forge.member("kim"), "state": "reviewed", "created_at": "2026-01-06T00:00:00Z"}]
    found = {one.by: (one.state.value, one.commit) for one in read(ci, tmp_path).reviews}
    assert found == {"sam": ("changes-requested", None), "kim": ("approved", None), "lee": ("approved", None)}


# --- what was shown, since when ---


def test_a_plan_was_shown_when_the_forge_says(ci: Ci, forge: FakeForge, tmp_path: Path, made: Path) -> None:
    """The time is the artifact's or the job's by the forge's clock, of any commit of the request; what is no plan shows none."""
    plan = made.read_bytes()
    content = content_of(decode(json.loads(plan)))
    leave_plan(forge, b"no plan", 1)
    leave_plan(forge, plan, 3, created_at="2026-01-03T10:00:00Z", finished_at="2026-01-03T10:00:00.900Z")
    leave_plan(forge, plan, 2, head=OTHER, created_at="2026-01-02T10:00:00Z", finished_at="2026-01-02T12:00:00.5+02:00")
    leave_plan(forge, plan, 4, head="e" * 40, created_at="2026-01-01T10:00:00Z", finished_at="2026-01-01T10:00:00Z")
    leave_plan(forge, plan, 5, fork=2, created_at="2026-01-01T10:00:00Z", finished_at="2026-01-01T10:00:00Z")
    found = read(ci, tmp_path)
    word = "artifact" if forge.github else "job"
    assert [(one.at, one.seen_in) for one in found.plans] == [("2026-01-02T10:00:00Z", f"{word} 2"), ("2026-01-03T10:00:00Z", f"{word} 3")]
    assert {one.content for one in found.plans} == {content}
    seen = first_seen(found, content)
    assert seen is not None
    assert seen.isoformat() == "2026-01-02T10:00:00+00:00"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plan file as ``plan -o`` writes it."""
    folder = tmp_path_factory.mktemp("limits")
    with serve(spec_book()) as ams:
        (folder / "amsctl.yaml").write_text(PROJECT.format(url=ams.url, auth=AUTH))
        (folder / "accounts").mkdir()
        (folder / "accounts" / "dv.yaml").write_text(ACCOUNT)
        run_one: Run = run.__wrapped__()  # type: ignore[attr-defined]
        ran = run_one("-C", str(folder), "plan", "-o", str(folder / "plan.json"))
    assert ran.code == 0, ran.err
    return folder / "plan.json"


def test_a_comment_shows_its_plan_since_its_last_edit(ci: Ci, forge: FakeForge, tmp_path: Path, made: Path) -> None:
    """Our own comment names the content; an edit proves only itself, one that changes nothing is none, and another account's shows nothing."""
    ci.for_request()
    plan, content = made, content_of(decode(json.loads(made.read_text())))
    assert ci.comment("look", "--plan", str(plan)).code == 0
    assert forge.comments[7][0]["body"] == f"<!-- amsctl:plan {content} -->\nlook"
    forge.clock = "2026-01-03T00:00:00Z"
    assert ci.comment("look", "--plan", str(plan)).code == 0
    mallory = forge.member("mallory")
    theirs = {
        "id": 9,
        "body": f"{marker('plan', content)}\n",
        "user": mallory,
        "author": mallory,
        "created_at": "2025-01-01T00:00:00Z",
    }
    forge.comments[7].append(theirs)
    assert [(one.at, one.seen_in) for one in read(ci, tmp_path).plans] == [("2026-01-02T00:00:00Z", "comment 1001")]
    assert ci.comment("look again", "--plan", str(plan)).code == 0
    assert [one.at for one in read(ci, tmp_path).plans] == ["2026-01-03T00:00:00Z"]
    assert ci.comment("no plan").code == 0
    assert (read(ci, tmp_path).plans, len(forge.comments[7])) == ((), 2)


def test_content_is_what_would_be_done() -> None:
    """Times, use and places in manifests make no other content; an amount, a body or the target does."""
    from dataclasses import replace

    again = replace(
        PLAN,
        digest="sha256:other",
        created_at="2030-01-01T00:00:00Z",
        changes=tuple(replace(one, id=f"x{n}", usage=77, source=None) for n, one in enumerate(PLAN.changes)),
        steps=tuple(replace(one, id=f"y{n}", changes=()) for n, one in enumerate(PLAN.steps)),
        findings=(),
    )
    assert content_of(again) == content_of(PLAN)
    change, step = PLAN.changes[0], PLAN.steps[0]
    others = [
        replace(PLAN, changes=(replace(change, before=41), *PLAN.changes[1:])),
        replace(PLAN, changes=(replace(change, after=41), *PLAN.changes[1:])),
        replace(PLAN, changes=PLAN.changes[1:]),
        replace(PLAN, steps=(replace(step, body={**step.body, "x": 1}), *PLAN.steps[1:])),
        replace(PLAN, steps=(replace(step, path=f"{step.path}x"), *PLAN.steps[1:])),
        replace(PLAN, target=replace(PLAN.target, environment="elsewhere")),
    ]
    assert len({content_of(one) for one in (PLAN, *others)}) == 7
    assert decode(json.loads(TEXT)) == PLAN


# --- what is not whole ---


def test_an_author_without_an_account(ci: Ci, forge: FakeForge, tmp_path: Path) -> None:
    """An address of no account is told as none."""
    commits(forge, (OTHER, None, None), (HEAD, "jo", None))
    assert [one.author for one in read(ci, tmp_path).commits] == [None, "jo"]


def test_commits_that_are_not_all_listed(ci: Ci, forge: FakeForge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than the forge lists, fewer than it counts, or without the head: unknown."""
    if forge.github:
        forge.pulls[7]["commits"] = 300
        assert read(ci, tmp_path).unknown == ("the request has 300 commits, and GitHub lists 2",)
        forge.pulls[7]["commits"] = 2
        monkeypatch.setattr(github, "MOST_COMMITS", 2)
        assert "no more than 2 commits" in read(ci, tmp_path).unknown[0]
        monkeypatch.undo()
        ci.set(**forge.environ)
        forge.pulls[7]["base"]["repo"]["full_name"] = "else/where"
        assert "for another repository, else/where" in read(ci, tmp_path).unknown[0]
        return
    commits(forge, (OTHER, "jo", None))
    assert "the head of the request is not among the commits" in read(ci, tmp_path).unknown[0]
    forge.pulls[7] |= {"target_project_id": 43}
    assert "for another project, 43" in read(ci, tmp_path).unknown[1]


def test_pushes_of_a_fork_are_unknown(ci: Ci, forge: FakeForge, tmp_path: Path) -> None:
    """There is no record to ask for, so none is told."""
    if forge.github:
        forge.pulls[7]["head"]["repo"] = None
    else:
        forge.pulls[7]["source_project_id"] = 43
    assert read(ci, tmp_path).pushes == ()


@pytest.mark.parametrize("forge", ["gitlab"], indirect=True)
def test_without_the_other_api_no_account_is_known(ci: Ci, forge: FakeForge, tmp_path: Path) -> None:
    """A job token cannot ask it: authors are then not proven."""
    forge.failures = [("POST", "/graphql", 401, {})]
    assert [one.author for one in read(ci, tmp_path).commits] == [None, None]


@pytest.mark.parametrize("forge", ["github"], indirect=True)
def test_an_edit_in_the_browser_is_its_authors(ci: Ci, forge: FakeForge, tmp_path: Path) -> None:
    """GitHub commits it and signs it for the author; a commit that only says so is not signed."""
    commits(forge, (OTHER, "jo", None), (HEAD, "jo", "web-flow"))
    assert [one.verified for one in read(ci, tmp_path).commits] == [None, "jo"]
    forge.commits_of[7][1]["commit"]["verification"]["verified"] = False
    assert read(ci, tmp_path).commits[1].verified is None


# --- the token of an App ---


@pytest.mark.parametrize("forge", ["github"], indirect=True)
@pytest.mark.parametrize("knows", ["viewer", "setting", "answer"])
def test_the_comment_of_an_app(knows: str, ci: Ci, forge: FakeForge) -> None:
    """An installation's token cannot ask /user: its account comes from the other API, from the job, or from the answer to a comment; one is kept."""
    ci.for_request()
    forge.who = "risk-limits[bot]"
    bot = {"login": forge.who, "type": "Bot"}
    forge.comments[7] = [{"id": 1, "body": f"{marker('plan')}\nno changes", "user": bot}]
    if knows == "viewer":
        forge.viewer = forge.who
    elif knows == "setting":
        ci.set(AMSCTL_FORGE_LOGIN=forge.who)
    for text in ("first", "second", "third"):
        ran = ci.comment(text)
        assert ran.code == 0, ran.err
    assert [(one["id"], one["body"]) for one in forge.comments[7]] == [(1, f"{marker('plan')}\nthird")]


@pytest.mark.parametrize("forge", ["github"], indirect=True)
def test_the_issue_of_an_app(ci: Ci, forge: FakeForge) -> None:
    """One issue, and it is closed."""
    forge.who = forge.viewer = "risk-limits[bot]"
    for text in ("first", "second"):
        assert ci.issue(text).code == 0
    assert ci.issue("clean", "--close").out != ""
    assert [one["state"] for one in forge.issues.values()] == ["closed"]
