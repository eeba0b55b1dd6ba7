"""approve: what would be refused is refused before anybody is asked, and what was not looked at is said before anybody answers."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from amsctl.approvals.foreseen import Foresight, foresight
from amsctl.approvals.signatures import COMMITS, Keygen
from amsctl.cli.planning import read_plan
from amsctl.diagnostics import Severity
from amsctl.operations import approve as operation
from amsctl.planning.codec import sealed, text_of
from amsctl.planning.plan import Finding, Plan
from amsctl.sandbox.faults import Rule
from amsctl.sandbox.server import Sandbox
from tests.approvals.repository import KEYGEN, RULES, Repository, git
from tests.cli.conftest import ACCOUNT, Ran, Run

OTHER = "DV101218B"
"""An account of the book that the change leaves alone."""
MANIFEST = f"""\
apiVersion: amsctl/v1
kind: Account
metadata: {{clearingFirm: GREENTEA_API_CLEARING2, accountNumber: {OTHER}}}
spec:
  executionFirms:
    8T4: {{suspended: false}}
"""


@pytest.fixture
def limits(repository: Repository, ams: Sandbox) -> Repository:
    ams.reset()
    return repository


def planned(run: Run, limits: Repository, name: str = "plan.json") -> str:
    file = str(limits.root.parent / name)
    ran = run("-C", str(limits.root), "plan", "--base", "main", "-o", file)
    assert ran.code == 0, ran.err
    return file


def approve(run: Run, limits: Repository, file: str, who: str = "sam", *, key: Path | None = None, answer: str = "no\n") -> Ran:
    words = ("-C", str(limits.root), "approve", file, "--key", str(key or limits.keys[who]))
    return run(*words, stdin=answer, terminal=True, environ={"COLUMNS": "1000"})  # so wide that no message is wrapped


def asked(ran: Ran) -> bool:
    return "Approve this plan?" in ran.err


def unchecked(ran: Ran) -> list[str]:
    """What the signer was told before the question."""
    return re.findall(r"not checked: (.*)", ran.err.partition("Approve this plan?")[0])


def on_main(limits: Repository, work: Callable[[], None]) -> None:
    git(limits.root, "switch", "--quiet", "main", who="root")
    work()
    git(limits.root, "add", ".", who="root")
    git(limits.root, "commit", "--quiet", "-m", "main", who="root", key=limits.keys["root"])
    git(limits.root, "switch", "--quiet", "change")


# --- who, and whether it is too late ---


def uncommitted(run: Run, limits: Repository) -> str:
    limits.write("accounts/dv.yaml", ACCOUNT.replace("short: 600", "short: 1200"))
    return planned(run, limits)


def applied(run: Run, limits: Repository) -> str:
    file = planned(run, limits)
    assert approve(run, limits, file, answer="yes\n").code == 0
    assert run("-C", str(limits.root), "apply", file).code == 0
    return file


def reviewed(run: Run, limits: Repository) -> str:
    text = (limits.root / "amsctl.yaml").read_text()
    on_main(limits, lambda: limits.write("amsctl.yaml", text.replace(RULES, "  approvals: {from: github, approvers: [sam-gh]}\n")))
    return planned(run, limits)


@pytest.mark.parametrize(
    ("make", "who", "code", "says"),
    [
        (planned, "jo", 8, "jo@firm.example has made or pushed this change"),
        (planned, "mallory", 8, "the key is not one of those who may approve"),
        (uncommitted, "sam", 8, "manifests that are not those of a commit"),
        (applied, "sam", 4, "this plan was carried out already (run "),
        (reviewed, "sam", 8, "approvals are reviews here, and no signatures"),
    ],
)
def test_nobody_is_asked(
    make: Callable[[Run, Repository], str],
    who: str,
    code: int,
    says: str,
    run: Run,
    limits: Repository,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And no key is used: a passphrase is entered, and a token touched, for what counts alone."""
    file = make(run, limits)
    for old in limits.root.parent.glob("*.approval.json"):
        old.unlink()
    monkeypatch.setattr(Keygen, "sign", lambda *_: pytest.fail("nothing is to be signed"))
    ran = approve(run, limits, file, who, answer="yes\n")
    assert (ran.code, says in ran.err, asked(ran)) == (code, True, False), ran.err
    assert list(limits.root.parent.glob("*.approval.json")) == []


