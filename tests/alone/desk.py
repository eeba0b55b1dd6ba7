"""A desk: a limits repository of its own, five people with keys, an AMS to count the writes at, and amsctl run inside this process."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

from amsctl import api
from amsctl.approvals.approval import Approval, Statement, approval_text, decode_approval
from amsctl.approvals.reviews import CommitRecord, PlanRecord, PushRecord, Review, Reviews, ReviewState, Standing, decode_reviews
from amsctl.approvals.signatures import find_keygen
from amsctl.cli.planning import read_plan
from amsctl.errors import AmsctlError
from amsctl.planning.codec import decode, sealed, text_of
from amsctl.planning.content import content_of
from amsctl.planning.plan import Plan
from amsctl.sandbox.server import Sandbox
from tests.cli.conftest import Ran, Run
from tests.hostile.canaries import AUTH

PEOPLE = ("sam", "kim", "lee", "jo", "mallory")
SIGNATURES = "  approvals: {from: signatures}\n"
REVIEWS = "  approvals: {from: github, approvers: [sam-gh, kim-gh, lee-gh]}\n"
ROW = "3N1/CJ.FUT.NYMEX"
FIRM, NUMBER, OTHER = "GREENTEA_API_CLEARING2", "DV10121801A", "DV101218B"
LIVE = 567
"""What the AMS holds, and main says, of the leg that everybody wants to raise."""
RAISED = 700
PROJECT = """\
apiVersion: amsctl/v1
kind: Project
spec:
  manifests: [accounts]
{safeguards}{guards}  defaultEnvironment: desk
  ledger: {{url: "${{AMS_LEDGER_URL}}"}}
  environments:
    desk: {{url: "{url}", auth: {auth}}}
