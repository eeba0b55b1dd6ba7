"""Which approvals count: the matrix of everything that can be wrong with one. Reliability D4."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from amsctl.approvals.approval import Approval
from amsctl.approvals.reviews import CommitRecord, PlanRecord, PushRecord, Review, Reviews, ReviewState, Standing
from amsctl.config import ApprovalSource, GuardName
from amsctl.errors import ApprovalMissing
from amsctl.model import Direction
from amsctl.planning.codec import sealed
from amsctl.planning.content import content_of
from amsctl.planning.plan import Plan
from tests.approvals.repository import RULES, Repository, git, git_of, judged, line, signers


@dataclass(frozen=True)
class Case:
    """What is brought, and for which plan; ``says`` is in the refusal, or ``None`` when it is enough."""

    approvals: Sequence[Approval]
    says: str | None
    plan: Plan | None = None
    overrides: Sequence[GuardName] = ()
    counts: int = 1


def flipped(approval: Approval) -> Approval:
    """One letter of the armored signature is another one."""
    lines = approval.signature.splitlines()
    at = len(lines[2]) // 2
    lines[2] = lines[2][:at] + ("A" if lines[2][at] != "A" else "B") + lines[2][at + 1 :]
    return replace(approval, signature="\n".join(lines) + "\n")


def with_reason(approval: Approval, reason: str) -> Approval:
    return replace(approval, statement=replace(approval.statement, reason=reason))


def raised_to(repository: Repository, after: int, before: int = 567) -> Plan:
    """The plan, with another amount."""
    changes = [replace(change, before=before, after=after) if change.after == 1134 else change for change in repository.plan.changes]
    return sealed(replace(repository.plan, changes=tuple(changes)))


def without_loosening(repository: Repository) -> Plan:
    return sealed(replace(repository.plan, changes=tuple(c for c in repository.plan.changes if c.direction is not Direction.LOOSEN)))


def lists(repository: Repository, here: str) -> None:
    repository.write("approvers", here)


def base_with(repository: Repository, name: str, change: Callable[[str], str]) -> Plan:
    """The plan against a branch of record of which a file says something else."""
    tree = repository.root.parent / "base"
    git(repository.root, "worktree", "add", "--quiet", str(tree), "main")
    (tree / name).write_text(change((tree / name).read_text()), encoding="utf-8")
    git(tree, "commit", "--quiet", "--allow-empty", "-am", "base", who="root", key=repository.keys["root"])
    commit = git(tree, "rev-parse", "HEAD")
    git(repository.root, "worktree", "remove", "--force", str(tree))
    base = repository.plan.origin.base
    assert base is not None
    return sealed(replace(repository.plan, origin=replace(repository.plan.origin, base=replace(base, commit=commit))))


def by_list(r: Repository, who: str, text: str, says: str | None, **more: Any) -> Case:
    """One approval, where the list of signers on the branch of record is another."""
    plan = base_with(r, "approvers", lambda _: text)
    return Case([r.sign(who, plan=plan, **more)], says, plan)


def amended(r: Repository, *arguments: str, signed: str | None = None) -> Plan:
    """The plan of the change's commit, written anew."""
    git(r.root, "commit", "--quiet", "--amend", "--no-edit", *arguments, key=None if signed is None else r.keys[signed])
    return r.replan(commit=git(r.root, "rev-parse", "HEAD"))


def swapped(old: str, new: str) -> Callable[[str], str]:
    def change(text: str) -> str:
        assert old in text
        return text.replace(old, new)

    return change


def here(repository: Repository, old: str, new: str) -> None:
    repository.write("amsctl.yaml", swapped(old, new)((repository.root / "amsctl.yaml").read_text()))


def in_order(*steps: Any) -> Any:
    """The last of what is given, once the others are done."""
    return steps[-1]


Make = Callable[[Repository], Case]


def other_plan(r: Repository) -> Case:
    return Case([r.sign("sam", plan=r.replan(message="another"))], "it is for another plan")


