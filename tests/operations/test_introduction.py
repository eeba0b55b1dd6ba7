"""Who brought a value in: the makers of a change that was merged and not applied yet."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from amsctl.model import UNSET, Direction, Leg, Owner
from amsctl.operations.introduction import introducing
from amsctl.operations.record import sources_of
from amsctl.planning.plan import Base, Change, ChangeKind, Plan
from amsctl.provenance.facts import Unknown
from tests.approvals.repository import git
from tests.views.samples import quiet_plan

QUIET = quiet_plan()
PROJECT = """\
apiVersion: amsctl/v1
kind: Project
spec:
  manifests: [accounts]
  environments: {e: {url: "http://127.0.0.1:1/rest/v2"}}
"""
ACCOUNT = """\
apiVersion: amsctl/v1
kind: Account
metadata: {clearingFirm: F, accountNumber: ACC1}
spec:
  status: %s
  executionFirms:
    3N1:
      suspended: %s
      limits:
        AA.FUT.CME: %s
"""


def limits(long: object = 10, status: str = "Active", suspended: str = "false") -> str:
    row = "unset" if long == "unset" else f"{{ef: {{long: {long}}}}}"
    return ACCOUNT % (status, suspended, row)


@pytest.fixture
def branch(tmp_path: Path) -> Path:
    """main, with one commit by root that wants 10."""
    (tmp_path / "accounts").mkdir()
    (tmp_path / "amsctl.yaml").write_text(PROJECT)
    git(tmp_path, "init", "--quiet", "--initial-branch", "main", who="root")
    commit(tmp_path, limits(), "root")
    return tmp_path


def commit(folder: Path, text: str, who: str) -> str:
    (folder / "accounts" / "a.yaml").write_text(text)
    git(folder, "add", ".", who=who)
    git(folder, "commit", "--quiet", "--allow-empty", "-m", f"by {who}", who=who)
    return git(folder, "rev-parse", "HEAD")


def change(**members: object) -> Change:
    made = Change(
        id="c1",
        kind=ChangeKind.LIMIT,
        clearing_firm="F",
        account="ACC1",
        execution_firm="3N1",
        product="AA.FUT.CME",
        owner=Owner.EF,
        leg=Leg.LONG,
        before=10,
        after=12,
        direction=Direction.LOOSEN,
        binding=True,
    )
    return replace(made, **members)  # type: ignore[arg-type]


def made_by(folder: Path, *changes: Change, base: str | None = None) -> list[str]:
    """The addresses of those who brought these changes in, of a plan on the newest commit of main."""
    tip = base or git(folder, "rev-parse", "main")
    listed = tuple(replace(one, id=f"c{number}") for number, one in enumerate(changes, 1))
    plan: Plan = replace(QUIET, changes=listed, origin=replace(QUIET.origin, base=Base(ref="refs/heads/main", commit=tip)))
    found = introducing(plan, sources_of(folder, {}))
    assert not isinstance(found, Unknown), found
    return sorted({one.author.address for one in found})


def test_what_the_base_lacks_was_has_no_maker_before_it(branch: Path) -> None:
    """The makers of the change are those of its own commits alone."""
    assert made_by(branch, change()) == []


def test_a_raise_that_was_merged_and_never_applied_has_its_own_makers(branch: Path) -> None:
    """sam raises, kim's commit comes on top: the plan of kim's commit is sam's raise too."""
    commit(branch, limits(12), "sam")
    commit(branch, limits(12) + "\n", "kim")
    assert made_by(branch, change()) == ["sam@firm.example"]


def test_what_came_after_makes_no_maker(branch: Path) -> None:
    """A later edit of the file does not bring the value in; of two steps that did, the later counts."""
    commit(branch, limits(12), "sam")
    commit(branch, limits(11), "lee")
    commit(branch, limits(12), "jo")
    commit(branch, limits(12) + "# more\n", "kim")
    assert made_by(branch, change()) == ["jo@firm.example"]


def test_a_merge_brings_in_what_its_branch_made(branch: Path) -> None:
    """The step of the branch of record is the merge: the author of each of its commits is a maker."""
    git(branch, "switch", "--quiet", "-c", "request")
    commit(branch, limits(11), "lee")
    commit(branch, limits(12), "sam")
    git(branch, "switch", "--quiet", "main")
    git(branch, "merge", "--quiet", "--no-ff", "-m", "merge", "request", who="kim")
    commit(branch, limits(12) + "\n", "jo")
    assert made_by(branch, change()) == ["kim@firm.example", "lee@firm.example", "sam@firm.example"]


def test_what_was_there_from_the_first_commit_on_is_of_its_author(branch: Path) -> None:
    """There is nothing before it."""
    commit(branch, limits() + "\n", "kim")
    assert made_by(branch, change(before=9, after=10)) == ["root@firm.example"]


@pytest.mark.parametrize(
    ("text", "one"),
    [
        (
            limits(status="Inactive"),
            change(kind=ChangeKind.STATUS, execution_firm=None, product=None, owner=None, leg=None, after="Inactive"),
        ),
        (limits(suspended="true"), change(kind=ChangeKind.SUSPENSION, product=None, owner=None, leg=None, before=False, after=True)),
        (limits("unset"), change(before=10, after=UNSET)),
    ],
)
def test_every_kind_of_change_is_looked_for(branch: Path, text: str, one: Change) -> None:
    """Statuses, suspensions and tombstones as limits."""
    commit(branch, text, "sam")
    commit(branch, text + "\n", "kim")
    assert made_by(branch, one) == ["sam@firm.example"]


def test_manifests_that_cannot_be_read_prove_nothing(branch: Path) -> None:
    """A broken commit in between is passed over on the way back."""
    commit(branch, limits(12), "sam")
    commit(branch, limits("1o"), "lee")
    commit(branch, limits(12) + "\n", "kim")
    assert made_by(branch, change()) == ["sam@firm.example"]
