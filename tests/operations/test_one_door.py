"""One door: what the command line accepts or refuses, the public interface accepts or refuses, for the same reason and with the same exit code."""

from __future__ import annotations

import copy
import json
import random
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from amsctl import api
from amsctl.approvals.approval import decode_approval
from amsctl.errors import AmsctlError, ManifestErrors
from amsctl.planning.planfile import PlanFile
from tests.approvals.repository import git
from tests.cli.conftest import run as run_fixture
from tests.operations.estates import Estate, estate, overridden
from tests.operations.forging import EDITS, Json, followed, seal
from tests.wants import missing


@dataclass
class Asked:
    """How an apply is asked for, beside its plan file."""

    plan: Json
    overrides: list[str] = field(default_factory=list)
    approvals: list[Path] = field(default_factory=list)
    merged: str | None = None
    environ: dict[str, str] = field(default_factory=dict)
    raw: str | None = None
    only: str = ""
    loaded: api.Manifests | None = None
    """What a program has loaded before the situation came about: the branch of record, the checkout and the project file have moved since."""


Prepare = Callable[[Estate, Asked], None]
CASES: dict[str, tuple[str, int, Prepare]] = {}


def case(name: str, code: int) -> Callable[[Prepare], Prepare]:
    def add(work: Prepare) -> Prepare:
        CASES[f"{name}:{work.__name__.replace('_', '-')}"] = (name, code, work)
        return work

    return add


def setting(one: Estate, text: str, new: str = "") -> None:
    """A line more in the project file, or another one."""
    path = one.root / "amsctl.yaml"
    said = path.read_text()
    assert not new or text in said
    path.write_text(said.replace(text, new) if new else said + text)


def manifest(one: Estate, name: str, old: str, new: str) -> None:
    path = one.root / "accounts" / name
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def edited(name: str) -> Prepare:
    def work(one: Estate, asked: Asked) -> None:
        plan = copy.deepcopy(asked.plan)
        EDITS[name](plan, random.Random(name))
        asked.plan = followed(plan)

    return work


def on_main(one: Estate, work: Callable[[], None]) -> None:
    """A commit on the branch of record, and back to the change."""
    git(one.root, "switch", "--quiet", "main")
    work()
    git(one.root, "add", ".", who="lee")
    git(one.root, "commit", "--quiet", "-m", "RISK-9 main", who="lee", key=one.keys["lee"])
    git(one.root, "switch", "--quiet", "change")


def signed(one: Estate, asked: Asked, who: str = "kim", **members: Any) -> None:
    plan = PlanFile.open(json.dumps(asked.plan).encode(), "plan").plan
    path = one.root.parent / f"{who}.approval"
    one.signed(plan, path, who, **members)
    asked.approvals.append(path)


# --- without git ---


@case("plain", 0)
def good(one: Estate, asked: Asked) -> None:
    """As it was planned, with the guard overridden by name and digest."""


@case("plain", 3)
def no_override(one: Estate, asked: Asked) -> None:
    asked.overrides = []


@case("plain", 3)
def override_of_twelve_digits(one: Estate, asked: Asked) -> None:
    asked.overrides = [text[: text.index("@") + 1 + 7 + 12] for text in asked.overrides]


@case("plain", 0)
def override_of_32_digits(one: Estate, asked: Asked) -> None:
    asked.overrides = [text[: text.index("@") + 1 + 7 + 32] for text in asked.overrides]


@case("plain", 3)
def override_of_another_plan(one: Estate, asked: Asked) -> None:
    asked.overrides = ["protected@sha256:" + "0" * 64]


@case("plain", 3)
def override_of_another_guard(one: Estate, asked: Asked) -> None:
    asked.overrides = [text.replace("protected", "raised") for text in asked.overrides]


@case("plain", 64)
def override_of_no_guard(one: Estate, asked: Asked) -> None:
    asked.overrides = ["everything@sha256:" + "0" * 64]


@case("plain", 3)
def override_of_one_guard_of_two(one: Estate, asked: Asked) -> None:
    setting(one, "  guards: {rowsUnset: {amount: 0}}\n")
    one.planned()
    asked.plan = one.plan
    asked.only = "protected"


@case("plain", 3)
def forged_numbers_of_other_accounts(one: Estate, asked: Asked) -> None:
    setting(one, "  guards: {rowsChanged: {percent: 40}}\n")
    one.planned()
    asked.plan = copy.deepcopy(one.plan)
    for seen in asked.plan["observed"]:
        if seen["account"] in {"CALM1", "FAR1"}:
            seen["rows"] = 900
    asked.plan = followed(asked.plan)


