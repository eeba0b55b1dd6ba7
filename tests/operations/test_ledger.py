"""Where a ledger may be: not where a commit brings it, and in a pipeline not where the job takes it away."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from amsctl.errors import ConfigError, LedgerFailed
from amsctl.manifests.project import load_project
from amsctl.operations.ledger import ledger_url, ledger_warning, place_words, project_ledger, tracked
from amsctl.provenance.facts import Unknown

JOB = {"CI": "true"}
JOBS = ({"CI": "true"}, {"GITHUB_ACTIONS": "true"}, {"GITLAB_CI": "true"}, {"CI": "1"}, {"JENKINS_URL": "https://ci.example/"})
NAMED = 'ledger: {url: "${AMS_LEDGER_URL}"}'
LOST = r"the ledger lies below the checkout and would be lost with the job.*hint|.*ephemeral: accepted"

Folder = Callable[..., Path]


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b", *arguments], check=True, capture_output=True)


def write(folder: Path, ledger: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    text = f"apiVersion: amsctl/v1\nkind: Project\nspec:\n  environments: {{sandbox: {{url: http://127.0.0.1:1/x}}}}\n  {ledger}\n"
    (folder / "amsctl.yaml").write_text(text)
    return folder


@pytest.fixture(params=["git", "git, in a subfolder", "no git"])
def checkout(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    """A checkout with a project whose ledger is as said; gives the project's folder."""

    def made(ledger: str = "") -> Path:
        top = tmp_path / "checkout"
        folder = write(top / "limits" / "eu" if "subfolder" in request.param else top, ledger)
        if request.param != "no git":
            git(top, "init", "-q")
        return folder

    return made


def opened(folder: Path, environ: dict[str, str], *, writes: bool = True) -> str:
    """Where the ledger was opened; ConfigError when it may not be."""
    with project_ledger(load_project(folder), environ, writes=writes) as ledger:
        return ledger.place


# --- a pipeline ---


@pytest.mark.parametrize("job", JOBS, ids=str)
def test_a_pipeline_does_not_write_below_its_checkout(checkout: Folder, job: dict[str, str]) -> None:
    """The default file is lost with the job: refused with the two ways out, and nothing is made."""
    folder = checkout()
    with pytest.raises(
        ConfigError, match=r"below the checkout and would be lost with the job.*spec.ledger.url; ledger: {ephemeral: accepted}"
    ):
        opened(folder, job)
    assert not (folder / ".amsctl").exists()


def test_outside_of_a_pipeline_the_default_file_is_used(checkout: Folder) -> None:
    """A person's checkout stays."""
    folder = checkout()
    assert opened(folder, {}) == f"ledger {folder}/.amsctl/ledger.db"
    assert opened(folder, {"CI": "false"}) == f"ledger {folder}/.amsctl/ledger.db"


def test_an_ephemeral_ledger_can_be_accepted(checkout: Folder) -> None:
    """In so many words."""
    folder = checkout("ledger: {ephemeral: accepted}")
    assert opened(folder, JOB) == f"ledger {folder}/.amsctl/ledger.db"


def test_a_pipeline_may_look_below_its_checkout(checkout: Folder) -> None:
    """What adds no record loses none."""
    folder = checkout()
    opened(folder, {})
    assert opened(folder, JOB, writes=False)


def test_a_ledger_outside_of_the_checkout_is_used(checkout: Folder, tmp_path: Path) -> None:
    """In a pipeline as elsewhere."""
    folder = checkout(NAMED)
    assert opened(folder, {**JOB, "AMS_LEDGER_URL": f"sqlite:///{tmp_path}/kept/ledger.db"}) == f"ledger {tmp_path}/kept/ledger.db"