"""


def project_text(url: str, safeguards: str = SIGNATURES, guards: str = "  guards: none\n", auth: str = AUTH) -> str:
    """A project file."""
    return PROJECT.format(url=url, safeguards=safeguards, guards=guards, auth=auth)


def account(short: object, *, number: str = NUMBER, labels: str = "", protected: bool = False, long: object = None, extra: str = "") -> str:
    """A manifest that wants this of one leg."""
    head = f"apiVersion: amsctl/v1\nkind: Account\nmetadata: {{clearingFirm: {FIRM}, accountNumber: {number}{labels}}}\n"
    legs = f"short: {short}" if long is None else f"long: {long}, short: {short}"
    firm = "8T4" if number == OTHER else "3N1"
    kept = "  protected: true\n" if protected else ""
    return f"{head}spec:\n{kept}  executionFirms:\n    {firm}:\n      limits:\n        CJ.FUT.NYMEX: {{ef: {{{legs}}}}}\n{extra}"


def line(keys: Mapping[str, Path], who: str, names: str = "", options: str = 'namespaces="amsctl-approval,git"') -> str:
    """A line of a list of signers."""
    kind, key = keys[who].with_suffix(".pub").read_text().split()[:2]
    return f"{names or f'{who}@firm.example'} {options} {kind} {key}\n"


def signers(keys: Mapping[str, Path], *who: str) -> str:
    """A list of signers."""
    return "".join(line(keys, one) for one in who)


def stamp(hours: float = 0.0) -> str:
    """A time, so many hours from now."""
    return (datetime.now(UTC) + timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class Desk:
    """One test's: ``root`` is the folder of the project, ``home`` the folder of the test, ``environ`` what every command is given."""

    root: Path
    home: Path
    keys: Mapping[str, Path]
    ams: Sandbox
    run_one: Run
    environ: dict[str, str] = field(default_factory=dict)
    program: bool = True
    """Whether what the command line refuses is tried by ``amsctl.api``, too."""
    _signed: int = 0
    _meant: int = 0

    # --- git ---

    def git(
        self, *arguments: str, who: str = "jo", signed: bool = True, environ: Mapping[str, str] | None = None, at: Path | None = None
    ) -> str:
        """Run git as somebody, who signs what they commit unless told otherwise."""
        words = [
            "-c",
            f"user.name={who}",
            "-c",
            f"user.email={who}@firm.example",
            "-c",
            "gpg.format=ssh",
            "-c",
            "protocol.file.allow=always",
        ]
        words += ["-c", f"commit.gpgsign={'true' if signed else 'false'}", "-c", f"user.signingkey={self.keys.get(who, self.keys['jo'])}"]
        ran = subprocess.run(
            ["git", "-C", str(at or self.root), *words, *arguments], capture_output=True, text=True, env={**os.environ, **(environ or {})}
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout.strip()

    def write(self, path: str, text: str) -> None:
        """Write a file below the project's folder."""
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")

    def commit(self, *arguments: str, who: str = "jo", signed: bool = True, message: str = "RISK-7 raise", **environ: str) -> str:
        """Commit everything; the id of the commit."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", message, *arguments, who=who, signed=signed, environ=environ)
        return self.git("rev-parse", "HEAD")

    def raise_it(self, who: str = "sam", to: object = RAISED, **named: Any) -> str:
        """On a branch of its own, a commit by somebody that raises the limit."""
        if self.git("branch", "--show-current") == "main":
            self.git("switch", "--quiet", "-c", "change")
        self.write("accounts/a.yaml", account(to))
        return self.commit(who=who, **named)

    def on_main(self, path: str, text: str, *, who: str = "root", message: str = "main moves") -> str:
        """A commit on main, and back to where we were."""
        here = self.git("branch", "--show-current") or self.git("rev-parse", "HEAD")
        self.git("switch", "--quiet", "main")
        self.write(path, text)
        commit = self.commit(who=who, signed=False, message=message)
        self.git("switch", "--quiet", here) if here != "main" else None
        return commit

    def merge(self, branch: str = "change", *, how: str = "--no-ff", who: str = "root") -> str:
        """Merge a branch into main; the new tip."""
        self.git("switch", "--quiet", "main")
        self.git("merge", "--quiet", how, "-m", f"merge {branch}", branch, who=who, signed=False)
        return self.git("rev-parse", "HEAD")

    def upstream(self) -> None:
        """What a clone has: a remote that is fetched whole, with main, and where its HEAD is."""
        self.git("config", "remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*")
        self.git("update-ref", "refs/remotes/origin/main", "main")
        self.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")

    # --- amsctl ---

    def run(self, *arguments: str, environ: Mapping[str, str] | None = None, stdin: str = "", terminal: bool = False) -> Ran:
        """A command line in the project's folder."""
        with patch.dict(os.environ, self._given(environ)):
            return self.run_one("-C", str(self.root), *arguments, stdin=stdin, terminal=terminal)

    def _given(self, environ: Mapping[str, str] | None) -> dict[str, str]:
        return {"AMS_LEDGER_URL": f"sqlite:///{self.home / 'ledger.db'}", **self.environ, **(environ or {})}

    def plan(self, *arguments: str, environ: Mapping[str, str] | None = None, name: str = "plan.json") -> str:
        """Make a plan file, which lies beside the repository."""
        file = str(self.home / name)
        ran = self.run("plan", "-o", file, *arguments, environ=environ)
        if ran.code:
            raise Stopped(ran)
        return file

    def sign(self, who: str, file: str, *, by: str = "", key: Path | None = None, **members: object) -> str:
        """An approval of a plan file, signed with somebody's key by OpenSSH alone: no check of amsctl's stands before it."""
        plan, self._signed = decode(json.loads(Path(file).read_text())), self._signed + 1
        statement = Statement(
            plan_digest=plan.digest,
            environment=plan.target.environment,
            url=plan.target.url,
            ams=plan.target.ams,
            base_commit=None if plan.origin.base is None else plan.origin.base.commit,
            by=by or f"{who}@firm.example",
            made_at=stamp(),
            expires_at=min(stamp(8), plan.expires_at),
            nonce=f"{who}-{self._signed}",
        )
        statement = replace(statement, **members)  # type: ignore[arg-type]
        signature = find_keygen(os.environ, outside=None).sign(statement.to_sign(), str(key or self.keys[who]))
        path = f"{file.removesuffix('.json')}.{who}{self._signed}.approval.json"
        Path(path).write_text(approval_text(Approval(statement=statement, signature=signature)), encoding="utf-8")
        return path

    def approve(self, who: str, file: str, *arguments: str, environ: Mapping[str, str] | None = None) -> Ran:
        """``amsctl approve``, with somebody's key."""
        return self.run("approve", file, "--key", str(self.keys[who]), "--digest", read_plan(file).digest, *arguments, environ=environ)

    def apply(self, file: str, *arguments: str, environ: Mapping[str, str] | None = None) -> Ran:
        """``amsctl apply``, and what ``amsctl.api`` says of the same."""
        ran = self.run("apply", file, *arguments, environ=environ)
        if ran.code and self.program and not {"--override"} & set(arguments):
            said = self.by_program(file, arguments, environ)
            assert said == ran.code, f"the command line ended with {ran.code}, the interface with {said}: {ran.err}"
        return ran

    def by_program(self, file: str, arguments: Sequence[str] = (), environ: Mapping[str, str] | None = None) -> int:
        """The exit code of what ``amsctl.api`` raises or reports."""
        named = dict(zip(arguments[::2], arguments[1::2], strict=True))
        given = {**os.environ, **self._given(environ)}
        try:
            plan, beside = read_plan(file), sorted(Path(file).parent.glob(f"{Path(file).stem}.*.approval.json"))
            brought = [decode_approval(json.loads(path.read_text()), str(path)) for path in beside]
            reviews = decode_reviews(json.loads(Path(named["--reviews"]).read_text()), "reviews") if "--reviews" in named else None
            manifests = api.load_manifests(self.root, base=named.get("--base"), environ=given)
            evidence = api.Given(approvals=tuple(brought), reviews=reviews, merged=named.get("--merged"))
            report = api.apply(plan, manifests, environ=given, approved=True, given=evidence)
        except AmsctlError as problem:
            return int(problem.exit_code)
        return int(report.exit_code)

    def alone(self, *arguments: str, who: str = "sam", environ: Mapping[str, str] | None = None, apply: Sequence[str] = ()) -> Ran:
        """Plan, sign with one person's own key, apply."""
        file = self.plan(*arguments, environ=environ)
        self.sign(who, file)
        return self.apply(file, *apply, environ=environ)

    def edited(self, file: str, change: Callable[[Plan], Plan]) -> str:
        """A plan file that says something else, sealed anew, beside the other."""
        path = f"{file.removesuffix('.json')}.edited.json"
        Path(path).write_text("".join(text_of(sealed(change(read_plan(file))))), encoding="utf-8")
        return path

    # --- reviews ---

    def reviews(self, file: str, *by: str, **members: Any) -> str:
        """What the forge says of a request of jo's with these reviews, as a file."""
        plan = read_plan(file)
        assert plan.origin.git is not None
        head = plan.origin.git.commit
        commits = self.git("rev-list", f"main..{head}").split() or [head]
        made = Reviews(
            forge="github",
            url="https://forge.example/pull/7",
            number=7,
            state="open",
            base="main",
            head_commit=head,
            merge_commit=None,
            author="jo-gh",
            commits=tuple(CommitRecord(id=one, author="jo-gh", committer="jo-gh", verified=None) for one in commits),
            pushes=(PushRecord(before="0" * 40, after=head, by="jo-gh", at=stamp(-3)),),
            plans=(PlanRecord(content=content_of(plan), at=stamp(-2), seen_in="artifact 1"),),
            unknown=(),
            read_at=stamp(),
            reviews=tuple(review(one, head) for one in by),
        )
        return self.reviews_file(replace(made, **members))

    def reviews_file(self, reviews: Reviews) -> str:
        """The file of ``amsctl ci reviews``."""
        path = self.home / "reviews.json"
        path.write_text(json.dumps({"format": "amsctl.reviews/v1", **_plain(reviews)}), encoding="utf-8")
        return str(path)

    # --- the AMS ---

    def writes(self) -> list[str]:
        """What was written at the AMS: method and path of everything that is no GET, but for tokens."""
        return self._all_writes()[self._meant :]

    def last_run(self) -> str:
        """The name of the newest run of the ledger."""
        return str(json.loads(self.run("ledger", "log", "--format", "json").out)["runs"][0]["id"])

    def forget(self) -> None:
        """What was written so far was meant to be."""
        self._meant = len(self._all_writes())

    def _all_writes(self) -> list[str]:
        return [f"{one.method} {one.path}" for one in self.ams.log if one.method != "GET" and "token" not in one.path]

    def short(self) -> object:
        """The leg that everybody wants to raise, as the AMS holds it now."""
        row = self.ams.book.row(NUMBER, "3N1", "CJ.FUT.NYMEX")
        return None if row is None else row[1]

    def put(self, short: int) -> None:
        """The desk sets it by hand."""
        row = self.ams.book.row(NUMBER, "3N1", "CJ.FUT.NYMEX")
        assert row is not None
        self.ams.book.put(NUMBER, "3N1", "CJ.FUT.NYMEX", (row[0], short, *row[2:]))


def review(by: str, commit: str | None, state: str = "approved", *, at: str = "", standing: str = "writes") -> Review:
    """One review."""
    return Review(by=by, state=ReviewState(state), commit=commit, at=at or stamp(-1), standing=Standing(standing))


def _plain(value: Any) -> Any:
    from dataclasses import fields, is_dataclass

    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: _plain(getattr(value, one.name)) for one in fields(value)}
    return [_plain(one) for one in value] if isinstance(value, tuple) else value


class Stopped(Exception):
    """A command before the last refused already."""

    def __init__(self, ran: Ran) -> None:
        super().__init__(ran.err)
        self.ran = ran


def copied(original: Path, to: Path) -> Path:
    """A copy of a repository: a folder tree like any other."""
    return Path(shutil.copytree(original, to, symlinks=True))
