"""Reviews at a forge: one person, by whatever account, address or bot, is not two."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from amsctl.approvals.reviews import CommitRecord, PlanRecord, PushRecord
from tests.alone.cases import Cases
from tests.alone.desk import LIVE, REVIEWS, Desk, project_text, review, stamp
from tests.cli.conftest import Ran

CASES = Cases()
MADE = "has made or pushed this change"
UNPROVEN = "for authors who are not proven"
Said = Callable[[Desk, str], dict[str, Any]]


def reviewing(desk: Desk, approvals: str = REVIEWS) -> None:
    """main counts reviews."""
    desk.on_main("amsctl.yaml", project_text(desk.ams.url, approvals))


def head(desk: Desk) -> str:
    return desk.git("rev-parse", "HEAD")


def reviewed(name: str, says: str, said: Said, *by: str, code: int = 8, approvals: str = REVIEWS) -> None:
    """A raise under jo's name, and what the forge says of its request: ``said`` changes that."""

    @CASES.add(name, code, says)
    def _(desk: Desk) -> Ran:
        reviewing(desk, approvals)
        desk.raise_it("jo")
        file = desk.plan()
        return desk.apply(file, "--reviews", desk.reviews(file, *by, **said(desk, file)))


def one(desk: Desk, author: str | None = "jo-gh", committer: str | None = "jo-gh", verified: str | None = None) -> tuple[CommitRecord, ...]:
    return (CommitRecord(id=head(desk), author=author, committer=committer, verified=verified),)


def push(desk: Desk, by: str, before: str = "0" * 40, after: str = "") -> PushRecord:
    return PushRecord(before=before, after=after or head(desk), by=by, at=stamp(-3))


reviewed("nobody has reviewed", "found 0 that count", lambda desk, file: {})
reviewed("sam's own request", MADE, lambda desk, file: {"author": "sam-gh"}, "sam-gh")
reviewed("sam's own request, in other letters", MADE, lambda desk, file: {"author": "SAM-gh"}, "sam-gh")
reviewed("sam pushed it under jo's name", MADE, lambda desk, file: {"pushes": (push(desk, "sam-gh"),)}, "sam-gh")
reviewed(
    "sam pushed a commit that was replaced",
    MADE,
    lambda desk, file: {"pushes": (push(desk, "sam-gh", after="ab" * 20), push(desk, "jo-gh", "ab" * 20))},
    "sam-gh",
)
reviewed(
    "sam pushed it a second time", MADE, lambda desk, file: {"pushes": (push(desk, "jo-gh"), push(desk, "sam-gh", "ab" * 20))}, "sam-gh"
)
reviewed("the author's address belongs to no account", UNPROVEN, lambda desk, file: {"commits": one(desk, None, None)}, "sam-gh")
reviewed("the author's account is another than who pushed", UNPROVEN, lambda desk, file: {"commits": one(desk, "lee-gh")}, "sam-gh")
reviewed("sam's signature was verified on a commit of jo's", MADE, lambda desk, file: {"commits": one(desk, verified="sam-gh")}, "sam-gh")
reviewed("the committer is sam", MADE, lambda desk, file: {"commits": one(desk, committer="sam-gh")}, "sam-gh")
reviewed("the forge does not list the commit", UNPROVEN, lambda desk, file: {"commits": ()}, "sam-gh")
reviewed("the forge has no record of pushes", "no record of that push", lambda desk, file: {"pushes": ()}, "sam-gh")
reviewed("an account that is not on the list", "not among those who may approve", lambda desk, file: {}, "sam-second")
reviewed("a stranger who may only read", "may not write", lambda desk, file: {"reviews": (review("sam-gh", head(desk), standing="reads"),)})
reviewed("a bot", "is no person", lambda desk, file: {"reviews": (review("sam-gh", head(desk), standing="bot"),)})
reviewed(
    "the pipeline's own bot",
    "not among those",
    lambda desk, file: {"reviews": (review("github-actions[bot]", head(desk), standing="bot"),)},
)
reviewed(
    "rights that the forge does not tell",
    "did not say",
    lambda desk, file: {"reviews": (review("sam-gh", head(desk), standing="unknown"),)},
)
reviewed("a review that was dismissed", "dismissed", lambda desk, file: {"reviews": (review("sam-gh", head(desk), "dismissed"),)})


def made_by_bot(desk: Desk, bot: str) -> dict[str, Any]:
    return {"author": bot, "commits": one(desk, bot, bot), "pushes": (push(desk, bot),)}


for _bot in ("github-actions[bot]", "project_7_bot_1a2b", "service_account_risk"):
    reviewed(
        f"sam lets {_bot} commit, push and open the request",
        "which is no person",
        lambda desk, file, bot=_bot: made_by_bot(desk, bot),
        "sam-gh",
    )
