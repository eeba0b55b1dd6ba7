"""The branch of record: who names it, who may dispute it, and what of it lacks the change."""

from __future__ import annotations

from pathlib import Path

import pytest

from amsctl.provenance import branch as branch_room
from amsctl.provenance.branch import NamedBy, Record, Wanted, branch_of_record, versions_of
from amsctl.provenance.facts import Unknown
from amsctl.provenance.refs import Resolved
from amsctl.provenance.trees import Tree, tree_of
from tests.provenance.repositories import Repo, reason

PATH = "limits/amsctl.yaml"
ALL = "+refs/heads/*:refs/remotes/origin/*"


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    """main with a project file that says nothing of its branch; a change on a branch of its own."""
    made = Repo(tmp_path / "repo")
    made.commit({PATH: "project\n"})
    made.git("switch", "--quiet", "-c", "change")
    made.commit({"limits/a.yaml": "raise\n"}, who="sam")
    return made


def named_at(repo: Repo) -> branch_room.NamedAt:
    """The project file is one word: the branch that it names; `project` where it names none."""
    repository = repo.repository

    def named(commit: str, path: str) -> str | Unknown | None:
        tree = tree_of(repository, commit)
        assert isinstance(tree, Tree)
        content = tree.file(path)
        if content is None or isinstance(content, Unknown):
            return content
        word = content.decode().strip()
        return Unknown(reason="the project file is broken") if word == "broken" else {"project": "main"}.get(word, word)

    return named


def ask(repo: Repo, **wanted: object) -> Record | Unknown | None:
    at = repo.git("rev-parse", "HEAD")
    return branch_of_record(repo.repository, at, Wanted(**wanted), named_at(repo), PATH)  # type: ignore[arg-type]


def record(repo: Repo, **wanted: object) -> Record:
    found = ask(repo, **wanted)
    assert isinstance(found, Record), found
    return found


def test_the_setting_names_it(repo: Repo) -> None:
    """Origin's branch before the local one; the base is its newest commit, which lacks the change."""
    main = repo.git("rev-parse", "main")
    assert record(repo) == Record(ref="refs/heads/main", tip=main, base=main, named_by=NamedBy.SETTING, merged=False)
    repo.git("update-ref", "refs/remotes/origin/main", "main")
    assert record(repo).ref == "refs/remotes/origin/main"


def test_once_it_is_merged_the_base_lies_before(repo: Repo) -> None:
    """By a merge, or by going forward; later merges change nothing."""
    main = repo.git("rev-parse", "main")
    repo.git("switch", "--quiet", "main")
    repo.git("merge", "--quiet", "--no-ff", "-m", "merge", "change")
    repo.commit({"x": "1"})
    tip = repo.git("rev-parse", "HEAD")
    repo.git("switch", "--quiet", "change")
    assert record(repo) == Record(ref="refs/heads/main", tip=tip, base=main, named_by=NamedBy.SETTING, merged=True)
    repo.git("switch", "--quiet", "main")
    assert record(repo).base == repo.git("rev-parse", "main^")
    repo.git("checkout", "--quiet", main)
    assert record(repo).base is None


def test_a_repository_without_such_a_branch(repo: Repo) -> None:
    """None, where nobody has named one; unknown, where somebody has."""
    repo.git("branch", "--quiet", "-m", "main", "trunk")
    assert ask(repo) is None
    assert "names the branch main, which this clone does not have; git fetch origin main" in reason(ask(repo, written=True))
    assert "the job's event names the branch main, which" in reason(ask(repo, job="main"))
    assert "is not the name of a branch" in reason(ask(repo, job="main~1"))
    assert "no branch or tag main" in reason(ask(repo, option="main"))


def test_the_job_comes_before_the_setting_and_the_option_before_both(repo: Repo) -> None:
    """And what the job does not say clearly is unknown, unless the option says it."""
    for name in ("release", "other"):
        repo.git("branch", name, "main")
        repo.git("switch", "--quiet", name)
        repo.commit({PATH: f"{name}\n"})
    repo.git("switch", "--quiet", "change")
    assert record(repo, job="release", request=True).ref == "refs/heads/release"
    assert record(repo, job="release", request=True).named_by is NamedBy.JOB
    found = record(repo, job="release", request=True, option="other")
    assert (found.ref, found.named_by) == ("refs/heads/other", NamedBy.OPTION)
    assert found.why_not_approvable == "--base names refs/heads/other, and the job is for refs/heads/release"
    unclear = Unknown(reason="the event cannot be read")
    assert ask(repo, job=unclear) is unclear
    assert record(repo, job=unclear, option="main").ref == "refs/heads/main"