for _name, _code in (
    ("expired-before", 4),
    ("made-tomorrow", 4),
    ("body-member", 4),
    ("body-reordered", 4),
    ("body-value-otherwise-written", 1),
    ("effective-hidden", 4),
    ("observed-labels", 4),
    ("finding-added", 4),
    ("guard-threshold", 4),
    ("target", 4),
    ("unknown-member", 1),
    ("git-made-up", 4),
    ("rollback-of", 4),
    ("selection", 1),
):
    CASES[f"plain:{_name}"] = ("plain", _code, edited(_name))


@case("plain", 1)
def contradicts_itself(one: Estate, asked: Asked) -> None:
    asked.plan["summary"]["loosen"] += 1
    asked.plan = seal(asked.plan)


@case("plain", 1)
def not_sealed(one: Estate, asked: Asked) -> None:
    asked.plan["changes"][0]["binding"] = False


@case("plain", 1)
def member_that_the_seal_does_not_cover(one: Estate, asked: Asked) -> None:
    asked.plan["changes"][0]["note"] = "agreed by risk"


@case("plain", 1)
def no_plan(one: Estate, asked: Asked) -> None:
    asked.raw = "{}"


@case("plain", 4)
def live_value_moved(one: Estate, asked: Asked) -> None:
    one.sandbox.book.put("LIMITS1", "350", "CJ.FUT.NYMEX", (121, 450, 1000, 900), firm="GREENTEA")


@case("plain", 4)
def other_side_moved(one: Estate, asked: Asked) -> None:
    one.sandbox.book.put("LIMITS1", "350", "CJ.FUT.NYMEX", (120, 450, 1001, 900), firm="GREENTEA")


@case("plain", 0)
def another_account_moved(one: Estate, asked: Asked) -> None:
    one.sandbox.book.put("CALM1", "3N1", "CJ.FUT.NYMEX", (11, 10, 10, 10), firm="GREENTEA")


@case("plain", 4)
def manifest_says_otherwise(one: Estate, asked: Asked) -> None:
    manifest(one, "limits.yaml", "short: 800", "short: 900")


@case("plain", 0)
def comment_in_another_manifest(one: Estate, asked: Asked) -> None:
    manifest(one, "calm.yaml", "apiVersion", "# quiet\napiVersion")


@case("plain", 4)
def account_dropped_from_the_manifests(one: Estate, asked: Asked) -> None:
    (one.root / "accounts" / "calm.yaml").unlink()


@case("plain", 1)
def manifest_broken(one: Estate, asked: Asked) -> None:
    manifest(one, "calm.yaml", "long: 10", "long: ten")


@case("plain", 4)
def guards_laxer(one: Estate, asked: Asked) -> None:
    setting(one, "  guards: {raised: none}\n")


@case("plain", 3)
def guards_tighter(one: Estate, asked: Asked) -> None:
    setting(one, "  guards: {rowsUnset: {amount: 0}}\n")


@case("plain", 3)
def policy_that_is_broken(one: Estate, asked: Asked) -> None:
    setting(one, "  policies: [{name: small, maximum: {contracts: 20}}]\n")


@case("plain", 8)
def approvals_are_asked_for_now(one: Estate, asked: Asked) -> None:
    setting(one, "  approvals: {signers: approvers, rules: [{approvals: 1}]}\n")


@case("plain", 4)
def another_address(one: Estate, asked: Asked) -> None:
    setting(one, "127.0.0.1", "localhost")


@case("plain", 4)
def environment_protected_now(one: Estate, asked: Asked) -> None:
    setting(one, "auth: {type: none}", "auth: {type: none}\n      protected: true")


@case("plain", 4)
def another_ownership(one: Estate, asked: Asked) -> None:
    setting(one, "  ownership: [ef]\n")


@case("plain", 4)
def unset_means_otherwise(one: Estate, asked: Asked) -> None:
    setting(one, "  unsetMeans: blocked\n")


@case("plain", 4)
def plans_live_shorter(one: Estate, asked: Asked) -> None:
    setting(one, "  planValid: 1\n")


@case("plain", 7)
def window_closed(one: Estate, asked: Asked) -> None:
    days = "days: [Mon, Tue, Wed, Thu, Fri, Sat, Sun]"
    for name, spans in (("day", 'from: "00:00", to: "23:00"'), ("night", 'from: "22:00", to: "01:00"')):
        head = "  windows:\n" if name == "day" else ""
        setting(one, f"{head}    - {{name: {name}, effect: deny, timeZone: UTC, weekly: {{{days}, {spans}}}}}\n")


