"""The past by the history of the branch of record, read by real git; and what of it stands behind the ledger."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from amsctl.config import Secret
from amsctl.errors import LedgerFailed
from amsctl.ledger.store import Ledger, open_ledger
from amsctl.model import AccountKey, UnsetMeans
from amsctl.operations import points as points_module
from amsctl.operations.points import Branch, branch_points, past_of
from amsctl.planning.plan import Against, PointSource
from amsctl.planning.points import Known, PointKey
from amsctl.provenance.repository import Repository, find
from tests.ledger.samples import TestClock
from tests.ledger.test_history import sent, told
from tests.views.samples import FIRM, leg

DAY = 86_400
NOW = 1_795_000_000
AMS = "sandbox"
CHANGE = leg("c1", "A1", "3N1/CJ.FUT.NYMEX", "ef.long", 250, 1_250, other=9_999)
EFFECTIVE = PointKey(CHANGE.account_key, CHANGE.row_key, CHANGE.leg)  # type: ignore[arg-type]
PROJECT = "apiVersion: amsctl/v1\nkind: Project\nspec:\n  manifests: [accounts]\n  environments: {x: {url: http://127.0.0.1:1, auth: {type: none}}}\n"
ACCOUNT = """\
apiVersion: amsctl/v1
kind: Account
metadata: {{clearingFirm: "{firm}", accountNumber: A1}}
spec: {{executionFirms: {{3N1: {{limits: {{CJ.FUT.NYMEX: {row}}}}}}}}}
"""


class Book:
    """A limits repository in the subfolder ``limits``; each commit so many days ago."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.git("init", "--quiet", "--initial-branch", "main")
        (folder / "limits" / "accounts").mkdir(parents=True)
        (folder / "limits" / "amsctl.yaml").write_text(PROJECT)

    def git(self, *arguments: str, **environ: str) -> str:
        who = ("-c", "user.name=Jo", "-c", "user.email=jo@example.com", "-c", "commit.gpgsign=false")
        ran = subprocess.run(
            ["git", "-C", str(self.folder), *who, *arguments], check=True, capture_output=True, text=True, env={**os.environ, **environ}
        )
        return ran.stdout.strip()

    def commit(self, days: float, row: object = None, *, firm: str = FIRM, text: str | None = None) -> str:
        place = self.folder / "limits" / "accounts" / "a.yaml"
        if row is not None or text is not None:
            said = row if isinstance(row, str) else f"{{ef: {{long: {row}, short: 5}}}}"
            place.write_text(ACCOUNT.format(firm=firm, row=said) if text is None else text)
        when = f"@{int(NOW - days * DAY)} +0000"
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", "limits", GIT_COMMITTER_DATE=when, GIT_AUTHOR_DATE=when)
        return self.git("rev-parse", "HEAD")

    def branch(self, tip: str = "HEAD") -> Branch:
        repository = find(self.folder / "limits")
        assert isinstance(repository, Repository)
        return Branch(
            repository=repository,
            tip=self.git("rev-parse", tip),
            named=lambda key: AccountKey(FIRM, key.number) if key.firm == "780" else key,
        )

    def point(self) -> tuple[int | None, str]:
        """The point of what both sides let through, and what could not be read."""
        points, problem = branch_points(self.branch(), [CHANGE], now=NOW, days=30, unset_means=UnsetMeans.UNLIMITED)
        assert all(point.source is PointSource.HISTORY for point in points.values())
        return (points[EFFECTIVE].value if EFFECTIVE in points else None), problem


@pytest.fixture
def book(tmp_path: Path) -> Book:
    folder = tmp_path / "repository"
    folder.mkdir()
    return Book(folder)


def test_what_the_branch_said_then(book: Book) -> None:
    """The newest commit that is at least 30 days old, in a project below the top; a firm by its clearing id is the same."""
    book.commit(50, 7)
    book.commit(40, 10, firm="780")
    book.commit(30)
    book.commit(10, 50)
    assert book.point() == (10, "")