def test_a_change_does_not_choose_its_branch(repo: Repo) -> None:
    """It names one of its own, which exists and says the same: main still says so of itself, and the plan is refused, or cannot be approved."""
    repo.commit({PATH: "change\n"}, who="sam")
    said = reason(ask(repo, setting="change", written=True))
    assert "baseBranch names refs/heads/change, and the project file of this history named refs/heads/main" in said
    assert "name the branch that the change is for with --base" in said
    assert "refs/heads/main" in reason(ask(repo, job="change"))
    found = record(repo, option="change")
    assert (found.ref, found.rivals) == ("refs/heads/change", ("refs/heads/main",))
    assert "which still says so of itself" in found.why_not_approvable
    assert record(repo, option="main", setting="change").why_not_approvable == ""
    assert record(repo).ref == "refs/heads/main"


def test_a_change_that_moves_its_project_does_not_either(repo: Repo) -> None:
    """The new place has no history: the usual branch, and that of origin, hold a project file elsewhere."""
    repo.git("branch", "--quiet", "-m", "main", "trunk")
    repo.git("switch", "--quiet", "trunk")
    repo.commit({PATH: "trunk\n"})
    repo.git("update-ref", "refs/remotes/origin/trunk", "trunk")
    repo.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/trunk")
    repo.git("config", "remote.origin.fetch", ALL)
    repo.git("switch", "--quiet", "-c", "moved")
    repo.git("mv", "limits", "prod")
    repo.commit({"prod/amsctl.yaml": "moved\n"}, who="sam")
    at = repo.git("rev-parse", "HEAD")
    found = branch_of_record(repo.repository, at, Wanted(setting="moved", written=True), named_at(repo), "prod/amsctl.yaml")
    assert "named refs/remotes/origin/trunk, which still says so" in reason(found)
    assert "refs/remotes/origin/trunk" in reason(
        branch_of_record(repo.repository, at, Wanted(job="moved"), named_at(repo), "prod/amsctl.yaml")
    )


def test_the_setting_may_be_moved_on_the_branch_of_record(repo: Repo) -> None:
    """Once main says that trunk is the branch of record, it is; or once main is gone."""
    repo.git("switch", "--quiet", "main")
    repo.commit({PATH: "trunk\n"})
    repo.git("branch", "trunk")
    repo.git("switch", "--quiet", "-c", "next")
    repo.commit({"limits/a.yaml": "x\n"})
    assert record(repo, setting="trunk", written=True).ref == "refs/heads/trunk"
    assert "named refs/heads/trunk" in reason(ask(repo))


def test_a_project_of_its_own_branch(repo: Repo) -> None:
    """Another project of the repository keeps its rules on develop: --base, or a request to it, says so."""
    repo.git("switch", "--quiet", "--orphan", "develop")
    repo.commit({"desk/amsctl.yaml": "develop\n"})
    at = repo.commit({"desk/a.yaml": "x\n"})
    repository, named = repo.repository, named_at(repo)
    by_option = branch_of_record(repository, at, Wanted(option="develop"), named, "desk/amsctl.yaml")
    assert isinstance(by_option, Record)
    assert (by_option.why_not_approvable, by_option.rivals) == ("", ())
    by_request = branch_of_record(repository, at, Wanted(job="develop", request=True), named, "desk/amsctl.yaml")
    assert isinstance(by_request, Record)
    assert by_request.ref == "refs/heads/develop"


