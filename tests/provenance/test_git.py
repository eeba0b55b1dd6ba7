"""The one place that runs git: which git, with what environment; an answer is whole, or Unknown with git's reason."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from amsctl.errors import ConfigError
from amsctl.objectids import blob_ids, object_id
from amsctl.provenance import git as git_room
from amsctl.provenance.facts import Unknown, known
from amsctl.provenance.git import Git, Objects, environment, program
from amsctl.provenance.repository import Repository, find
from tests.provenance.repositories import Canary, Repo, found, reason


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    made = Repo(tmp_path / "repo")
    made.commit({"a": "one\n", "b": "two\n"})
    return made


def wrapper(folder: Path, script: str) -> str:
    """A git of the machine's own that does something else; the PATH that finds it first."""
    folder.mkdir()
    real = next(path for entry in os.environ["PATH"].split(os.pathsep) if os.access(path := f"{entry}/git", os.X_OK))
    (folder / "git").write_text(f"#!/bin/sh\n{script.format(git=real)}\n")
    (folder / "git").chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


def with_seconds(repository: Repository, seconds: float) -> Repository:
    git = replace(repository.git, seconds=seconds)
    return replace(repository, git=git, objects=Objects(git))


# --- which git ---


def test_git_is_never_one_of_the_repository(repo: Repo, tmp_path: Path) -> None:
    """Folders of PATH that are relative, empty, in the repository, or lead into it; and a link outside of it to a program in it."""
    canary = Canary(tmp_path / "canary")
    canary.make(repo.folder / "bin" / "git")
    canary.make(repo.folder / "git")
    (tmp_path / "link").symlink_to(repo.folder / "bin")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "git").symlink_to(repo.folder / "bin" / "git")
    ours = [".", "", "bin", str(repo.folder), str(repo.folder / "bin"), str(tmp_path / "link"), str(tmp_path / "outside")]
    path = os.pathsep.join([*ours, os.environ["PATH"]])
    repository = found(repo.folder, {"PATH": path})
    assert not repository.git.program.startswith(str(tmp_path))
    assert canary.ran == ""
    kept = repository.git.environ["PATH"].split(os.pathsep)
    assert set(kept) & set(ours) == {str(tmp_path / "outside")}
    alone = find(repo.folder, {"PATH": os.pathsep.join(ours)})
    assert "no git on PATH outside of the repository; install git" in reason(alone)


def test_a_program_that_cannot_be_started_is_told(repo: Repo, tmp_path: Path) -> None:
    """Not taken for a repository without commits."""
    path = wrapper(tmp_path / "bin", "")
    (tmp_path / "bin" / "git").write_text("#!/nonexistent/interpreter\n")
    assert "cannot be run: No such file or directory" in reason(find(repo.folder, {"PATH": path}))
    broken = Objects(Git(program=str(tmp_path / "none"), top=str(repo.folder), environ={}))
    assert "cannot be run" in reason(broken.object("0" * 40))


def test_the_environment_is_built_from_nothing(tmp_path: Path) -> None:
    """Nothing of the caller's but where its own settings lie, and those not where they lie in the repository."""
    top, home = tmp_path / "repo", tmp_path / "home"
    given = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(top / "config"),
        "GIT_DIR": "/x",
        "GIT_CONFIG_COUNT": "1",
        "GIT_SSH_COMMAND": "x",
        "GIT_EXEC_PATH": "/x",
        "GIT_TRACE2_EVENT": "/x",
        "GIT_TEST_ASSUME_DIFFERENT_OWNER": "1",
        "AMS_API_SECRET": "x",
        "LD_PRELOAD": "x",
    }
    made = environment(given, str(top))
    assert made == {
        "PATH": "/usr/bin:/bin",
        "HOME": str(home),
        "GIT_TEST_ASSUME_DIFFERENT_OWNER": "1",
        "GIT_CEILING_DIRECTORIES": str(tmp_path),
        "GIT_ALLOW_PROTOCOL": "none",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_GRAFT_FILE": "/dev/null",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_PAGER": "cat",
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C",
    }
    assert "HOME" not in environment({"HOME": "relative"}, str(top))
    assert "HOME" not in environment({"HOME": str(top)}, str(top))
    assert "GIT_TEST_ASSUME_DIFFERENT_OWNER" not in environment({}, str(top))


def test_a_program_is_looked_for_where_the_system_has_them(tmp_path: Path) -> None:
    """Without PATH, in the usual folders."""
    assert isinstance(program({}, str(tmp_path)), str)


# --- answers ---