SPELLINGS = {
    "by its path": lambda top, tmp: f"{top}/l.db",
    "through ..": lambda top, tmp: f"{tmp}/other/../{top.name}/l.db",
    "a folder that is not there yet": lambda top, tmp: f"{top}/a/b/c/l.db",
    "through a link outside": lambda top, tmp: f"{tmp}/link/l.db",
    "through links one after the other": lambda top, tmp: f"{tmp}/twice/l.db",
    "the file itself is a link outside": lambda top, tmp: f"{tmp}/file.db",
    "through this process's folder": lambda top, tmp: "/proc/self/cwd/l.db",
    "through this process's root": lambda top, tmp: f"/proc/self/root{top}/l.db",
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_below_the_checkout_is_a_place_not_a_spelling(
    checkout: Folder, tmp_path: Path, spelling: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every name of the same place is refused in a pipeline."""
    folder, top = checkout(NAMED), tmp_path / "checkout"
    (tmp_path / "other").mkdir()
    (tmp_path / "link").symlink_to(top)
    (tmp_path / "twice").symlink_to("link")
    (tmp_path / "file.db").symlink_to(top / "l.db")
    monkeypatch.chdir(top)
    environ = {"AMS_LEDGER_URL": f"sqlite:///{SPELLINGS[spelling](top, tmp_path)}"}
    with pytest.raises(ConfigError, match="below the checkout"):
        ledger_url(load_project(folder), {**environ, **JOB}, writes=True)
    ledger_url(load_project(folder), environ, writes=True)


# --- an address that is missing ---


@pytest.mark.parametrize("environ", [{}, {"AMS_LEDGER_URL": ""}], ids=["missing", "empty"])
def test_a_missing_address_is_the_default_file_and_said(checkout: Folder, environ: dict[str, str]) -> None:
    """Outside of a pipeline; in one, whatever writes is refused with what to set, and what reads says so."""
    project = load_project(checkout(NAMED))
    said: list[str] = []
    url = ledger_url(project, environ, writes=True, tell=said.append)
    assert url.reveal() == f"sqlite:///{project.root}/.amsctl/ledger.db"
    assert said == ["the environment variable AMS_LEDGER_URL is not set: the ledger is the default file, .amsctl/ledger.db"]
    with pytest.raises(ConfigError, match=r"AMS_LEDGER_URL is not set, and the record.*would be lost with the job.*set AMS_LEDGER_URL"):
        ledger_url(project, {**environ, **JOB}, writes=True)
    assert ledger_url(project, {**environ, **JOB}, writes=False) == url


def test_a_missing_address_is_no_acceptance(checkout: Folder) -> None:
    """That a loss is accepted is said of a place, not of a secret that somebody forgot to set."""
    project = load_project(checkout('ledger: {url: "${AMS_LEDGER_URL}", ephemeral: accepted}'))
    with pytest.raises(ConfigError, match="AMS_LEDGER_URL is not set"):
        ledger_url(project, JOB, writes=True)


def test_a_part_of_an_address_is_never_made_up(checkout: Folder) -> None:
    """A password that is missing does not make another ledger of it."""
    project = load_project(checkout('ledger: {url: "postgresql://u:${PASSWORD}@h/d"}'))
    for environ in ({}, {"PASSWORD": ""}):
        with pytest.raises(ConfigError, match="the environment variable PASSWORD is"):
            ledger_url(project, environ, writes=False)


def test_what_only_reads_is_warned(checkout: Folder, tmp_path: Path) -> None:
    """plan, show and drift say beforehand that apply will refuse."""
    assert "below the checkout" in (ledger_warning(load_project(checkout()), JOB) or "")
    named = load_project(checkout(NAMED))
    assert "AMS_LEDGER_URL is not set" in (ledger_warning(named, JOB) or "")
    assert "AMS_LEDGER_URL is not set" in (ledger_warning(named, {}) or "")
    assert ledger_warning(named, {**JOB, "AMS_LEDGER_URL": f"sqlite:///{tmp_path}/l.db"}) is None
    assert ledger_warning(load_project(checkout()), {}) is None


# --- a ledger that a commit brings ---


@pytest.mark.parametrize("name", [".amsctl/ledger.db", ".amsctl/ledger.db-wal", ".amsctl/ledger.db-journal", ".amsctl/LEDGER.DB-shm"])
@pytest.mark.parametrize("state", ["in the index", "committed", "committed, and taken from the index", "committed, and deleted"])
@pytest.mark.parametrize("environ", [{}, JOB], ids=["by hand", "pipeline"])
def test_a_tracked_ledger_is_refused(tmp_path: Path, name: str, state: str, environ: dict[str, str]) -> None:
    """With whatever SQLite reads beside it, in whatever spelling, also where its loss is accepted and where nothing is written."""
    folder = write(tmp_path / "top" / "limits", "ledger: {ephemeral: accepted}")
    top = folder.parent
    git(top, "init", "-q")
    (folder / name).parent.mkdir()
    (folder / name).write_bytes(b"x")
    git(top, "add", "-f", ".")
    if state != "in the index":
        git(top, "commit", "-qm", "x")
    if "taken" in state:
        git(top, "rm", "-q", "--cached", f"limits/{name}")
    if "deleted" in state:
        (folder / name).unlink()
    for writes in (True, False):
        with pytest.raises(ConfigError, match=rf"git tracks the ledger.*limits/{name} in the index or the commit.*git rm --cached"):
            ledger_url(load_project(folder), environ, writes=writes)


def test_a_ledger_that_another_repository_tracks_is_refused(tmp_path: Path) -> None:
    """Not the project's own alone: whose commits write it, writes the record."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "ledger.db").write_bytes(b"x")
    git(other, "init", "-q")
    git(other, "add", ".")
    project = load_project(write(tmp_path / "limits", f'ledger: {{url: "sqlite:///{other}/ledger.db"}}'))
    with pytest.raises(ConfigError, match="git tracks the ledger"):
        ledger_url(project, {}, writes=True)
    git(other, "rm", "-q", "--cached", "ledger.db")
    assert ledger_url(project, {}, writes=True).reveal().endswith("other/ledger.db")


def test_an_ignored_ledger_is_used(tmp_path: Path) -> None:
    """As every project's own is."""
    folder = write(tmp_path)
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "x")
    assert opened(folder, {})
    assert tracked(str(folder), [f"{folder}/amsctl.yaml"]) == "amsctl.yaml"
    assert tracked(str(folder), [f"{folder}/.amsctl/ledger.db"]) is None


def test_a_repository_that_git_does_not_take_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the ledger is tracked cannot be told: it is refused, with git's own reason."""
    folder = write(tmp_path)
    git(tmp_path, "init", "-q")
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    assert isinstance(tracked(str(folder), [f"{folder}/l.db"]), Unknown)
    with pytest.raises(ConfigError, match=r"whether git tracks the ledger is unknown.*(dubious ownership|safe\.directory)"):
        ledger_url(load_project(folder), {}, writes=False)


def test_a_broken_index_is_unknown(tmp_path: Path) -> None:
    """No answer is not "no"."""
    folder = write(tmp_path)
    git(tmp_path, "init", "-q")
    (tmp_path / ".git" / "index").write_bytes(b"broken")
    with pytest.raises(ConfigError, match="whether git tracks the ledger is unknown"):
        ledger_url(load_project(folder), {}, writes=False)


LINKS: dict[str, Callable[[Path, Path], str]] = {
    "the folder": lambda folder, away: _linked(folder / ".amsctl", away, ".amsctl/ledger.db"),
    "the file": lambda folder, away: _linked(folder / "l.db", away / "l.db", "l.db"),
    "a folder above": lambda folder, away: _linked(folder / "a", away, "a/b/c.db"),
    "to nowhere": lambda folder, away: _linked(folder / "a", away / "none", "a/l.db"),
    "within the repository": lambda folder, away: _linked(folder / "a", folder, "a/l.db"),
    "to itself": lambda folder, away: _linked(folder / "a", folder / "a", "a/l.db"),
    "behind a link outside": lambda folder, away: _behind(folder, away),
    "from an absolute path": lambda folder, away: str(folder / _linked(folder / "a", away, "a/l.db")),
}


def _linked(link: Path, target: Path, url: str) -> str:
    link.symlink_to(target)
    return url


def _behind(folder: Path, away: Path) -> str:
    (folder / "a").symlink_to(away)
    (away / "in").symlink_to(folder / "a")
    return f"{away}/in/l.db"


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("environ", [{}, JOB], ids=["by hand", "pipeline"])
def test_a_link_inside_the_repository_is_refused(checkout: Folder, tmp_path: Path, link: str, environ: dict[str, str]) -> None:
    """A commit can make it lead anywhere: refused wherever it leads, and nothing is made there."""
    (tmp_path / "away").mkdir()
    folder = checkout()
    url = LINKS[link](folder, tmp_path / "away")
    write(folder, f'ledger: {{url: "sqlite:///{url}", ephemeral: accepted}}')
    before = sorted(os.listdir(tmp_path / "away"))
    with pytest.raises(ConfigError, match=r"a link inside the repository leads to the ledger.*remove the link"):
        opened(folder, environ)
    assert sorted(os.listdir(tmp_path / "away")) == before


def test_a_link_that_another_repository_tracks_is_refused(tmp_path: Path) -> None:
    """A link of a home folder is the user's own, unless a commit has brought it."""
    home = tmp_path / "home"
    home.mkdir()
    git(home, "init", "-q")
    (home / "data").symlink_to(tmp_path)
    project = load_project(write(tmp_path / "limits", f'ledger: {{url: "sqlite:///{home}/data/l.db"}}'))
    assert ledger_url(project, {}, writes=True)
    git(home, "add", "data")
    with pytest.raises(ConfigError, match="a link inside the repository"):
        ledger_url(project, {}, writes=True)


def test_links_without_end_are_told(tmp_path: Path) -> None:
    """Outside of every repository."""
    (tmp_path / "x").symlink_to("y")
    (tmp_path / "y").symlink_to("x")
    project = load_project(write(tmp_path / "limits", f'ledger: {{url: "sqlite:///{tmp_path}/x/l.db"}}'))
    with pytest.raises(ConfigError, match="links without end"):
        ledger_url(project, {}, writes=True)


def test_a_submodule_is_unknown(tmp_path: Path) -> None:
    """What lies in a submodule is another repository's to bring."""
    inner, outer = tmp_path / "inner", tmp_path / "outer"
    for one in (inner, outer):
        one.mkdir()
        git(one, "init", "-q")
        git(one, "commit", "-q", "--allow-empty", "-m", "x")
    git(outer, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(inner), "sub")
    git(outer, "commit", "-qm", "x")
    project = load_project(write(outer, "ledger: {url: sqlite:///sub/l.db}"))
    with pytest.raises(ConfigError, match=r"unknown.*submodule"):
        ledger_url(project, {}, writes=False)


def test_a_submodule_that_is_not_checked_out_is_tracked(tmp_path: Path) -> None:
    """Where a commit has something else than a folder, it decides what is there."""
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "x")
    commit = subprocess.run(["git", "-C", str(tmp_path), "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    git(tmp_path, "update-index", "--add", "--cacheinfo", f"160000,{commit},sub")
    git(tmp_path, "commit", "-qm", "x")
    project = load_project(write(tmp_path, "ledger: {url: sqlite:///sub/l.db}"))
    with pytest.raises(ConfigError, match=r"git tracks the ledger.*found sub in"):
        ledger_url(project, {}, writes=False)


# --- what is printed ---


def test_a_ledger_says_where_it_is_and_since_when(checkout: Folder) -> None:
    """New, or since its first record."""
    from amsctl.ledger.values import Scope

    folder = checkout()
    with project_ledger(load_project(folder), {}) as ledger:
        assert place_words(ledger) == f"ledger {folder}/.amsctl/ledger.db, new"
        freeze = ledger.freeze(Scope("sandbox", "F"), url="http://127.0.0.1:1/x", reason="r", by="b")
        assert place_words(ledger) == f"ledger {folder}/.amsctl/ledger.db, since {freeze.since}"


def test_no_ledger_is_made_by_looking(checkout: Folder) -> None:
    """The first apply makes it."""
    with pytest.raises(LedgerFailed, match="there is no ledger yet"), project_ledger(load_project(checkout()), {}, create=False):
        pass