def test_a_zero_leads_backwards(book: Book) -> None:
    """Past the commits that say the same, and a commit that holds no project yet."""
    (book.folder / "limits" / "amsctl.yaml").rename(book.folder / "kept")
    book.commit(70)
    (book.folder / "kept").rename(book.folder / "limits" / "amsctl.yaml")
    book.commit(60, 10)
    book.commit(50, 0)
    book.commit(45)
    book.commit(10, 50)
    assert book.point() == (10, "")


def test_a_young_branch_gives_its_first_value(book: Book) -> None:
    book.commit(5, 10)
    book.commit(4, 50)
    assert book.point() == (10, "")


def test_a_row_that_comes_later_gives_its_first_value(book: Book) -> None:
    """The commit of 30 days ago does not have it."""
    book.commit(50, "{cmf: {short: 3}}")
    book.commit(20, 10)
    book.commit(10, 50)
    assert book.point() == (10, "")


def test_a_commit_is_no_older_than_those_before_it(book: Book) -> None:
    """Whoever commits writes the time: 50, dated 40 days ago on top of 10 of yesterday, is not what the branch said then."""
    book.commit(1, 10)
    book.commit(40, 50)
    assert book.point() == (10, "")


def test_a_time_that_no_calendar_has(book: Book) -> None:
    """A commit of the year 10000 and beyond is a new one."""
    book.commit(40, 10)
    book.commit((NOW - 300_000_000_000) / DAY, 50)
    assert book.point() == (10, "")


def test_only_the_branch_itself_counts(book: Book) -> None:
    """What a merged branch said on the way was never what the branch of record said."""
    book.commit(50, 10)
    book.git("switch", "--quiet", "-c", "change")
    book.commit(45, 9_000)
    book.git("switch", "--quiet", "main")
    book.git("merge", "--quiet", "--no-ff", "-m", "merge", "change", GIT_COMMITTER_DATE=f"@{NOW - 5 * DAY} +0000")
    assert book.point() == (10, "")


def test_manifests_that_cannot_be_read_are_told(book: Book) -> None:
    """With the commit and why; what the one before says counts."""
    book.commit(50, 10)
    broken = book.commit(40, text="kind: Account\nkind: Account\n")
    book.commit(10, 50)
    value, problem = book.point()
    assert value == 10
    assert broken[:12] in problem


def test_a_clone_that_lacks_history_is_unknown(book: Book, tmp_path: Path) -> None:
    """Not "no record": plan tells why, apply refuses."""
    book.commit(50, 10)
    book.commit(10, 50)
    shallow = tmp_path / "shallow"
    subprocess.run(["git", "clone", "--quiet", "--depth", "1", f"file://{book.folder}", str(shallow)], check=True)
    branch = Branch(repository=find(shallow / "limits"), tip=book.git("rev-parse", "HEAD"), named=lambda key: key)  # type: ignore[arg-type]
    points, problem = branch_points(branch, [CHANGE], now=NOW, days=30, unset_means=UnsetMeans.UNLIMITED)
    assert points == {}
    assert "the history of the base branch is unknown: " in problem
    past = past_of(days=30, unset_means=UnsetMeans.UNLIMITED, ams=AMS, now=NOW, branch=branch)
    assert past([CHANGE]) == Known(against=Against(days=30, sources=(PointSource.HISTORY,), unread=problem))
    with pytest.raises(LedgerFailed, match="cannot measure"):
        past_of(days=30, unset_means=UnsetMeans.UNLIMITED, ams=AMS, now=NOW, branch=branch, strict=True)([CHANGE])


def test_a_commit_that_is_not_there_is_unknown(book: Book) -> None:
    book.commit(50, 10)
    branch = Branch(repository=book.branch().repository, tip="0" * 40, named=lambda key: key)
    points, problem = branch_points(branch, [CHANGE], now=NOW, days=30, unset_means=UnsetMeans.UNLIMITED)
    assert (points, problem.partition(":")[0]) == ({}, "the history of the base branch is unknown")


# --- one behind the other ---


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    clock = TestClock()
    clock.now = NOW - 40 * DAY
    with open_ledger(Secret(f"sqlite:///{tmp_path}/ledger.db"), clock=clock) as opened:
        yield opened


