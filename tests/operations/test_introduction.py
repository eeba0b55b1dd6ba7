"""Who brought a value in: the makers of a change that was merged and not applied yet."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from amsctl.model import UNLIMITED, UNSET, Direction, Leg, Owner
from amsctl.operations import introduction
from amsctl.operations.introduction import introducing
from amsctl.operations.record import sources_of
from amsctl.planning.plan import Base, Change, ChangeKind, Plan
from amsctl.provenance.commits import Commit
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


def made_by(folder: Path, *changes: Change, head: str = "main") -> list[str]:
    """Those who brought these changes in, of a plan of a commit on the newest commit of main."""
    found = answer(folder, *changes, head=head)
    assert not isinstance(found, Unknown), found
    return sorted({one.author.address.removesuffix("@firm.example") for one in found})


def answer(folder: Path, *changes: Change, head: str = "main") -> tuple[Commit, ...] | Unknown:
    tip = git(folder, "rev-parse", "main")
    listed = tuple(replace(one, id=f"c{number}") for number, one in enumerate(changes, 1))
    assert QUIET.origin.git is not None
    origin = replace(
        QUIET.origin,
        base=Base(ref="refs/heads/main", commit=tip),
        git=replace(QUIET.origin.git, commit=git(folder, "rev-parse", head)),
    )
    plan: Plan = replace(QUIET, changes=listed, origin=origin)
    return introducing(plan, sources_of(folder, {}))


def test_what_the_base_lacks_was_has_no_maker_before_it(branch: Path) -> None:
    """The makers of the change are those of its own commits alone."""
    assert made_by(branch, change()) == []


def test_a_raise_that_was_merged_and_never_applied_has_its_own_makers(branch: Path) -> None:
    """sam raises, kim's commit comes on top: the plan of kim's commit is sam's raise too."""
    commit(branch, limits(12), "sam")
    commit(branch, limits(12) + "\n", "kim")
    assert made_by(branch, change()) == ["sam"]


def test_what_came_after_makes_no_maker(branch: Path) -> None:
    """A later edit of the file does not bring the value in; of two steps that did, the later counts."""
    commit(branch, limits(12), "sam")
    commit(branch, limits(11), "lee")
    commit(branch, limits(12), "jo")
    commit(branch, limits(12) + "# more\n", "kim")
    assert made_by(branch, change()) == ["jo"]


def test_a_merge_brings_in_what_its_branch_made(branch: Path) -> None:
    """The step of the branch of record is the merge: the author of each of its commits is a maker, and who merged, is none."""
    git(branch, "switch", "--quiet", "-c", "request")
    commit(branch, limits(11), "lee")
    commit(branch, limits(12), "sam")
    git(branch, "switch", "--quiet", "main")
    git(branch, "merge", "--quiet", "--no-ff", "-m", "merge", "request", who="kim")
    commit(branch, limits(12) + "\n", "jo")
    assert made_by(branch, change()) == ["lee", "sam"]


def test_a_merge_that_writes_something_itself_has_a_maker(branch: Path) -> None:
    """kim merges lee's request, and raises by the way."""
    git(branch, "switch", "--quiet", "-c", "request")
    commit(branch, limits(11), "lee")
    git(branch, "switch", "--quiet", "main")
    git(branch, "merge", "--quiet", "--no-ff", "--no-commit", "request", who="kim")
    commit(branch, limits(12), "kim")
    commit(branch, limits(12) + "\n", "jo")
    assert made_by(branch, change()) == ["kim", "lee"]


@pytest.mark.parametrize("more", [False, True])
def test_a_squash_merge_of_the_planned_commit_has_no_maker_of_its_own(more: bool, branch: Path) -> None:
    """jo's commits are those of the change itself; kim, who merged them so, is a maker where the squash holds something else as well."""
    git(branch, "switch", "--quiet", "-c", "request")
    commit(branch, limits(12), "jo")
    git(branch, "switch", "--quiet", "main")
    git(branch, "merge", "--quiet", "--squash", "request", who="kim")
    if more:
        put(branch, "accounts/b.yaml", limits(11).replace("ACC1", "ACC2"))
    commit(branch, limits(12), "kim")
    commit(branch, limits(12) + "\n", "lee")
    assert made_by(branch, change(), head="request") == (["kim"] if more else ["jo"])