def test_the_reason_of_git_is_kept(repo: Repo) -> None:
    """Whatever fails says why, on one line; a password in an address is not shown."""
    git = repo.repository.git
    assert reason(git.ask("rev-parse", "--verify", "nope")).startswith("git says: Needed a single revision")
    assert "ended with 1" in reason(git.ask("rev-parse", "--verify", "--quiet", "nope"))
    assert git.ask("rev-parse", "--verify", "--quiet", "nope", none=1) is None
    assert git.ask("rev-parse", "--is-inside-work-tree") == b"true\n"
    told = git_room._reason(["fatal: cannot read https://jo:secret@host/x"], "")
    assert told.reason == "git says: cannot read https://•••@host/x"


def test_an_answer_with_a_complaint_is_none(repo: Repo) -> None:
    """A ref that git passes over with a warning and exit code 0 may be the one that was asked for."""
    (repo.folder / ".git/refs/heads/broken").write_text("not an id\n")
    assert "ignoring broken ref refs/heads/broken" in reason(repo.repository.git.ask("for-each-ref"))


def test_a_late_git_is_unknown_and_ended(repo: Repo, tmp_path: Path) -> None:
    """With what it has started: a time-out is no answer. Also one that closes its output and stays."""
    os.mkfifo(tmp_path / "held")
    held = os.open(tmp_path / "held", os.O_RDONLY | os.O_NONBLOCK)
    only_then = 'case "$*" in *--show-object-format*) exec {git} "$@";; esac; '
    slow = wrapper(tmp_path / "bin", f"{only_then} exec 3> '{tmp_path / 'held'}'; sleep 600; true")
    repository = with_seconds(found(repo.folder, {"PATH": slow}), 0.3)
    assert "gave no answer within 0.3 seconds" in reason(repository.git.ask("for-each-ref"))
    os.set_blocking(held, True)
    assert os.read(held, 1) == b""  # whatever held the other end is gone
    os.close(held)
    assert "git cat-file gave no answer within 0.3 seconds" in reason(repository.objects.object("0" * 40))
    closing = wrapper(tmp_path / "closing", "exec >&- 2>&-; sleep 600")
    assert "gave no answer" in reason(
        with_seconds(replace(repository, git=replace(repository.git, program=closing.split(":")[0] + "/git")), 0.3).git.ask("x")
    )