def test_the_ledger_comes_first_and_the_branch_fills_in(book: Book, ledger: Ledger) -> None:
    """A leg that the ledger names keeps its point; one that it does not name has that of the branch."""
    book.commit(50, 10)
    short = leg("c2", "A1", "3N1/CJ.FUT.NYMEX", "ef.short", 20, 90, other=9_999)
    ledger.append([sent("r1", "s1", [leg("c1", "A1", "3N1/CJ.FUT.NYMEX", "ef.long", 3, 7, other=9)]), told("r1", "s1", "verified")])
    past = past_of(days=30, unset_means=UnsetMeans.UNLIMITED, ams=AMS, now=NOW, ledger=ledger, branch=book.branch())
    known = past([CHANGE, short])
    assert known.against == Against(days=30, sources=(PointSource.LEDGER, PointSource.HISTORY))
    assert known.points[EFFECTIVE][::2] == (7, PointSource.LEDGER)
    assert known.points[PointKey(short.account_key, short.row_key, short.leg)][::2] == (5, PointSource.HISTORY)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("history", "written", "expected"),
    [
        ((50, 10), (3, 50, 49), (10, PointSource.HISTORY)),  # a small cut is a record, and none of 30 days ago
        ((50, 500), (3, 10, 9), (500, PointSource.HISTORY)),  # a return to the value of then is none
        ((5, 10), (3, 50, 49), (10, PointSource.HISTORY)),
        ((5, 50), (3, 10, 9), (10, PointSource.LEDGER)),
        ((50, 10), (35, 50, 49), (49, PointSource.LEDGER)),
        ((50, 10), (3, 10, 90), (90, PointSource.LEDGER)),  # an override let that through
    ],
)
def test_a_young_record_does_not_hide_an_older_one(
    book: Book, tmp_path: Path, history: tuple[float, int], written: tuple[float, int, int], expected: tuple[int, PointSource]
) -> None:
    """Whatever names the leg at the moment counts; of two first values the smaller; what an override let through counts since."""
    book.commit(*history)
    ago, before, after = written
    clock = TestClock()
    clock.now = NOW - ago * DAY
    move = leg("c1", "A1", "3N1/CJ.FUT.NYMEX", "ef.long", before, after, other=9_999)
    call = sent("r1", "s1", [move])
    call = replace(call, body={**call.body, "let_through": ["c1"] if after > before else []})
    with open_ledger(Secret(f"sqlite:///{tmp_path}/young.db"), clock=clock) as ledger:
        ledger.append([call, told("r1", "s1", "verified")])
        past = past_of(days=30, unset_means=UnsetMeans.UNLIMITED, ams=AMS, now=NOW, ledger=ledger, branch=book.branch())
        assert past([CHANGE]).points[EFFECTIVE][:3:2] == expected


OTHERS = "---\napiVersion: amsctl/v1\nkind: Account\nmetadata: {clearingFirm: F, accountNumber: B%d}\nspec: {undeclared: ignore}\n"


def test_a_leg_that_was_not_written_for_a_while(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is looked for before, too, in versions that may be about its account alone; the smaller value counts."""
    other = book.folder / "limits" / "accounts" / "b.yaml"
    book.commit(80, 10)
    for number in range(5):
        other.write_text(OTHERS % number)
        book.commit(70 - number)
    book.commit(35, "{cmf: {short: 3}}")
    for number in range(5):
        other.write_text(OTHERS % (number + 9))
        book.commit(34 - number / 10)
    book.commit(10, 50)
    read = []
    real = points_module.load_project
    monkeypatch.setattr(points_module, "load_project", lambda *given: read.append(given) or real(*given))  # type: ignore[func-returns-value]
    assert book.point() == (10, "")
    assert len(read) <= 6
    book.commit(5, 20)
    assert book.point() == (10, "")


def test_a_leg_that_is_new_has_its_first_value(book: Book) -> None:
    book.commit(50, "{cmf: {short: 3}}")
    book.commit(40, "unset")
    book.commit(38, "{cmf: {short: 3}}")
    book.commit(10, 50)
    assert book.point() == (50, "")


def test_no_days_look_nowhere() -> None:
    assert past_of(days=0, unset_means=UnsetMeans.UNLIMITED, ams=AMS, now=NOW, unread="never read")([CHANGE]) == Known()
