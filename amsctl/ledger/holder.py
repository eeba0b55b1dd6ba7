"""Who holds a lock, and whether that holder is known to be gone. Standard library only; what a system does not tell stays empty."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

from amsctl.ledger.values import Holder
from amsctl.provenance.people import host, user
from amsctl.provenance.pipeline import pipeline_of

_FIRST_PROCESSES: Final = "pid:[4026531836]"
_FIRST_TIME: Final = "time:[4026531834]"
"""The namespaces that Linux itself starts in (``include/linux/proc_ns.h``): whoever is in them is in no container."""
_PROC: Final = Path("/proc")
_MACHINE_ID: Final = Path("/etc/machine-id")


def this_holder(environ: Mapping[str, str]) -> Holder:
    """This process, as it will be shown to others."""
    pipeline = pipeline_of(environ)
    pid = os.getpid()
    return Holder(
        user=user(),
        host=host(),
        pid=pid,
        process_started=started(pid) or "",
        machine=this_machine(),
        run_url="" if pipeline is None else pipeline.run_url,
    )


@cache
def this_machine() -> str:
    """``MACHINE.BOOT/PROCESSES`` of where this process runs; empty where the system does not tell (anything but Linux)."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        processes = os.readlink(_PROC / "self/ns/pid")
    except OSError:
        return ""
    return f"{_machine_id()}.{boot}{_time_namespace()}/{processes}"


def _machine_id() -> str:
    """A digest of the machine's id, which is not to be shown itself (machine-id(5)); empty where there is none."""
    try:
        text = _MACHINE_ID.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
    return hashlib.sha256(f"amsctl ledger {text}".encode()).hexdigest()[:16] if text else ""


def _time_namespace() -> str:
    """Empty for the usual one: in another one the monotonic clock is another one, too."""
    try:
        name = os.readlink(_PROC / "self/ns/time")
    except OSError:
        return ""
    return "" if name == _FIRST_TIME else f"+{name}"


def one_clock(machine: str, other: str) -> bool:
    """Whether monotonic times of two processes can be compared: both ran on the same machine since the same start of it."""
    return bool(machine) and machine.partition("/")[0] == other.partition("/")[0]


def is_dead(holder: Holder) -> bool:
    """Whether a holder is known to be gone. ``False`` when in doubt: its lease will tell."""
    here = this_machine()
    if not here or not holder.machine:
        return False
    if holder.machine == here:
        return _is_gone(holder.pid, holder.process_started)
    return _was_restarted(holder, here)


def _is_gone(pid: int, since: str) -> bool:
    found = started(pid)
    if found is not None:
        return bool(since) and found != since
    # Nothing to read there: gone, a zombie, or another user's process that /proc hides (hidepid). Only the kernel's word counts.
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return _is_zombie(pid)


def _was_restarted(holder: Holder, here: str) -> bool:
    """Whether the holder ran on this very machine before it was started again.

    A name alone is no proof: two containers, or two clones, can share it. So the machine's id must be the same, too, and both outside of containers.
    """
    ours, theirs = here.partition("."), holder.machine.partition(".")
    return (
        holder.host == host()
        and bool(ours[0])
        and ours[0] == theirs[0]
        and not one_clock(here, holder.machine)
        and here.endswith(f"/{_FIRST_PROCESSES}")
        and holder.machine.endswith(f"/{_FIRST_PROCESSES}")
    )


def _stat(pid: int) -> list[str]:
    """The fields of ``/proc/PID/stat`` from the state on (proc(5)); empty when it cannot be read."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return []
    return text.rpartition(")")[2].split()  # a program's name may hold blanks and brackets


def _is_zombie(pid: int) -> bool:
    return _stat(pid)[:1] in (["Z"], ["X"])


def started(pid: int) -> str | None:
    """When a living process was started, in ticks since the machine was; ``None`` when it is not there, dead, or not to be seen."""
    fields = _stat(pid)
    if len(fields) < 20 or fields[0] in {"Z", "X"}:
        return None
    return fields[19]