def test_a_squash_of_what_another_merged_is_of_that_one(branch: Path) -> None:
    """sam raises in a commit that jo's head has, squashes that into main, and merges the commit itself later: then no range of jo's names sam."""
    git(branch, "switch", "--quiet", "-c", "request")
    commit(branch, limits(12), "sam")
    git(branch, "switch", "--quiet", "-c", "head")
    commit(branch, limits(12), "jo")
    git(branch, "switch", "--quiet", "main")
    git(branch, "merge", "--quiet", "--squash", "request", who="sam")
    git(branch, "commit", "--quiet", "-m", "squash", who="sam")
    git(branch, "merge", "--quiet", "--no-ff", "-m", "merge", "request", who="kim")
    assert made_by(branch, change(), head="head") == ["jo", "sam"]


def test_a_commit_that_the_planned_one_has_is_no_squash_of_it(branch: Path) -> None:
    """sam raises on main; jo's commit on top of it changes nothing, and has the same files."""
    commit(branch, limits(12), "sam")
    git(branch, "switch", "--quiet", "-c", "change")
    commit(branch, limits(12), "jo")
    assert made_by(branch, change(), head="change") == ["sam"]


def test_what_was_there_from_the_first_commit_on_is_of_its_author(branch: Path) -> None:
    """There is nothing before it."""
    commit(branch, limits() + "\n", "kim")
    assert made_by(branch, change(before=9, after=10)) == ["root"]


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
    assert made_by(branch, one) == ["sam"]


def test_manifests_that_cannot_be_read_prove_nothing(branch: Path) -> None:
    """It is not known what lee's commit wanted, so kim's may have brought the value in again."""
    commit(branch, limits(12), "sam")
    commit(branch, limits("1o"), "lee")
    commit(branch, limits(12) + "\n", "kim")
    assert made_by(branch, change()) == ["kim", "sam"]


def put(folder: Path, path: str, text: str) -> None:
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_text(text)


def test_a_commit_that_cannot_be_read_does_not_have_the_value(branch: Path) -> None:
    """kim breaks the very file by mistake; sam mends it, and raises by the way."""
    commit(branch, limits("1o"), "kim")
    commit(branch, limits(12), "sam")
    assert made_by(branch, change()) == ["kim", "sam"]


def test_another_file_that_cannot_be_read_leaves_this_one_clear(branch: Path) -> None:
    """What the account's own file says is known: kim, who broke another, made nothing of it, and neither did lee, who mended that."""
    put(branch, "accounts/b.yaml", "kind: [")
    commit(branch, limits(), "kim")
    commit(branch, limits(12), "sam")
    (branch / "accounts/b.yaml").unlink()
    commit(branch, limits(12), "lee")
    assert made_by(branch, change()) == ["sam"]


def test_the_same_number_at_another_firm_is_another_account(branch: Path) -> None:
    """It had the value before; who raises this one is the maker."""
    put(branch, "accounts/other.yaml", limits(12).replace("clearingFirm: F", "clearingFirm: G"))
    commit(branch, limits(), "kim")
    (branch / "accounts/other.yaml").unlink()
    commit(branch, limits(12), "sam")
    assert made_by(branch, change()) == ["sam"]


def test_a_firm_that_may_be_the_same_is_unclear(branch: Path) -> None:
    """Under its clearing id, which manifests may write instead of its name: who wrote it so may be a maker, and who wrote the name is one."""
    commit(branch, limits(12).replace("clearingFirm: F", 'clearingFirm: "007"'), "kim")
    commit(branch, limits(12), "sam")
    assert made_by(branch, change()) == ["kim", "sam"]


