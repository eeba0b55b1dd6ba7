"""Disks that fail: every file call of a command fails once, one after the other, in four ways (E4). The ledger's own calls have tests of their own."""

from __future__ import annotations

import builtins
import errno
import io
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from amsctl.cli.console import Console
from amsctl.cli.main import main
from amsctl.sandbox.books import spec_book
from amsctl.sandbox.server import Sandbox, serve
from tests.hostile.canaries import AUTH, ENVIRON

ERRORS = {name: getattr(errno, name) for name in ("ENOSPC", "EIO", "EROFS", "EMFILE")}
MOST_CALLS = 60


class Faults:
    """Counts the calls that change files below a folder, and fails the n-th, or all from there on."""

    def __init__(self, folder: Path, *, number: int, code: int, lasting: bool) -> None:
        self.folder, self.number, self.code, self.lasting = str(folder), number, code, lasting
        self.calls: list[str] = []

    @property
    def struck(self) -> bool:
        return len(self.calls) >= self.number

    def step(self, name: str) -> None:
        """One call; OSError when it is its turn."""
        self.calls.append(name)
        if len(self.calls) == self.number or (self.lasting and len(self.calls) > self.number):
            raise OSError(self.code, os.strerror(self.code))

    def concerns(self, place: object) -> bool:
        return isinstance(place, str | Path) and os.path.abspath(place).startswith(self.folder)


class Stream:
    """A file whose writes, flushes and closing are counted. What fails at closing is closed all the same, as with a real one."""

    def __init__(self, stream: Any, faults: Faults) -> None:
        self._stream, self._faults = stream, faults

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, part: Any) -> Any:
        self._faults.step("write")
        return self._stream.write(part)

    def writelines(self, parts: Any) -> None:
        self._faults.step("write")
        self._stream.writelines(parts)

    def flush(self) -> None:
        self._faults.step("flush")
        self._stream.flush()

    def close(self) -> None:
        if self._stream.closed:
            return
        self._stream.close()
        self._faults.step("close")


