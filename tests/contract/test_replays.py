"""A saved plan is carried out as it was written, once, against what it was made for; or it is refused."""

from __future__ import annotations

import json
import random
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from amsctl.cli.planning import read_plan
from amsctl.errors import PlanFileError
from amsctl.planning.fingerprint import sha256
from amsctl.sandbox.books import spec_book
from amsctl.sandbox.server import Sandbox, serve
from tests.cli.conftest import Ran, Run
from tests.conftest import CAMPAIGN
from tests.contract.test_plan_and_apply import fault, legs, posts, saved, write
from tests.contract.test_runs import THREE_ROWS, amsctl, applied, outcomes
from tests.contract.test_signals import send
from tests.hostile.canaries import AUTH
from tests.order import at_call, happens

EDITS = 600 if CAMPAIGN == 1 else 2000 * CAMPAIGN
BEFORE = (324, 567, 9000, 2000)


def edits(content: bytes, count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Edits of one byte: another one (one bit or any), one more, one less, or two neighbours that change places."""
    chance = random.Random(seed)
    made = 0
    while made < count:
        at = chance.randrange(len(content))
        kind = chance.choice(("flip", "other", "insert", "again", "delete", "swap"))
        byte = content[at : at + 1]
        match kind:
            case "flip":
                byte = bytes([byte[0] ^ (1 << chance.randrange(8))])
            case "other":
                byte = bytes([chance.choice(b'0123456789 \n\t\r",:{}[]aeEfnstux\\/-+.\x00\x7f\xc3')])
            case "insert":
                byte = bytes([chance.choice(b'0123456789 \n\t\r",:{}[]aeEfnstux\\/-+.\x00\x7f\xc3')]) + byte
            case "again":
                byte += byte
            case "delete":
                byte = b""
            case "swap":
                byte = content[at + 1 : at + 2] + byte
        edited = content[:at] + byte + content[at + 1 + (kind == "swap") :]
        if edited != content:
            made += 1
            yield f"{kind} at {at}", edited


def test_every_edit_of_one_byte_is_refused(project: Path, run: Run) -> None:
    """Of a plan with several rows, findings and steps: whatever byte it is, and whether or not it still is JSON."""
    write(project, THREE_ROWS)
    path = saved(project, run)
    content = path.read_bytes()
    read_plan(str(path))
    accepted = []
    for what, edited in edits(content, EDITS, 1):
        path.write_bytes(edited)
        try:
            read_plan(str(path))
        except PlanFileError:
            continue
        accepted.append((what, edited))
    assert accepted == []


def test_an_edited_file_is_refused_at_the_command_line(project: Path, sandbox: Sandbox, run: Run) -> None:
    """1, in words, nothing sent; the file as it was is still good."""
    write(project, THREE_ROWS)
    path = saved(project, run)
    content = path.read_bytes()
    asked = len(sandbox.log)
    for what, edited in edits(content, 60, 2):
        path.write_bytes(edited)
        ran = amsctl(run, project, "apply", str(path))
        assert ran.code == 1, (what, ran)
        assert ran.err.startswith("error: "), (what, ran)
        assert "internal error" not in ran.err, (what, ran)
    assert len(sandbox.log) == asked
    path.write_bytes(content)
    assert applied(run, project, path).code == 0


# --- somewhere else, as somebody else, too late ---


def _other_environment(project: Path) -> tuple[str, ...]:
    _change(project, "    sandbox:", "    other: {url: 'http://127.0.0.1:1/rest/v2', auth: {type: none}}\n    sandbox:")
    return ("-e", "other")


def _renamed_environment(project: Path) -> tuple[str, ...]:
    _change(project, "sandbox", "elsewhere")
    return ()


def _other_principal(project: Path) -> tuple[str, ...]:
    _change(project, f"auth: {AUTH}", "auth: {type: basic, clientId: API_OTHER, clientSecret: x}")
    return ()


def _other_ownership(project: Path) -> tuple[str, ...]:
    _change(project, "manifests: [accounts]", "manifests: [accounts]\n  ownership: [ef]")
    return ()


def _value_changed(project: Path) -> None:
    manifest = project / "accounts" / "dv.yaml"
    manifest.write_text(manifest.read_text().replace("600", "601"))


def _account_added(project: Path) -> None:
    write(project, "status: Active", name="more.yaml")
    manifest = project / "accounts" / "more.yaml"
    manifest.write_text(manifest.read_text().replace("DV10121801A", "DV101218B"))


def _change(project: Path, old: str, new: str) -> None:
    config = project / "amsctl.yaml"
    assert old in config.read_text()
    config.write_text(config.read_text().replace(old, new))


@pytest.mark.parametrize("move", [_other_environment, _renamed_environment, _other_principal, _other_ownership])
def test_elsewhere_or_otherwise(project: Path, sandbox: Sandbox, run: Run, move: Callable[[Path], tuple[str, ...]]) -> None:
    """4 (1 where its environment is no longer there), and nothing is even asked of the AMS."""
    write(project)
    path = saved(project, run)
    options = move(project)
    asked = len(sandbox.log)
    ran = run("-C", str(project), *options, "apply", str(path))
    assert ran.code == (1 if move is _renamed_environment else 4), ran
    assert len(sandbox.log) == asked
    assert legs(sandbox) == BEFORE


@pytest.mark.parametrize("move", [_value_changed, _account_added])
def test_other_manifests(project: Path, sandbox: Sandbox, run: Run, move: Callable[[Path], None]) -> None:
    """4, and nothing is written: manifests that are of no commit must give the plan as they are now, account by account."""
    write(project)
    path = saved(project, run)
    move(project)
    assert applied(run, project, path).code == 4
    assert sandbox.log.calls("POST") == []


def test_a_plan_is_bound_to_what_its_manifests_say(project: Path, sandbox: Sandbox, run: Run) -> None:
    """Other bytes that say the same of its accounts give the same plan: it is applied."""
    write(project)
    path = saved(project, run)
    manifest = project / "accounts" / "dv.yaml"
    manifest.write_text(manifest.read_text() + "# reviewed\n")
    assert applied(run, project, path).code == 0
    assert legs(sandbox) == (300, 600, 9000, 2000)


def test_another_ams_under_the_same_name(project: Path, sandbox: Sandbox, run: Run) -> None:
    """The same firm, account and values at another address: 4, nothing asked."""
    write(project)
    path = saved(project, run)
    with serve(spec_book()) as other:
        _change(project, sandbox.url, other.url)
        ran = applied(run, project, path)
        assert ran.code == 4
        assert len(other.log) == 0


def test_another_firm(project: Path, sandbox: Sandbox, run: Run) -> None:
    """A plan that somebody has rewritten for another firm, digest and all, fits neither the manifests' account nor what the AMS holds."""
    write(project)
    path = saved(project, run)
    plan = json.loads(path.read_text().replace("GREENTEA_API_CLEARING2", "GREENTEA_API_CLEARING1"))
    del plan["digest"]
    path.write_text(json.dumps({**plan, "digest": "sha256:" + sha256(plan)}))
    ran = applied(run, project, path)
    assert ran.code in (1, 4), ran
    assert posts(sandbox) == []


def test_after_it_has_expired(project: Path, sandbox: Sandbox, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """4, on the second; a resume of it as well."""
    from amsctl.ams.clock import SystemClock

    write(project)
    path = saved(project, run)
    fault(sandbox, kind="error_before", method="POST", status=400, nth=2, body='{"errorType": "400", "error": "Bad Request"}')
    assert applied(run, project, path).code == 5
    before = len(posts(sandbox))
    wall = SystemClock.wall
    monkeypatch.setattr(SystemClock, "wall", lambda self: wall(self) + 24 * 3600)
    for arguments in (("apply", str(path)), ("resume",)):
        ran = amsctl(run, project, *arguments)
        assert ran.code == 4
        assert "expired" in ran.err
    assert len(posts(sandbox)) == before


# --- twice ---


def put_back(sandbox: Sandbox) -> None:
    """Somebody has made every value what it was before the plan."""
    sandbox.book.put("DV10121801A", "3N1", "CJ.FUT.NYMEX", BEFORE)


def refused(ran: Ran) -> bool:
    return ran.code == 4 and "carried out already" in ran.err


@pytest.mark.parametrize("restored", [False, True])
def test_a_second_time(project: Path, sandbox: Sandbox, run: Run, restored: bool) -> None:
    """Under its own name, under another one, and as a JSON writer would write it anew: 4, values put back or not."""
    write(project)
    path = saved(project, run)
    assert applied(run, project, path).code == 0
    before = len(posts(sandbox))
    if restored:
        put_back(sandbox)
    copy, anew = project / "copy.json", project / "anew.json"
    copy.write_bytes(path.read_bytes())
    anew.write_text(json.dumps(json.loads(path.read_text()), indent=2))
    for file in (path, copy, anew):
        assert refused(applied(run, project, file))
    assert len(posts(sandbox)) == before


@pytest.mark.parametrize("restored", [False, True])
def test_the_plan_of_a_run_that_was_resumed(project: Path, sandbox: Sandbox, run: Run, draining: threading.Event, restored: bool) -> None:
    """Half of it by the first run, the rest by its resume: used up all the same."""
    write(project)
    path = saved(project, run)

    def stop() -> None:
        send(signal.SIGTERM)
        happens(draining)

    with at_call(sandbox, stop):
        assert applied(run, project, path).code == 143
    assert refused(applied(run, project, path))
    resumed = amsctl(run, project, "resume", "--format", "json")
    assert (resumed.code, outcomes(resumed)) == (0, ["skipped", "verified"])
    before = len(posts(sandbox))
    if restored:
        put_back(sandbox)
    assert refused(applied(run, project, path))
    again = amsctl(run, project, "resume")
    assert (again.code, len(posts(sandbox))) == (0, before)
    assert "nothing is left" in again.err