CASES: dict[str, Make] = {
    "one who may": lambda r: Case([r.sign("sam")], None),
    "another name of the same": lambda r: Case([r.sign("sam", by="sam-gh")], None),
    "none": lambda r: Case([], "could approve: kim@firm.example, lee@firm.example, sam@firm.example"),
    "a key that is not on the list": lambda r: Case([r.sign("mallory", by="sam@firm.example")], "no signature of a person who may approve"),
    "a key that calls itself another": lambda r: Case(
        [r.sign("sam", by="kim@firm.example")], "it names kim@firm.example, and the key of sam@firm.example has signed it"
    ),
    "expired": lambda r: Case([r.sign("sam", expires_at="2027-01-15T08:00:00Z")], "it has expired (at 2027-01-15T08:00:00Z)"),
    "older than approvals are good for": lambda r: Case(
        [r.sign("sam", made_at="2027-01-14T23:59:59Z", expires_at="2028-01-01T00:00:00Z")], "it has expired (at 2027-01-15T07:59:59Z)"
    ),
    "of the future": lambda r: Case([r.sign("sam", made_at="2027-01-15T08:05:01Z")], "it was made in the future"),
    "times that are none": lambda r: Case([r.sign("sam", made_at="yesterday")], "its times cannot be read"),
    "of another plan": other_plan,
    "a byte of what was signed is another": lambda r: Case([with_reason(r.sign("sam", reason="a"), "b")], "no signature of a person"),
    "a byte of the signature is another": lambda r: Case([flipped(r.sign("sam"))], "no signature of a person"),
    "no signature at all": lambda r: Case([replace(r.sign("sam"), signature="trust me")], "no signature of a person"),
    "of another environment": lambda r: Case([r.sign("sam", environment="production")], "it is for another environment (production"),
    "of another address": lambda r: Case([r.sign("sam", url="https://elsewhere")], "it is for another environment"),
    "the author": lambda r: Case([r.sign("jo")], "jo@firm.example has made or pushed this change"),
    "the author, whom the plan calls otherwise": lambda r: in_order(
        plan := r.replan(author="Somebody <else@firm.example>", contributors=()),
        Case([r.sign("jo", plan=plan)], "jo@firm.example has made", plan),
    ),
    "the author, written in capitals": lambda r: in_order(
        plan := amended(r, "--author", "S <SAM@FIRM.EXAMPLE>", signed="jo"),
        Case([r.sign("sam", plan=plan)], "sam@firm.example has made or pushed this change", plan),
    ),
    "who first started the planning job": lambda r: in_order(
        plan := r.replan(started_by="kim-gh"), Case([r.sign("kim", plan=plan)], "kim@firm.example has made or pushed this change", plan)
    ),
    "a committer": lambda r: in_order(
        git(r.root, "commit", "--quiet", "--amend", "--no-edit", who="kim", key=r.keys["kim"]),
        plan := r.replan(commit=git(r.root, "rev-parse", "HEAD")),
        Case([r.sign("kim", plan=plan)], "kim@firm.example has made or pushed this change", plan),
    ),
    "the author of an earlier commit of the branch": lambda r: in_order(
        git(r.root, "commit", "--quiet", "--allow-empty", "-m", "more", who="kim", key=r.keys["kim"]),
        plan := r.replan(commit=git(r.root, "rev-parse", "HEAD"), author="Kim <kim@firm.example>", contributors=()),
        Case([r.sign("jo", plan=plan)], "jo@firm.example has made or pushed this change", plan),
    ),
    "taken off the list since": lambda r: by_list(r, "sam", signers(r.keys, "kim", "lee", "jo"), "no signature of a person"),
    "added by the change itself": lambda r: in_order(
        lists(r, signers(r.keys, "sam", "jo", "mallory")), Case([r.sign("mallory")], "no signature of a person who may approve")
    ),
    "a name added by the change itself": lambda r: in_order(
        lists(r, signers(r.keys, "sam", "jo") + line(r.keys, "mallory", "sam@firm.example")),
        Case([r.sign("mallory", by="sam@firm.example")], "no signature of a person who may approve"),
    ),
    "another name hides who it is": lambda r: by_list(
        r, "jo", signers(r.keys, "sam") + line(r.keys, "jo", "boss@firm.example"), "has made or pushed this change", by="boss@firm.example"
    ),
    "a list of no one": lambda r: by_list(r, "sam", "# none\n", "no signature of a person"),
    "a key whose time on the list is over": lambda r: by_list(
        r, "sam", signers(r.keys, "jo") + line(r.keys, "sam", options='valid-before="20200101"'), "expired"
    ),
    "a key that is listed for something else": lambda r: by_list(
        r, "sam", signers(r.keys, "jo") + line(r.keys, "sam", options='namespaces="git"'), "namespace"
    ),
    "two lines of the author's key": lambda r: by_list(
        r,
        "jo",
        line(r.keys, "jo", "jo@home.example") + line(r.keys, "jo", "jo@firm.example"),
        "jo@firm.example has made or pushed this change",
        by="jo@home.example",
    ),
    "two lines of the author's key, the other way round": lambda r: by_list(
        r,
        "jo",
        line(r.keys, "jo", "jo@firm.example", 'namespaces="git"') + line(r.keys, "jo", "jo@home.example"),
        "jo@firm.example has made or pushed this change",
        by="jo@home.example",
    ),
    "a first line for git alone": lambda r: by_list(
        r,
        "sam",
        signers(r.keys, "jo") + line(r.keys, "sam", "sam@home.example", 'namespaces="git"') + line(r.keys, "sam", "sam@firm.example"),
        None,
    ),
    "a list with a byte order mark": lambda r: by_list(r, "jo", "\ufeff" + signers(r.keys, "jo", "sam"), "approvers"),
    "a commit that is not signed": lambda r: in_order(
        plan := amended(r),
        Case([r.sign("sam", plan=plan)], "the plan needs 2 approvals, 1 of them for authors who are not proven", plan),
    ),
    "a commit that is not signed, and two agree": lambda r: in_order(
        plan := amended(r), Case([r.sign(who, plan=plan) for who in ("sam", "kim")], None, plan, counts=2)
    ),
    "a commit under another's name": lambda r: in_order(
        plan := amended(r, "--author", "Lee <lee@firm.example>", signed="jo"),
        Case([r.sign("sam", plan=plan)], "and names another author", plan),
    ),
    "addresses are believed where it is written": lambda r: in_order(
        made := replace(r, plan=amended(r)),
        plan := base_with(made, "amsctl.yaml", swapped("    validHours: 8\n", "    makers: addresses\n")),
        Case([r.sign("sam", plan=plan)], None, plan),
    ),
    "a pattern": lambda r: by_list(r, "sam", line(r.keys, "sam", names="*@firm.example"), "a pattern is no person"),
    "two are needed and one is there": lambda r: in_order(
        plan := raised_to(r, 2269),
        Case([r.sign("sam", plan=plan)], "the plan needs 2 approvals", plan),
    ),
    "just not so much that two are needed": lambda r: in_order(plan := raised_to(r, 2268), Case([r.sign("sam", plan=plan)], None, plan)),
    "two are needed and two are there": lambda r: in_order(
        plan := raised_to(r, 2269), Case([r.sign("sam", plan=plan), r.sign("kim", plan=plan)], None, plan, counts=2)
    ),
    "from zero two are needed": lambda r: in_order(
        plan := raised_to(r, 1, before=0), Case([r.sign("sam", plan=plan)], "the plan needs 2 approvals", plan)
    ),
    "so many contracts that two are needed": lambda r: in_order(
        plan := raised_to(r, 10_001, before=5_000), Case([r.sign("sam", plan=plan)], "the plan needs 2 approvals", plan)
    ),
    "just not so many contracts": lambda r: in_order(
        plan := raised_to(r, 10_000, before=5_000), Case([r.sign("sam", plan=plan)], None, plan)
    ),
    "the same person twice": lambda r: in_order(
        plan := raised_to(r, 2269),
        Case(
            [r.sign("sam", plan=plan), r.sign("sam", plan=plan, by="sam-gh", nonce="2")],
            "sam-gh has approved already, and counts once",
            plan,
        ),
    ),
    "the same person with two keys": lambda r: in_order(
        text := signers(r.keys, "sam") + line(r.keys, "mallory", "sam@firm.example"),
        plan := raised_to(replace(r, plan=base_with(r, "approvers", lambda _: text)), 2269),
        lists(r, text),
        Case(
            [r.sign("sam", plan=plan), r.sign("mallory", plan=plan, by="sam@firm.example")], "has approved already, and counts once", plan
        ),
    ),
    "a guard is overridden, which needs three": lambda r: Case(
        [r.sign("sam"), r.sign("kim")], "the plan needs 3 approvals", overrides=[GuardName.RAISED]
    ),
    "a guard is overridden, and three agree": lambda r: Case(
        [r.sign(name) for name in ("sam", "kim", "lee")], None, overrides=[GuardName.RAISED], counts=3
    ),
    "what tightens needs nobody": lambda r: Case([], None, without_loosening(r), counts=0),
    "a plan of no commit": lambda r: in_order(
        plan := sealed(replace(r.plan, origin=replace(r.plan.origin, git=None))),
        Case([r.sign("sam", plan=plan)], "not those of a commit", plan),
    ),
    "a plan of a changed checkout": lambda r: in_order(
        plan := r.replan(dirty=True), Case([r.sign("sam", plan=plan)], "not those of a commit", plan)
    ),
    "a plan without a base branch": lambda r: in_order(
        plan := sealed(replace(r.plan, origin=replace(r.plan.origin, base=None))),
        Case([r.sign("sam", plan=plan)], "without a branch of record", plan),
    ),
    "a commit that git does not know": lambda r: in_order(
        plan := r.replan(commit="0123456789" * 4),
        Case([r.sign("sam", plan=plan)], "who made the change is unknown, so no approval counts", plan),
    ),
    "the branch of record asks for nothing": lambda r: in_order(
        plan := base_with(r, "amsctl.yaml", swapped(RULES, "")), Case([], None, plan, counts=0)
    ),
    "the change drops all rules": lambda r: in_order(here(r, RULES, ""), Case([], "the plan needs 1 approval")),
    "the change asks for nobody": lambda r: in_order(
        here(r, "rules: [{approvals: 1}", "rules: [{approvals: 0}"), Case([], "the plan needs 1 approval")
    ),
    "the change lets approvals live longer": lambda r: in_order(
        here(r, "validHours: 8", "validHours: 100"),
        Case([r.sign("sam", made_at="2027-01-14T23:00:00Z", expires_at="2027-02-01T00:00:00Z")], "it has expired"),
    ),
    "the change takes reviews instead": lambda r: in_order(
        here(r, RULES, "  approvals: {from: github, approvers: [sam-gh]}\n"), Case([r.sign("sam")], None)
    ),
    "a verdict is asked for and was not bound": lambda r: in_order(
        plan := base_with(r, "amsctl.yaml", swapped("    validHours: 8\n", "    verdict: true\n")),
        Case([r.sign("sam", plan=plan)], "it binds no verdict of your policies", plan),
    ),
    "a verdict is asked for and was bound": lambda r: in_order(
        plan := base_with(r, "amsctl.yaml", swapped("    validHours: 8\n", "    verdict: true\n")),
        Case([r.sign("sam", plan=plan, verdict_sha256="ab" * 32)], None, plan),
    ),
    "one good among bad ones": lambda r: Case([r.sign("jo"), flipped(r.sign("kim")), r.sign("sam")], None),
}


