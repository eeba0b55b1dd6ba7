"""Limits repositories with a change and its real plan, each against a stand-in of its own: what forgeries start from."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from amsctl.ams.clock import SystemClock
from amsctl.applying.means import stamp
from amsctl.approvals.approval import Approval, Statement, approval_text
from amsctl.planning.plan import Plan
from amsctl.sandbox.books import book_from_mapping
from amsctl.sandbox.server import Sandbox, serve
from tests.approvals.repository import KEYGEN, git, make_keys, signers
from tests.cli.conftest import Ran

FIRM = "GREENTEA"
Run = Callable[..., Ran]


def row(ef_id: str, product: str, *legs: int | None, use: tuple[int, int] = (0, 0)) -> dict[str, Any]:
    """A row of the book: ef long, ef short, cmf long, cmf short."""
    return {
        "efId": ef_id,
        "product": product,
        "efLimits": {"long": legs[0], "short": legs[1]},
        "cmfLimits": {"long": legs[2], "short": legs[3]},
        "usage": {"long": use[0], "short": use[1]},
    }


BOOK: dict[str, Any] = {
    "firms": [{"name": FIRM, "clearingId": "780"}, {"name": "BLACKTEA", "clearingId": "984"}],
    "products": {"CJ.FUT.NYMEX": "Cocoa", "CC.FUT.NYMEX": "Cocoa", "DRS.FUT.CBT": "Roll", "RO.OOF.CME": "Rand"},
    "accounts": [
        {
            "clearingFirm": FIRM,
            "accountNumber": "LIMITS1",
            "executionFirms": {"3N1": False, "350": False},
            "limits": [
                row("3N1", "CJ.FUT.NYMEX", 300, 600, 900, 2000, use=(50, 20)),
                row("350", "CJ.FUT.NYMEX", 120, 450, 1000, 900),
                row("350", "DRS.FUT.CBT", 400, 700, 120, 120),
            ],
        },
        {
            "clearingFirm": FIRM,
            "accountNumber": "SHUT1",
            "executionFirms": {"3N1": False, "350": True},
            "limits": [row("3N1", "CC.FUT.NYMEX", 40, 40, 80, 80)],
        },
        {"clearingFirm": FIRM, "accountNumber": "IDLE1", "status": "Inactive", "executionFirms": {"3N1": False}},
        {
            "clearingFirm": FIRM,
            "accountNumber": "SAFE1",
            "executionFirms": {"3N1": False},
            "limits": [row("3N1", "CJ.FUT.NYMEX", 30, 60, 90, 200)],
        },
        {
            "clearingFirm": FIRM,
            "accountNumber": "CALM1",
            "executionFirms": {"3N1": False},
            "limits": [row("3N1", "CJ.FUT.NYMEX", 10, 10, 10, 10), row("3N1", "CC.FUT.NYMEX", 10, 10, 10, 10)],
        },
        {
            "clearingFirm": "BLACKTEA",
            "accountNumber": "FAR1",
            "executionFirms": {"8T4": False},
            "limits": [row("8T4", "CJ.FUT.NYMEX", 70, 70, 70, 70)],
        },
    ],
}

PROJECT = """\
apiVersion: amsctl/v1
kind: Project
spec:
  manifests: [accounts]
  defaultEnvironment: sandbox
  environments:
    sandbox:
      url: {url}
      auth: {{type: none}}
  requests: {{perSecond: unlimited, settleSeconds: 0.2, retries: 0}}
{more}
"""
POLICIES = """\
  policies:
    - {name: desk, maximum: {contracts: 5000, products: [CJ.*.NYMEX], labels: {desk: softs}}}
    - {name: why, ticket: {keys: [RISK]}}
