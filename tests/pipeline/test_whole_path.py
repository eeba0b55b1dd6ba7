"""The whole path, with the runner's files and events against the stand-in of the AMS and a forge: a branch with a change, its plan, the comment, the
reviews, the merge, the apply, nothing left to do, and the ledger that tells who, what, why and approved by whom. And its unhappy twins.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from amsctl.manifests.starter import starter_files
from amsctl.sandbox.books import spec_book
from amsctl.sandbox.server import Sandbox, serve
from amsctl.version import version
from tests.approvals.repository import git
from tests.cli.conftest import ACCOUNT, Run, run
from tests.forge.fake import TOKEN, FakeForge, served
from tests.pipeline.runner import Done, Runner

__all__ = ["run"]
SECRET = "ams-secret-canary-4711"
PROJECT = """\
apiVersion: amsctl/v1
kind: Project
spec:
  manifests: [accounts]
  environments:
    production:
      url: {url}
      auth: {{type: basic, clientId: "${{AMS_API_ID}}", clientSecret: "${{AMS_API_SECRET}}"}}
      protected: true
  ledger: {{url: "sqlite:////{ledger}"}}
  policies:
    - {{name: why, ticket: {{keys: [RISK]}}}}
  approvals: {{from: github, approvers: [sam, kim, jo]}}
"""


def ago(minutes: float) -> str:
    """A time of the forge."""
    return (datetime.now(UTC) - timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class Firm:
    """A firm's limits repository with its pipeline, the forge it is at, and the AMS."""

    root: Path
    ams: Sandbox
    forge: FakeForge
    runner: Runner

    @property
    def head(self) -> str:
        return git(self.root, "rev-parse", "refs/pull/7/head")

    def change(self, short: int, message: str = "RISK-7 more room") -> None:
        git(self.root, "switch", "--quiet", "change")
        (self.root / "accounts" / "dv.yaml").write_text(ACCOUNT.replace("short: 600", f"short: {short}"))
        git(self.root, "commit", "--quiet", "-am", message)
        git(self.root, "update-ref", "refs/pull/7/head", "change")
        self.forge.pulls[7] = self.pull()

    def pull(self, merged: str | None = None, fork: str | None = None) -> dict[str, Any]:
        return {
            "number": 7,
            "html_url": "https://github.example/firm/limits/pull/7",
            "state": "closed" if merged else "open",
            "merged": merged is not None,
            "merge_commit_sha": merged,
            "base": {"ref": "main"},
            "head": {"sha": self.head, "ref": "change", "repo": {"full_name": fork or self.forge.repository}},
            "user": {"login": "jo"},
        }

    def plan(self, **more: Any) -> Done:
        event = {"pull_request": self.pull(**more)}
        inputs = {"environment": "production", "version": version()}
        return self.runner.run("limits-plan.yml", "pull_request", event, commit=self.head, inputs=inputs, secrets=not more)

    def review(self, by: str = "sam", state: str = "APPROVED") -> None:
        listed = self.forge.reviews.setdefault(7, [])
        listed.append({"user": {"login": by}, "state": state, "commit_id": self.head, "submitted_at": ago(60 - len(listed))})
        self.forge.permissions[by] = "write"

    def merge(self) -> str:
        """Squash it; the branch is gone then, and the request's head is where the forge keeps it."""
        head, commits = self.head, git(self.root, "rev-list", "main..change").splitlines()
        git(self.root, "switch", "--quiet", "main", who="sam")
        git(self.root, "merge", "--quiet", "--squash", "change", who="sam")
        git(self.root, "commit", "--quiet", "-m", "RISK-7 more room (#7)", who="sam")
        merged = git(self.root, "rev-parse", "main")
        self.forge.pulls[7] = self.pull(merged=merged)
        git(self.root, "branch", "--quiet", "-D", "change")
        self.forge.commits_of[7] = [{"sha": one, "author": {"login": "jo"}, "committer": {"login": "jo"}} for one in reversed(commits)]
        self.forge.activity = [{"before": "0" * 40, "after": head, "actor": {"login": "jo"}, "timestamp": ago(180)}]
        return merged

    def apply(self, commit: str) -> Done:
        inputs = {"environment": "production", "clearing-firm": "GREENTEA_API_CLEARING2", "version": version()}
        return self.runner.run("limits-apply.yml", "push", {"after": commit}, commit=commit, inputs=inputs)

    def drift(self) -> Done:
        inputs = {"environment": "production", "version": version()}
        return self.runner.run("limits-drift.yml", "schedule", {}, commit=git(self.root, "rev-parse", "main"), inputs=inputs)

    @property
    def comments(self) -> list[str]:
        return [str(one["body"]) for one in self.forge.comments.get(7, [])]

    def edit_by_hand(self, short: int) -> None:
        """Somebody sets a limit at the AMS."""
        long, _, *others = self.ams.book.row("DV10121801A", "3N1", "CJ.FUT.NYMEX") or ()
        self.ams.book.put("DV10121801A", "3N1", "CJ.FUT.NYMEX", (long, short, *others))  # type: ignore[arg-type]