@pytest.mark.parametrize("name", CASES)
def test_the_matrix_of_signatures(name: str, repository: Repository) -> None:
    """Wrong key, expired, other plan, one byte flipped, author, removed since, other environment and the rest: only what is beyond doubt counts."""
    case = CASES[name](repository)
    plan = case.plan or repository.plan
    if case.says is None:
        counted = judged(repository, plan, case.approvals, overrides=case.overrides)
        assert len(counted) == case.counts
        assert [one["how"] for one in counted] == ["signature"] * case.counts
        return
    with pytest.raises(ApprovalMissing) as refused:
        judged(repository, plan, case.approvals, overrides=case.overrides)
    assert case.says in str(refused.value)
    assert refused.value.exit_code == 8


def test_the_matrix_is_as_large_as_promised() -> None:
    """At least 30 cases of signatures."""
    assert len(CASES) >= 45


# --- reviews ---


def reviews(repository: Repository, *listed: Review, **members: object) -> Reviews:
    head, base = git_of(repository.plan).commit, repository.plan.origin.base
    assert base is not None
    made = Reviews(
        forge="github",
        url="https://forge.example/pull/7",
        number=7,
        state="open",
        base="main",
        head_commit=head,
        merge_commit=None,
        author="jo-gh",
        commits=(CommitRecord(id=head, author="jo-gh", committer="jo-gh", verified=None),),
        pushes=(PushRecord(before="0" * 40, after=head, by="jo-gh", at="2027-01-15T05:00:00Z"),),
        plans=(PlanRecord(content=content_of(repository.plan), at="2027-01-15T06:00:00Z", seen_in="artifact 1"),),
        unknown=(),
        read_at="2027-01-15T07:59:00Z",
        reviews=listed,
    )
    return replace(made, **members)  # type: ignore[arg-type]