@contextmanager
def failing(faults: Faults, *, ledger: str = "/.amsctl/") -> Iterator[None]:
    """Inside, the calls of this process on files below the folder are counted and fail. The ledger's are let through."""
    own_open, ours = builtins.open, set[int]()

    def opened(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        writes = set(mode) & set("wxa+")
        if not writes or not (file in ours if isinstance(file, int) else faults.concerns(file) and ledger not in str(file)):
            return own_open(file, mode, *args, **kwargs)
        if not isinstance(file, int):
            faults.step("open")
        return Stream(own_open(file, mode, *args, **kwargs), faults)

    def counted(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def replaced(*args: Any, **kwargs: Any) -> Any:
            if name in {"fsync", "fchmod"} or any(faults.concerns(each) and ledger not in f"{each}/" for each in args):
                faults.step(name)
            return call(*args, **kwargs)

        return replaced

    def made(*args: Any, **kwargs: Any) -> tuple[int, str]:
        faults.step("mkstemp")
        descriptor, name = own_mkstemp(*args, **kwargs)
        ours.add(descriptor)
        return descriptor, name

    own_mkstemp = tempfile.mkstemp
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(builtins, "open", opened)
        patch.setattr(tempfile, "mkstemp", made)
        for name in ("fsync", "fchmod", "replace", "makedirs"):
            patch.setattr(os, name, counted(name, getattr(os, name)))
        yield


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with serve(spec_book()) as served:
        yield served


ACCOUNT = """\
apiVersion: amsctl/v1
kind: Account
metadata: {clearingFirm: GREENTEA_API_CLEARING2, accountNumber: DV10121801A}
spec: {executionFirms: {3N1: {limits: {CJ.FUT.NYMEX: {ef: {long: 300, short: 600}}}}}}
"""


@pytest.fixture
def project(tmp_path: Path, sandbox: Sandbox) -> Path:
    """A repository with one account, whose manifest is not in its canonical form."""
    sandbox.reset()
    (tmp_path / "amsctl.yaml").write_text(
        "apiVersion: amsctl/v1\nkind: Project\nspec:\n  guards: none\n  manifests: [accounts]\n  defaultEnvironment: s\n"
        f"  requests: {{perSecond: unlimited, settleSeconds: 0.05, retries: 0}}\n  environments:\n    s: {{url: '{sandbox.url}', auth: {AUTH}}}\n"
    )
    (tmp_path / "accounts").mkdir()
    (tmp_path / "accounts" / "dv.yaml").write_text(ACCOUNT)
    return tmp_path


def run(folder: Path, *arguments: str) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    code = main(["-C", str(folder), *arguments], console=Console(stdout=out, stderr=err, stdin=io.StringIO(), environ=ENVIRON))
    return code, out.getvalue(), err.getvalue()


def files(folder: Path) -> dict[str, bytes]:
    """Every file below the folder with its content, the ledger's apart."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".amsctl" not in path.parts
    }


def each_failure(
    folder: Path, name: str, lasting: bool, *arguments: str, fresh: Callable[[], None] = lambda: None
) -> Iterator[tuple[int, str, str, Faults]]:
    """What a command gives with its first, second … file call failing, until it has no call left to fail."""
    for number in range(1, MOST_CALLS):
        fresh()
        faults = Faults(folder, number=number, code=ERRORS[name], lasting=lasting)
        with failing(faults):
            code, out, err = run(folder, *arguments)
        assert "Traceback" not in err
        assert "internal error" not in err, err
        if not faults.struck:
            assert number > 1, "nothing was counted"
            return
        yield code, out, err, faults
    raise AssertionError(f"more than {MOST_CALLS} calls")


WAYS = [(name, lasting) for name in ERRORS for lasting in (False, True)]


def told_once(err: str, name: str) -> None:
    """One line that says what failed, and the system's own word for it."""
    errors = [line for line in err.splitlines() if line.startswith("error:")]
    assert len(errors) == 1, err
    assert os.strerror(ERRORS[name]) in errors[0]


@pytest.mark.parametrize(("name", "lasting"), WAYS)
def test_a_plan_file_is_whole_or_as_it_was(project: Path, name: str, lasting: bool) -> None:
    """plan -o over an earlier plan: exit 1, one line, the earlier file to the byte, nothing beside it."""
    target = project / "plan.json"
    target.write_text("an earlier plan")
    before, count = files(project), 0
    for code, _, err, faults in each_failure(project, name, lasting, "plan", "-o", str(target)):
        assert code == 1, faults.calls
        told_once(err, name)
        assert files(project) == before, faults.calls
        count += 1
    assert count >= 5
    assert target.read_text() != "an earlier plan"


@pytest.mark.parametrize(("name", "lasting"), WAYS)
def test_fmt_leaves_whole_files(project: Path, name: str, lasting: bool) -> None:
    """fmt over two files: each is canonical or as it was, never between; exit 1, one line, nothing beside them."""
    names = ("accounts/a.yaml", "accounts/b.yaml")
    (project / "accounts" / "dv.yaml").unlink()

    def fresh() -> None:
        for each in names:
            (project / each).write_text(ACCOUNT.replace("DV10121801A", f"DV{each[9]}").replace("metadata: ", "metadata:    "))

    fresh()
    untidy = {each: (project / each).read_bytes() for each in names}
    assert run(project, "fmt")[0] == 0
    tidy = {each: (project / each).read_bytes() for each in names}
    assert all(tidy[each] != untidy[each] for each in names)
    expected, count = set(files(project)), 0
    for code, _, err, faults in each_failure(project, name, lasting, "fmt", fresh=fresh):
        assert code == 1, faults.calls
        told_once(err, name)
        found = files(project)
        assert set(found) == expected
        assert all(found[each] in (tidy[each], untidy[each]) for each in names)
        count += 1
    assert count >= 10


@pytest.mark.parametrize(("name", "lasting"), WAYS)
def test_init_writes_all_or_nothing(tmp_path: Path, name: str, lasting: bool) -> None:
    """init: exit 1, one line, and not one file of a repository that was not finished."""
    count = 0
    for code, _, err, faults in each_failure(tmp_path, name, lasting, "init", "new"):
        assert code == 1, faults.calls
        told_once(err, name)
        assert files(tmp_path) == {}, faults.calls
        count += 1
    assert count >= 10
    assert (tmp_path / "new" / "amsctl.yaml").is_file()


@pytest.mark.parametrize(("name", "lasting"), WAYS)
def test_an_apply_whose_events_cannot_be_written(project: Path, sandbox: Sandbox, name: str, lasting: bool) -> None:
    """apply --events: before the first write nothing is sent (exit 1); after it no further call is begun, the report is true, and nothing is sent twice."""
    plan, events = project / "plan.json", project / "events.jsonl"
    assert run(project, "plan", "-o", str(plan))[0] == 0

    before_any = after_some = 0
    for code, out, err, faults in each_failure(project, name, lasting, "apply", str(plan), "--events", str(events), fresh=sandbox.reset):
        posts = [entry.body for entry in sandbox.log.calls("POST")]
        assert len(set(posts)) == len(posts)
        row = sandbox.book.row("DV10121801A", "3N1", "CJ.FUT.NYMEX")
        assert row is not None
        assert list(row) == {0: [324, 567, 9000, 2000], 1: [300, 567, 9000, 2000], 2: [300, 600, 9000, 2000]}[len(posts)]
        if not posts:
            assert code == 1
            before_any += 1
        else:
            assert code in {0, 5, 6} if len(posts) == 2 else code in {5, 6}, (code, faults.calls, err)
            after_some += 1
        assert out or err
    assert before_any >= 1
    assert after_some >= 1