def test_a_firm_by_its_clearing_id(branch: Path) -> None:
    """The manifests write the id, and the plan the name: one account of that number is the one that is meant."""
    by_id = limits(12).replace("clearingFirm: F", 'clearingFirm: "007"')
    commit(branch, by_id.replace("12", "11"), "kim")
    commit(branch, by_id, "sam")
    commit(branch, by_id + "\n", "jo")
    assert made_by(branch, change()) == ["sam"]


def test_one_manifest_that_the_project_names_by_itself(branch: Path) -> None:
    """A file instead of a folder, and one that a search would pass over."""
    put(branch, "amsctl.yaml", PROJECT.replace("[accounts]", "[accounts/a.yaml, accounts/.hidden/b.yaml]"))
    put(branch, "accounts/.hidden/b.yaml", limits(11).replace("ACC1", "ACC2"))
    commit(branch, limits(11), "kim")
    commit(branch, limits(12), "sam")
    commit(branch, limits(12) + "\n", "lee")
    assert made_by(branch, change()) == ["sam"]
    assert made_by(branch, change(account="ACC2", after=11)) == ["kim"]
    put(branch, "amsctl.yaml", PROJECT)
    commit(branch, limits(12), "jo")
    put(branch, "amsctl.yaml", PROJECT.replace("[accounts]", "[accounts, accounts/.hidden/b.yaml]"))
    commit(branch, limits(12), "mallory")
    assert made_by(branch, change(account="ACC2", after=11)) == ["mallory"]


def test_a_project_that_was_moved_is_followed(branch: Path) -> None:
    """sam raises, then kim moves the project into a folder: kim wrote no number."""
    commit(branch, limits(12), "sam")
    (branch / "limits").mkdir()
    git(branch, "mv", "amsctl.yaml", "accounts", "limits/", who="kim")
    git(branch, "commit", "--quiet", "-m", "move", who="kim")
    tip = git(branch, "rev-parse", "main")
    plan = replace(QUIET, changes=(change(),), origin=replace(QUIET.origin, git=None, base=Base(ref="refs/heads/main", commit=tip)))
    found = introducing(plan, sources_of(branch / "limits", {}))
    assert not isinstance(found, Unknown)
    assert [one.author.name for one in found] == ["sam"]


def test_from_before_the_project_there_is_no_value(tmp_path: Path) -> None:
    """A repository that was there before: its first commit made nothing."""
    git(tmp_path, "init", "--quiet", "--initial-branch", "main", who="root")
    put(tmp_path, "accounts/a.yaml", limits(12))
    git(tmp_path, "add", ".", who="root")
    git(tmp_path, "commit", "--quiet", "-m", "no project", who="root")
    put(tmp_path, "amsctl.yaml", PROJECT)
    commit(tmp_path, limits(12), "kim")
    assert made_by(tmp_path, change()) == ["kim"]


def test_manifests_that_the_project_did_not_name_had_no_effect(branch: Path) -> None:
    """kim's draft lay beside the manifests until sam let the project file name it."""
    put(branch, "drafts/b.yaml", limits(12).replace("ACC1", "ACC2"))
    commit(branch, limits(), "kim")
    put(branch, "amsctl.yaml", PROJECT.replace("[accounts]", "[accounts, drafts]"))
    commit(branch, limits(), "sam")
    assert made_by(branch, change(account="ACC2")) == ["sam"]


@pytest.mark.parametrize("where", ["account", "project"])
def test_rows_that_no_manifest_names_are_unset_by_whoever_says_so(where: str, branch: Path) -> None:
    """The row was not named before either, and nothing became of it."""
    nothing = limits().partition("      limits:")[0]
    commit(branch, nothing, "kim")
    if where == "project":
        put(branch, "amsctl.yaml", PROJECT.replace("  environments", "  undeclared: unset\n  environments"))
        commit(branch, nothing, "sam")
    else:
        commit(branch, nothing.replace("  status", "  undeclared: unset\n  status"), "sam")
    assert made_by(branch, change(before=10, after=UNSET)) == ["sam"]


