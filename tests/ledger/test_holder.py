"""Who is known to be gone, and who only might be."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from amsctl.ledger import holder as module
from amsctl.ledger.holder import is_dead, one_clock, started, this_holder, this_machine
from amsctl.ledger.values import Holder

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="only Linux tells who lives")

FIRST = "pid:[4026531836]"


@pytest.fixture
def child() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)


def of(pid: int) -> Holder:
    return replace(this_holder({}), pid=pid, process_started=started(pid) or "")


def test_this_process_lives() -> None:
    """It is told by user, host, process and machine, and where a pipeline runs, by its address."""
    found = this_holder({"GITLAB_CI": "true", "CI_JOB_URL": "https://ci.example/jobs/7"})
    assert (found.pid, found.run_url) == (os.getpid(), "https://ci.example/jobs/7")
    assert found.process_started.isdigit()
    assert found.machine.endswith(os.readlink("/proc/self/ns/pid"))
    assert not is_dead(found)
    assert this_holder({}).run_url == ""


def test_a_machine_is_not_named_by_its_secret_id() -> None:
    """machine-id(5) asks not to show the id itself."""
    path = Path("/etc/machine-id")
    if path.exists() and path.read_text().strip():
        assert path.read_text().strip() not in this_machine()


def test_a_process_that_ended_is_dead(child: subprocess.Popen[bytes]) -> None:
    """Living, stopped, killed and not yet waited for, gone."""
    holder = of(child.pid)
    assert not is_dead(holder)
    child.send_signal(signal.SIGSTOP)
    assert not is_dead(holder)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert is_dead(holder), "a zombie writes nothing"
    child.communicate()
    assert is_dead(holder)


def test_another_process_of_the_same_number_is_another_one(child: subprocess.Popen[bytes]) -> None:
    """Numbers are used again: the time of the start tells two apart. Without it nobody is called dead."""
    holder = of(child.pid)
    assert is_dead(replace(holder, process_started=str(int(holder.process_started) - 1)))
    assert not is_dead(replace(holder, process_started=""))
    child.kill()
    child.communicate()


def test_a_process_that_proc_hides_is_not_dead(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With hidepid, /proc shows other users nothing: the kernel is asked, and its refusal means that somebody is there."""
    holder = this_holder({})
    monkeypatch.setattr(module, "_PROC", tmp_path)
    assert not is_dead(holder)

    def refused(pid: int, number: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", refused)
    assert not is_dead(holder)


def test_another_machine_is_never_called_dead() -> None:
    """Another host, another container, nothing known: its lease will tell."""
    here = this_holder({})
    gone = replace(here, pid=2**22 - 1, process_started="1")
    assert is_dead(gone)
    for machine in ("", "other.boot/pid:[1]", here.machine.partition("/")[0] + "/pid:[77]"):
        assert not is_dead(replace(gone, machine=machine))


def test_a_machine_that_was_started_again_has_no_holders(monkeypatch: pytest.MonkeyPatch) -> None:
    """Same name, same id, another boot, no containers: dead. Anything less might be a clone, and is not."""
    monkeypatch.setattr(module, "this_machine", lambda: f"id1.boot2/{FIRST}")
    monkeypatch.setattr(module, "host", lambda: "ci-7")
    before = replace(this_holder({}), host="ci-7", machine=f"id1.boot1/{FIRST}")
    assert is_dead(before)
    assert not is_dead(replace(before, host="ci-8"))
    assert not is_dead(replace(before, machine=f"id2.boot1/{FIRST}"))
    assert not is_dead(replace(before, machine=f".boot1/{FIRST}"))
    assert not is_dead(replace(before, machine="id1.boot1/pid:[5]"))
    assert not is_dead(replace(before, machine="id1.boot2/pid:[5]"))
    for here in ("id1.boot2/pid:[5]", f".boot2/{FIRST}"):
        monkeypatch.setattr(module, "this_machine", lambda here=here: here)
        assert not is_dead(replace(before, machine=f"{here.partition('.')[0]}.boot1/{FIRST}"))


def test_where_a_system_tells_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No /proc: a holder without machine, whom nobody calls dead, and leases by the wall clock alone."""
    living = this_holder({})
    monkeypatch.setattr(module, "_PROC", tmp_path)
    this_machine.cache_clear()
    try:
        found = this_holder({})
        assert (found.machine, found.process_started) == ("", "")
        assert not is_dead(found)
        assert not is_dead(living)
        assert not one_clock(found.machine, found.machine)
    finally:
        this_machine.cache_clear()


def test_what_a_machine_may_lack(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No machine id, no time namespaces: less is known, nothing fails. Another time namespace is another clock."""
    boot = tmp_path / "sys/kernel/random/boot_id"
    boot.parent.mkdir(parents=True)
    boot.write_text("b-1\n")
    (tmp_path / "self/ns").mkdir(parents=True)
    (tmp_path / "self/ns/pid").symlink_to(FIRST)
    monkeypatch.setattr(module, "_PROC", tmp_path)
    monkeypatch.setattr(module, "_MACHINE_ID", tmp_path / "none")
    find = this_machine.__wrapped__
    assert find() == f".b-1/{FIRST}"
    (tmp_path / "none").write_text("\n")
    assert find() == f".b-1/{FIRST}"
    (tmp_path / "self/ns/time").symlink_to("time:[4026531834]")
    assert find() == f".b-1/{FIRST}"
    (tmp_path / "self/ns/time").unlink()
    (tmp_path / "self/ns/time").symlink_to("time:[9]")
    assert find() == f".b-1+time:[9]/{FIRST}"
    assert not one_clock(find(), f".b-1/{FIRST}")
    assert one_clock(find(), find())