def test_a_branch_without_a_history_does_not_outdo_the_usual_one(repo: Repo) -> None:
    """Where main holds the same project, --base of an unrelated branch must meet main's rules, too; the forge's own word for a request's base stands."""
    repo.git("switch", "--quiet", "--orphan", "own")
    repo.commit({PATH: "own\n"}, who="sam")
    repo.git("switch", "--quiet", "-c", "more")
    repo.commit({"limits/a.yaml": "x\n"}, who="sam")
    found = record(repo, option="own")
    assert (found.ref, found.rivals) == ("refs/heads/own", ("refs/heads/main",))
    assert "refs/heads/main, which still says so of itself" in found.why_not_approvable
    other = record(repo, option="own", job="main")
    assert (other.rivals, other.why_not_approvable) == (
        ("refs/heads/main",),
        "--base names refs/heads/own, and the job is for refs/heads/main",
    )
    by_forge = record(repo, option="own", job="own", request=True)
    assert (by_forge.rivals, by_forge.why_not_approvable) == ((), "")
    assert record(repo, option=repo.git("rev-parse", "HEAD")).rivals == ("refs/heads/main",)


def test_a_commit_as_base(repo: Repo) -> None:
    """One of the branch that the job or the setting names stands for that branch; any other cannot be approved on."""
    first = repo.git("rev-parse", "main")
    repo.git("switch", "--quiet", "main")
    tip = repo.commit({"x": "1"})
    repo.git("switch", "--quiet", "change")
    found = record(repo, option=first)
    assert (found.ref, found.tip, found.base, found.named_by, found.why_not_approvable) == (
        "refs/heads/main",
        tip,
        tip,
        NamedBy.SETTING,
        "",
    )
    assert record(repo, option=first, job="main").named_by is NamedBy.JOB
    change = repo.git("rev-parse", "HEAD")
    own = record(repo, option=change)
    assert (own.ref, own.tip, own.base, own.merged) == (None, change, first, True)
    assert own.why_not_approvable == f"--base {change} is not a branch, and not a commit of refs/heads/main"
    repo.git("tag", "v1", first)
    assert record(repo, option="v1").ref == "refs/heads/main"
    repo.git("branch", "--quiet", "-m", "main", "trunk")
    assert record(repo, option=first).why_not_approvable == f"--base {first} is not a branch"


@pytest.mark.parametrize("name", ["HEAD", "change~1", "@"])
def test_a_base_that_moves_with_the_checkout(name: str, repo: Repo) -> None:
    """It is no base."""
    assert isinstance(ask(repo, option=name), Unknown)


def test_a_project_file_that_cannot_be_read_makes_no_claim_and_loses_none(repo: Repo) -> None:
    """Which branch it names is unknown: the setting does not count, --base cannot be approved on, a request goes on."""
    repo.git("switch", "--quiet", "main")
    repo.commit({PATH: "broken\n"})
    repo.git("switch", "--quiet", "-c", "mend")
    repo.commit({PATH: "project\n"})
    assert "the project file is broken" in reason(ask(repo))
    assert "the project file is broken" in record(repo, option="main").why_not_approvable
    assert record(repo, job="main", request=True).ref == "refs/heads/main"
    repo.git("branch", "own", "main~1")
    repo.git("switch", "--quiet", "own")
    repo.commit({PATH: "own\n"})
    assert "whether refs/heads/main is the branch of record cannot be told: the project file is broken" in reason(
        ask(repo, setting="own", written=True)
    )


def test_a_shallow_clone_has_no_history_to_dispute_with(repo: Repo, tmp_path: Path) -> None:
    """The setting is not believed, and says what to do."""
    clone = Repo.clone(f"file://{repo.folder}", tmp_path / "clone", "--depth", "1", "--no-single-branch")
    assert "is a shallow clone" in reason(ask(clone))
    assert "fetch-depth: 0" in reason(ask(clone))
    assert "is a shallow clone" in record(clone, option="origin/main").why_not_approvable


