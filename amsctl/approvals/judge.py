"""Which approvals of a plan count, and why the others do not. Whoever made the change approves nothing, nobody counts twice, and what is not known for
certain does not count.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from amsctl.approvals.approval import Approval, Statement
from amsctl.approvals.reviews import Review, Reviews, ReviewState
from amsctl.config import Approvals
from amsctl.planning.plan import Plan

MOST_AHEAD_SECONDS: Final = 300
"""How far an approval may be made in the future by this machine's clock."""
REVIEWS_LIFETIME_SECONDS: Final = 3_600
"""How old the reading of a request's reviews may be: a review may have been taken back since."""


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """Who made a change, by address or account: none of them approves it. ``may`` are those who could, as far as a list tells, each with all names."""

    made_it: frozenset[str]
    may: tuple[frozenset[str], ...] = ()

    def among(self, names: Iterable[str]) -> str | None:
        """One of the names that belongs to somebody who made the change; ``None`` where none does."""
        made_it = {name.casefold() for name in self.made_it}
        return next((name for name in sorted(names) if name.casefold() in made_it), None)

    def could(self, approved: Collection[str] = ()) -> tuple[str, ...]:
        """Who could approve, one name each, besides those who have."""
        free = (names for names in self.may if self.among(names) is None and not names & set(approved))
        return tuple(sorted(main_name(names) for names in free))


def main_name(names: Iterable[str]) -> str:
    """The name that somebody goes by: an address where there is one."""
    return min(names, key=lambda name: ("@" not in name, name))


@dataclass(slots=True)
class Judgement:
    """What was found: the approvals that count, as the ledger keeps them, and what was wrong with the others."""

    counted: list[dict[str, object]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    @property
    def names(self) -> tuple[str, ...]:
        """Whose approvals count."""
        return tuple(str(one["by"]) for one in self.counted)


Signer = Callable[[Approval], frozenset[str]]
"""All names of whoever signed, by every list that must know them; none where one does not, or the signature does not hold."""


def judge_signatures(
    plan: Plan, given: Sequence[Approval], *, settings: Sequence[Approvals], people: People, signer: Signer, now: datetime
) -> Judgement:
    """Signed approvals. ``settings`` are those of the project as it is now and of the base branch: what one of them asks for is asked for."""
    found, counted = Judgement(), set[str]()
    for approval in given:
        wrong = _wrong_statement(plan, approval.statement, settings, now)
        names = frozenset[str]() if wrong else signer(approval)
        if not wrong:
            wrong = _wrong_person(approval.statement, names, people, counted)
        if wrong:
            found.refused.append(f"{approval.file or approval.statement.by}: {wrong}")
            continue
        counted |= {name.casefold() for name in names}
        found.counted.append(
            {
                "by": approval.statement.by,
                "how": "signature",
                "at": approval.statement.made_at,
                "sha256": approval.sha256,
                "verdict_sha256": approval.statement.verdict_sha256,
                "reason": approval.statement.reason,
            }
        )
    return found


def _wrong_statement(plan: Plan, said: Statement, settings: Iterable[Approvals], now: datetime) -> str | None:
    """What is wrong with what was signed, whoever signed it."""
    if said.plan_digest != plan.digest:
        return f"it is for another plan ({said.plan_digest[:19]}…, and this is {plan.digest[:19]}…)"
    if (said.environment, said.url) != (plan.target.environment, plan.target.url):
        return f"it is for another environment ({said.environment} at {said.url})"
    made, ends = moment(said.made_at), moment(said.expires_at)
    if made is None or ends is None:
        return "its times cannot be read"
    if made > now + timedelta(seconds=MOST_AHEAD_SECONDS):
        return f"it was made in the future ({said.made_at})"
    for one in settings:
        until = min(ends, made + timedelta(hours=one.valid_hours))
        if now >= until:
            return f"it has expired (at {until:%Y-%m-%dT%H:%M:%SZ})"
        if one.verdict and said.verdict_sha256 is None:
            return "it binds no verdict of your policies, and one is asked for (amsctl approve --verdict)"
    return None


def _wrong_person(said: Statement, names: frozenset[str], people: People, counted: Collection[str]) -> str | None:
    if not names:
        return (
            "no signature of anybody who may approve: it does not hold, or the list of signers (here, and on the base branch) lacks the key"
        )
    if said.by not in names:
        return f"it names {said.by}, and another one's key has signed it"
    maker = people.among(names)
    if maker is not None:
        return f"{maker} has made or pushed this change: somebody else must approve it"
    if any(name.casefold() in counted for name in names):
        return f"{said.by} has approved already, and counts once"
    return None


def judge_reviews(plan: Plan, reviews: Reviews, *, settings: Sequence[Approvals], people: People, now: datetime) -> Judgement:
    """Reviews of the request that the plan is for, as ``amsctl ci reviews`` read them. Somebody's last word counts, and only on the commit planned."""
    found = Judgement()
    wrong = _wrong_request(plan, reviews, settings, now)
    if wrong is not None:
        found.refused.append(wrong)
        return found
    last: dict[str, Review] = {}
    for review in reviews.reviews:
        if review.state is not ReviewState.COMMENTED:
            last[review.by.casefold()] = review
    listed = [{name.casefold() for name in one.approvers} for one in settings if one.approvers]
    for name, review in sorted(last.items()):
        wrong = None
        if any(name not in names for names in listed):
            wrong = "is not among those who may approve"
        elif people.among([review.by]) is not None:
            wrong = "has made or pushed this change: somebody else must approve it"
        elif review.state is ReviewState.CHANGES_REQUESTED:
            found.counted.clear()
            found.refused.append(f"{review.by} asks for changes: as long as that stands, nobody's approval counts")
            return found
        elif review.state is ReviewState.DISMISSED:
            wrong = "has approved, and the review was dismissed"
        elif review.commit != reviews.head_commit:
            wrong = f"has approved another commit ({(review.commit or 'not told which')[:12]})"
        if wrong is not None:
            found.refused.append(f"{review.by} {wrong}")
            continue
        found.counted.append({"by": review.by, "how": reviews.forge, "at": review.at, "url": reviews.url, "commit": review.commit})
    return found


def _wrong_request(plan: Plan, reviews: Reviews, settings: Iterable[Approvals], now: datetime) -> str | None:
    git, read = plan.origin.git, moment(reviews.read_at)
    if any(one.source.value != reviews.forge for one in settings):
        return f"reviews at {reviews.forge} do not count here (spec.approvals)"
    if git is None or reviews.head_commit != git.commit:
        planned = "no commit" if git is None else git.commit[:12]
        return f"{reviews.url} is about commit {reviews.head_commit[:12]}, and planned was {planned}"
    if reviews.state not in {"open", "merged"}:
        return f"{reviews.url} is {reviews.state}"
    if reviews.pusher is None and git.started_by is None:
        return f"nobody can tell who pushed the last commit of {reviews.url}, and whoever did must not approve it"
    if read is None or not timedelta(seconds=-MOST_AHEAD_SECONDS) <= now - read <= timedelta(seconds=REVIEWS_LIFETIME_SECONDS):
        return f"the reviews were read at {reviews.read_at}: read them again (amsctl ci reviews)"
    return None


def moment(text: str) -> datetime | None:
    """A time as ``YYYY-MM-DDTHH:MM:SSZ``; ``None`` where it is not one."""
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None