def test_an_answer_that_is_too_long_is_unknown(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    """Never the first part of it."""
    git = repo.repository.git
    monkeypatch.setattr(git_room, "MOST_BYTES", 20)
    assert "git for-each-ref answers more than 20 bytes" in reason(git.ask("for-each-ref"))


def test_unknown_has_no_truth_value() -> None:
    """`if answer` would take what is unknown for no."""
    unknown = Unknown(reason="r", hint="h")
    with pytest.raises(TypeError):
        bool(unknown)
    assert unknown.because("w") == Unknown(reason="w: r", hint="h")
    with pytest.raises(ConfigError, match=r"what \(place\): found r; h"):
        known(unknown, "what", where="place")
    assert known(3, "what") == 3


# --- objects ---


def test_objects_are_read_many_at_a_time(repo: Repo) -> None:
    """In the order asked, each of its type; what is missing is Unknown by name, and those after it are read."""
    contents = [f"{number}\n".encode() * number for number in range(200)]
    ids = [repo.object("blob", content) for content in contents]
    objects = repo.repository.objects
    assert list(objects.read_all(ids, type="blob")) == contents
    missing = "1" * 40
    first, second, third = objects.read_all([ids[3], missing, ids[4]], type="blob")
    assert (first, third) == (contents[3], contents[4])
    assert f"the object {missing} is missing" in reason(second)
    assert "fetch-depth: 0" in reason(second)
    assert "is a blob, not a commit" in reason(objects.read(ids[3], type="commit"))
    objects.close()
    assert objects.read(ids[5], type="blob") == contents[5]


def test_what_is_no_id_is_not_asked_for(repo: Repo) -> None:
    """Git would take it for the language of revisions."""
    objects = repo.repository.objects
    for name in ("HEAD", ":/change", "--batch", "0" * 39, "G" * 40, "0" * 40 + "\n", ""):
        assert "is no object id" in reason(objects.object(name))


def test_an_object_that_is_larger_than_asked_for(repo: Repo) -> None:
    """It is passed over, and what comes after it is read."""
    large, small = repo.object("blob", b"x" * 200_000), repo.object("blob", b"y")
    first, second = repo.repository.objects.read_all([large, small], type="blob", most_bytes=1000)
    assert "holds 200000 bytes, more than 1000" in reason(first)
    assert second == b"y"


def test_a_damaged_object_is_not_used(repo: Repo) -> None:
    """Bytes that have another id than the one asked for, which git alone does not notice when it is packed under that id."""
    blob = repo.git("rev-parse", "HEAD:a")
    other = repo.git("rev-parse", "HEAD:b")
    folder = repo.folder / ".git/objects"
    path = folder / blob[:2] / blob[2:]
    path.chmod(0o644)
    path.write_bytes((folder / other[:2] / other[2:]).read_bytes())
    objects = repo.repository.objects
    first, second = objects.objects([blob, repo.git("rev-parse", "HEAD")])
    assert "damaged" in reason(first) or "hash mismatch" in reason(first)
    assert isinstance(second, Unknown)


@pytest.mark.parametrize(
    ("says", "why"),
    [
        ("read id; echo nonsense", "ended at"),
        ("exit 3", "git cat-file ended"),
        ("read id; echo fatal: no luck >&2; exit 3", "git says: no luck"),
        ("read id; echo $id blob 9; echo x", "ended within"),
        ("read id; echo $id blob 99999999; echo x", "ended within"),
        ("read id; echo $id blob many; echo x", "ended at"),
        ("read id; echo $id blob 3; echo abc; sleep 600", "damaged"),
        ("exec <&-; exec >&-; sleep 600", "ended"),
    ],
)
def test_a_git_that_fails_in_the_middle(says: str, why: str, repo: Repo, tmp_path: Path) -> None:
    """What it did not give is Unknown, and so is what was asked for after it."""
    path = wrapper(tmp_path / "bin", 'case "$*" in *--show-object-format*) exec {git} "$@";; esac; ' + says)
    answers = list(found(repo.folder, {"PATH": path}).objects.objects([repo.git("rev-parse", "HEAD:a"), repo.git("rev-parse", "HEAD:b")]))
    assert why in reason(answers[0])
    assert isinstance(answers[1], Unknown)


def test_a_reader_of_objects_for_several_threads(repo: Repo) -> None:
    """Each gets what it asked for."""
    ids = {repo.object("blob", content): content for content in (f"{number}".encode() for number in range(50))}
    objects = repo.repository.objects
    wrong: list[str] = []

    def read() -> None:
        wrong.extend(id_ for id_, content in ids.items() if objects.read(id_, type="blob") != content)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_nothing_is_left_running(repo: Repo) -> None:
    """A reader that is closed, or forgotten, ends its program; one that was killed is started again."""
    repository = repo.repository
    head = repo.git("rev-parse", "HEAD")
    assert not isinstance(repository.objects.object(head), Unknown)
    running = repository.objects._running
    assert running is not None
    os.kill(running._process.pid, signal.SIGKILL)
    running._process.wait()
    assert "ended" in reason(repository.objects.object(head))
    assert not isinstance(repository.objects.object(head), Unknown)
    process = repository.objects._running._process  # type: ignore[union-attr]
    repository.close()
    assert process.poll() is not None
    objects = Objects(repository.git)
    objects.object(head)
    process = objects._running._process  # type: ignore[union-attr]
    del objects
    assert process.poll() is not None


def test_nothing_is_killed_once_it_was_waited_for(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its number may be that of another program by then."""
    killed: list[int] = []
    git = repo.repository.git
    monkeypatch.setattr(os, "killpg", lambda group, _: killed.append(group))
    assert git.ask("rev-parse", "HEAD")
    objects = Objects(git)
    objects.object(repo.git("rev-parse", "HEAD"))
    running = objects._running
    assert running is not None
    os.kill(running._process.pid, signal.SIGKILL)
    running._process.wait()
    objects.object(repo.git("rev-parse", "HEAD"))
    assert killed == []
    objects.object(repo.git("rev-parse", "HEAD"))
    objects.close()
    assert len(killed) == 1


def test_ids_are_those_of_git(repo: Repo) -> None:
    """Of a blob, in both kinds of repository; and of the same with LF for CRLF."""
    content = b"a\r\nb\n"
    ids = blob_ids(content)
    assert ids.sha1 == repo.object("blob", content)
    assert ids.lf_sha1 == repo.object("blob", b"a\nb\n")
    assert (len(ids.sha256), len(ids.lf_sha256)) == (64, 64)
    assert ids.are(ids.sha1)
    assert ids.are(ids.sha256)
    assert not ids.are(ids.lf_sha1)
    assert ids.are_but_for_line_ends(ids.lf_sha256)
    assert not ids.are_but_for_line_ends(ids.sha1)
    assert not blob_ids(b"a\n").are_but_for_line_ends("")
    empty = subprocess.run(["git", "hash-object", "-t", "tree", "/dev/null"], capture_output=True, text=True, check=True).stdout.strip()
    assert object_id("tree", b"", digits=40) == empty