def test_a_row_that_is_given_up_uncovers_what_becomes_of_such_rows(branch: Path) -> None:
    """sam lets rows that no manifest names lose their limits, while all are named; jo then takes one out."""
    unset = limits().replace("  status", "  undeclared: unset\n  status")
    commit(branch, unset, "sam")
    git(branch, "switch", "--quiet", "-c", "tidy")
    commit(branch, unset.partition("      limits:")[0], "jo")
    assert made_by(branch, change(before=10, after=UNSET), head="tidy") == ["sam"]


def test_a_tombstone_beside_the_other_sides_limit(branch: Path) -> None:
    """The plan then says unlimited, the manifest unset: the same, no limit."""
    commit(branch, limits("unset"), "sam")
    commit(branch, limits("unset") + "\n", "kim")
    assert made_by(branch, change(after=UNLIMITED)) == ["sam"]


def test_a_side_that_was_not_ours_to_write(branch: Path) -> None:
    """sam writes the number, which has no effect; kim's project file then takes the side over: both made it."""
    put(branch, "amsctl.yaml", PROJECT + "  ownership: [cmf]\n")
    commit(branch, limits(), "root")
    commit(branch, limits(12), "sam")
    commit(branch, limits(12) + "\n", "lee")
    put(branch, "amsctl.yaml", PROJECT)
    commit(branch, limits(12) + "\n", "kim")
    assert made_by(branch, change()) == ["kim", "sam"]


PROFILE = """\
apiVersion: amsctl/v1
kind: LimitProfile
metadata: {name: %s}
spec:
  limits:
    AA.FUT.CME: %s
"""


def profiles(own: object = None, *names: str) -> str:
    """An account that uses profiles, and may say something of its own."""
    text = limits(own if own is not None else 1)
    head, _, tail = text.partition("      limits:")
    return f"{head}      profiles: [{', '.join(names)}]\n" + (f"      limits:{tail}" if own is not None else "")


def profile(folder: Path, long: object, name: str = "p") -> None:
    put(folder, f"accounts/{name}.yaml", PROFILE % (name, "unset" if long == "unset" else f"{{ef: {{long: {long}}}}}"))


def test_a_profile_whose_number_was_hidden(branch: Path) -> None:
    """kim's account uses it and says the same; sam changes the profile, without effect; jo takes the account's own number away."""
    profile(branch, 10)
    commit(branch, profiles(10, "p"), "kim")
    profile(branch, 12)
    commit(branch, profiles(10, "p"), "sam")
    git(branch, "switch", "--quiet", "-c", "tidy")
    commit(branch, profiles(None, "p"), "jo")
    assert made_by(branch, change(), head="tidy") == ["sam"]
    git(branch, "switch", "--quiet", "main")
    git(branch, "merge", "--quiet", "--ff-only", "tidy")
    commit(branch, profiles(None, "p") + "\n", "lee")
    assert made_by(branch, change()) == ["jo", "sam"]


def test_a_profile_that_was_given_without_effect(branch: Path) -> None:
    """sam writes the profile, kim lets the account use it beside its own number, and jo takes that away: all three."""
    profile(branch, 12)
    commit(branch, limits(), "sam")
    commit(branch, profiles(10, "p"), "kim")
    git(branch, "switch", "--quiet", "-c", "tidy")
    commit(branch, profiles(None, "p"), "jo")
    assert made_by(branch, change(), head="tidy") == ["kim", "sam"]


def test_a_profile_that_the_change_itself_begins_to_use(branch: Path) -> None:
    """The change shows what it brings in: the author of a profile that others use is none of its makers."""
    profile(branch, 12)
    commit(branch, limits(), "sam")
    git(branch, "switch", "--quiet", "-c", "use")
    commit(branch, profiles(None, "p"), "jo")
    assert made_by(branch, change(), head="use") == []


