"""Real processes on one ledger, forked from one that has imported everything: contenders for a lock, writers that are killed, makers
of one ledger.

``python -m tests.ledger.processes contend|kill|make NUMBERS…``; the ledger's address is in the environment, the result is one JSON object on standard output.
The witness knows nothing of the ledger: a file that only one can make, and a counter that loses counts when two write it at once.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from amsctl.ams.clock import SystemClock
from amsctl.config import Secret
from amsctl.errors import Locked, LockLost
from amsctl.ledger.holder import this_holder
from amsctl.ledger.store import Ledger, open_ledger
from tests.ledger.samples import SCOPE, URL, intent

VARIABLE = "AMSCTL_TEST_LEDGER"


def opened() -> Ledger:
    return open_ledger(Secret(os.environ[VARIABLE]), clock=SystemClock())


class Witness:
    """Nobody may be here while somebody else is."""

    def __init__(self, folder: Path) -> None:
        self._here = folder / "here"
        self._count = folder / "count"

    def enter(self) -> None:
        while True:
            try:
                descriptor = os.open(self._here, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
                break
            except FileExistsError:
                other = int(self._here.read_text() or "0")
                assert other, "somebody is entering at this moment"
                assert _is_gone(other), f"two writers: {os.getpid()} and {other}"
                self._here.unlink()
        os.write(descriptor, str(os.getpid()).encode())
        os.close(descriptor)
        count = int(self._count.read_text()) if self._count.exists() else 0
        time.sleep(0.0005)
        written = self._count.with_suffix(f".{os.getpid()}")
        written.write_text(str(count + 1))
        written.replace(self._count)

    def leave(self) -> None:
        self._here.unlink()

    @property
    def count(self) -> int:
        return int(self._count.read_text() or "0") if self._count.exists() else 0


def _is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def contend(number: int, rounds: int, folder: Path, seconds: float, chance: random.Random) -> None:
    """So many rounds of: take the lock, be the only one, record, give it back. The first rounds of some end in a stop or a kill."""
    witness = Witness(folder)
    told = Counter[str]()
    with opened() as ledger:
        holder = this_holder({})
        done, patience = 0, 0.01
        while done < rounds:
            run = f"r{number}-{os.getpid()}-{done}"
            try:
                lease = ledger.acquire(SCOPE, url=URL, run=run, holder=holder, seconds=seconds, environment="test")
            except Locked:
                told["refused"] += 1
                patience = min(2 * patience, 0.5)
                time.sleep(chance.uniform(0, patience))
                continue
            patience = 0.01
            if (folder / f"stop{number}").exists():
                (folder / f"stop{number}").unlink()
                told["stopped"] += 1
                os.kill(os.getpid(), signal.SIGSTOP)
            try:
                ledger.append([intent(run, account=f"A{number}", fence=lease.fence)], lease=lease)
            except LockLost:
                told["lost"] += 1
                continue
            witness.enter()
            if (folder / f"kill{number}").exists():
                (folder / f"kill{number}").unlink()
                os.kill(os.getpid(), signal.SIGKILL)
            witness.leave()
            ledger.release(lease)
            done += 1
    (folder / f"told{number}-{os.getpid()}.json").write_text(json.dumps({**told, "rounds": done}))


def run_contenders(processes: int, rounds: int, folder: Path, seconds: float, stops: int, kills: int) -> dict[str, Any]:
    opened().close()
    for number in range(stops):
        (folder / f"stop{number}").touch()
    for number in range(stops, stops + kills):
        (folder / f"kill{number}").touch()
    begun = time.monotonic()
    living = {_forked(contend, number, rounds, folder, seconds, random.Random(number)): number for number in range(processes)}
    failed, killed = 0, 0
    stopped: dict[int, int] = {}
    while living:
        pid, status = os.waitpid(-1, os.WUNTRACED | os.WNOHANG)
        for held, count in list(stopped.items()):
            # It goes on when somebody else has taken the lock over from it and was there.
            if Witness(folder).count > count or stopped.keys() == living.keys():
                del stopped[held]
                os.kill(held, signal.SIGCONT)
        if pid == 0:
            time.sleep(0.005)
            continue
        if os.WIFSTOPPED(status):
            stopped[pid] = Witness(folder).count
            continue
        number = living.pop(pid)
        if os.WIFSIGNALED(status):
            killed += 1
            living[_forked(contend, number, rounds, folder, seconds, random.Random(1000 + number))] = number
        elif status:
            failed += 1
    told = Counter[str]()
    for path in folder.glob("told*.json"):
        told.update(json.loads(path.read_text()))
    return {"failed": failed, "killed": killed, "counted": Witness(folder).count, "seconds": round(time.monotonic() - begun, 1), **told}


def _forked(work: Any, *arguments: Any) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        work(*arguments)
        code = 0
    except BaseException as problem:
        print(f"{type(problem).__name__}: {problem}", file=sys.stderr)
    os._exit(code)


def write(pipe: int) -> None:
    """Appends without end; tells the number and hash of each record that is durable."""
    ledger = opened()
    while True:
        records, _ = ledger.append([intent(f"r{os.getpid()}", f"s{number}") for number in range(random.randint(1, 3))])
        os.write(pipe, f"{records[-1].seq} {records[-1].hash}\n".encode())


def run_killed(rounds: int, chance: random.Random) -> dict[str, Any]:
    lost: list[str] = []
    kept = 0
    for number in range(rounds):
        reading, writing = os.pipe()
        pid = _forked(write, writing)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            # Every fifth is killed while it opens, or soon after; the others when they have told of some.
            told = [pipe.readline() for _ in range(chance.randint(1, 6) if number % 5 else 0)]
            time.sleep(chance.uniform(0, 0.01 if told else 0.1))
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            told += pipe.readlines()
        acknowledged = [line.decode().split() for line in told if line.endswith(b"\n")]
        kept += len(acknowledged)
        with opened() as ledger:
            hashes = {str(record.seq): record.hash for record in ledger.records(after=int(acknowledged[0][0]) - 1 if acknowledged else 0)}
            lost += [seq for seq, digest in acknowledged if hashes.get(seq) != digest]
            if number % 10 == 9 or number == rounds - 1:
                ledger.verify()
            ledger.append([intent("after")])
    return {"rounds": rounds, "acknowledged": kept, "lost": lost}


def make(number: int, go: Path) -> None:
    """Opens a ledger that is not there yet, at the same moment as others, and appends to it."""
    import alembic.command  # so that only the making itself takes time

    assert alembic.command.upgrade
    while not go.exists():
        time.sleep(0.001)
    with opened() as ledger:
        ledger.append([intent(f"r{number}")])


def run_makers(processes: int, folder: Path) -> dict[str, Any]:
    children = [_forked(make, number, folder / "go") for number in range(processes)]
    (folder / "go").touch()
    return {"statuses": [os.waitpid(child, 0)[1] for child in children]}


def main() -> None:
    what, *numbers = sys.argv[1:]
    if what == "contend":
        processes, rounds, folder, seconds, stops, kills = numbers
        told = run_contenders(int(processes), int(rounds), Path(folder), float(seconds), int(stops), int(kills))
    elif what == "make":
        told = run_makers(int(numbers[0]), Path(numbers[1]))
    else:
        told = run_killed(int(numbers[0]), random.Random(int(numbers[1])))
    print(json.dumps(told))


if __name__ == "__main__":
    main()
