"""A plan file that was edited, made consistent and sealed anew is applied by nothing, and no signer is shown it as checked."""

from __future__ import annotations

import copy
import json
import random
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from amsctl import api
from amsctl.approvals.approval import decode_approval
from amsctl.errors import AmsctlError, PlanFileError
from amsctl.operations.material import contributors_of, message_of
from amsctl.operations.record import sources_of
from amsctl.planning.planfile import PlanFile
from amsctl.provenance.commits import commits_between
from amsctl.provenance.facts import Unknown
from tests.approvals.repository import git
from tests.cli.conftest import run as run_fixture
from tests.conftest import CAMPAIGN
from tests.operations.estates import AFTER, BEFORE, Estate, estate, overridden
from tests.operations.forging import EDITS, Json, followed, forged, seal
from tests.wants import missing

ESTATES = ("plain", "commit", "signed", "rollback")
BLOCKS = 4
SEEDS = 4 if CAMPAIGN == 1 else 63
"""Of each block: 160 forgeries in every run, 1,008 in a campaign."""

Estates = Callable[[str], Estate]


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estates]:
    """Each estate once for a worker: no forgery changes anything."""
    if shutil.which("ssh-keygen") is None:
        missing("openssh", "ssh-keygen is not here")
    folder, found = tmp_path_factory.mktemp("estates"), {}
    with ExitStack() as stack:

        def one(name: str) -> Estate:
            if name not in found:
                found[name] = stack.enter_context(estate(name, folder, run_fixture.__wrapped__()))  # type: ignore[attr-defined]
            return found[name]

        yield one


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Estates]:
    """An estate that a test may write to."""
    with ExitStack() as stack:
        yield lambda name: stack.enter_context(estate(name, tmp_path, run_fixture.__wrapped__()))  # type: ignore[attr-defined]


def written(one: Estate, plan: Json, *, signed: bool = True) -> tuple[Path, PlanFile | None]:
    """The forgery as a file, with the approval of an honest person beside it where the project asks for one."""
    path = one.root.parent / f"{one.name}-forged.json"
    path.write_text(json.dumps(plan), encoding="utf-8")
    for old in path.parent.glob(f"{one.name}-forged.*.approval.json"):
        old.unlink()
    try:
        opened = PlanFile.open(path.read_bytes(), str(path))
    except PlanFileError:
        return path, None
    if signed and one.name == "signed":
        one.signed(opened.plan, path.with_name(f"{one.name}-forged.kim.approval.json"))
    return path, opened


def by_command(one: Estate, path: Path, plan: Json) -> int:
    ran = one.run("-C", str(one.root), "apply", str(path), *overridden(plan.get("digest", ""), plan["findings"]))
    assert "Traceback" not in ran.err
    assert "internal" not in ran.err
    return ran.code


def by_program(one: Estate, path: Path, plan: Json) -> int:
    """The exit code that the public interface gives: of the report or of the error."""
    names = [text for text in overridden(plan.get("digest", ""), plan["findings"]) if text != "--override"]
    approvals = [decode_approval(json.loads(file.read_text()), str(file)) for file in path.parent.glob(f"{path.stem}.*.approval.json")]
    try:
        manifests = api.load_manifests(one.root, environ=one.environ)
        file = PlanFile.open(path.read_bytes(), str(path))
        report = api.apply(
            file, manifests, environ=one.environ, approved=True, overrides=names, given=api.Given(approvals=tuple(approvals))
        )
    except AmsctlError as refused:
        return int(refused.exit_code)
    return int(report.exit_code)