reviewed(
    "sam lets an account commit and push that is no person by the forge",
    "which is no person",
    lambda desk, file: {**made_by_bot(desk, "copilot"), "bots": ("Copilot",)},
    "sam-gh",
)
reviewed("a comment", "found 0", lambda desk, file: {"reviews": (review("sam-gh", head(desk), "commented"),)})
reviewed(
    "changes are asked for",
    "asks for changes",
    lambda desk, file: {"reviews": (review("sam-gh", head(desk)), review("kim-gh", head(desk), "changes-requested"))},
)
reviewed(
    "a review of an older commit", "another commit", lambda desk, file: {"reviews": (review("sam-gh", desk.git("rev-parse", "main")),)}
)
reviewed("a review of no commit", "another commit", lambda desk, file: {"reviews": (review("sam-gh", None),)})
reviewed(
    "a review before the plan was shown",
    "before this plan was shown",
    lambda desk, file: {"reviews": (review("sam-gh", head(desk), at=stamp(-5)),)},
)
reviewed(
    "a review at the moment of the plan",
    "before this plan was shown",
    lambda desk, file: {"plans": _shown(file, stamp(-1)), "reviews": (review("sam-gh", head(desk), at=stamp(-1)),)},
)
reviewed("a review at no time", "before this plan was shown", lambda desk, file: {"reviews": (review("sam-gh", head(desk), at="soon"),)})
reviewed(
    "the request showed another plan",
    "shows no plan of this content",
    lambda desk, file: {"plans": (PlanRecord(content="sha256:" + "0" * 64, at=stamp(-2), seen_in="comment 1"),)},
    "sam-gh",
)
reviewed("the request showed no plan", "shows no plan of this content", lambda desk, file: {"plans": ()}, "sam-gh")
reviewed("the request is for another branch", "is for the branch staging", lambda desk, file: {"base": "staging"}, "sam-gh")
reviewed("the request is about another commit", "is about commit", lambda desk, file: {"head_commit": "ab" * 20}, "sam-gh")
reviewed("the request is closed", "is closed", lambda desk, file: {"state": "closed"}, "sam-gh")
reviewed("the request could not be read whole", "could not be read whole", lambda desk, file: {"unknown": ("250 commits",)}, "sam-gh")
reviewed("the reviews were read yesterday", "read them again", lambda desk, file: {"read_at": stamp(-24)}, "sam-gh")
reviewed("the reviews will be read tomorrow", "read them again", lambda desk, file: {"read_at": stamp(24)}, "sam-gh")
reviewed("reviews of another forge", "reviews at gitlab do not count", lambda desk, file: {"forge": "gitlab"}, "sam-gh")
reviewed(
    "two are needed, and sam reviews in two spellings",
    "needs 2 approvals",
    lambda desk, file: {},
    "sam-gh",
    "SAM-GH",
    approvals="  approvals: {from: github, approvers: [sam-gh, kim-gh], rules: [{approvals: 2}]}\n",
)
reviewed(
    "GitLab, and who is rested on addresses",
    "is not among",
    lambda desk, file: {"forge": "gitlab", "commits": one(desk, None, None)},
    "jo-gl",
    approvals="  approvals: {from: gitlab, approvers: [sam-gl, kim-gl]}\n",
)


def _shown(file: str, at: str) -> tuple[PlanRecord, ...]:
    from amsctl.cli.planning import read_plan
    from amsctl.planning.content import content_of

    return (PlanRecord(content=content_of(read_plan(file)), at=at, seen_in="comment 1"),)


@CASES.add("no reviews are brought", 8, "no reviews were brought along")
def _(desk: Desk) -> Ran:
    reviewing(desk)
    desk.raise_it("jo")
    return desk.apply(desk.plan())


@CASES.add("a signature where reviews count", 8, "no reviews were brought along")
def _(desk: Desk) -> Ran:
    reviewing(desk)
    desk.raise_it("jo")
    return desk.alone()


@CASES.add("the change puts a second account of sam's among the approvers", 8, "not among those who may approve")
def _(desk: Desk) -> Ran:
    reviewing(desk)
    desk.git("switch", "-q", "-c", "change")
    desk.write("amsctl.yaml", project_text(desk.ams.url, "  approvals: {from: github, approvers: [sam-gh, sam-second]}\n"))
    desk.raise_it("sam")
    file = desk.plan()
    return desk.apply(file, "--reviews", desk.reviews(file, "sam-second", author="sam-gh", pushes=(push(desk, "sam-gh"),)))