def closed_at_the_end(one: Estate, asked: Asked) -> None:
    """The project is closed for an hour when a plan that is made now expires, and the plan says so."""
    begins = datetime.now(UTC) + timedelta(hours=23, minutes=30)
    span = f'from: "{begins:%H:%M}", to: "{begins + timedelta(hours=1):%H:%M}"'
    setting(one, f"  windows:\n    - {{name: night, effect: deny, timeZone: UTC, weekly: {{days: [{begins:%a}], {span}}}}}\n")


def replanned_closed(one: Estate, asked: Asked) -> None:
    closed_at_the_end(one, asked)
    one.planned()
    asked.plan = one.plan
    assert "plan-outlived" in [finding["code"] for finding in asked.plan["findings"]]


@case("plain", 0)
def closed_when_the_plan_expires(one: Estate, asked: Asked) -> None:
    replanned_closed(one, asked)


@case("commit", 4)
def closed_when_the_plan_expires_and_not_told(one: Estate, asked: Asked) -> None:
    on_main(one, lambda: closed_at_the_end(one, asked))
    replanned(one, asked)
    asked.plan["findings"] = [finding for finding in asked.plan["findings"] if finding["code"] != "plan-outlived"]
    asked.plan = followed(asked.plan)


@case("plain", 4)
def closed_when_the_plan_expires_in_other_words(one: Estate, asked: Asked) -> None:
    replanned_closed(one, asked)
    (told,) = (finding for finding in asked.plan["findings"] if finding["code"] == "plan-outlived")
    told["message"] = "CHECKED: nothing in this plan lets more through"
    asked.plan = followed(asked.plan)


@case("plain", 4)
def windows_taken_away_since(one: Estate, asked: Asked) -> None:
    """As with guards: where there is no branch of record, the project file is that of the moment."""
    path = one.root / "amsctl.yaml"
    said = path.read_text()
    replanned_closed(one, asked)
    path.write_text(said)


@case("commit", 0)
def windows_taken_away_on_main(one: Estate, asked: Asked) -> None:
    """The plan says what main said when it was made."""
    said = (one.root / "amsctl.yaml").read_text()
    on_main(one, lambda: closed_at_the_end(one, asked))
    replanned(one, asked)
    assert "plan-outlived" in [finding["code"] for finding in asked.plan["findings"]]
    on_main(one, lambda: (one.root / "amsctl.yaml").write_text(said) and None)


@case("plain", 7)
def frozen(one: Estate, asked: Asked) -> None:
    ran = one.run("-C", str(one.root), "freeze", "GREENTEA", "--reason", "test")
    assert ran.code == 0, ran.err


@case("plain", 4)
def carried_out_already(one: Estate, asked: Asked) -> None:
    path = one.root.parent / "first.json"
    path.write_text(json.dumps(asked.plan))
    ran = one.run("-C", str(one.root), "apply", str(path), *(part for text in asked.overrides for part in ("--override", text)))
    assert ran.code == 0, ran.err
    one.sandbox.reset()


@case("commit", 1)
def pipeline_without_a_ledger(one: Estate, asked: Asked) -> None:
    asked.environ = {"CI": "true"}


@case("plain", 4)
def merged_without_git(one: Estate, asked: Asked) -> None:
    asked.merged = "HEAD"


# --- with a branch of record ---


@case("commit", 0)
def good_commit(one: Estate, asked: Asked) -> None:
    """As it was planned."""


for _name, _code in (
    ("git-dropped", 4),
    ("git-dirty", 4),
    ("git-message", 4),
    ("git-contributors", 4),
    ("base-dropped", 4),
    ("base-ref", 4),
    ("base-unprotected", 4),
    ("protection-dropped", 4),
    ("policy-laxer", 3),
    ("manifests-hash", 4),
):
    CASES[f"commit:{_name}"] = ("commit", _code, edited(_name))


@case("commit", 3)
def untracked_manifest(one: Estate, asked: Asked) -> None:
    """A manifest that nobody committed: no ticket of the commit speaks for it."""
    idle = one.root / "accounts" / "idle.yaml"
    said = idle.read_text()
    idle.unlink()
    git(one.root, "commit", "--quiet", "-am", "RISK-8 without", key=one.keys["jo"])
    idle.write_text(said)
    replanned(one, asked)