@pytest.mark.parametrize("block", range(BLOCKS))
@pytest.mark.parametrize("name", ESTATES)
def test_a_forgery_is_applied_by_nothing(name: str, block: int, built: Estates) -> None:
    """Refused by the command, by the public interface with the same exit code, and before anybody signs; no call that writes is made."""
    one, opened = built(name), 0
    for seed in range(block * SEEDS, (block + 1) * SEEDS):
        edited, plan = forged(one.plan, seed * len(ESTATES) + ESTATES.index(name))
        path, file = written(one, plan)
        opened += file is not None
        code = by_command(one, path, plan)
        assert (one.posts(), code in {1, 3, 4, 7, 8}) == ([], True), f"{seed}: {edited}: exit {code}"
        assert by_program(one, path, plan) == code, f"{seed}: {edited}"
        assert one.posts() == [], f"{seed}: {edited}"
        if name == "signed" and file is not None:
            written(one, plan, signed=False)
            ran = one.run("-C", str(one.root), "approve", str(path), "--key", str(one.keys["kim"]), "--digest", plan["digest"])
            if ran.code == 0 and plan["source"]["rollback"] is not None:  # what it says it takes back is not known here
                assert "not checked: the calls of the rollback" in ran.err, f"{seed}: {edited}"
                continue
            assert ran.code in {1, 3, 4, 8}, f"{seed}: {edited}: {ran.err}"
            assert list(path.parent.glob(f"{path.stem}.*.approval.json")) == []
    assert opened >= (SEEDS // 2 if CAMPAIGN > 1 else 1), "most forgeries must be such that the file alone does not give them away"


@pytest.mark.parametrize("name", ESTATES)
def test_every_edit_alone(name: str, built: Estates) -> None:
    """Each member that can be derived, edited once with all that follows, where the file alone does not give it away: refused by the door."""
    one, passed = built(name), 0
    for number, (edit, work) in enumerate(sorted(EDITS.items())):
        if CAMPAIGN == 1 and number % len(ESTATES) != ESTATES.index(name):
            continue
        plan = copy.deepcopy(one.plan)
        try:
            work(plan, random.Random(edit))
        except Exception:
            continue
        plan = followed(plan)
        if {**plan, "digest": ""} == {**seal(copy.deepcopy(one.plan)), "digest": ""}:
            continue  # what follows has undone it
        path, file = written(one, plan)
        passed += file is not None
        assert by_command(one, path, plan) in {1, 3, 4, 8}, edit
        assert one.posts() == [], edit
    assert passed >= 5


@pytest.mark.parametrize("name", ESTATES)
def test_the_honest_plan_is_applied(name: str, fresh: Estates) -> None:
    """The very same way, and so the refusals above are of what was forged."""
    one = fresh(name)
    path, _ = written(one, one.plan)
    assert by_command(one, path, one.plan) == 0
    assert len(one.posts()) == len(one.plan["steps"])


# --- what cannot be derived decides nothing ---


def _not_derived(plan: Json) -> Json:
    """Every member that docs/explanation.md lists as not derived, changed."""
    plan = copy.deepcopy(plan)
    plan["tool"]["version"] = "99.0"
    for name in ("created_at", "expires_at"):
        plan[name] = plan[name][:17] + "00Z"
    moved = {(change["clearing_firm"], change["account"]) for change in plan["changes"]}
    for seen in plan["observed"]:
        seen.update(read_at="2026-01-01T00:00:00Z", pages=seen["pages"] + 1)
        if (seen["clearing_firm"], seen["account"]) not in moved:
            seen.update(rows=seen["rows"] + 3, sha256="0" * 64, execution_firms=9, suspended=1)
    for change in plan["changes"]:
        if change["usage"] is not None:
            change["usage"] += 1
    if plan["source"]["git"] is not None:
        plan["source"]["git"].update(started_by="zoe", rerun_by="kim")
    return followed(plan)


@pytest.mark.parametrize("name", ["plain", "commit"])
def test_what_cannot_be_derived_decides_nothing(name: str, fresh: Estates) -> None:
    """Times of reading, the version, who started the job, numbers of accounts that do not change, use: the same calls are made as of the honest plan."""
    one = fresh(name)
    plan = _not_derived(one.plan)
    path, file = written(one, plan)
    assert file is not None
    assert by_command(one, path, plan) == 0
    bodies = [json.loads(entry.body) for entry in one.sandbox.log.calls("POST")]
    assert sorted(map(json.dumps, bodies)) == sorted(json.dumps(step["body"]) for step in one.plan["steps"])


def _shares(one: Estate, percent: int) -> None:
    """A guard on the share of the rows that change, and a fresh plan."""
    config = one.root / "amsctl.yaml"
    config.write_text(config.read_text() + f"  guards: {{rowsChanged: {{percent: {percent}}}}}\n")
    one.planned()


def test_forged_numbers_of_other_accounts_lower_no_share(fresh: Estates) -> None:
    """6 of 11 rows change. An account of 900 rows, said to have been read, would make that few; it is read, and the guard measured on what it has."""
    one = fresh("plain")
    _shares(one, 40)
    assert any(finding["code"] == "guard-rows-changed" for finding in one.plan["findings"])
    plan = copy.deepcopy(one.plan)
    for seen in plan["observed"]:
        if seen["account"] in {"CALM1", "FAR1"}:
            seen["rows"] = 900
    plan = followed(plan)
    assert not any(finding["code"] == "guard-rows-changed" for finding in plan["findings"])
    path, _ = written(one, plan)
    assert (by_command(one, path, plan), one.posts()) == (3, [])
    assert by_program(one, path, plan) == 3


def test_a_share_is_measured_on_all_accounts_where_the_changed_ones_are_not_enough(fresh: Estates) -> None:
    """Of the accounts that change nearly every row does; of all that were read fewer. The others are read again, and the honest plan is applied."""
    one = fresh("plain")
    _shares(one, 70)
    assert not any(finding["code"] == "guard-rows-changed" for finding in one.plan["findings"])
    path, _ = written(one, one.plan)
    assert by_command(one, path, one.plan) == 0


def test_use_that_is_told_smaller_passes_no_guard(fresh: Estates) -> None:
    """A limit goes below its use of the day: the guard is measured on what is used now, whatever the plan says."""
    one = fresh("plain")
    one.sandbox.book.use("LIMITS1", "3N1", "CJ.FUT.NYMEX", long=250, short=20, firm="GREENTEA")
    one.planned()
    held = [finding["code"] for finding in one.plan["findings"] if finding["blocks"]]
    if "guard-below-use" not in held:
        config = one.root / "amsctl.yaml"
        config.write_text(config.read_text() + "  guards: {belowUse: {amount: 0}}\n")
        one.planned()
    assert "guard-below-use" in [finding["code"] for finding in one.plan["findings"]], [one["usage"] for one in one.plan["changes"]]
    plan = copy.deepcopy(one.plan)
    for change in plan["changes"]:
        change["usage"] = None if change["usage"] is None else 0
    plan = followed(plan)
    assert "guard-below-use" not in [finding["code"] for finding in plan["findings"]]
    path, _ = written(one, plan)
    assert (by_command(one, path, plan), one.posts()) == (3, [])


# --- an older base, and a past that is left out ---


def _rebased(one: Estate, plan: Json, base: str) -> Json:
    """The plan as if it had been made when ``base`` was the newest commit of its branch."""
    repository = sources_of(one.root, one.environ).repository
    assert repository is not None
    made = commits_between(repository, base, plan["source"]["git"]["commit"])
    assert not isinstance(made, Unknown)
    plan["source"]["base"].update(commit=base, unprotected=[])
    plan["source"]["git"].update(message=message_of(made), contributors=list(contributors_of(made)))
    return plan


def _change(one: Estate, files: dict[str, str], words: str = "RISK-8 change") -> None:
    one.write(files)
    git(one.root, "add", ".")
    git(one.root, "commit", "--quiet", "-m", words, key=one.keys["jo"])
    one.planned("--base", "main")


def test_an_older_base_takes_no_protection_away(fresh: Estates) -> None:
    """main has protected an account since its first commit; a change takes that away, and its forged plan names the first commit as its base."""
    one = fresh("commit")
    _change(one, {**AFTER, "safe.yaml": AFTER["safe.yaml"].replace("  protected: true\n", "")})
    assert one.plan["source"]["base"]["unprotected"] == ["GREENTEA/SAFE1"]
    plan = _rebased(one, copy.deepcopy(one.plan), git(one.root, "rev-parse", "main~1"))
    for seen in plan["observed"]:
        if seen["account"] == "SAFE1":
            seen.update(protected=False, labels=["desk=safe"])
    plan = followed(plan)
    assert not any(finding["blocks"] for finding in plan["findings"])
    path, file = written(one, plan)
    assert file is not None
    assert by_command(one, path, plan) in {3, 4}
    assert by_program(one, path, plan) in {3, 4}
    assert one.posts() == []


def test_values_of_the_past_that_are_left_out_are_found_again(fresh: Estates) -> None:
    """10 → 0 → 9,000 by the history of the branch, without a ledger: the plan that says nothing of it is measured on it all the same."""
    one = fresh("commit")
    zero = {**BEFORE, "calm.yaml": BEFORE["calm.yaml"].replace("long: 10", "long: 0")}
    git(one.root, "switch", "--quiet", "main")
    one.write(zero)
    git(one.root, "commit", "--quiet", "-am", "RISK-5 zero", who="lee", key=one.keys["lee"])
    git(one.root, "switch", "--quiet", "-c", "up")
    one.sandbox.book.put("CALM1", "3N1", "CJ.FUT.NYMEX", (0, 10, None, 10), firm="GREENTEA")
    _change(one, {**zero, "calm.yaml": BEFORE["calm.yaml"].replace("long: 10", "long: 9000")})
    assert one.plan["references"] != []
    plan = copy.deepcopy(one.plan)
    plan["references"] = []
    plan = followed(plan)
    left = {finding["code"] for finding in one.plan["findings"] if finding["blocks"]}
    assert left > {finding["code"] for finding in plan["findings"] if finding["blocks"]}
    path, _ = written(one, plan)
    assert (by_command(one, path, plan), one.posts()) == (3, [])
    assert by_program(one, path, plan) == 3


# --- what a signer is told ---


def test_a_signer_is_told_what_was_not_checked(fresh: Estates, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the AMS cannot be reached, a forged body is not found: the signer is told so, in so many words, before the question."""
    one = fresh("signed")
    plan = copy.deepcopy(one.plan)
    next(step for step in plan["steps"] if "limits" in step["body"])["body"]["efID"] = "350"
    plan = followed(plan)
    path, file = written(one, plan, signed=False)
    assert file is not None
    refused = one.run("-C", str(one.root), "approve", str(path), "--key", str(one.keys["kim"]), stdin="yes\n", terminal=True)
    assert (refused.code, "is not what these manifests give" in refused.err) == (4, True)
    assert "Approve this plan?" not in refused.err

    def unreachable(*arguments: Any, **named: Any) -> Any:
        raise OSError(111, "Connection refused")

    monkeypatch.setattr("asyncio.base_events.BaseEventLoop.create_connection", unreachable)
    monkeypatch.setattr(socket.socket, "connect", unreachable)
    ran = one.run("-C", str(one.root), "approve", str(path), "--key", str(one.keys["kim"]), stdin="no\n", terminal=True)
    assert ran.code == 8
    told = " ".join(ran.err.split())  # at a terminal, words are wrapped
    assert told.index("not checked: the live values, the calls and whether they are what the manifests give") < told.index(
        "Approve this plan?"
    )