def test_of_two_profiles_the_last_word_counts(branch: Path) -> None:
    """A profile that a later one hides gives nothing."""
    profile(branch, 12, "p")
    commit(branch, profiles(10, "p"), "kim")
    profile(branch, 12, "q")
    commit(branch, profiles(10, "p", "q"), "sam")
    git(branch, "switch", "--quiet", "-c", "tidy")
    commit(branch, profiles(None, "p", "q"), "jo")
    assert made_by(branch, change(), head="tidy") == ["sam"]


def test_a_tombstone_of_a_profile(branch: Path) -> None:
    """As a number of one."""
    profile(branch, "unset")
    commit(branch, profiles(10, "p"), "sam")
    git(branch, "switch", "--quiet", "-c", "tidy")
    commit(branch, profiles(None, "p"), "jo")
    assert made_by(branch, change(after=UNSET), head="tidy") == ["sam"]


def test_versions_of_other_documents_are_not_read(branch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are: the way back reads what the account stands in, again where that changes."""
    commit(branch, limits(12), "sam")
    for number in range(30):
        put(branch, "accounts/b.yaml", limits(number).replace("ACC1", "ACC2"))
        commit(branch, limits(12), "lee")
    monkeypatch.setattr(introduction, "_MOST_VERSIONS", 2)
    assert made_by(branch, change()) == ["sam"]


@pytest.mark.parametrize(("bound", "says"), [("_MOST_VERSIONS", "3 versions of its documents"), ("_MOST_STEPS", "3 commits")])
def test_what_is_too_long_ago_is_unknown(bound: str, says: str, branch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a way out."""
    for number in range(5):
        commit(branch, limits(12) + "\n" * number, "lee")
    monkeypatch.setattr(introduction, bound, 3)
    found = answer(branch, change())
    assert isinstance(found, Unknown)
    assert f"F/ACC1/3N1/AA.FUT.CME ef.long has been there for more than {says}" in found.reason
    assert "merge what the AMS has now, and then the value that is wanted" in found.hint


@pytest.mark.parametrize("how", ["link to the manifests", "link to a file", "link to the project file"])
def test_links_are_asked_again_at_each_commit(how: str, branch: Path) -> None:
    """What they lead to was there before: sam's commit made the link, and with it the change."""
    if how == "link to the project file":
        put(branch, "elsewhere.yaml", PROJECT.replace("[accounts]", "[accounts, drafts]"))
    put(branch, "drafts/a.yaml", limits(12).replace("ACC1", "ACC2"))
    commit(branch, limits(), "kim")
    if how == "link to the manifests":
        (branch / "accounts/a.yaml").rename(branch / "drafts/first.yaml")
        (branch / "accounts").rmdir()
        (branch / "accounts").symlink_to("drafts")
    elif how == "link to a file":
        (branch / "accounts/b.yaml").symlink_to("../drafts/a.yaml")
    else:
        (branch / "amsctl.yaml").unlink()
        (branch / "amsctl.yaml").symlink_to("elsewhere.yaml")
    git(branch, "add", "--all", who="sam")
    git(branch, "commit", "--quiet", "-m", "link", who="sam")
    put(branch, "NOTES.md", "more")
    git(branch, "add", "--all", who="jo")
    git(branch, "commit", "--quiet", "-m", "more", who="jo")
    assert made_by(branch, change(account="ACC2")) == ["sam"]


def lose(folder: Path, name: str) -> None:
    """An object is missing, as in a clone with --filter."""
    number = git(folder, "rev-parse", name)
    (folder / ".git/objects" / number[:2] / number[2:]).unlink()


@pytest.mark.parametrize(("name", "known"), [("main~1", False), ("main~1^{tree}", True), ("main~1:accounts/a.yaml", True)])
def test_a_history_that_is_not_whole(name: str, known: bool, branch: Path) -> None:
    """A commit that is missing leaves the makers unknown. Of one whose files are, it is unclear what it says: who came after may have made it."""
    commit(branch, limits(11), "kim")
    commit(branch, limits(11) + "\n", "lee")
    commit(branch, limits(12), "sam")
    sources = sources_of(branch, {})
    tip = git(branch, "rev-parse", "main")
    plan = replace(QUIET, changes=(change(),), origin=replace(QUIET.origin, git=None, base=Base(ref="refs/heads/main", commit=tip)))
    lose(branch, name)
    found = introducing(plan, sources)
    if not known:
        assert isinstance(found, Unknown)
        assert "is missing in this repository" in found.reason
        assert "fetch the whole history" in found.hint
    else:
        assert not isinstance(found, Unknown)
        assert sorted(one.author.name for one in found) == ["lee", "sam"]


def test_without_a_base_or_a_change_there_is_nothing_to_ask(branch: Path) -> None:
    """No commit is looked at."""
    sources = sources_of(branch, {})
    assert introducing(replace(QUIET, changes=(change(),), origin=replace(QUIET.origin, base=None)), sources) == ()
    assert answer(branch) == ()


def test_a_commit_without_manifests_yet_lacks_everything(tmp_path: Path) -> None:
    """The project file was merged first. One of two folders that is missing says nothing of the other."""
    git(tmp_path, "init", "--quiet", "--initial-branch", "main", who="root")
    put(tmp_path, "amsctl.yaml", PROJECT.replace("[accounts]", "[accounts, more]"))
    git(tmp_path, "add", ".", who="root")
    git(tmp_path, "commit", "--quiet", "-m", "project", who="root")
    (tmp_path / "accounts").mkdir()
    commit(tmp_path, limits(12), "kim")
    put(tmp_path, "more/b.yaml", limits(11).replace("ACC1", "ACC2"))
    commit(tmp_path, limits(12), "sam")
    found = made_by(tmp_path, change(account="ACC2", after=11))
    assert found == ["kim", "sam"]


def test_beside_a_project_file_that_cannot_be_read_the_account_is_clear(branch: Path) -> None:
    """kim breaks it, sam mends it and raises: the account's own number is known."""
    put(branch, "amsctl.yaml", PROJECT + "  guards: [\n")
    commit(branch, limits(), "kim")
    put(branch, "amsctl.yaml", PROJECT)
    commit(branch, limits(12), "sam")
    assert made_by(branch, change()) == ["sam"]


def test_what_hangs_on_a_project_file_that_cannot_be_read_is_unclear(branch: Path) -> None:
    """sam writes the setting into a file that is broken, and kim mends that: rows that no manifest names, and a number that is ours to write or not."""
    nothing = limits().partition("      limits:")[0]
    unset = PROJECT.replace("  environments", "  undeclared: unset\n  environments")
    commit(branch, nothing, "lee")
    put(branch, "amsctl.yaml", unset + "  guards: [\n")
    commit(branch, nothing, "sam")
    put(branch, "amsctl.yaml", unset)
    commit(branch, nothing, "kim")
    assert made_by(branch, change(before=10, after=UNSET)) == ["kim", "sam"]
    commit(branch, limits(12), "jo")
    put(branch, "amsctl.yaml", unset + "  guards: [\n")
    commit(branch, limits(12), "sam")
    put(branch, "amsctl.yaml", unset)
    commit(branch, limits(12), "kim")
    assert made_by(branch, change()) == ["jo", "kim"]


def test_the_head_must_be_readable(branch: Path) -> None:
    """A plan whose own manifests cannot be read has no makers that are known."""
    commit(branch, limits("1o"), "sam")
    assert isinstance(answer(branch, change()), Unknown)


def test_the_head_must_be_there(branch: Path) -> None:
    """A commit that this clone lacks."""
    git(branch, "switch", "--quiet", "-c", "change")
    commit(branch, limits(12), "jo")
    sources = sources_of(branch, {})
    assert QUIET.origin.git is not None
    origin = replace(
        QUIET.origin,
        base=Base(ref="refs/heads/main", commit=git(branch, "rev-parse", "main")),
        git=replace(QUIET.origin.git, commit="0" * 40),
    )
    found = introducing(replace(QUIET, changes=(change(),), origin=origin), sources)
    assert isinstance(found, Unknown)
    assert "is missing in this repository" in found.reason