@case("commit", 4)
def own_commit_as_base(one: Estate, asked: Asked) -> None:
    asked.plan["source"]["base"]["commit"] = asked.plan["source"]["git"]["commit"]
    asked.plan = followed(asked.plan)


@case("commit", 4)
def checkout_says_otherwise(one: Estate, asked: Asked) -> None:
    manifest(one, "limits.yaml", "short: 800", "short: 900")


@case("commit", 4)
def checkout_of_main(one: Estate, asked: Asked) -> None:
    git(one.root, "switch", "--quiet", "main")


@case("commit", 0)
def main_moved_elsewhere(one: Estate, asked: Asked) -> None:
    on_main(one, lambda: manifest(one, "calm.yaml", "long: 10", "long: 11"))


@case("commit", 3)
def guard_tighter_on_main(one: Estate, asked: Asked) -> None:
    on_main(one, lambda: setting(one, "  guards: {rowsUnset: {amount: 0}}\n"))


@case("commit", 0)
def guard_laxer_on_main(one: Estate, asked: Asked) -> None:
    on_main(one, lambda: setting(one, "  guards: {raised: none}\n"))


@case("commit", 8)
def approvals_are_asked_for_on_main(one: Estate, asked: Asked) -> None:
    on_main(one, lambda: setting(one, "  approvals: {signers: approvers, rules: [{approvals: 1}]}\n"))


@case("commit", 4)
def main_sends_elsewhere(one: Estate, asked: Asked) -> None:
    on_main(one, lambda: setting(one, "127.0.0.1", "localhost"))


@case("commit", 1)
def main_keeps_its_ledger_elsewhere(one: Estate, asked: Asked) -> None:
    """The ledger of the tip counts, whichever was there when the manifests were loaded: here one that cannot be made."""
    on_main(one, lambda: setting(one, '  ledger: {url: "sqlite:////dev/null/ledger.db"}\n'))


@case("commit", 3)
def policy_tighter_on_main(one: Estate, asked: Asked) -> None:
    on_main(one, lambda: setting(one, "contracts: 5000", "contracts: 700"))


def without_the_protected_one(one: Estate, asked: Asked) -> None:
    """A change that no guard holds up."""
    manifest(one, "safe.yaml", "long: 35", "long: 30")
    git(one.root, "commit", "--quiet", "-am", "RISK-8 less", key=one.keys["jo"])
    replanned(one, asked)
    assert asked.overrides == []


@case("commit", 3)
def protected_on_main_by_now(one: Estate, asked: Asked) -> None:
    without_the_protected_one(one, asked)
    on_main(one, lambda: manifest(one, "limits.yaml", "spec:\n", "spec:\n  protected: true\n"))


@case("commit", 4)
def project_file_of_main_broken(one: Estate, asked: Asked) -> None:
    """The guards measured against the history of main when the plan was made, and cannot by now: the plan must say so."""
    without_the_protected_one(one, asked)
    on_main(one, lambda: setting(one, "  nonsense: true\n"))


@case("commit", 0)
def project_file_of_main_broken_before_the_plan(one: Estate, asked: Asked) -> None:
    """The last one that can be read, and that of the change, rule until it is mended."""
    without_the_protected_one(one, asked)
    on_main(one, lambda: setting(one, "  nonsense: true\n"))
    replanned(one, asked)


@case("commit", 3)
def label_taken_away_by_the_change(one: Estate, asked: Asked) -> None:
    """main says that the account is of a desk with a maximum."""
    without_the_protected_one(one, asked)
    on_main(one, lambda: setting(one, "contracts: 5000", "contracts: 700"))
    git(one.root, "merge", "--quiet", "--no-ff", "-m", "RISK-8 main", "main", key=one.keys["jo"])
    manifest(one, "limits.yaml", ", labels: {desk: softs}", "")
    git(one.root, "commit", "--quiet", "-am", "RISK-8 label", key=one.keys["jo"])
    replanned(one, asked)


@case("commit", 0)
def project_file_changed_by_the_change(one: Estate, asked: Asked) -> None:
    setting(one, "contracts: 5000", "contracts: 900000")
    git(one.root, "commit", "--quiet", "-am", "RISK-8 laxer", key=one.keys["jo"])
    replanned(one, asked)
    assert "project-file-changed" in [finding["code"] for finding in asked.plan["findings"]]


@case("commit", 4)
def project_file_changed_and_not_told(one: Estate, asked: Asked) -> None:
    project_file_changed_by_the_change(one, asked)
    asked.plan["findings"] = [finding for finding in asked.plan["findings"] if finding["code"] != "project-file-changed"]
    asked.plan = followed(asked.plan)


