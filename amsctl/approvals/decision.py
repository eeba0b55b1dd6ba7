"""Whether enough people agreed to a plan: a decision over values, with who counted, who did not and why, and who could.

Several sets of rules may hold for one plan: those of the newest commit of the branch of record, of the commit that the change is held against, and of what
was merged in between. Each is met by its own people, under its own list, or the plan is not approved; a laxer set makes no stricter one lighter.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from amsctl.approvals.approval import Approval, Statement
from amsctl.approvals.makers import Makers, UnknownMakers, UnprovenAuthor
from amsctl.approvals.names import Identities, folded, main_name
from amsctl.approvals.reviews import Review, Reviews, ReviewState, Standing
from amsctl.approvals.signatures import Checked
from amsctl.config import Approvals, ApprovalSource
from amsctl.errors import ApprovalMissing

MOST_AHEAD_SECONDS: Final = 300
"""How far an approval may be made in the future by this machine's clock."""
_SIGN: Final = "; or sign it: git commit --amend -S, and plan again (docs/howto/approvals.md)"
REVIEWS_LIFETIME_SECONDS: Final = 3_600
"""How old the reading of a request's reviews may be: a review may have been taken back since."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanFacts:
    """What approvals are held against: digest and content of the plan, where it goes, the commit that was planned and the one that it is held against.
    ``spent`` is when a run last carried the same content out, by another plan; ``None`` where none did.
    """

    digest: str
    content: str
    environment: str
    url: str
    ams: str
    commit: str | None
    base_commit: str | None
    spent: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSet:
    """The rules of one commit of the branch of record. ``place`` names it in messages. ``needed`` is the most that a rule which the plan meets asks for,
    before authors who are not proven. ``list_number`` tells which list of the checked signatures is this set's, ``None`` where reviews count;
    ``people`` are those whom it lets approve, each with all names.
    """

    place: str
    settings: Approvals
    needed: int
    makers: Makers | UnknownMakers
    list_number: int | None = None
    people: tuple[frozenset[str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What was brought along: signed approvals with what ssh-keygen says of them, and the reviews of the request."""

    signatures: tuple[tuple[Approval, Checked], ...] = ()
    reviews: Reviews | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """One person's approval that counts: all names of the person, folded, and what the ledger keeps."""

    by: str
    person: frozenset[str]
    record: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class SetDecision:
    """What one set of rules says: how many it needs with the authors who are not proven, who counts, why others do not, and who could."""

    place: str
    needed: int
    rule: int
    counted: tuple[Counted, ...]
    refused: tuple[str, ...]
    could: tuple[str, ...]
    source: ApprovalSource
    weak: bool
    unproven: tuple[UnprovenAuthor, ...] = ()
    way_out: str = ""
    """How the authors who are not proven may prove themselves, where they can."""

    @property
    def met(self) -> bool:
        """Whether enough people agreed under this set."""
        return len(self.counted) >= self.needed


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The verdict over all sets. ``approvals`` are those that count anywhere, once each, as the ledger keeps them."""

    sets: tuple[SetDecision, ...]

    @property
    def enough(self) -> bool:
        """Whether every set is met."""
        return all(one.met for one in self.sets)

    @property
    def approvals(self) -> tuple[Mapping[str, object], ...]:
        """What the ledger keeps of every approval that counts."""
        found: dict[str, Mapping[str, object]] = {}
        for one in self.sets:
            for counted in one.counted:
                found.setdefault(repr(sorted(counted.person)), counted.record)
        return tuple(found.values())

    def refusal(self) -> ApprovalMissing | None:
        """What to say where it is not enough, of the first set that is not met; ``None`` where it is."""
        lacking = next((one for one in self.sets if not one.met), None)
        if lacking is None:
            return None
        count = len(lacking.counted)
        more = lacking.needed - lacking.rule
        unproven = f", {more} of them for authors who are not proven" if more else ""
        whose = "a person who may sign here and has not made the change"
        if lacking.source is not ApprovalSource.SIGNATURES:
            whose = "a person of spec.approvals.approvers who may write there and has not made the change"
        return ApprovalMissing(
            f"the plan needs {lacking.needed} {'approval' if lacking.needed == 1 else 'approvals'}{unproven}",
            where=lacking.place or None,
            found=f"{count} that count{'s' if count == 1 else ''}" + "".join(f"; {one}" for one in lacking.refused),
            hint=f"could approve: {', '.join(lacking.could) or whose}{lacking.way_out}",
        )


def decide(
    plan: PlanFacts, sets: Sequence[RuleSet], evidence: Evidence, *, identities: Identities, branch: str | None, now: datetime
) -> Decision:
    """Who counts under each set of rules. ``identities`` are over all lists of signers; ``branch`` is the name of the branch of record, which a request
    must be for (``None``: it is unknown, and no review counts).

    Who made the change is taken from all sets together: a maker under one approves under none.
    """
    made_it = frozenset[str]().union(*(one.makers.names for one in sets if isinstance(one.makers, Makers)))
    return Decision(sets=tuple(_Judge(plan, one, evidence, identities, made_it, branch, now).decision() for one in sets))


class _Judge:
    """One set of rules and what is held against it."""

    def __init__(
        self,
        plan: PlanFacts,
        rules: RuleSet,
        evidence: Evidence,
        identities: Identities,
        made_it: frozenset[str],
        branch: str | None,
        now: datetime,
    ) -> None:
        self.plan, self.rules, self.evidence, self.identities = plan, rules, evidence, identities
        self.made_it, self.branch, self.now = made_it, branch, now
        self.counted: list[Counted] = []
        self.refused: list[str] = []

    def decision(self) -> SetDecision:
        makers, settings = self.rules.makers, self.rules.settings
        unproven = makers.unproven if isinstance(makers, Makers) else ()
        needed = self.rules.needed + (len(unproven) if self.rules.needed else 0)
        if needed:
            if isinstance(makers, UnknownMakers):
                self.refused.append(f"who made the change is unknown, so no approval counts: {makers.reason}")
            elif settings.source is ApprovalSource.SIGNATURES:
                self._signatures()
            else:
                self._reviews()
            self.refused += [f"the author {one.name} is not proven ({one.why})" for one in unproven]
        return SetDecision(
            place=self.rules.place,
            needed=needed,
            rule=self.rules.needed,
            counted=tuple(self.counted),
            refused=tuple(self.refused),
            could=self._could(),
            source=settings.source,
            weak=isinstance(makers, Makers) and makers.weak,
            unproven=unproven if needed else (),
            way_out=_SIGN if any(one.may_sign for one in unproven) else "",
        )

    def _could(self) -> tuple[str, ...]:
        taken = self.made_it.union(*(one.person for one in self.counted))
        return tuple(sorted(main_name(names) for names in self.rules.people if not self.identities.person(names) & taken))

    # --- signatures ---

    def _signatures(self) -> None:
        for approval, checked in self.evidence.signatures:
            said = approval.statement
            wrong = self._wrong_statement(said)
            person = frozenset[str]()
            if wrong is None:
                wrong, person = self._signer(said, checked)
            if wrong is None:
                wrong = self._wrong_person(said.by, person)
            if wrong is not None:
                self.refused.append(f"{approval.file or said.by}: {wrong}")
                continue
            record = {
                "by": said.by,
                "how": "signature",
                "at": said.made_at,
                "sha256": approval.sha256,
                "verdict_sha256": said.verdict_sha256,
                "reason": said.reason,
            }
            self._count(said.by, person, record)

    def _count(self, by: str, person: frozenset[str], record: Mapping[str, object]) -> None:
        self.counted.append(Counted(by=by, person=person, record={**record, "makers": self._makers_words()}))

    def _makers_words(self) -> str:
        assert isinstance(self.rules.makers, Makers)
        return "addresses (weak)" if self.rules.makers.weak else "proven or counted as unproven"

    def _wrong_statement(self, said: Statement) -> str | None:
        """What is wrong with what was signed, by whatever key."""
        plan, settings = self.plan, self.rules.settings
        if said.plan_digest != plan.digest:
            return f"it is for another plan ({said.plan_digest[:39]}…, and this is {plan.digest[:39]}…)"
        if (said.environment, said.url, said.ams) != (plan.environment, plan.url, plan.ams):
            return f"it is for another environment ({said.environment} at {said.url}, AMS {said.ams})"
        if said.base_commit != plan.base_commit:
            return f"it is for a plan that is held against another commit ({said.base_commit or 'none'})"
        made, ends = moment(said.made_at), moment(said.expires_at)
        if made is None or ends is None:
            return "its times cannot be read"
        if made > self.now + timedelta(seconds=MOST_AHEAD_SECONDS):
            return f"it was made in the future ({said.made_at})"
        until = min(ends, made + timedelta(hours=settings.valid_hours))
        if self.now >= until:
            return f"it has expired (at {until:%Y-%m-%dT%H:%M:%SZ})"
        if settings.verdict and said.verdict_sha256 is None:
            return "it binds no verdict of your policies, and one is asked for (amsctl approve --verdict)"
        return None

    def _signer(self, said: Statement, checked: Checked) -> tuple[str | None, frozenset[str]]:
        """What is wrong with the signature, and the person behind it: the holder of the key by any line of any list."""
        number = self.rules.list_number
        if number is None:
            return "there is no list of signers on the branch of record", frozenset()
        held = checked.held[number]
        person = self.identities.person({*checked.behind, *held.names})
        if not held.names:
            return f"no signature of a person who may approve ({checked.problem or held.reason})", person
        if folded(said.by) not in map(folded, held.names):
            return f"it names {said.by}, and the key of {main_name(held.names)} has signed it", person
        return None, person

    def _wrong_person(self, by: str, person: frozenset[str]) -> str | None:
        maker = min(person & self.made_it, key=lambda name: ("@" not in name, name), default=None)
        if maker is not None:
            return f"{maker} has made or pushed this change: another person must approve it"
        if any(person & one.person for one in self.counted):
            return f"{by} has approved already, and counts once"
        return None

    # --- reviews ---

    def _reviews(self) -> None:
        reviews = self.evidence.reviews
        if reviews is None:
            self.refused.append("no reviews were brought along (amsctl ci reviews -o FILE, amsctl apply --reviews FILE)")
            return
        wrong = self._wrong_request(reviews)
        spent = self.plan.spent
        seen = None if wrong else first_seen(reviews, self.plan.content, after=spent)
        if wrong is None and seen is None:
            since = "" if spent is None else f" since {spent:%Y-%m-%dT%H:%M:%SZ}, when a run carried it out"
            wrong = f"{reviews.url} shows no plan of this content{since}, so no review can be of it: run the plan job, and have that plan reviewed"
        if wrong is not None or seen is None:
            self.refused.append(wrong or "")
            return
        last = self._last_words(reviews)
        objecting = next((review for _, review in last if self._objects(review)), None)
        if objecting is not None:
            self.refused.append(f"{objecting.by} asks for changes: as long as that stands, no approval counts")
            return
        for person, review in last:
            wrong = self._wrong_review(reviews, review, seen) or self._wrong_person(review.by, person)
            if wrong is not None:
                self.refused.append(f"{review.by}: {wrong}")
                continue
            record = {"by": review.by, "how": reviews.forge, "at": review.at, "url": reviews.url, "commit": review.commit}
            self._count(review.by, person, record)

    def _last_words(self, reviews: Reviews) -> list[tuple[frozenset[str], Review]]:
        """The last word of each account, with the person behind it: a comment is none."""
        last: dict[str, Review] = {}
        for review in reviews.reviews:
            if review.state is not ReviewState.COMMENTED:
                last[folded(review.by)] = review
        return [(self.identities.person([name]), review) for name, review in sorted(last.items())]

    def _listed(self, review: Review) -> bool:
        return folded(review.by) in map(folded, self.rules.settings.approvers)

    def _objects(self, review: Review) -> bool:
        """Whether a person who may holds the change up. What the account may do counts for it where that is unknown."""
        may = review.standing in (Standing.WRITES, Standing.UNKNOWN)
        return review.state is ReviewState.CHANGES_REQUESTED and may and self._listed(review)

    def _wrong_review(self, reviews: Reviews, review: Review, seen: datetime) -> str | None:
        if not self._listed(review):
            return "is not among those who may approve"
        if review.standing is not Standing.WRITES:
            return _STANDING[review.standing]
        if review.state is not ReviewState.APPROVED:
            return "has approved, and the review was dismissed"
        if review.commit != reviews.head_commit:
            return f"has approved another commit ({(review.commit or 'the forge does not say which')[:12]})"
        at = moment(review.at)
        if at is None or at <= seen:
            return f"has approved at {review.at}, before this plan was shown ({seen:%Y-%m-%dT%H:%M:%SZ})"
        if at > self.now + timedelta(seconds=MOST_AHEAD_SECONDS):
            return f"has approved in the future ({review.at})"
        until = at + timedelta(hours=self.rules.settings.valid_hours)
        if self.now >= until:
            return f"has approved at {review.at}, and that has expired (at {until:%Y-%m-%dT%H:%M:%SZ}): approve it again"
        return None

    def _wrong_request(self, reviews: Reviews) -> str | None:
        plan, settings = self.plan, self.rules.settings
        if settings.source.value != reviews.forge:
            return f"reviews at {reviews.forge} do not count here (spec.approvals)"
        if not settings.approvers:
            return "spec.approvals.approvers is empty: write down whose reviews count"
        if reviews.unknown:
            return f"{reviews.url} could not be read whole, so nothing counts: {'; '.join(reviews.unknown)}"
        if plan.commit is None or reviews.head_commit != plan.commit:
            planned = "no commit" if plan.commit is None else plan.commit[:12]
            return f"{reviews.url} is about commit {reviews.head_commit[:12]}, and planned was {planned}"
        if reviews.state not in {"open", "merged"}:
            return f"{reviews.url} is {reviews.state}"
        if self.branch is None or reviews.base != self.branch:
            return f"{reviews.url} is for the branch {reviews.base}, and the branch of record is {self.branch or 'unknown'}"
        read = moment(reviews.read_at)
        if read is None or not timedelta(seconds=-MOST_AHEAD_SECONDS) <= self.now - read <= timedelta(seconds=REVIEWS_LIFETIME_SECONDS):
            return f"the reviews were read at {reviews.read_at}: read them again (amsctl ci reviews)"
        return None


_STANDING: Final[Mapping[Standing, str]] = {
    Standing.READS: "may not write to the repository, so the review does not count",
    Standing.BOT: "is no person",
    Standing.UNKNOWN: "may or may not write to the repository: the forge did not say, so the review does not count",
}


def first_seen(reviews: Reviews, content: str, *, after: datetime | None = None) -> datetime | None:
    """Since when the request has shown a plan of this content, by the forge's clock, in plans of later than ``after``; ``None`` where it has not."""
    times = (moment(one.at) for one in reviews.plans if one.content == content)
    return min((time for time in times if time is not None and (after is None or time > after)), default=None)


def moment(text: str) -> datetime | None:
    """A time as ``YYYY-MM-DDTHH:MM:SSZ``; ``None`` where it is not one."""
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None


Check = Callable[[Approval], Checked]
"""Looks at the signature of an approval."""


def evidence_of(approvals: Collection[Approval], reviews: Reviews | None, check: Check) -> Evidence:
    """What was brought along, with each signature looked at once."""
    return Evidence(signatures=tuple((one, check(one)) for one in approvals), reviews=reviews)
