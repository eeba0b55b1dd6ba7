"""A limits repository with a change that raises a limit, the keys of five people, and its plan: what approvals are tested on."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from amsctl.applying.means import stamp
from amsctl.approvals.approval import Approval, Statement
from amsctl.approvals.reviews import Reviews
from amsctl.approvals.signatures import find_keygen
from amsctl.config import GuardName, Project
from amsctl.manifests.project import load_project
from amsctl.operations.agreement import agreed
from amsctl.operations.record import sources_of
from amsctl.planning.codec import sealed
from amsctl.planning.plan import Git, Plan

NOW = 1_800_000_000.0
"""2027-01-15T08:00:00Z."""
KEYGEN = find_keygen(os.environ, outside=None) if shutil.which("ssh-keygen") else None
PEOPLE = ("sam", "kim", "lee", "jo", "mallory", "root")
RULES = """\
  approvals:
    signers: approvers
    validHours: 8
    rules: [{approvals: 1}, {approvals: 2, factor: 4}, {approvals: 2, lots: 5000}, {approvals: 3, applies: overridden}]
"""


class StandingClock:
    """It is always the same moment."""

    def __init__(self, at: float = NOW) -> None:
        self.at = at

    def wall(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nobody waits here")


def git(folder: Path, *arguments: str, who: str = "jo", key: Path | None = None) -> str:
    """Run git as somebody; ``key`` signs what is committed."""
    name = ["-c", f"user.name={who}", "-c", f"user.email={who}@firm.example", "-c", f"commit.gpgsign={'false' if key is None else 'true'}"]
    name += [] if key is None else ["-c", "gpg.format=ssh", "-c", f"user.signingKey={key}"]
    return subprocess.run(["git", "-C", str(folder), *name, *arguments], check=True, capture_output=True, text=True).stdout.strip()


def make_keys(folder: Path) -> Mapping[str, Path]:
    """A key for everybody; no passphrase."""
    for name in PEOPLE:
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(folder / name)], check=True)
    return {name: folder / name for name in PEOPLE}


def line(keys: Mapping[str, Path], name: str, names: str = "", options: str = 'namespaces="amsctl-approval,git"') -> str:
    """A line of a list of signers."""
    kind, key = keys[name].with_suffix(".pub").read_text().split()[:2]
    return f"{names or f'{name}@firm.example,{name}-gh'} {options} {kind} {key}\n"


def signers(keys: Mapping[str, Path], *names: str) -> str:
    return "# who may approve\n" + "".join(line(keys, name) for name in names)


@dataclass(frozen=True)
class Repository:
    """A checkout, the plan of its change, and everybody's keys."""

    root: Path
    plan: Plan
    keys: Mapping[str, Path]

    def copied(self, to: Path) -> Repository:
        return Repository(Path(shutil.copytree(self.root, to)), self.plan, self.keys)

    @property
    def project(self) -> Project:
        return load_project(self.root)

    def replan(self, **git_members: object) -> Plan:
        """The plan, with other words about its commit."""
        origin = self.plan.origin
        assert origin.git is not None
        return sealed(replace(self.plan, origin=replace(origin, git=replace(origin.git, **git_members))))

    def write(self, name: str, text: str) -> None:
        (self.root / name).write_text(text, encoding="utf-8")

    def sign(self, who: str, *, plan: Plan | None = None, by: str | None = None, **members: object) -> Approval:
        """An approval as ``who`` would sign it, with other members where wanted."""
        plan, clock = plan or self.plan, StandingClock()
        statement = Statement(
            plan_digest=plan.digest,
            environment=plan.target.environment,
            url=plan.target.url,
            ams=plan.target.ams,
            base_commit=None if plan.origin.base is None else plan.origin.base.commit,
            by=by or f"{who}@firm.example",
            made_at=stamp(clock),
            expires_at=stamp(clock, later_seconds=8 * 3600),
            nonce=f"{who}-1",
        )
        statement = replace(statement, **members)  # type: ignore[arg-type]
        assert KEYGEN is not None
        return Approval(statement=statement, signature=KEYGEN.sign(statement.to_sign(), str(self.keys[who])), file=f"{who}.approval.json")


def judged(
    repository: Repository,
    plan: Plan,
    approvals: Sequence[Approval] = (),
    reviews: Reviews | None = None,
    overrides: Sequence[GuardName] = (),
) -> tuple[Mapping[str, object], ...]:
    """The approvals of a plan that count, by the rules of the branch of record of a real repository."""
    sources = sources_of(repository.root, {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ})
    return agreed(plan, sources, sources.rules, approvals, reviews, overrides, StandingClock())


def git_of(plan: Plan) -> Git:
    assert plan.origin.git is not None
    return plan.origin.git
