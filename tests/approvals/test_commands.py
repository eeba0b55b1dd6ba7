"""approve and apply: a plan that needs approvals is carried out with them and not without, and the ledger tells whose they were."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from amsctl import api
from amsctl.ams.clock import SystemClock
from amsctl.api import Given
from amsctl.applying.means import stamp
from amsctl.approvals.approval import decode_approval
from amsctl.approvals.reviews import decode_reviews
from amsctl.approvals.signatures import find_keygen
from amsctl.approvals.verdict import decode_verdict
from amsctl.cli.approving import approval_file
from amsctl.errors import ApprovalMissing, ConfigError, PlanFileError
from amsctl.planning.codec import decode, sealed, text_of
from amsctl.planning.content import content_of
from amsctl.sandbox.faults import Rule
from amsctl.sandbox.server import Sandbox
from tests.approvals.repository import RULES, Repository, git
from tests.cli.conftest import ACCOUNT, Run


@pytest.fixture
def limits(repository: Repository, ams: Sandbox) -> Repository:
    """The repository with the stand-in as it was, which the last test may have written to."""
    ams.reset()
    return repository


def planned(run: Run, limits: Repository, *arguments: str) -> str:
    file = str(limits.root.parent / "plan.json")
    ran = run("-C", str(limits.root), "plan", "--base", "main", "-o", file, *arguments)
    assert ran.code == 0, ran.err
    return file


def approve(run: Run, limits: Repository, file: str, who: str = "sam", *arguments: str) -> Any:
    digest = json.loads(Path(file).read_text())["digest"]
    return run("-C", str(limits.root), "approve", file, "--key", str(limits.keys[who]), "--digest", digest, *arguments)


def apply(run: Run, limits: Repository, file: str, *arguments: str) -> Any:
    return run("-C", str(limits.root), "apply", file, *arguments)


def test_a_plan_is_approved_and_applied(run: Run, limits: Repository, ams: Sandbox) -> None:
    """Refused with 8 and nothing sent, telling who could; approved at a terminal; carried out; the ledger tells who; a second time it is stale."""
    file = planned(run, limits)
    assert "Needs 1 approval (signatures): 1 for anything that lets more through." in run("show", file).out
    refused = apply(run, limits, file)
    assert (refused.code, ams.log.calls("POST")) == (8, [])
    assert "could approve: kim@firm.example, lee@firm.example, sam@firm.example" in refused.err

    asked = run("-C", str(limits.root), "approve", file, "--key", str(limits.keys["sam"]), stdin="yes\n", terminal=True)
    assert asked.code == 0, asked.err
    assert "1,134" in asked.err
    approval = approval_file(file, "sam@firm.example")
    assert asked.out == f"{approval}\n"
    assert json.loads(Path(approval).read_text())["statement"]["by"] == "sam@firm.example"

    applied = apply(run, limits, file)
    assert applied.code == 0, applied.err
    shown = run("-C", str(limits.root), "ledger", "log")
    assert "approved by sam@firm.example" in shown.out
    (entry,) = json.loads(run("-C", str(limits.root), "ledger", "log", "--format", "json").out)["runs"]
    assert [(one["by"], one["how"]) for one in entry["approvals"]] == [("sam@firm.example", "signature")]
    again = apply(run, limits, file)
    assert (again.code, "this plan was carried out already" in again.err) == (4, True)


def test_an_approval_of_another_plan_that_lies_beside(run: Run, limits: Repository, ams: Sandbox) -> None:
    """An approval of A does nothing for B, wherever it lies."""
    file = planned(run, limits)
    assert approve(run, limits, file).code == 0
    second = planned(run, limits)
    refused = apply(run, limits, second)
    assert (refused.code, ams.log.calls("POST")) == (8, [])
    assert "it is for another plan" in refused.err


def test_an_approval_from_elsewhere(run: Run, limits: Repository, tmp_path: Path) -> None:
    """--approval names one that does not lie beside the plan; named twice it counts once."""
    file, elsewhere = planned(run, limits), str(tmp_path / "elsewhere.json")
    assert approve(run, limits, file, "kim", "-o", elsewhere, "--reason", "RISK-7").out == f"{elsewhere}\n"
    assert apply(run, limits, file).code == 8
    assert apply(run, limits, file, "--approval", elsewhere, "--approval", elsewhere).code == 0


@pytest.mark.parametrize(
    ("arguments", "says", "code"),
    [
        (("--key", "{jo}", "--digest", "{digest}"), "jo@firm.example has made or pushed this change", 8),
        (("--key", "{mallory}", "--digest", "{digest}"), "the key is not one of those who may approve", 8),
        (("--key", "{sam}"), "cannot prompt: no terminal", 8),
        (("--key", "{sam}", "--digest", "sha256:0123456789ab"), "this is another plan than the one that was looked at", 3),
        (("--key", "{sam}", "--digest", "{short}"), "this is another plan than the one that was looked at", 3),
        (("--key", "{sam}.none", "--digest", "{digest}"), "ssh-keygen did not sign", 1),
        (("--digest", "{digest}"), "no key to sign with", 64),
    ],
)
def test_what_cannot_be_approved(arguments: tuple[str, ...], says: str, code: int, run: Run, limits: Repository) -> None:
    """Whoever would not count is told so at once, and nothing is written."""
    file = planned(run, limits)
    digest = json.loads(Path(file).read_text())["digest"]
    words = {**{name: str(path) for name, path in limits.keys.items()}, "digest": digest, "short": digest[:18]}
    ran = run("-C", str(limits.root), "approve", file, *(word.format(**words) for word in arguments))
    assert (ran.code, says in ran.err) == (code, True), ran.err
    assert list(limits.root.parent.glob("*.approval.json")) == []


def test_whoever_says_no(run: Run, limits: Repository) -> None:
    """Only yes is taken for a yes."""
    file = planned(run, limits)
    ran = run("-C", str(limits.root), "approve", file, "--key", str(limits.keys["sam"]), stdin="y\n", terminal=True)
    assert (ran.code, "declined" in ran.err) == (8, True)


def test_the_key_that_git_signs_with(run: Run, limits: Repository) -> None:
    """Who signs commits with an OpenSSH key need not name it."""
    file = planned(run, limits)
    git(limits.root, "config", "user.signingKey", str(limits.keys["sam"]))
    digest = json.loads(Path(file).read_text())["digest"]
    assert run("-C", str(limits.root), "approve", file, "--digest", digest).code == 64  # not said to be one of OpenSSH
    git(limits.root, "config", "gpg.format", "ssh")
    assert run("-C", str(limits.root), "approve", file, "--digest", digest).code == 0


def test_a_project_that_asks_for_nothing_signed(run: Run, limits: Repository) -> None:
    """Where the branch of record asks for no approval, or for reviews, none is signed."""
    text = (limits.root / "amsctl.yaml").read_text()
    asked = {
        "  approvals: {from: github, approvers: [sam-gh]}\n": "approvals are reviews here, and no signatures",
        "": "asks for no approvals",
    }
    for rules, says in asked.items():
        git(limits.root, "switch", "--quiet", "main", who="root")
        limits.write("amsctl.yaml", text.replace(RULES, rules))
        git(limits.root, "commit", "--quiet", "-am", "rules", who="root", key=limits.keys["root"])
        git(limits.root, "switch", "--quiet", "change")
        assert says in approve(run, limits, planned(run, limits)).err


def test_a_verdict_is_bound(run: Run, limits: Repository, tmp_path: Path) -> None:
    """The approval holds the hash of the verdict; one of another plan, or one that denies, is refused with 3."""
    git(limits.root, "switch", "--quiet", "main", who="root")
    limits.write("amsctl.yaml", (limits.root / "amsctl.yaml").read_text().replace("    validHours: 8\n", "    verdict: true\n"))
    git(limits.root, "commit", "--quiet", "-am", "verdicts", who="root", key=limits.keys["root"])
    git(limits.root, "switch", "--quiet", "change")
    file, verdict = planned(run, limits), tmp_path / "verdict.json"
    digest = json.loads(Path(file).read_text())["digest"]
    said: dict[str, object] = {
        "format": "amsctl.verdict/v1",
        "plan_digest": digest,
        "policy": "firm 1.2",
        "passed": True,
        "denied": [],
        "warned": ["x"],
    }
    without = approve(run, limits, file)
    assert (without.code, "it binds no verdict" in without.err) == (8, True)
    verdict.write_text(json.dumps({**said, "plan_digest": "sha256:" + "0" * 64}))
    assert approve(run, limits, file, "sam", "--verdict", str(verdict)).code == 3
    verdict.write_text(json.dumps({**said, "passed": False, "denied": ["too much"]}))
    denied = approve(run, limits, file, "sam", "--verdict", str(verdict))
    assert (denied.code, "do not let the plan pass: firm 1.2" in denied.err, "too much" in denied.err) == (3, True, True)
    verdict.write_text(json.dumps(said))
    assert approve(run, limits, file, "sam", "--verdict", str(verdict)).code == 0
    assert apply(run, limits, file).code == 0


def test_a_run_goes_on_under_its_approvals(run: Run, limits: Repository, ams: Sandbox) -> None:
    """What was approved when the run began need not be approved again, and is told again."""
    file = planned(run, limits)
    assert approve(run, limits, file).code == 0
    ams.faults.add(Rule(kind="error_before", method="POST", status=400, nth=2))
    assert apply(run, limits, file).code == 5
    ams.faults.clear()
    Path(approval_file(file, "sam@firm.example")).unlink()
    resumed = run("-C", str(limits.root), "resume")
    assert resumed.code == 0, resumed.err
    log = json.loads(run("-C", str(limits.root), "ledger", "log", "--format", "json").out)["runs"]
    assert [[one["by"] for one in entry["approvals"]] for entry in log] == [["sam@firm.example"]] * 2


def test_what_is_called_by_a_program_needs_approvals_as_well(limits: Repository, ams: Sandbox) -> None:
    """There is no way round: the public interface refuses a plan whose approvals it was not given, and takes them."""
    manifests = api.load_manifests(limits.root)
    plan = api.plan(manifests, api.read_live(manifests), base="main")
    with pytest.raises(ApprovalMissing, match="the plan needs 1 approval"):
        api.apply(plan, manifests, approved=True)
    assert ams.log.calls("POST") == []
    clock = SystemClock()
    approval = limits.sign("sam", plan=plan, made_at=stamp(clock), expires_at=stamp(clock, later_seconds=60))
    assert api.apply(plan, manifests, approved=True, given=Given(approvals=(approval,))).exit_code == 0


# --- what was merged ---


def test_what_was_merged_must_be_what_was_planned(run: Run, limits: Repository, ams: Sandbox) -> None:
    """--merged: the branch of record must have the commit, and say now of the accounts that change what was planned; what else it says is no matter."""
    root = {"who": "root", "key": limits.keys["root"]}
    file = planned(run, limits)
    assert approve(run, limits, file).code == 0
    planned_commit = git(limits.root, "rev-parse", "HEAD")
    git(limits.root, "switch", "--quiet", "main", **root)
    git(limits.root, "merge", "--quiet", "--squash", "change", **root)
    git(limits.root, "commit", "--quiet", "-m", "squashed", **root)
    squashed = git(limits.root, "rev-parse", "HEAD")
    assert squashed != planned_commit
    elsewhere = apply(run, limits, file, "--merged", planned_commit)
    assert (elsewhere.code, "the commit is not on the branch of record" in elsewhere.err) == (4, True), elsewhere.err
    unknown = apply(run, limits, file, "--merged", "0123456789" * 4)
    assert (unknown.code, "git does not know the commit that was merged" in unknown.err) == (4, True), unknown.err
    account = limits.root / "accounts" / "dv.yaml"
    merged = account.read_text()
    limits.write("accounts/dv.yaml", merged.replace("short: 1134", "short: 1135"))
    git(limits.root, "commit", "--quiet", "-am", "something else", **root)
    other = apply(run, limits, file, "--merged", squashed)
    assert (other.code, "main now says something else of an account" in other.err) == (4, True), other.err
    assert ams.log.calls("POST") == []
    limits.write("accounts/dv.yaml", merged)
    limits.write("README.md", "x")
    git(limits.root, "add", ".", **root)
    git(limits.root, "commit", "--quiet", "-m", "back, and a page", **root)
    assert apply(run, limits, file, "--merged", squashed).code == 0


def test_a_plan_of_no_commit_was_not_merged(run: Run, limits: Repository) -> None:
    """What is not committed cannot have been merged."""
    limits.write("accounts/dv.yaml", ACCOUNT.replace("short: 600", "short: 601"))
    file = planned(run, limits)
    refused = apply(run, limits, file, "--merged", "HEAD")
    assert (refused.code, "the plan was not made of a commit" in refused.err) == (4, True)


@pytest.mark.parametrize("option", ["--approval", "--reviews", "--merged"])
def test_a_fresh_plan_has_no_approvals(option: str, run: Run, limits: Repository) -> None:
    """Nobody can have approved what was not there."""
    assert run("-C", str(limits.root), "apply", option, "x").code == 64
    refused = run("-C", str(limits.root), "apply", "--auto-approve")
    assert (refused.code, "the plan needs 1 approval" in refused.err) == (8, True)


# --- reviews ---


@pytest.fixture
def reviewed(limits: Repository, tmp_path: Path) -> Repository:
    """Reviews at GitHub count, and the base branch says so."""
    git(limits.root, "switch", "--quiet", "main", who="root", key=limits.keys["root"])
    limits.write(
        "amsctl.yaml", (limits.root / "amsctl.yaml").read_text().replace(RULES, "  approvals: {from: github, approvers: [sam, kim]}\n")
    )
    git(limits.root, "commit", "--quiet", "-am", "reviews", who="root", key=limits.keys["root"])
    git(limits.root, "switch", "--quiet", "change")
    git(limits.root, "rebase", "--quiet", "main")
    return limits


def written_reviews(limits: Repository, plan: str, **members: object) -> str:
    head, content = git(limits.root, "rev-parse", "change"), content_of(decode(json.loads(Path(plan).read_text())))
    made = {
        "format": "amsctl.reviews/v1",
        "forge": "github",
        "url": "https://forge.example/pull/7",
        "number": 7,
        "state": "merged",
        "base": "main",
        "head_commit": head,
        "merge_commit": None,
        "author": "jo",
        "commits": [{"id": head, "author": "jo", "committer": "jo", "verified": None}],
        "pushes": [{"before": "0" * 40, "after": head, "by": "jo", "at": stamp(SystemClock(), later_seconds=-3 * 3600)}],
        "plans": [{"content": content, "at": stamp(SystemClock(), later_seconds=-2 * 3600), "seen_in": "artifact 1"}],
        "unknown": [],
        "read_at": stamp(SystemClock()),
        "reviews": [
            {"by": "sam", "state": "approved", "commit": head, "at": stamp(SystemClock(), later_seconds=-3600), "standing": "writes"}
        ],
    }
    path = limits.root.parent / "reviews.json"
    path.write_text(json.dumps({**made, **members}))
    return str(path)


def test_reviews_count_where_the_plan_is_what_the_commit_gives(run: Run, reviewed: Repository, ams: Sandbox) -> None:
    """A review is of a commit, not of a plan file: a file that says something else than the commit gives is refused although it is whole."""
    file = planned(run, reviewed)
    missing = apply(run, reviewed, file)
    assert (missing.code, "no reviews were brought along" in missing.err) == (8, True)
    forged = Path(file).with_name("forged.json")
    other = Path(shutil.copytree(reviewed.root, reviewed.root.parent / "forgers"))
    account = other / "accounts" / "dv.yaml"
    account.write_text(account.read_text().replace("short: 1134", "short: 1100"))
    assert run("-C", str(other), "plan", "--base", "main", "-o", str(forged)).code == 0
    wrong, right = (json.loads(path.read_text()) for path in (forged, Path(file)))
    plan, truth = decode(wrong), decode(right)
    forged.write_text("".join(text_of(sealed(replace(plan, origin=truth.origin)))))
    refused = apply(run, reviewed, str(forged), "--reviews", written_reviews(reviewed, str(forged)))
    assert (refused.code, "not what these manifests give" in refused.err) == (4, True)
    assert ams.log.calls("POST") == []
    assert apply(run, reviewed, file, "--reviews", written_reviews(reviewed, file)).code == 0
    (entry,) = json.loads(run("-C", str(reviewed.root), "ledger", "log", "--format", "json").out)["runs"]
    assert [(one["by"], one["how"], one["url"]) for one in entry["approvals"]] == [("sam", "github", "https://forge.example/pull/7")]


# --- files that are none ---

STATEMENT = {
    "plan_digest": "sha256:" + "0" * 64,
    "environment": "e",
    "url": "u",
    "ams": "e",
    "base_commit": None,
    "by": "sam",
    "made_at": "t",
    "expires_at": "t",
    "nonce": "n",
    "verdict_sha256": None,
    "reason": None,
}
APPROVAL = {"format": "amsctl.approval/v1", "statement": STATEMENT, "signature": "s"}


@pytest.mark.parametrize(
    "value",
    [
        [],
        {},
        {**APPROVAL, "more": 1},
        {**APPROVAL, "format": "amsctl.approval/v2"},
        {**APPROVAL, "statement": None},
        {**APPROVAL, "statement": {**STATEMENT, "by": None}},
        {**APPROVAL, "statement": {**STATEMENT, "reason": 1}},
        {**APPROVAL, "statement": {**STATEMENT, "nonce": "n" * 4097}},
        {**APPROVAL, "statement": {**STATEMENT, "reason": "\ud800"}},
        {**APPROVAL, "signature": 1},
        {**APPROVAL, "statement": {**STATEMENT, "plan_digest": "sha256:" + "0" * 63}},
        {**APPROVAL, "statement": {**STATEMENT, "ams": None}},
    ],
)
def test_what_is_no_approval(value: object) -> None:
    """A file that is not exactly an approval is refused with its name."""
    with pytest.raises(ApprovalMissing, match="this is not an approval"):
        decode_approval(value, "a.json")


REVIEWS = {
    "format": "amsctl.reviews/v1",
    "forge": "github",
    "url": "u",
    "number": 7,
    "state": "open",
    "base": "main",
    "head_commit": "c",
    "merge_commit": None,
    "author": "jo",
    "commits": [{"id": "c", "author": "jo", "committer": None, "verified": None}],
    "pushes": [{"before": "b", "after": "c", "by": "jo", "at": "t"}],
    "plans": [{"content": "sha256:0", "at": "t", "seen_in": "comment 1"}],
    "unknown": [],
    "read_at": "t",
    "reviews": [{"by": "sam", "state": "approved", "commit": "c", "at": "t", "standing": "writes"}],
}


def review_with(**members: object) -> dict[str, object]:
    return {**REVIEWS, "reviews": [{"by": "sam", "state": "approved", "commit": "c", "at": "t", "standing": "writes", **members}]}


@pytest.mark.parametrize(
    "value",
    [
        [],
        {},
        {**REVIEWS, "format": "x"},
        {**REVIEWS, "reviews": {}},
        {**REVIEWS, "number": True},
        {**REVIEWS, "author": None},
        {**REVIEWS, "unknown": [1]},
        {**REVIEWS, "unknown": "all"},
        {**REVIEWS, "bots": [1]},
        {**REVIEWS, "commits": [{"id": None, "author": None, "committer": None, "verified": None}]},
        {**REVIEWS, "commits": [{"id": "c", "author": 7, "committer": None, "verified": None}]},
        {**REVIEWS, "pushes": [{"before": "b", "after": "c", "by": None, "at": "t"}]},
        {**REVIEWS, "plans": [{"content": "sha256:0", "at": "t"}]},
        review_with(standing="writer"),
        review_with(state="liked"),
        review_with(by=None),
        review_with(more=1),
    ],
)
def test_what_are_no_reviews(value: object) -> None:
    """A file that is not exactly reviews is refused with its name."""
    with pytest.raises(ApprovalMissing, match="these are not reviews"):
        decode_reviews(value, "r.json")
    assert decode_reviews(REVIEWS, "r.json").reviews[0].by == "sam"


VERDICT = {"format": "amsctl.verdict/v1", "plan_digest": "d", "policy": "p", "passed": True, "denied": [], "warned": []}


@pytest.mark.parametrize(
    "members",
    [
        {"format": "x"},
        {"plan_digest": ""},
        {"policy": 1},
        {"denied": "no"},
        {"warned": [1]},
        {"passed": 1},
        {"denied": ["no"]},
        {"passed": False},
        {"more": 1},
    ],
)
def test_what_is_no_verdict(members: dict[str, object]) -> None:
    """A verdict that says of itself two things is none."""
    with pytest.raises(PlanFileError, match="this is not a verdict"):
        decode_verdict({**VERDICT, **members}, "v.json")
    assert decode_verdict(VERDICT, "v.json").passed


def test_without_openssh(monkeypatch: pytest.MonkeyPatch, limits: Repository) -> None:
    """What is missing is named, with where it comes from; an ssh-keygen that cannot be run makes nobody an approver."""
    keygen = find_keygen(os.environ, outside=None)
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(ConfigError, match="openssh-client"):
        find_keygen(os.environ, outside=None).sign(b"x", str(limits.keys["sam"]))

    def failing(*arguments: object, **more: object) -> None:
        raise PermissionError

    monkeypatch.setattr("amsctl.approvals.signatures.subprocess.run", failing)
    with pytest.raises(ApprovalMissing, match="could not be run"):
        keygen.sign(b"x", str(limits.keys["sam"]))


def test_names_of_files() -> None:
    """Nothing of a name leads anywhere else."""
    assert approval_file("a/plan.json", "../sam@firm.example") == "a/plan...-sam-firm.example.approval.json"
    assert approval_file("plan", "é/x") == "plan.--x.approval.json"