def review(
    repository: Repository,
    by: str,
    state: str = "approved",
    *,
    commit: str | None = "",
    at: str = "2027-01-15T07:00:00Z",
    standing: str = "writes",
) -> Review:
    head = git_of(repository.plan).commit if commit == "" else commit
    return Review(by=by, state=ReviewState(state), commit=head, at=at, standing=Standing(standing))


def commit_record(r: Repository, **members: object) -> tuple[CommitRecord, ...]:
    made = CommitRecord(id=git_of(r.plan).commit, author="jo-gh", committer="jo-gh", verified=None)
    return (replace(made, **members),)  # type: ignore[arg-type]


def push(r: Repository, by: str, before: str = "0" * 40) -> PushRecord:
    return PushRecord(before=before, after=git_of(r.plan).commit, by=by, at="2027-01-15T05:00:00Z")


def shown(r: Repository, at: str, content: str = "") -> tuple[PlanRecord, ...]:
    return (PlanRecord(content=content or content_of(r.plan), at=at, seen_in="comment 5"),)


REVIEW_CASES: dict[str, Callable[[Repository], tuple[Reviews | None, str | None]]] = {
    "one who may": lambda r: (reviews(r, review(r, "sam-gh")), None),
    "merged since": lambda r: (reviews(r, review(r, "sam-gh"), state="merged", merge_commit="ab" * 20), None),
    "in other letters": lambda r: (reviews(r, review(r, "SAM-gh")), None),
    "approved, then a comment": lambda r: (
        reviews(r, review(r, "sam-gh"), review(r, "sam-gh", "commented", at="2027-01-15T07:30:00Z")),
        None,
    ),
    "a signature that the forge verified": lambda r: (
        reviews(r, review(r, "sam-gh"), commits=commit_record(r, verified="jo-gh"), pushes=(push(r, "kim-gh"),)),
        None,
    ),
    "an edit in the browser": lambda r: (
        reviews(r, review(r, "sam-gh"), commits=commit_record(r, committer="web-flow", verified="jo-gh")),
        None,
    ),
    "a stranger who asks for changes": lambda r: (
        reviews(r, review(r, "sam-gh"), review(r, "stranger", "changes-requested", standing="reads")),
        None,
    ),
    "none brought": lambda r: (None, "no reviews were brought along"),
    "nobody yet": lambda r: (
        reviews(r),
        "found 0 that count; could approve: kim-gh, sam-gh",
    ),
    "a comment only": lambda r: (reviews(r, review(r, "sam-gh", "commented")), "found 0 that count"),
    "another commit": lambda r: (reviews(r, review(r, "sam-gh", commit="ab" * 20)), "sam-gh: has approved another commit (abababababab)"),
    "no commit told": lambda r: (reviews(r, review(r, "sam-gh", commit=None)), "sam-gh: has approved another commit (the forge do"),
    "dismissed": lambda r: (reviews(r, review(r, "sam-gh", "dismissed")), "the review was dismissed"),
    "approved, then changes asked for": lambda r: (
        reviews(r, review(r, "sam-gh"), review(r, "sam-gh", "changes-requested", at="2027-01-15T07:30:00Z")),
        "sam-gh asks for changes: as long as that stands",
    ),
    "another one asks for changes": lambda r: (
        reviews(r, review(r, "kim-gh"), review(r, "sam-gh", "changes-requested")),
        "sam-gh asks for changes: as long as that stands",
    ),
    "one whose rights are unknown asks for changes": lambda r: (
        reviews(r, review(r, "kim-gh"), review(r, "sam-gh", "changes-requested", standing="unknown")),
        "sam-gh asks for changes: as long as that stands",
    ),
    "the author": lambda r: (reviews(r, review(r, "jo-gh")), "jo-gh: is not among those who may approve"),
    "the author, who may": lambda r: (reviews(r, review(r, "sam-gh"), author="sam-gh"), "sam-gh has made or pushed this change"),
    "a contributor": lambda r: (
        reviews(r, review(r, "sam-gh"), commits=commit_record(r, author="Sam-GH"), pushes=(push(r, "sam-gh"),)),
        "sam-gh has made or pushed this change",
    ),
    "a committer": lambda r: (
        reviews(r, review(r, "sam-gh"), commits=commit_record(r, committer="sam-gh")),
        "sam-gh has made or pushed this change",
    ),
    "who pushed last": lambda r: (reviews(r, review(r, "sam-gh"), pushes=(push(r, "sam-gh"),)), "sam-gh has made or pushed this change"),
    "who pushed it a second time": lambda r: (
        reviews(r, review(r, "sam-gh"), pushes=(push(r, "jo-gh"), push(r, "sam-gh", "ab" * 20))),
        "sam-gh has made or pushed this change",
    ),
    "who pushed what was replaced": lambda r: (
        reviews(r, review(r, "sam-gh"), pushes=(replace(push(r, "sam-gh"), after="ab" * 20), push(r, "jo-gh", "ab" * 20))),
        "sam-gh has made or pushed this change",
    ),
    "an older branch of the same name": lambda r: (
        reviews(r, review(r, "sam-gh"), pushes=(replace(push(r, "sam-gh"), after="ab" * 20), push(r, "jo-gh"))),
        None,
    ),
    "an address of no account": lambda r: (
        reviews(r, review(r, "sam-gh"), commits=commit_record(r, author=None, committer=None)),
        "the plan needs 2 approvals, 1 of them for authors who are not proven",
    ),
    "an address of no account, and two agree": lambda r: (
        reviews(r, review(r, "sam-gh"), review(r, "kim-gh"), commits=commit_record(r, author=None, committer=None)),
        None,
    ),
    "an author whom another account pushed": lambda r: (
        reviews(r, review(r, "sam-gh"), commits=commit_record(r, author="lee-gh")),
        "names lee-gh, and was pushed by jo-gh",
    ),
    "no record of the push": lambda r: (reviews(r, review(r, "sam-gh"), pushes=()), "the forge has no record of that push"),
    "a verified commit that nobody is known to have pushed": lambda r: (
        reviews(r, review(r, "sam-gh"), commits=commit_record(r, verified="jo-gh"), pushes=()),
        "the forge has no record of that push",
    ),
    "a commit that the forge does not list": lambda r: (
        reviews(r, review(r, "sam-gh"), commits=()),
        "is not among those that the forge lists",
    ),
    "not on the list": lambda r: (reviews(r, review(r, "lee-gh")), "lee-gh: is not among those who may approve"),
    "one who may only read": lambda r: (reviews(r, review(r, "sam-gh", standing="reads")), "may not write to the repository"),
    "a bot": lambda r: (reviews(r, review(r, "sam-gh", standing="bot")), "sam-gh: is no person"),
    "rights that are unknown": lambda r: (reviews(r, review(r, "sam-gh", standing="unknown")), "the forge did not say"),
    "older than the plan": lambda r: (
        reviews(r, review(r, "sam-gh"), plans=shown(r, "2027-01-15T07:00:00Z")),
        "has approved at 2027-01-15T07:00:00Z, before this plan was shown",
    ),
    "a plan of another content": lambda r: (
        reviews(r, review(r, "sam-gh"), plans=shown(r, "2027-01-15T06:00:00Z", "sha256:" + "0" * 64)),
        "shows no plan of this content",
    ),
    "shown at a time that is none": lambda r: (reviews(r, review(r, "sam-gh"), plans=shown(r, "early")), "shows no plan of this content"),
    "shown again later": lambda r: (
        reviews(r, review(r, "sam-gh"), plans=shown(r, "2027-01-15T06:00:00Z") + shown(r, "2027-01-15T07:30:00Z")),
        None,
    ),
    "at no time": lambda r: (reviews(r, review(r, "sam-gh", at="")), "has approved at , before this plan was shown"),
    "for another branch": lambda r: (
        reviews(r, review(r, "sam-gh"), base="staging"),
        "is for the branch staging, and the branch of record is main",
    ),
    "read in part": lambda r: (
        reviews(r, review(r, "sam-gh"), unknown=("300 commits",)),
        "could not be read whole, so nothing counts: 300 commits",
    ),
    "read too long ago": lambda r: (reviews(r, review(r, "sam-gh"), read_at="2027-01-15T06:59:59Z"), "read them again"),
    "read at no time": lambda r: (reviews(r, review(r, "sam-gh"), read_at="now"), "read them again"),
    "of another forge": lambda r: (reviews(r, review(r, "sam-gh"), forge="gitlab"), "reviews at gitlab do not count here"),
    "of another commit": lambda r: (reviews(r, review(r, "sam-gh"), head_commit="cd" * 20), "is about commit cdcdcdcdcdcd"),
    "closed": lambda r: (reviews(r, review(r, "sam-gh"), state="closed"), "pull/7 is closed"),
}


@pytest.fixture
def reviewed(repository: Repository) -> Repository:
    """Reviews at GitHub count, of sam-gh and kim-gh, on the base branch as well."""
    new = "  approvals: {from: github, approvers: [sam-gh, kim-gh]}\n"
    plan = base_with(repository, "amsctl.yaml", swapped(RULES, new))
    here(repository, RULES, new)
    assert plan.approvals is not None
    return replace(repository, plan=sealed(replace(plan, approvals=replace(plan.approvals, source=ApprovalSource.GITHUB))))


@pytest.mark.parametrize("name", REVIEW_CASES)
def test_the_matrix_of_reviews(name: str, reviewed: Repository) -> None:
    """A review counts on the commit that was planned, after its plan was shown, of a person on the list who may write and did not make the change."""
    given, says = REVIEW_CASES[name](reviewed)
    if says is None:
        counted = judged(reviewed, reviewed.plan, reviews=given)
        found = [(str(one["by"]).casefold(), one["how"], one["url"]) for one in counted]
        assert ("sam-gh", "github", "https://forge.example/pull/7") in found
        return
    with pytest.raises(ApprovalMissing) as refused:
        judged(reviewed, reviewed.plan, reviews=given)
    assert says in str(refused.value)