def test_a_plan_for_no_environment_of_the_project(run: Run, limits: Repository) -> None:
    """That the AMS cannot be asked is said where variables are missing; of an environment that nobody knows nothing is signed."""
    file = edited(planned(run, limits), lambda plan: replace(plan, target=replace(plan.target, environment="other")))
    ran = approve(run, limits, file)
    assert (ran.code, "no environment is called other" in ran.err, asked(ran)) == (1, True, False), ran.err


def test_an_environment_that_cannot_be_read_is_said(run: Run, limits: Repository) -> None:
    """An approver has not the pipeline's credentials: the target and all that is live is not looked at."""
    text = (limits.root / "amsctl.yaml").read_text()
    file = planned(run, limits)
    on_main(
        limits,
        lambda: limits.write(
            "amsctl.yaml", re.sub(r"auth: .*", 'auth: {type: basic, clientId: "${OURS}", clientSecret: "${THEIRS}"}', text)
        ),
    )
    ran = approve(run, limits, file)
    assert unchecked(ran)[0].startswith(
        "the target, the live values, the calls and whether they are what the manifests give: the AMS cannot be asked ("
    )


def test_main_becomes_stricter_while_a_person_thinks(run: Run, limits: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list of signers is that of the moment at which is signed."""
    file, lines = planned(run, limits), (limits.root / "approvers").read_text().splitlines(keepends=True)

    def ask(*_: object) -> bool:
        on_main(limits, lambda: limits.write("approvers", "".join(line for line in lines if "sam" not in line)))
        return True

    monkeypatch.setattr("amsctl.cli.console.Console.ask", ask)
    ran = approve(run, limits, file)
    assert (ran.code, "the key is not one of those who may approve" in ran.err) == (8, True), ran.err


# --- whose key it is ---


def _keys(folder: Path) -> dict[str, Path]:
    """One key in every form that names its public half, and forms that do not."""
    key = folder / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-C", "sam", "-f", str(key)], check=True)
    public, private = key.with_suffix(".pub").read_text(), key.read_text()
    named = {"beside": (key.name, private), "public": ("public.pub", public), "private": ("private", private), "none": ("none", "no key\n")}
    named |= {
        "words": ("words", "key"),
        "binary": ("binary", "\xff"),
        "another": ("another", private.replace("b3BlbnNzaC1rZXk", "AAAAnNzaC1rZXk")),
    }
    for name, text in named.values():
        (folder / name).write_text(text, encoding="latin-1")
    return {name: folder / file for name, (file, _) in named.items()} | {"nowhere": folder / "nowhere", "folder": folder}


def test_the_public_half_is_found_without_a_passphrase(tmp_path: Path) -> None:
    """In the file or beside it; where it is not to be found, ssh-keygen is asked."""
    if KEYGEN is None:
        pytest.skip("ssh-keygen is not here")
    keys = _keys(tmp_path)
    found = {name: foresight(KEYGEN, str(path)) for name, path in keys.items()}
    known = {name: one.key.identity for name, one in found.items() if isinstance(one, Foresight)}
    assert set(known) == {"beside", "public", "private"}
    assert len(set(known.values())) == 1
    one = found["private"]
    assert (one.sign(b"x", "key"), one.check(b"x", b"no signature", (), namespace=COMMITS).problem != "") == ("", True)


def test_a_broken_key_is_none(tmp_path: Path) -> None:
    """Base64 that is none in what calls itself a private key of OpenSSH."""
    if KEYGEN is None:
        pytest.skip("ssh-keygen is not here")
    for text in ("abc", "AAAA", "b3BlbnNzaC1rZXktdjEA"):  # no Base64, another beginning, nothing behind it
        label = "OPENSSH PRIVATE KEY-----"
        (tmp_path / "key").write_text(f"-----BEGIN {label}\n{text}\n-----END {label}\n")
        assert foresight(KEYGEN, str(tmp_path / "key")) is KEYGEN


# --- the ledger ---


def test_the_past_is_measured_by_the_ledger(run: Run, limits: Repository) -> None:
    """456 → 900 → 1,700 in two plans: the second, made beside an empty ledger, names no past, and its signer is told what the ledger has."""
    root = limits.root
    text = (root / "amsctl.yaml").read_text()
    on_main(limits, lambda: limits.write("amsctl.yaml", text + "  guards: {raised: {factor: 3, amount: 0}}\n"))

    def raised(to: int) -> None:
        git(root, "switch", "--quiet", "-C", "change", "main")
        limits.write("accounts/dv.yaml", ACCOUNT.replace("3N1", "350").replace("long: 300, short: 600", f"short: {to}"))
        git(root, "commit", "--quiet", "-am", "RISK-8", key=limits.keys["jo"])

    raised(900)
    first = planned(run, limits)
    assert approve(run, limits, first, answer="yes\n").code == 0
    assert run("-C", str(root), "apply", first).code == 0
    raised(1700)
    (root / ".amsctl").rename(root.parent / "kept")
    second = planned(run, limits, "second.json")
    told = approve(run, limits, second)
    assert any("and the values of the past by the ledger: there is no ledger yet" in line for line in unchecked(told)), told.err
    (root.parent / "kept").rename(root / ".amsctl")
    refused = approve(run, limits, second)
    assert (refused.code, "a guard holds the plan up on what is known now" in refused.err, asked(refused)) == (3, True, False), refused.err


def test_a_ledger_that_cannot_be_read_is_said(run: Run, limits: Repository) -> None:
    """Missing, broken, or named by a variable that is not set: the default file that stands for it is another ledger."""
    file = planned(run, limits)
    (limits.root / ".amsctl").mkdir(exist_ok=True)
    (limits.root / ".amsctl" / "ledger.db").write_bytes(b"no database" * 100)
    (line,) = unchecked(approve(run, limits, file))
    assert line.startswith("whether the plan was carried out already, and the values of the past by the ledger: ")
    text = (limits.root / "amsctl.yaml").read_text()
    on_main(limits, lambda: limits.write("amsctl.yaml", text + '  ledger: {url: "${OURS}"}\n  guards: none\n'))
    (line,) = unchecked(approve(run, limits, planned(run, limits)))
    assert line == "whether the plan was carried out already: the environment variable OURS is not set"


def test_a_rollback_is_derived_from_the_ledger(run: Run, limits: Repository) -> None:
    """Where the ledger is not there, that is said; where it knows no such run, too."""
    applied(run, limits)
    (entry,) = json.loads(run("-C", str(limits.root), "ledger", "log", "--format", "json").out)["runs"]
    file = str(limits.root.parent / "back.json")
    ran = run("-C", str(limits.root), "rollback", entry["id"], "-o", file, "--base", "main")
    assert ran.code == 0, ran.err
    assert unchecked(approve(run, limits, file)) == []
    forged = edited(file, lambda plan: replace(plan, observed=tuple(replace(one, pages=7, labels=("desk=x",)) for one in plan.observed)))
    refused = approve(run, limits, forged)
    assert (refused.code, asked(refused)) == (4, False), refused.err
    (limits.root / ".amsctl").rename(limits.root.parent / "kept")
    assert "the calls of the rollback: they follow from the ledger" in "\n".join(unchecked(approve(run, limits, file)))
    run("-C", str(limits.root), "freeze", "GREENTEA_API_CLEARING2", "--reason", "makes another ledger")
    assert "the calls of the rollback: this plan takes back a run that the ledger here does not know" in unchecked(
        approve(run, limits, file)
    )


def test_an_account_that_moved_is_not_signed_for(run: Run, limits: Repository, ams: Sandbox) -> None:
    """What changes is read again: another value than the plan saw ends it."""
    file = planned(run, limits)
    ams.book.put("DV10121801A", "3N1", "CJ.FUT.NYMEX", (324, 568, 9000, 2000))
    ran = approve(run, limits, file)
    assert (ran.code, "on what is live now" in ran.err, asked(ran)) == (4, True, False), ran.err


# --- accounts that do not change ---


def edited(file: str, change: Callable[[Plan], Plan]) -> str:
    path = file.replace(".json", ".edited.json")
    Path(path).write_text("".join(text_of(sealed(change(read_plan(file))))), encoding="utf-8")
    return path


@pytest.fixture
def two(limits: Repository, ams: Sandbox) -> Repository:
    """main has another account, of which the AMS has a row that no manifest names."""
    ams.book.put(OTHER, "8T4", "CJ.FUT.NYMEX", (10, 20, 30, 40))
    on_main(limits, lambda: limits.write("accounts/other.yaml", MANIFEST))
    git(limits.root, "merge", "--quiet", "--no-ff", "-m", "main", "main", key=limits.keys["jo"])
    return limits


def findings(plan: Plan, change: Callable[[Finding], Finding | None]) -> Plan:
    """The plan with other findings about the other account."""
    found = (change(one) if OTHER in one.where else one for one in plan.findings)
    return replace(plan, findings=tuple(one for one in found if one is not None))


def outlived(plan: Plan) -> Plan:
    told = Finding(code="plan-outlived", severity=Severity.NOTE, message="CHECKED BY AMSCTL: nothing lets more through", where="sandbox")
    at = next(number for number, one in enumerate(plan.findings) if one.code == "undeclared-row")
    return replace(plan, findings=(*plan.findings[:at], told, *plan.findings[at:]))


FORGERIES: dict[str, Callable[[Plan], Plan]] = {
    "words in the plan's own voice": outlived,
    "free text": lambda plan: findings(plan, lambda one: replace(one, message="CHECKED: this plan lets nothing more through")),
    "a finding that is not there": lambda plan: findings(plan, lambda one: None),
    "other amounts": lambda plan: findings(plan, lambda one: replace(one, message=re.sub(r"\d+", "7", one.message))),
    "other amounts, and a hash that was not read": lambda plan: replace(
        findings(plan, lambda one: replace(one, message=re.sub(r"\d+", "7", one.message))),
        observed=tuple(replace(one, sha256="0" * 64) if one.account == OTHER else one for one in plan.observed),
    ),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_forged_words_are_not_signed(name: str, run: Run, two: Repository) -> None:
    """Refused before the question; or, where the account may have moved, said to be underived."""
    honest = planned(run, two)
    assert unchecked(approve(run, two, honest)) == unchecked_without_a_ledger()
    ran = approve(run, two, edited(honest, FORGERIES[name]))
    if name.endswith("a hash that was not read"):
        told = f"the findings about 1 account that does not change, not as the plan saw it any more: GREENTEA_API_CLEARING2/{OTHER}"
        assert told in unchecked(ran)
    else:
        assert (ran.code, asked(ran)) == (4, False), ran.err


def unchecked_without_a_ledger() -> list[Any]:
    class AnyLedger:
        def __eq__(self, other: object) -> bool:
            return isinstance(other, str) and other.startswith("whether the plan was carried out already, and the values of the past")

        __hash__ = None  # type: ignore[assignment]

    return [AnyLedger()]


def test_a_block_that_was_taken_out(run: Run, two: Repository) -> None:
    """An execution firm that the other account has not: that blocks the plan, and a plan that does not say so is not signed."""
    two.write("accounts/other.yaml", MANIFEST + "    ZZ9: {suspended: false}\n")
    git(two.root, "commit", "--quiet", "-am", "RISK-8 ZZ9", key=two.keys["jo"])
    honest = planned(run, two)
    assert "unknown-ef" in {one.code for one in read_plan(honest).blocking}
    ran = approve(run, two, edited(honest, lambda plan: findings(plan, lambda one: None if one.blocks else one)))
    assert (ran.code, "the plan would be blocked by now: unknown-ef" in ran.err, asked(ran)) == (3, True, False), ran.err


def test_more_accounts_than_are_read_again(run: Run, two: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their number is said."""
    monkeypatch.setattr(operation, "MOST_OTHERS", 0)
    told = unchecked(approve(run, two, planned(run, two)))
    assert "the findings about 1 account that does not change: more than 0 are not read again" in told


def test_an_account_that_cannot_be_read_again(run: Run, two: Repository, ams: Sandbox) -> None:
    """The change can be signed, and what was not looked at is said."""
    file = planned(run, two)
    ams.faults.add(Rule(kind="error_before", method="GET", account=OTHER, status=400))
    told = unchecked(approve(run, two, file))
    assert any(line.startswith("the findings about 1 account that does not change: the AMS was not read (") for line in told), told
