"""Many files are read by several processes: the same results in the same order, and a lost process costs nothing but time."""

from __future__ import annotations

import io
import marshal
import os
import pickle
import signal
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from amsctl.config import Project
from amsctl.diagnostics import Diagnostic, Source
from amsctl.errors import ManifestErrors
from amsctl.manifests import apart, reading
from amsctl.manifests.apart import FILES_AT_ONCE, read_apart, work
from amsctl.manifests.documents import FileRead, read_file
from amsctl.manifests.files import ManifestFile
from amsctl.manifests.load import load
from amsctl.manifests.reading import read_files

ACCOUNT = """\
apiVersion: amsctl/v1
kind: Account
metadata: {{clearingFirm: F, accountNumber: A{number}}}
spec:
  executionFirms:
    3N1: {{limits: {{CJ.FUT.NYMEX: {{ef: {{long: {number}, short: 2}}}}}}}}
"""


@pytest.fixture
def files(tmp_path: Path) -> list[ManifestFile]:
    """A few batches of files, some of them wrong in different ways, one not there."""
    found = []
    for number in range(3 * FILES_AT_ONCE + 5):
        path = tmp_path / f"a{number:03}.yaml"
        text = ACCOUNT.format(number=number)
        if number % 7 == 3:
            text = text.replace("long", "lung")
        if number % 11 == 5:
            text += "  executionFirms: [\n"
        if number != 20:
            path.write_text(text)
        found.append(ManifestFile(path.name, str(path), False))
    return found


def one_by_one(files: Sequence[ManifestFile]) -> list[FileRead]:
    return opened(read_file(file) for file in files)


def opened(reads: Iterable[FileRead]) -> list[FileRead]:
    """With each record as the value that it is: ``marshal`` writes equal values in more than one way."""
    return [
        read._replace(accounts=tuple(entry._replace(record=entry.record and marshal.loads(entry.record)) for entry in read.accounts))
        for read in reads
    ]


def project(folder: Path) -> Project:
    return Project(root=str(folder), source=Source("amsctl.yaml", 1, 1))


@pytest.mark.parametrize("count", [1, 2, 3, 9])
def test_processes_give_what_one_gives(files: list[ManifestFile], count: int) -> None:
    """Records, hashes and findings are those of reading one after the other, in the order of the files, whatever the number of processes."""
    assert opened(read_apart(files, count, projects=False)) == one_by_one(files)


def test_a_lost_process_costs_nothing_but_time(files: list[ManifestFile], monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is killed on the way is replaced by reading here."""
    started: list[int] = []
    begin = apart.subprocess.Popen

    def noted(*arguments: object, **options: object) -> object:
        process = begin(*arguments, **options)  # type: ignore[call-overload]
        started.append(process.pid)
        return process

    monkeypatch.setattr(apart.subprocess, "Popen", noted)
    reads = read_apart(files, 3, projects=False)
    first = next(reads)
    os.kill(started[0], signal.SIGKILL)
    assert opened([first, *reads]) == one_by_one(files)


@pytest.mark.parametrize("executable", ["/nowhere/python", "/bin/false"])
def test_an_interpreter_that_does_not_start_is_done_without(
    files: list[ManifestFile], executable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no process can be started, or it ends at once, the files are read here."""
    monkeypatch.setattr(sys, "executable", executable)
    assert opened(read_apart(files, 2, projects=False)) == one_by_one(files)


def test_a_broken_result_is_not_used(files: list[ManifestFile], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes that are no result are taken for a lost process."""
    noise = tmp_path / "noise"
    noise.write_text("#!/bin/sh\necho noise\n")
    noise.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(noise))
    assert opened(read_apart(files, 2, projects=False)) == one_by_one(files)


def test_nothing_is_left_running(files: list[ManifestFile], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever stops reading in the middle leaves no process behind."""
    ended: list[int] = []
    end = apart._Reader.end

    def noted(reader: apart._Reader) -> None:
        process = reader._process
        end(reader)
        assert process is not None
        assert process.poll() is not None
        ended.append(process.pid)

    monkeypatch.setattr(apart._Reader, "end", noted)
    reads = read_apart(files, 3, projects=False)
    next(reads)
    reads.close()  # type: ignore[attr-defined]
    assert len(set(ended)) == 2


def test_the_other_process_writes_one_result_for_each_batch(files: list[ManifestFile]) -> None:
    """What a process is asked is what it answers, batch by batch."""
    requests, results = io.BytesIO(), io.BytesIO()
    pickle.dump(False, requests)
    for batch in (files[:2], files[2:5]):
        pickle.dump([(tuple(file), None) for file in batch], requests)
    requests.seek(0)
    enabled = apart.gc.isenabled()
    try:
        work(requests, results)
    finally:
        if enabled:
            apart.gc.enable()
    results.seek(0)
    assert [opened(pickle.load(results)), opened(pickle.load(results))] == [one_by_one(files[:2]), one_by_one(files[2:5])]


def test_a_whole_load_is_the_same(files: list[ManifestFile], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Findings and their order, then accounts and hash: the same with and without further processes."""
    monkeypatch.setattr(reading, "_cores", lambda: 2)

    def outcome() -> object:
        try:
            desired = load(project(tmp_path))
        except ManifestErrors as error:
            return error.diagnostics
        return (desired.manifests_sha256, list(desired.accounts()))

    for wrong in (True, False):
        if not wrong:
            for file in files:
                Path(file.path).write_text(ACCOUNT.format(number=int(file.shown[1:4])))
        alone = outcome()
        with monkeypatch.context() as patched:
            patched.setattr(reading, "APART_BYTES", 1)
            assert outcome() == alone
        assert isinstance(alone, tuple)
        assert isinstance(alone[0], Diagnostic) if wrong else len(alone[1]) == len(files)


def test_only_much_is_read_apart(files: list[ManifestFile], monkeypatch: pytest.MonkeyPatch) -> None:
    """Little to read, one processor, or an interpreter that cannot be started again: one after the other, here."""
    monkeypatch.setattr(reading, "_cores", lambda: 64)
    assert reading._processes(files) == 1
    monkeypatch.setattr(reading, "APART_BYTES", 2000)
    assert reading._processes(files) == reading.MOST_PROCESSES
    assert reading._processes(files[:1]) == 1
    monkeypatch.setattr(reading, "_cores", lambda: 1)
    assert reading._processes(files) == 1
    assert opened(read_files(files)) == one_by_one(files)
    monkeypatch.setattr(reading, "_cores", lambda: 2)
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert reading._processes(files) == 1
    monkeypatch.setattr(sys, "frozen", False, raising=False)
    monkeypatch.setattr(sys, "executable", "")
    assert reading._processes(files) == 1
    assert reading._cores() == 2


def test_the_processors_of_this_process_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those it may use where that can be asked, all of the machine elsewhere."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 3}, raising=False)
    assert reading._cores() == 2
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    assert reading._cores() == 5