@pytest.fixture
def firm(tmp_path: Path) -> Iterator[Firm]:
    with serve(spec_book()) as ams, served(FakeForge(clock=ago(120))) as forge:
        root = tmp_path / "limits"
        ledger = tmp_path / "ledger.db"
        for name, text in starter_files("github").items():
            if name.startswith(".github/") or name == ".gitignore":
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(text)
        (root / "accounts").mkdir()
        (root / "amsctl.yaml").write_text(PROJECT.format(url=ams.url, ledger=str(ledger).lstrip("/")))
        (root / "accounts" / "dv.yaml").write_text(ACCOUNT.replace("long: 300, short: 600", "long: 324, short: 567"))
        git(root, "init", "--quiet", "--initial-branch", "main", who="root")
        git(root, "add", ".", who="root")
        git(root, "commit", "--quiet", "-m", "limits", who="root")
        git(root, "switch", "--quiet", "-c", "change")
        secrets = {"AMS_API_ID": "API_FIRM", "AMS_API_SECRET": SECRET}
        made = Firm(root, ams, forge, Runner(root, tmp_path, forge, secrets))
        yield made


def nothing_leaked(done: Done) -> None:
    for step in done.steps:
        assert SECRET not in step.output
        assert TOKEN not in step.output


def test_the_whole_path(firm: Firm, run: Run) -> None:
    """From a branch to the ledger, each step by the pipeline that init writes."""
    firm.change(700)
    planned = firm.plan()
    assert planned.results == {"check": "success", "plan": "success", "comment": "success"}, planned.log
    (comment,) = firm.comments
    assert re.match(r"<!-- amsctl:plan-production sha256:[0-9a-f]{64} -->\n", comment)
    assert "567 → 700" in comment
    assert "Needs 1 approval (github): 1 for anything that lets more through." in comment
    assert "567 → 700" in planned.summaries["plan"]
    assert "::warning" in planned.log or "::notice" in planned.log

    firm.change(650)
    again = firm.plan()
    assert again.results["comment"] == "success", again.log
    assert len(firm.comments) == 1
    assert "567 → 650" in firm.comments[0]
    nothing_leaked(planned)

    firm.review("sam")
    merged = firm.merge()
    applied = firm.apply(merged)
    assert applied.results == {"apply": "success"}, applied.log
    assert firm.ams.book.account("DV10121801A").row("3N1", "CJ.FUT.NYMEX")[1] == 650
    assert "verified" in applied.summaries["apply"]
    assert "No changes." in applied.steps[-1].output
    nothing_leaked(applied)
    assert (firm.runner.artifacts["amsctl-report"] / "report.json").exists()

    git(firm.root, "switch", "--quiet", "main")
    environ = {"AMS_API_ID": "API_FIRM", "AMS_API_SECRET": SECRET}
    (entry,) = json.loads(run("-C", str(firm.root), "ledger", "log", "--format", "json", environ=environ).out)["runs"]
    assert (entry["why"]["ticket"], entry["why"]["commit"]) == ("RISK-7", firm.head)
    assert entry["who"]["git_author"] == "jo <jo@firm.example>"
    assert (entry["who"]["ci"]["system"], entry["who"]["principal"]) == ("github", "API_FIRM")
    assert [(one["by"], one["how"], one["url"]) for one in entry["approvals"]] == [
        ("sam", "github", "https://github.example/firm/limits/pull/7")
    ]
    told = run("-C", str(firm.root), "ledger", "log", environ=environ).out
    assert "approved by sam" in told

    second = firm.apply(merged)
    assert [step.code for step in second.steps if step.name == "Apply"] == [4]