@case("commit", 0)
def merged(one: Estate, asked: Asked) -> None:
    git(one.root, "switch", "--quiet", "main")
    git(one.root, "merge", "--quiet", "--no-ff", "-m", "merge", "change", who="lee", key=one.keys["lee"])
    asked.merged = git(one.root, "rev-parse", "HEAD")


@case("commit", 4)
def not_merged(one: Estate, asked: Asked) -> None:
    asked.merged = git(one.root, "rev-parse", "HEAD")


@case("commit", 4)
def merged_and_taken_back(one: Estate, asked: Asked) -> None:
    merged(one, asked)
    git(one.root, "revert", "--no-edit", "-m", "1", "HEAD", who="lee", key=one.keys["lee"])


def replanned(one: Estate, asked: Asked) -> None:
    one.planned("--base", "main")
    asked.plan = one.plan
    asked.overrides = [text for text in overridden(one.plan["digest"], one.plan["findings"]) if text != "--override"]


# --- with approvals ---


@case("signed", 8)
def no_approval(one: Estate, asked: Asked) -> None:
    """Nobody agreed."""


@case("signed", 0)
def approved(one: Estate, asked: Asked) -> None:
    signed(one, asked)


@case("signed", 0)
def approved_twice(one: Estate, asked: Asked) -> None:
    signed(one, asked)
    signed(one, asked, "sam")


@case("signed", 8)
def approved_by_its_author(one: Estate, asked: Asked) -> None:
    signed(one, asked, "jo")


@case("signed", 8)
def author_who_is_not_proven(one: Estate, asked: Asked) -> None:
    """jo's name, and nobody's key: one more must agree."""
    git(one.root, "commit", "--quiet", "--allow-empty", "-m", "RISK-8 more")
    replanned(one, asked)
    signed(one, asked)


@case("signed", 8)
def approved_by_a_stranger(one: Estate, asked: Asked) -> None:
    signed(one, asked, "mallory")


@case("signed", 8)
def approval_of_another_plan(one: Estate, asked: Asked) -> None:
    signed(one, asked)
    replanned(one, asked)


@case("signed", 8)
def approval_expired(one: Estate, asked: Asked) -> None:
    signed(one, asked, expires_at="2026-01-01T08:00:00Z")


@case("signed", 8)
def approver_taken_off_the_list_on_main(one: Estate, asked: Asked) -> None:
    signed(one, asked)
    lines = (one.root / "approvers").read_text().splitlines(keepends=True)
    on_main(one, lambda: (one.root / "approvers").write_text("".join(line for line in lines if "kim" not in line)) and None)


@case("signed", 4)
def approved_and_forged(one: Estate, asked: Asked) -> None:
    edited("effective-hidden")(one, asked)
    signed(one, asked)


# --- taking back ---


@case("rollback", 0)
def good_rollback(one: Estate, asked: Asked) -> None:
    """As it was planned."""


@case("rollback", 4)
def ledger_that_knows_no_such_run(one: Estate, asked: Asked) -> None:
    shutil.rmtree(one.root / ".amsctl")


@case("rollback", 4)
def value_changed_since_the_run(one: Estate, asked: Asked) -> None:
    one.sandbox.book.put("SAFE1", "3N1", "CJ.FUT.NYMEX", (44, 60, 90, 200), firm="GREENTEA")


for _name in ("effective-hidden", "protection-dropped", "observed-added", "finding-added"):
    CASES[f"rollback:{_name}"] = ("rollback", 4, edited(_name))


# --- the two ways ---


@pytest.fixture(scope="session")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Estate]]:
    if shutil.which("ssh-keygen") is None:
        missing("openssh", "ssh-keygen is not here")
    folder, found = tmp_path_factory.mktemp("doors"), {}
    with ExitStack() as stack:

        def one(name: str) -> Estate:
            if name not in found:
                found[name] = stack.enter_context(estate(name, folder, run_fixture.__wrapped__()))  # type: ignore[attr-defined]
            return found[name]

        yield one


def by_command(one: Estate, path: Path, asked: Asked) -> tuple[int, str, list[str]]:
    words = [part for text in asked.overrides for part in ("--override", text)]
    words += [part for approval in asked.approvals for part in ("--approval", str(approval))]
    words += [] if asked.merged is None else ["--merged", asked.merged]
    with pytest.MonkeyPatch.context() as patch:
        for name, text in asked.environ.items():
            patch.setenv(name, text)
        ran = one.run("-C", str(one.root), "apply", str(path), *words)
    said = [line.removeprefix("error: ") for line in ran.err.splitlines() if line.startswith("error: ")]
    return ran.code, said[0] if said else "", [entry.body for entry in one.sandbox.log.calls("POST")]