"""
APPROVALS = "  approvals: {signers: approvers, rules: [{approvals: 1}]}\n"


def manifest(number: str, spec: str, *, firm: str = FIRM, labels: str = "", protected: bool = False) -> str:
    held = f", labels: {{{labels}}}" if labels else ""
    kept = "  protected: true\n" if protected else ""
    return f"apiVersion: amsctl/v1\nkind: Account\nmetadata: {{clearingFirm: {firm}, accountNumber: {number}{held}}}\nspec:\n{kept}{spec}"


def limits(rows: dict[str, str], firm: str = "3N1", suspended: str = "") -> str:
    body = "".join(f"        {product}: {legs}\n" for product, legs in rows.items())
    return f"    {firm}:\n{suspended}" + (f"      limits:\n{body}" if body else "")


BEFORE = {
    "limits.yaml": manifest(
        "LIMITS1", "  executionFirms:\n" + limits({"CJ.FUT.NYMEX": "{ef: {long: 300, short: 600}}"}), labels="desk: softs"
    ),
    "safe.yaml": manifest(
        "SAFE1", "  executionFirms:\n" + limits({"CJ.FUT.NYMEX": "{ef: {long: 30}}"}), protected=True, labels="desk: safe"
    ),
    "calm.yaml": manifest("CALM1", "  executionFirms:\n" + limits({"CJ.FUT.NYMEX": "{ef: {long: 10}}"}), labels="desk: calm"),
    "far.yaml": manifest("FAR1", "  executionFirms:\n" + limits({"CJ.FUT.NYMEX": "{ef: {long: 70}}"}, firm="8T4"), firm="BLACKTEA"),
}
AFTER = {
    **BEFORE,
    "limits.yaml": manifest(
        "LIMITS1",
        "  executionFirms:\n"
        + limits({"CJ.FUT.NYMEX": "{ef: {long: 200, short: 800}, cmf: {long: 1100}}", "CC.FUT.NYMEX": "{ef: {long: 5, short: 5}}"})
        + limits({"CJ.FUT.NYMEX": "{ef: {long: 130, short: 440}}", "DRS.FUT.CBT": "unset"}, firm="350"),
        labels="desk: softs",
    ),
    "shut.yaml": manifest(
        "SHUT1",
        "  executionFirms:\n"
        + limits({"CC.FUT.NYMEX": "{ef: {long: 30}, cmf: {short: 90}}"}, suspended="      suspended: true\n")
        + limits({}, firm="350", suspended="      suspended: false\n"),
    ),
    "idle.yaml": manifest("IDLE1", "  status: Active\n"),
    "safe.yaml": manifest(
        "SAFE1", "  executionFirms:\n" + limits({"CJ.FUT.NYMEX": "{ef: {long: 35}}"}), protected=True, labels="desk: safe"
    ),
}


@dataclass
class Estate:
    """A repository, its stand-in, and the honest plan of its change."""

    name: str
    root: Path
    sandbox: Sandbox
    run: Run
    keys: Any = None
    overrides: tuple[str, ...] = ()
    plan: dict[str, Any] = field(default_factory=dict)
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def file(self) -> Path:
        return self.root.parent / f"{self.name}.plan.json"

    def posts(self) -> list[str]:
        return [entry.path for entry in self.sandbox.log.calls("POST")]

    def write(self, files: dict[str, str]) -> None:
        folder = self.root / "accounts"
        folder.mkdir(exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")

    def planned(self, *arguments: str) -> None:
        ran = self.run("-C", str(self.root), "plan", "-o", str(self.file), *arguments)
        assert ran.code == 0, ran.err
        self.plan = json.loads(self.file.read_text())

    def signed(self, plan: Plan, path: Path, who: str = "kim", **members: Any) -> Approval:
        """An approval that an honest second person gave who looked at nothing."""
        clock = SystemClock()
        statement = Statement(
            plan_digest=plan.digest,
            environment=plan.target.environment,
            url=plan.target.url,
            ams=plan.target.ams,
            base_commit=None if plan.origin.base is None else plan.origin.base.commit,
            by=f"{who}@firm.example",
            made_at=stamp(clock),
            expires_at=stamp(clock, later_seconds=3600),
            nonce="once",
        )
        statement = replace(statement, **members)
        assert KEYGEN is not None
        approval = Approval(statement=statement, signature=KEYGEN.sign(statement.to_sign(), str(self.keys[who])), file=str(path))
        path.write_text(approval_text(approval))
        return approval


@contextmanager
def estate(name: str, folder: Path, run: Run) -> Iterator[Estate]:
    """``plain`` (no git), ``commit`` (policies, labels, protection, a branch of record), ``signed`` (approvals), ``rollback`` (of the plain change)."""
    root = folder / name
    root.mkdir()
    with serve(book_from_mapping(BOOK)) as sandbox:
        one = Estate(name=name, root=root, sandbox=sandbox, run=run)
        sandbox.switch(usage="object")
        more = {"commit": POLICIES, "signed": POLICIES + APPROVALS}.get(name, "")
        (root / "amsctl.yaml").write_text(PROJECT.format(url=sandbox.url, more=more))
        if name in {"commit", "signed"}:
            _committed(one, folder)
        else:
            one.write(AFTER)
            one.planned()
        if name == "rollback":
            one.file.unlink()
            _rolled_back(one)
        yield one


def _committed(one: Estate, folder: Path) -> None:
    one.keys = make_keys(_made(folder / f"{one.name}-keys"))
    (one.root / "approvers").write_text(signers(one.keys, "sam", "kim", "lee", "jo"))
    (one.root / ".gitignore").write_text(".amsctl\n")
    git(one.root, "init", "--quiet", "--initial-branch", "main", who="root")
    for number in range(2):  # an older base to choose
        one.write(BEFORE if number else {name: text for name, text in BEFORE.items() if name != "safe.yaml"})
        git(one.root, "add", ".", who="root")
        git(one.root, "commit", "--quiet", "-m", f"RISK-{number} limits", who="lee", key=one.keys["lee"])
    git(one.root, "switch", "--quiet", "-c", "change")
    one.write(AFTER)
    git(one.root, "add", ".")
    git(one.root, "commit", "--quiet", "-m", "RISK-7 raise\n\nCo-authored-by: Lee <lee@else.example>", key=one.keys["jo"])
    one.planned("--base", "main")


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _rolled_back(one: Estate) -> None:
    """A run that is carried out, and the plan that takes it back."""
    one.planned()
    plan = one.plan
    ran = one.run("-C", str(one.root), "apply", str(one.file), *overridden(plan["digest"], plan["findings"]))
    assert ran.code == 0, ran.err
    one.sandbox.front.service.book.mark()
    one.sandbox.log.clear()
    (entry,) = json.loads(one.run("-C", str(one.root), "ledger", "log", "--format", "json").out)["runs"]
    one.file.unlink()
    ran = one.run("-C", str(one.root), "rollback", entry["run"] if "run" in entry else entry["id"], "-o", str(one.file))
    assert ran.code == 0, ran.err
    one.plan = json.loads(one.file.read_text())


def overridden(digest: str, findings: Sequence[dict[str, Any]]) -> list[str]:
    """The options that override every guard that holds a plan up."""
    found: list[str] = []
    for finding in findings:
        code = finding["code"]
        if finding["blocks"] and code.startswith("guard-"):
            words = code.removeprefix("guard-").split("-")
            name = words[0] + "".join(word.capitalize() for word in words[1:])
            found += ["--override", f"{name}@{digest}"]
    return found