def test_what_stops_an_apply(firm: Firm) -> None:
    """The author's own review counts for nothing (8, and who could); somebody set a limit at the AMS since the review (4); what is applied was not merged
    by the request. Nothing is ever written, and the job says so.
    """
    firm.change(700)
    firm.plan()
    firm.review("jo")
    merged = firm.merge()
    unapproved = firm.apply(merged)
    assert unapproved.results == {"apply": "failure"}
    assert "could approve: kim, sam" in unapproved.log
    assert "jo has made or pushed this change" in unapproved.log
    assert "Nothing was applied" in unapproved.summaries["apply"]
    firm.review("sam")
    firm.edit_by_hand(600)
    stale = firm.apply(merged)
    assert [step.code for step in stale.steps if step.name == "Apply"] == [4]
    firm.edit_by_hand(567)
    (firm.root / "NOTES").write_text("x")
    git(firm.root, "add", ".", who="kim")
    git(firm.root, "commit", "--quiet", "-m", "pushed by hand", who="kim")
    other = firm.apply(git(firm.root, "rev-parse", "main"))
    assert "does not come from exactly one pull or merge request" in other.log
    assert firm.ams.log.calls("POST") == []


def test_the_comment_cannot_be_posted(firm: Firm) -> None:
    """A reviewer who sees no comment must see a failed job."""
    firm.change(700)
    firm.forge.failures = [("POST", "/comments", 403, {})]
    done = firm.plan()
    assert done.results == {"check": "success", "plan": "success", "comment": "failure"}
    assert "HTTP 403" in done.log


def test_a_fork_sees_no_secret(firm: Firm) -> None:
    """Checked, not planned, not commented on; no step is given a credential; the summary says why."""
    firm.change(700)
    done = firm.plan(fork="stranger/limits")
    assert done.results == {"check": "success", "plan": "skipped", "comment": "skipped"}, done.log
    assert "No plan for a fork" in done.summaries["check"]
    assert done.steps
    for step in done.steps:
        assert not {SECRET, TOKEN} & set(step.environ.values())
    assert firm.comments == []


def test_no_plan_is_not_no_changes(firm: Firm) -> None:
    """Where the plan fails the comment says that nobody knows, and the one of before is gone; a plan that is held up is told and fails the job."""
    firm.change(700, "no reason")
    held = firm.plan()
    assert held.results == {"check": "success", "plan": "failure", "comment": "success"}, held.log
    assert "policy-ticket" in firm.comments[0]
    firm.runner.secrets = {"AMS_API_ID": "API_FIRM", "AMS_API_SECRET": ""}
    firm.change(650)
    failed = firm.plan()
    assert failed.results == {"check": "success", "plan": "failure", "comment": "success"}, failed.log
    (comment,) = firm.comments
    assert "Nobody knows what it would change" in comment, failed.log
    assert "No changes" not in comment
    assert "No plan for this commit" in failed.summaries["plan"]


def test_drift_is_one_issue(firm: Firm) -> None:
    """Opened when the AMS is not as main says, kept while it is so, closed when it is as it should be."""
    for short in (600, 610):
        firm.edit_by_hand(short)
        found = firm.drift()
        assert found.results == {"look": "success", "issue": "success"}, found.log
    (issue,) = firm.forge.issues.values()
    assert (issue["title"], issue["state"]) == ("Limits at production are not as the manifests say", "open")
    assert "610 → 567" in issue["body"]
    firm.edit_by_hand(567)
    assert firm.drift().results == {"look": "success", "issue": "success"}
    assert issue["state"] == "closed"
    for step in found.steps:
        assert step.job != "issue" or SECRET not in step.environ.values()


def test_what_init_writes_is_what_is_tested(run: Run, tmp_path: Path) -> None:
    """--ci chooses; the parts are the very files that were played here."""
    for ci, there in (("github", ".github/workflows/limits.yml"), ("gitlab", ".gitlab-ci.yml"), ("none", "amsctl.yaml")):
        folder = tmp_path / ci
        ran = run("init", str(folder), "--ci", ci)
        assert ran.code == 0, ran.err
        found = {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}
        assert found == dict(starter_files(ci))
        assert there in found
        assert any(".git" in name.partition("/")[0] for name in found if name != ".gitignore") == (ci != "none")
    root = Path(__file__).resolve().parents[2]
    assert (tmp_path / "gitlab" / ".gitlab" / "amsctl" / "plan.yml").read_text() == (root / "templates" / "plan.yml").read_text()