def by_program(one: Estate, path: Path, asked: Asked) -> tuple[int, str, list[str]]:
    assert asked.loaded is not None
    try:
        file = PlanFile.open(path.read_bytes(), str(path))
        report = api.apply(
            file,
            asked.loaded,
            environ=asked.environ,
            approved=True,
            overrides=asked.overrides,
            given=api.Given(
                approvals=tuple(decode_approval(json.loads(each.read_text()), str(each)) for each in asked.approvals), merged=asked.merged
            ),
        )
    except AmsctlError as refused:
        told = refused.diagnostics[0].message if isinstance(refused, ManifestErrors) else str(refused)
        return int(refused.exit_code), told.replace("\n", "\\u{A}"), [entry.body for entry in one.sandbox.log.calls("POST")]
    return int(report.exit_code), "", [entry.body for entry in one.sandbox.log.calls("POST")]


def prepared(name: str, original: Estate, folder: Path) -> tuple[Estate, Path, Asked]:
    """A copy of the estate in the situation; always at the same place."""
    kind, _, prepare = CASES[name]
    shutil.rmtree(folder / kind, ignore_errors=True)
    root = Path(shutil.copytree(original.root, folder / kind))
    one = Estate(name=kind, root=root, sandbox=original.sandbox, run=original.run, keys=original.keys, plan=copy.deepcopy(original.plan))
    original.sandbox.reset()
    texts = [text for text in overridden(one.plan["digest"], one.plan["findings"]) if text != "--override"]
    asked = Asked(plan=copy.deepcopy(one.plan), overrides=texts, loaded=api.load_manifests(root, environ={}))
    prepare(one, asked)
    if asked.plan["digest"] != original.plan["digest"]:
        asked.overrides = [text for text in overridden(asked.plan["digest"], asked.plan["findings"]) if text != "--override"]
        asked.overrides = [text for text in asked.overrides if text.startswith(asked.only)]
    path = folder / "asked.json"
    path.write_text(asked.raw or json.dumps(asked.plan), encoding="utf-8")
    one.sandbox.log.clear()
    return one, path, asked


def plain(text: str) -> str:
    """A message without what differs from one second to the next: commits, digests and times."""
    return re.sub(r"\b[0-9a-f]{7,64}\b|(?<!\w)(\d{4}-\d\d-\d\d[T ])?\d\d:\d\d(:[0-9.]+)?Z?|\d{8}T\d{6}Z-[0-9a-f]+", "#", text)


@pytest.mark.parametrize("name", sorted(CASES))
def test_both_ways_lead_through_the_same_door(name: str, originals: Callable[[str], Estate], tmp_path: Path) -> None:
    """The same exit code, the same first line of the message, the same calls; and where it is refused, none. The program loaded the manifests before the
    situation came about, the command line comes after it.
    """
    kind, code, _ = CASES[name]
    original = originals(kind)
    first = by_command(*prepared(name, original, tmp_path))
    second = by_program(*prepared(name, original, tmp_path))
    original.sandbox.reset()
    assert first[0] == code, first
    assert (second[0], plain(second[1]), sorted(second[2])) == (first[0], plain(first[1]), sorted(first[2]))
    assert (first[2] != []) is (code == 0)


def test_enough_situations() -> None:
    assert len(CASES) >= 40
    assert {code for _, code, _ in CASES.values()} == {0, 1, 3, 4, 7, 8, 64}


def test_main_becomes_stricter_while_a_person_is_asked(
    originals: Callable[[str], Estate], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rules are those of the moment at which is written, not of the moment at which was asked."""
    CASES["commit:asked"] = ("commit", 8, without_the_protected_one)
    one, _, _ = prepared("commit:asked", originals("commit"), tmp_path)
    del CASES["commit:asked"]

    def asked(*_: object) -> bool:
        on_main(one, lambda: setting(one, "  approvals: {signers: approvers, rules: [{approvals: 1}]}\n"))
        return True

    monkeypatch.setattr("amsctl.cli.console.Console.ask", asked)
    ran = one.run("-C", str(one.root), "apply", "--base", "main", terminal=True)
    assert (ran.code, one.posts()) == (8, [])
    assert "Approve" not in ran.out