def test_the_versions_of_a_file(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every commit that changed it, on any side of a merge; a name with signs is a name; too many are unknown."""
    repo.git("switch", "--quiet", "-c", "side", "main")
    side = repo.commit({PATH: "x\n"})
    repo.git("switch", "--quiet", "main")
    own = repo.commit({PATH: "y\n"})
    repo.git("merge", "--quiet", "-s", "ours", "-m", "merge", "side")
    at = repo.git("rev-parse", "HEAD")
    found = versions_of(repo.repository, at, PATH)
    assert isinstance(found, tuple)
    assert {side, own} <= set(found)
    assert versions_of(repo.repository, at, "limits/*") == ()
    monkeypatch.setattr(branch_room, "_MOST_VERSIONS", 1)
    assert "was changed by more than 1 commits" in reason(versions_of(repo.repository, at, PATH))
    repo.git("update-ref", "refs/heads/lost", at)
    assert isinstance(versions_of(repo.repository, "1" * 40, PATH), Unknown)


def test_a_branch_that_cannot_be_read_is_unknown(repo: Repo) -> None:
    """What of the change it has, and which branches its history named, are not guessed."""
    repo.git("switch", "--quiet", "main")
    first = repo.git("rev-parse", "HEAD")
    lost = repo.commit({"x": "1"})
    repo.commit({"x": "2"})
    repo.git("switch", "--quiet", "change")
    (repo.folder / ".git/objects" / lost[:2] / lost[2:]).unlink()
    assert f"what refs/heads/main has of the change cannot be told: the object {lost} is missing" in reason(
        ask(repo, job="main", request=True)
    )
    assert "rev-list" not in reason(ask(repo))
    assert first


def test_a_branch_whose_project_file_was_away_for_a_while(repo: Repo) -> None:
    """A commit without one names nothing."""
    repo.git("switch", "--quiet", "main")
    repo.git("rm", "--quiet", PATH)
    repo.commit()
    repo.commit({PATH: "project\n"})
    repo.git("switch", "--quiet", "-c", "next")
    repo.commit({"limits/a.yaml": "x\n"})
    assert record(repo).ref == "refs/heads/main"


def test_a_usual_branch_that_cannot_be_read_is_unknown(repo: Repo) -> None:
    """Whether it holds a project file is not known."""
    repo.git("switch", "--quiet", "--orphan", "own")
    at = repo.commit({"own/amsctl.yaml": "own\n"})
    lost = repo.git("rev-parse", "main^{tree}")
    (repo.folder / ".git/objects" / lost[:2] / lost[2:]).unlink()
    found = branch_of_record(repo.repository, at, Wanted(setting="own", written=True), lambda commit, path: "own", "own/amsctl.yaml")
    assert "git says:" in reason(found)


# --- what is not in the clone ---


def clone_of(repo: Repo, folder: Path, *branches: str, at: str = "change") -> Repo:
    """A clone that has these branches and knows of no other; the last is checked out."""
    made = Repo(folder, "-b", "none")
    made.minutes = 1000
    made.git("remote", "add", "origin", str(repo.folder))
    made.git("fetch", "--quiet", "--no-tags", "origin", *(f"+refs/heads/{name}:refs/remotes/origin/{name}" for name in branches))
    made.git("checkout", "--quiet", "--detach", f"origin/{branches[-1]}")
    return made


def given(clone: Repo, name: str) -> None:
    """The remote gives this branch to whoever clones it."""
    clone.git("symbolic-ref", "refs/remotes/origin/HEAD", f"refs/remotes/origin/{name}")


def renamed(repo: Repo) -> None:
    """main is called trunk now, and says so."""
    repo.git("branch", "--quiet", "-m", "main", "trunk")
    repo.git("switch", "--quiet", "trunk")
    repo.commit({PATH: "trunk\n"})


def test_a_default_that_the_clone_lacks_is_no_first_adoption(repo: Repo, tmp_path: Path) -> None:
    """What to do is said: fetch it, or name another one where it is."""
    clone = clone_of(repo, tmp_path / "clone", "change")
    said = reason(ask(clone))
    assert "main is the branch of record where baseBranch names no other, and is not in this clone; git fetch origin main:" in said
    assert "write the branch of record into amsctl.yaml there: baseBranch" in said
    assert "baseBranch names the branch nowhere, which" in reason(ask(clone, setting="nowhere", written=True))


def test_a_name_is_written_for_a_shell(repo: Repo, tmp_path: Path) -> None:
    """What a project file calls a branch is no command."""
    clone = clone_of(repo, tmp_path / "clone", "change")
    assert "git fetch origin 'x;reboot:refs/remotes/origin/x;reboot'" in reason(ask(clone, setting="x;reboot", written=True))


def test_a_renamed_branch_needs_the_word_of_who_gives_it(repo: Repo, tmp_path: Path) -> None:
    """Its history names main, which is nowhere: the forge's default branch, or the HEAD of a remote that is fetched whole, proves that trunk rules."""
    renamed(repo)
    clone = clone_of(repo, tmp_path / "clone", "trunk")
    asked = {"setting": "trunk", "written": True}
    assert "main, the usual branch of record, is not in this clone, and nothing here proves another" in reason(ask(clone, **asked))
    assert record(clone, **asked, default="trunk").ref == "refs/remotes/origin/trunk"
    assert "which the project file of this history names" in reason(ask(clone, option="origin/trunk"))
    assert record(clone, option="origin/trunk", default="trunk").why_not_approvable == ""
    given(clone, "trunk")
    assert record(clone, **asked).ref == "refs/remotes/origin/trunk"
    clone.git("config", "remote.origin.fetch", "+refs/heads/trunk:refs/remotes/origin/trunk")
    assert "main, the usual branch of record" in reason(ask(clone, **asked))


def test_what_is_given_has_to_be_here(repo: Repo, tmp_path: Path) -> None:
    """Its name leads nowhere: whether it has a claim is not known."""
    clone = clone_of(repo, tmp_path / "clone", "main", "change")
    assert "next, the default branch of the forge, is not in this clone" in reason(ask(clone, default="next"))
    given(clone, "next")
    assert "next, the branch that origin gives to whoever clones it, is not in this clone" in reason(ask(clone))
    clone.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/heads/change")  # which gives no branch of the remote
    assert record(clone).ref == "refs/remotes/origin/main"


def test_what_the_given_branch_points_to_has_to_be_here(repo: Repo, tmp_path: Path) -> None:
    """develop is what is cloned, and says that trunk rules."""
    renamed(repo)
    repo.git("branch", "develop")
    repo.git("switch", "--quiet", "--orphan", "own")
    repo.commit({PATH: "own\n"}, who="sam")
    clone = clone_of(repo, tmp_path / "clone", "develop", "own")
    asked = {"setting": "own", "written": True, "default": "develop"}
    assert "trunk, which the project file of develop names as the branch of record, is not in this clone" in reason(ask(clone, **asked))
    clone.git("fetch", "--quiet", "origin", "trunk:refs/remotes/origin/trunk")
    assert "named refs/remotes/origin/trunk, which still says so" in reason(ask(clone, **asked))
    clone.git("checkout", "--quiet", "--detach", "origin/develop")
    assert record(clone, setting="trunk", written=True, default="develop").ref == "refs/remotes/origin/trunk"


def test_every_branch_is_asked_where_nothing_proves_one(repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be anybody's; the forge's word, or main with that of the remote, is proof, so that nobody stops all others with a branch of their own."""
    repo.git("switch", "--quiet", "--orphan", "own")
    repo.commit({PATH: "own\n"}, who="sam")
    repo.git("switch", "--quiet", "--orphan", "empty")
    repo.commit({"README": "x\n"})
    clone = clone_of(repo, tmp_path / "clone", "main", "own", "empty", "change")
    said = reason(ask(clone))
    assert "baseBranch names refs/remotes/origin/main, and refs/remotes/origin/own says of itself that it is the branch of record" in said
    assert "--base; or tell which one origin gives: git remote set-head origin --auto" in said
    with monkeypatch.context() as patched:
        patched.setattr(branch_room, "_MOST_BRANCHES", 3)
        assert "more than 3 branches in this clone; name the branch with --base" in reason(ask(clone))
    assert record(clone, option="origin/main").why_not_approvable == ""
    assert record(clone, default="main").ref == "refs/remotes/origin/main"
    given(clone, "main")
    assert record(clone).ref == "refs/remotes/origin/main"


def test_a_branch_that_cannot_be_asked_is_unknown(repo: Repo, tmp_path: Path) -> None:
    """Whether it has a claim."""
    repo.git("switch", "--quiet", "--orphan", "own")
    repo.commit({PATH: "broken\n"}, who="sam")
    clone = clone_of(repo, tmp_path / "clone", "main", "own", "change")
    assert "whether refs/remotes/origin/own is the branch of record cannot be told: the project file is broken" in reason(ask(clone))


@pytest.mark.parametrize(
    "room", ["stands_alone", "remotes_of", "branch_named", "versions_of", "_projects_of", "_said_by", "_every_claim", "tree_of"]
)
def test_whatever_question_fails_the_answer_is_unknown(room: str, repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Never that nobody else has a claim."""
    repo.git("switch", "--quiet", "--orphan", "develop")
    repo.commit({PATH: "main\n"})
    clone = clone_of(repo, tmp_path / "clone", "main", "develop", "change")
    if room != "_every_claim":
        given(clone, "develop")
    asked = getattr(branch_room, room)
    calls = 0
    for failing in range(20):
        left = iter(range(100))

        def sometimes(*words: object, **named: object) -> object:
            return Unknown(reason="no luck") if next(left) == failing else asked(*words, **named)  # noqa: B023

        with monkeypatch.context() as patched:
            patched.setattr(branch_room, room, sometimes)
            found = ask(clone, setting="main") if room != "tree_of" else branch_room._every_claim(question_of(clone))
        if next(left) <= failing:
            break
        calls += 1
        assert "no luck" in reason(found)
    assert calls > 0


def question_of(repo: Repo) -> branch_room.Question:
    return branch_room.Question(repository=repo.repository, head=repo.git("rev-parse", "HEAD"), named_at=named_at(repo), path=PATH)


def test_git_fails_at_a_list_of_branches(repo: Repo) -> None:
    """None of them is said to have no claim."""
    question = question_of(repo)
    (repo.folder / ".git/packed-refs").write_text("nonsense\n")
    assert isinstance(branch_room._every_claim(question), Unknown)
    assert isinstance(branch_room.undisputed(question, Resolved(ref="refs/heads/own", commit=question.head)), Unknown)


def test_a_job_that_names_no_branch_needs_proof(repo: Repo, tmp_path: Path) -> None:
    """The setting of what is checked out is none; a repository that is alone, --base and the remote's own word are."""
    assert record(repo, pipeline=True).ref == "refs/heads/main"
    clone = clone_of(repo, tmp_path / "clone", "main", "change")
    assert record(clone).ref == "refs/remotes/origin/main"
    assert "the job names no branch, and nothing in this clone proves that refs/remotes/origin/main is" in reason(ask(clone, pipeline=True))
    assert record(clone, pipeline=True, job="main").ref == "refs/remotes/origin/main"
    assert record(clone, pipeline=True, option="origin/main").ref == "refs/remotes/origin/main"
    assert record(clone, pipeline=True, option=clone.git("rev-parse", "origin/main")).ref == "refs/remotes/origin/main"
    given(clone, "main")
    assert record(clone, pipeline=True).ref == "refs/remotes/origin/main"


def test_a_base_of_unknown_history_counts_where_it_is_the_usual_one(repo: Repo, tmp_path: Path) -> None:
    """A shallow clone cannot tell what else was named: main goes on, and cannot be approved on; another branch does not, unless the forge's says so."""
    renamed(repo)
    repo.git("branch", "main", "trunk~1")
    clone = Repo.clone(f"file://{repo.folder}", tmp_path / "clone", "--depth", "1", "--no-single-branch")
    clone.git("symbolic-ref", "--delete", "refs/remotes/origin/HEAD")
    assert "is a shallow clone" in record(clone, option="origin/main").why_not_approvable
    assert "is a shallow clone" in reason(ask(clone, option="origin/trunk"))
    assert "is a shallow clone" in record(clone, option="origin/trunk", default="trunk").why_not_approvable
    clone.git("branch", "develop", "origin/trunk")
    assert "is a shallow clone" in record(clone, option="origin/trunk", default="develop").why_not_approvable


def test_the_history_of_the_change_counts_where_the_branch_has_no_project(repo: Repo, tmp_path: Path) -> None:
    """The change has left the branch of record for main, on which there is nothing yet."""
    renamed(repo)
    repo.git("switch", "--quiet", "-c", "left")
    repo.commit({PATH: "project\n"}, who="sam")
    repo.git("switch", "--quiet", "--orphan", "main")
    repo.commit({"README": "x\n"})
    clone = clone_of(repo, tmp_path / "clone", "main", "left")
    assert "trunk, which the project file of this history names" in reason(ask(clone))
    first = Repo(tmp_path / "first")
    first.commit({"README": "x\n"})
    first.git("switch", "--quiet", "-c", "change")
    first.commit({PATH: "project\n"})
    assert record(clone_of(first, tmp_path / "second", "main", "change")).ref == "refs/remotes/origin/main"