@CASES.add("the limit is cut after the review, and the plan is made again", 8, "shows no plan of this content")
def _(desk: Desk) -> Ran:
    reviewing(desk)
    desk.raise_it("jo")
    first = desk.plan()
    said = desk.reviews(first, "sam-gh")
    desk.put(1)
    return desk.apply(desk.plan(name="second.json"), "--reviews", said)


@CASES.add("the head of the request is the merge that the forge makes", 8, "is about commit")
def _(desk: Desk) -> Ran:
    reviewing(desk)
    own = desk.raise_it("jo")
    desk.git("switch", "-q", "--detach", "main")
    desk.git("merge", "-q", "--no-ff", "-m", "merge", "change")
    file = desk.plan()
    return desk.apply(file, "--reviews", desk.reviews(file, "sam-gh", head_commit=own))


reviewed(
    "a review of yesterday",
    "that has expired",
    lambda desk, file: {
        "plans": _shown(file, stamp(-30)),
        "reviews": (review("sam-gh", head(desk), at=stamp(-25)),),
    },
)
reviewed(
    "a review of three hours ago, where it is good for two",
    "that has expired",
    lambda desk, file: {"plans": _shown(file, stamp(-5)), "reviews": (review("sam-gh", head(desk), at=stamp(-3)),)},
    approvals="  approvals: {from: github, approvers: [sam-gh], validHours: 2}\n",
)
reviewed("a review of tomorrow", "in the future", lambda desk, file: {"reviews": (review("sam-gh", head(desk), at=stamp(24)),)})


def taken_back(desk: Desk) -> tuple[str, str]:
    """jo's raise was reviewed by kim, merged and applied, and the desk has taken it back by hand; its plan, made anew."""
    reviewing(desk)
    desk.raise_it("jo")
    file = desk.plan()
    assert desk.run("apply", file, "--reviews", desk.reviews(file, "kim-gh")).code == 0
    desk.forget()
    desk.put(LIVE)
    return file, desk.plan(name="again.json")


@CASES.add(
    "sam runs the plan job again after the desk has taken a raise back, and kim's review is of before", 8, "when a run carried it out"
)
def _(desk: Desk) -> Ran:
    _, again = taken_back(desk)
    return desk.apply(again, "--reviews", desk.reviews(again, "kim-gh"))


@CASES.add("the plan was shown again since, and kim's review is of before that", 8, "before this plan was shown")
def _(desk: Desk) -> Ran:
    _, again = taken_back(desk)
    return desk.apply(again, "--reviews", desk.reviews(again, "kim-gh", plans=(*_shown(again, stamp(-2)), *_shown(again, stamp(0.01)))))


@CASES.add("the same, by a second request of the same content that was reviewed beside the first", 8, "when a run carried it out")
def _(desk: Desk) -> Ran:
    _, again = taken_back(desk)
    return desk.apply(again, "--reviews", desk.reviews(again, "kim-gh", number=8, url="https://forge.example/pull/8"))


@CASES.add("the change was reviewed, and one commit was added", 8, "is about commit")
def _(desk: Desk) -> Ran:
    reviewing(desk)
    desk.raise_it("jo")
    said = desk.reviews(desk.plan(), "sam-gh")
    desk.raise_it("jo", to=5000)
    return desk.apply(desk.plan(name="second.json"), "--reviews", said)


@CASES.add("sam rebases what jo made, and pushes that", 8, MADE)
def _(desk: Desk) -> Ran:
    reviewing(desk)
    desk.raise_it("jo")
    desk.on_main("README.md", "limits\n")
    desk.git("rebase", "-q", "main", who="sam", signed=False)
    file = desk.plan()
    return desk.apply(
        file, "--reviews", desk.reviews(file, "sam-gh", pushes=(push(desk, "jo-gh", after="ab" * 20), push(desk, "sam-gh", "ab" * 20)))
    )


@CASES.add("sam's rollback of kim's cut, with a review of that request", 8)
def _(desk: Desk) -> Ran:
    reviewing(desk)
    desk.raise_it("kim", to=100)
    file = desk.plan()
    assert desk.run("apply", file).code == 0
    desk.forget()
    back = str(desk.home / "back.json")
    assert desk.run("rollback", desk.last_run(), "-o", back).code == 0
    return desk.apply(back, "--reviews", desk.reviews(file, "sam-gh", author="sam-gh", pushes=(push(desk, "sam-gh"),)))


@pytest.mark.parametrize("name", CASES)
def test_one_person_alone_writes_nothing(name: str, desk: Desk) -> None:
    """A review counts of a person on the list who may write, did not make it, and saw this plan."""
    CASES.check(name, desk)
