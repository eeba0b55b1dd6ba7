"""Repositories that carry programs: none runs, whatever is asked of them; and each would run where git is used as people use it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from amsctl.config import PROJECT_FILE
from amsctl.manifests.load import load
from amsctl.manifests.project import load_project
from amsctl.operations.committed import held_against
from amsctl.provenance.branch import Wanted, branch_of_record, versions_of
from amsctl.provenance.commits import commits_between, is_ancestor
from amsctl.provenance.facts import Unknown
from amsctl.provenance.refs import head, resolve
from amsctl.provenance.repository import find, setting
from amsctl.provenance.trees import Tree, tree_of
from amsctl.sandbox.server import Sandbox
from tests.cli.conftest import ACCOUNT, PROJECT, Run
from tests.hostile.canaries import AUTH
from tests.provenance.repositories import Canary, Repo, environment

ACCOUNT_FILE = "limits/accounts/dv.yaml"
HOOKS = [
    "applypatch-msg", "commit-msg", "fsmonitor-watchman", "post-applypatch", "post-checkout", "post-commit", "post-index-change", "post-merge",
    "post-receive", "post-rewrite", "post-update", "pre-applypatch", "pre-auto-gc", "pre-commit", "pre-merge-commit", "pre-push", "pre-rebase",
    "pre-receive", "prepare-commit-msg", "proc-receive", "push-to-checkout", "reference-transaction", "sendemail-validate", "update",
]  # fmt: skip


@dataclass
class Case:
    """A repository with a trap; ``careless`` is how git is used where it goes off, ``environ`` what the caller's environment adds. ``code`` is that of
    a plan, ``None`` where either is right.
    """

    repo: Repo
    canary: Canary
    careless: list[list[str]] = field(default_factory=list)
    environ: dict[str, str] = field(default_factory=dict)
    code: int | None = 0
    says: str = ""

    def set(self, **settings: str) -> None:
        for name, value in settings.items():
            self.repo.git("config", name.replace("__", "."), value)

    def config(self, name: str, value: str) -> None:
        self.repo.git("config", name, value)

    @property
    def program(self) -> str:
        return str(self.canary.program)


def attribute(case: Case, words: str) -> None:
    case.repo.commit({"limits/.gitattributes": f"*.yaml {words}\n", ".gitattributes": f"*.yaml {words}\n"})


def touched(case: Case) -> list[list[str]]:
    """git must look at the bytes of a file anew."""
    return [
        ["update-index", "--really-refresh"],
        ["status"],
        ["diff", "HEAD"],
        ["add", "--renormalize", "."],
        ["checkout", "HEAD~0", "--", ACCOUNT_FILE],
    ]


def clean_filter(case: Case) -> None:
    attribute(case, "filter=x")
    case.config("filter.x.clean", case.program)
    case.careless = touched(case)


def smudge_filter(case: Case) -> None:
    attribute(case, "filter=x")
    case.config("filter.x.smudge", case.program)
    (case.repo.folder / ACCOUNT_FILE).unlink()
    case.repo.git("-c", "filter.x.smudge=cat", "checkout", "--", ACCOUNT_FILE)
    case.careless = [["checkout-index", "--force", "--", ACCOUNT_FILE], ["archive", "HEAD"]]


def process_filter(case: Case) -> None:
    attribute(case, "filter=lfs diff=lfs merge=lfs -text")
    case.config("filter.lfs.process", case.program)
    case.config("filter.lfs.required", "true")
    case.careless = touched(case)


def attributes_of_the_clone(case: Case) -> None:
    (case.repo.folder / ".git/info").mkdir(exist_ok=True)
    (case.repo.folder / ".git/info/attributes").write_text("* filter=x\n")
    case.config("filter.x.clean", case.program)
    case.careless = touched(case)


def attributes_file(case: Case) -> None:
    case.repo.commit({"attributes": "* filter=x\n"})
    case.config("core.attributesFile", str(case.repo.folder / "attributes"))
    case.config("filter.x.clean", case.program)
    case.careless = touched(case)


def text_conversion(case: Case) -> None:
    attribute(case, "diff=x")
    case.config("diff.x.textconv", case.program)
    case.careless = [["log", "-p"], ["show", "HEAD~1"], ["cat-file", "--textconv", f"HEAD:{ACCOUNT_FILE}"]]


def diff_driver(case: Case) -> None:
    attribute(case, "diff=x")
    case.config("diff.x.command", case.program)
    case.careless = [["diff", "main", "HEAD"]]


def external_diff(case: Case) -> None:
    case.config("diff.external", case.program)
    case.careless = [["diff", "main", "HEAD"]]


def merge_driver(case: Case) -> None:
    attribute(case, "merge=x")
    case.config("merge.x.driver", f"{case.program} %A")
    case.repo.git("branch", "third", "main")
    case.repo.git("switch", "--quiet", "third")
    case.repo.commit({ACCOUNT_FILE: ACCOUNT + "# third\n", ".gitattributes": "*.yaml merge=x\n"})
    case.repo.git("switch", "--quiet", "change")
    case.careless = [["merge", "third"]]


def file_monitor(case: Case) -> None:
    case.config("core.fsmonitor", case.program)
    case.careless = [["status"]]


def hooks(case: Case) -> None:
    for name in HOOKS:
        case.canary.make(case.repo.folder / ".git/hooks" / name)
    case.careless = [["commit", "--allow-empty", "-m", "x"], ["status"], ["update-ref", "refs/heads/y", "HEAD"]]


def hooks_path(case: Case) -> None:
    for name in HOOKS:
        case.canary.make(case.repo.folder / "tools" / name)
    case.repo.git("add", "--force", "tools")
    case.repo.commit()
    case.config("core.hooksPath", "tools")
    case.careless = [["update-ref", "refs/heads/y", "HEAD"]]


def _without(case: Case, spec: str) -> None:
    """A partial clone lacks this object: git would fetch it when it is asked for."""
    object_id = case.repo.git("rev-parse", spec)
    (case.repo.folder / ".git/objects" / object_id[:2] / object_id[2:]).unlink()
    case.careless = [["cat-file", "-p", object_id]]
    case.code, case.says = None, object_id  # refused, or blocked under the strictest reading: and told why


def _promised(case: Case, url: str) -> None:
    for name, value in {
        "core.repositoryFormatVersion": "1",
        "extensions.partialClone": "origin",
        "remote.origin.url": url,
        "remote.origin.promisor": "true",
        "remote.origin.partialCloneFilter": "blob:none",
        "protocol.allow": "always",
    }.items():
        case.config(name, value)


def promisor_over_ssh(case: Case) -> None:
    _without(case, f"main:{ACCOUNT_FILE}")
    case.config("core.sshCommand", case.program)
    _promised(case, "ssh://host.example/repository")


def promisor_of_the_head(case: Case) -> None:
    _without(case, "change^{tree}")
    case.code = 1
    case.config("core.sshCommand", case.program)
    _promised(case, "host.example:repository")


def promisor_over_ext(case: Case) -> None:
    _without(case, f"main:{ACCOUNT_FILE}")
    _promised(case, f"ext::{case.program} %S")
    case.config("protocol.ext.allow", "always")


def promisor_with_upload_pack(case: Case) -> None:
    _without(case, f"main:{ACCOUNT_FILE}")
    other = Repo(case.repo.folder.parent / "origin")
    _promised(case, f"file://{other.folder}")
    case.config("protocol.file.allow", "always")
    case.config("remote.origin.uploadpack", case.program)


def promisor_that_is_rewritten(case: Case) -> None:
    _without(case, f"main:{ACCOUNT_FILE}")
    _promised(case, "https://forge.example/limits")
    case.config(f"url.ext::{case.program} %S .insteadOf", "https://forge.example/limits")
    case.config("protocol.ext.allow", "always")


def promisor_with_a_helper(case: Case) -> None:
    """git-remote-NAME on PATH, in the repository."""
    _without(case, f"main:{ACCOUNT_FILE}")
    case.canary.make(case.repo.folder / "bin" / "git-remote-evil")
    _promised(case, "evil::anything")
    case.config("remote.origin.vcs", "evil")
    case.environ["PATH"] = f"{case.repo.folder / 'bin'}:{os.environ['PATH']}"


def promisor_through_a_proxy(case: Case) -> None:
    _without(case, f"main:{ACCOUNT_FILE}")
    _promised(case, "git://host.example/repository")
    case.config("core.gitProxy", case.program)


def promisor_that_asks(case: Case) -> None:
    """Credentials: a helper, and a program that asks for a password."""
    _without(case, f"main:{ACCOUNT_FILE}")
    _promised(case, "ssh://host.example/repository")
    case.config("credential.helper", f"!{case.program}")
    case.config("core.askPass", case.program)
    case.config("core.sshCommand", case.program)


def alternate_refs(case: Case) -> None:
    other = Repo(case.repo.folder.parent / "other")
    other.commit({"a": "b"})
    (case.repo.folder / ".git/objects/info").mkdir(exist_ok=True)
    (case.repo.folder / ".git/objects/info/alternates").write_text(f"{other.folder}/.git/objects\n")
    case.config("core.alternateRefsCommand", case.program)
    case.careless = [["rev-list", "HEAD", "--not", "--alternate-refs"]]


def included_configuration(case: Case) -> None:
    case.repo.commit({"gitconfig": f"[core]\n\tfsmonitor = {case.program}\n\tpager = {case.program}\n"})
    case.config("include.path", "../gitconfig")
    case.careless = [["status"]]


def configuration_included_on_a_condition(case: Case) -> None:
    case.repo.commit({"gitconfig": f"[core]\n\tfsmonitor = {case.program}\n"})
    case.config(f"includeIf.gitdir:{case.repo.folder}/.path", "../gitconfig")
    case.careless = [["status"]]


def configuration_of_the_work_tree(case: Case) -> None:
    case.config("extensions.worktreeConfig", "true")
    case.config("core.repositoryFormatVersion", "1")
    case.repo.git("config", "--worktree", "core.fsmonitor", case.program)
    case.careless = [["status"]]


def _bare(case: Case, place: str) -> Path:
    """A bare repository in a commit, whose configuration names a program."""
    evil = Repo(case.repo.folder.parent / "evil")
    evil.commit({PROJECT_FILE: "guards: none\n", "accounts/dv.yaml": ACCOUNT, ".gitattributes": "* filter=x\n"})
    folder = case.repo.folder / place
    shutil.copytree(evil.folder / ".git", folder, dirs_exist_ok=True)
    for name in ("refs", "objects/info"):
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name / ".keep").touch()
    (folder / "config").write_text(
        f"[core]\n\trepositoryformatversion = 0\n\tbare = false\n\tworktree = {case.repo.folder / 'limits'}\n\tfsmonitor = {case.program}\n"
        f'\tpager = {case.program}\n[filter "x"]\n\tclean = {case.program}\n'
    )
    for name in HOOKS:
        case.canary.make(folder / "hooks" / name)
    case.repo.git("add", "--force", "--", place)
    case.repo.commit()
    return folder


def bare_in_the_project(case: Case) -> None:
    _bare(case, "limits")
    case.careless = [["-C", "limits", "status"]]


def bare_at_the_top(case: Case) -> None:
    folder = _bare(case, "x")
    shutil.copytree(folder, case.repo.folder, dirs_exist_ok=True)
    case.repo.git("add", "--force", ".")
    case.repo.commit()
    case.careless = [["--git-dir", ".", "status"]]


def bare_in_a_folder_of_manifests(case: Case) -> None:
    _bare(case, "limits/accounts/kept")
    (case.repo.folder / "limits/accounts/kept/config.yaml").touch()
    (case.repo.folder / "limits/accounts/kept/config.yaml").unlink()
    case.careless = [["-C", "limits/accounts/kept", "status"]]


def pointer_into_the_commit(case: Case) -> None:
    """A .git file in the project's folder that leads to a folder of the commit: an archive may hold one."""
    _bare(case, "kept")
    (case.repo.folder / "limits/.git").write_text("gitdir: ../kept\n")
    case.careless = [["-C", "limits", "status"]]
    case.code, case.says = 1, "its branches are not those that changes of"


def submodule_of_a_commit(case: Case) -> None:
    """The project itself in a submodule, whose branches are its author's."""
    other = Repo(case.repo.folder.parent / "other")
    other.commit({PROJECT_FILE: (case.repo.folder / "limits" / PROJECT_FILE).read_text(), "accounts/dv.yaml": ACCOUNT})
    shutil.rmtree(case.repo.folder / "limits")
    case.repo.git("rm", "--quiet", "-r", "--cached", "limits")
    case.repo.git("submodule", "--quiet", "add", str(other.folder), "limits")
    case.repo.commit()
    case.repo.git("-C", "limits", "config", "core.fsmonitor", case.program)
    case.careless = [["-C", "limits", "status"]]
    case.code, case.says = 1, "is a submodule of"


def submodule_with_a_command(case: Case) -> None:
    other = Repo(case.repo.folder.parent / "other")
    other.commit({"a": "b"})
    case.repo.git("submodule", "--quiet", "add", str(other.folder), "sub")
    case.repo.commit()
    other.commit({"a": "c"})
    case.config("submodule.sub.update", f"!{case.program}")
    case.config("submodule.recurse", "true")
    case.repo.git("-C", "sub", "config", "core.fsmonitor", case.program)
    case.careless = [["submodule", "update", "--remote"], ["status"]]


def work_tree_elsewhere(case: Case) -> None:
    elsewhere = case.repo.folder.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / ".gitattributes").write_text("* filter=x\n")
    case.config("core.worktree", str(elsewhere))
    case.config("filter.x.clean", case.program)
    (elsewhere / "a").write_text("a")
    case.careless = [["add", "--all"]]


def signature_program(case: Case) -> None:
    raw = case.repo.git("cat-file", "commit", "HEAD").replace(
        "\n\n", "\ngpgsig -----BEGIN PGP SIGNATURE-----\n \n x\n -----END PGP SIGNATURE-----\n\n", 1
    )
    case.repo.git("update-ref", "HEAD", case.repo.object("commit", raw.encode() + b"\n"))
    for name in ("gpg.program", "gpg.ssh.program", "gpg.x509.program"):
        case.config(name, case.program)
    case.config("log.showSignature", "true")
    case.careless = [["log", "-1"]]


def ssh_signature_program(case: Case) -> None:
    """Also the program that names a key where none is set."""
    case.config("gpg.format", "ssh")
    case.config("gpg.ssh.defaultKeyCommand", case.program)
    case.config("commit.gpgSign", "true")
    case.careless = [["commit", "--allow-empty", "-m", "x"]]


def pager_and_editor(case: Case) -> None:
    for name in ("core.pager", "pager.log", "pager.rev-list", "pager.config", "core.editor", "sequence.editor", "interactive.diffFilter"):
        case.config(name, case.program)
    case.environ.update(GIT_PAGER=case.program, PAGER=case.program, GIT_EDITOR=case.program, EDITOR=case.program, VISUAL=case.program)
    case.careless = [["--paginate", "log"], ["commit", "--allow-empty", "--amend"]]


def aliases(case: Case) -> None:
    for name in ("rev-parse", "cat-file", "for-each-ref", "symbolic-ref", "rev-list", "ls-tree", "config", "evil"):
        case.config(f"alias.{name}", f"!{case.program}")
    case.careless = [["evil"]]


def git_of_the_repository(case: Case) -> None:
    case.canary.make(case.repo.folder / "git")
    case.canary.make(case.repo.folder / "limits/bin/git")
    case.environ["PATH"] = f".:{case.repo.folder}/limits/bin:{case.repo.folder}:{os.environ['PATH']}"
    case.careless = [["PATH"]]


def environment_of_the_caller(case: Case) -> None:
    """Whatever of it git would obey: programs, other repositories, configuration, places of its own programs."""
    other = Repo(case.repo.folder.parent / "other")
    other.commit({"a": "b"})
    case.environ.update(
        GIT_SSH=case.program,
        GIT_SSH_COMMAND=case.program,
        GIT_ASKPASS=case.program,
        SSH_ASKPASS=case.program,
        GIT_EXTERNAL_DIFF=case.program,
        GIT_PROXY_COMMAND=case.program,
        GIT_EDITOR=case.program,
        GIT_DIR=f"{other.folder}/.git",
        GIT_WORK_TREE=str(other.folder),
        GIT_COMMON_DIR=f"{other.folder}/.git",
        GIT_OBJECT_DIRECTORY=f"{other.folder}/.git/objects",
        GIT_INDEX_FILE="/nonexistent",
        GIT_NAMESPACE="evil",
        GIT_REPLACE_REF_BASE="refs/evil/",
        GIT_SHALLOW_FILE="/nonexistent",
        GIT_CEILING_DIRECTORIES=str(case.repo.folder),
        GIT_CONFIG_COUNT="1",
        GIT_CONFIG_KEY_0="core.fsmonitor",
        GIT_CONFIG_VALUE_0=case.program,
        GIT_CONFIG_PARAMETERS=f"'core.fsmonitor'='{case.program}'",
        GIT_DEFAULT_HASH="sha256",
    )
    case.careless = [["--git-dir", str(case.repo.folder / ".git"), "--work-tree", str(case.repo.folder), "status"]]


def programs_of_git_elsewhere(case: Case) -> None:
    for name in ("git-remote-https", "git-fetch", "git-cat-file", "git", "git-evil", "git-submodule"):
        case.canary.make(case.repo.folder / "exec" / name)
    case.environ["GIT_EXEC_PATH"] = str(case.repo.folder / "exec")
    case.careless = [["evil"]]


def configuration_of_the_home(case: Case) -> None:
    """HOME and XDG_CONFIG_HOME in the repository: a commit has written what is there."""
    case.repo.commit(
        {
            ".gitconfig": f"[core]\n\tfsmonitor = {case.program}\n[alias]\n\tevil = !{case.program}\n",
            "git/config": "[safe]\n\tdirectory = *\n",
        }
    )
    case.environ.update(HOME=str(case.repo.folder), XDG_CONFIG_HOME=str(case.repo.folder))
    case.careless = [["status"]]


def replaced_pack_objects(case: Case) -> None:
    case.config("uploadpack.packObjectsHook", case.program)
    home = case.repo.folder.parent / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(f"[uploadpack]\n\tpackObjectsHook = {case.program}\n")
    case.environ["HOME"] = str(home)
    case.careless = [["clone", "--no-local", f"file://{case.repo.folder}", str(case.repo.folder.parent / "cloned")]]


def tracing(case: Case) -> None:
    """Trace targets are files and sockets, not programs: none is written."""
    for name in ("GIT_TRACE", "GIT_TRACE2", "GIT_TRACE2_EVENT", "GIT_TRACE2_PERF", "GIT_TRACE_SETUP", "GIT_TRACE_PACKET"):
        case.environ[name] = str(case.canary.sign)
    for name in ("trace2.normalTarget", "trace2.eventTarget"):
        case.config(name, str(case.canary.sign))
    case.careless = [["status"]]


def maintenance(case: Case) -> None:
    case.canary.make(case.repo.folder / ".git/hooks/pre-auto-gc")
    case.config("gc.auto", "1")
    case.config("gc.autoDetach", "false")
    for number in range(300):
        case.repo.object("blob", str(number).encode())
    case.careless = [["gc", "--auto"]]


CASES: list[Callable[[Case], None]] = [
    clean_filter, smudge_filter, process_filter, attributes_of_the_clone, attributes_file, text_conversion, diff_driver, external_diff, merge_driver,
    file_monitor, hooks, hooks_path, promisor_over_ssh, promisor_of_the_head, promisor_over_ext, promisor_with_upload_pack,
    promisor_that_is_rewritten, promisor_with_a_helper, promisor_through_a_proxy, promisor_that_asks, alternate_refs, included_configuration,
    configuration_included_on_a_condition, configuration_of_the_work_tree, bare_in_the_project, bare_at_the_top, bare_in_a_folder_of_manifests,
    pointer_into_the_commit, submodule_of_a_commit, submodule_with_a_command, work_tree_elsewhere, signature_program, ssh_signature_program,
    pager_and_editor, aliases, git_of_the_repository, environment_of_the_caller, programs_of_git_elsewhere, configuration_of_the_home,
    replaced_pack_objects, tracing, maintenance,
]  # fmt: skip


@pytest.fixture
def repo(tmp_path: Path, sandbox: Sandbox) -> Repo:
    """A project in a folder of a repository: main, and a branch with a change."""
    made = Repo(tmp_path / "repo")
    made.commit({f"limits/{PROJECT_FILE}": PROJECT.format(url=sandbox.url, auth=AUTH), ACCOUNT_FILE: ACCOUNT}, "limits")
    made.git("switch", "--quiet", "-c", "change")
    made.commit({ACCOUNT_FILE: ACCOUNT.replace("long: 300", "long: 301")}, "RISK-1 raise")
    return made


def asked(folder: Path) -> None:
    """Every question that this room answers, of this folder."""
    repository = find(folder)
    setting(folder, "user.signingKey")
    if isinstance(repository, Unknown) or repository is None:
        return
    at, main = head(repository), resolve(repository, "main")
    if isinstance(at, Unknown) or at is None or isinstance(main, Unknown):
        return
    commits_between(repository, main.commit, at.commit)
    is_ancestor(repository, main.commit, at.commit)
    versions_of(repository, at.commit, repository.below(PROJECT_FILE))
    branch_of_record(repository, at.commit, Wanted(), lambda commit, path: "main", repository.below(PROJECT_FILE))
    for commit in (at.commit, main.commit):
        tree = tree_of(repository, commit)
        if isinstance(tree, Tree):
            tree.walk(repository.prefix)
            project = load_project(folder)
            held_against(tree, project, load(project))


@pytest.mark.parametrize("trap", CASES, ids=[case.__name__ for case in CASES])
def test_no_program_of_a_repository_runs(
    trap: Callable[[Case], None], repo: Repo, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the functions of this room, and by `amsctl plan --base main` as a pipeline runs it; the trap itself would go off."""
    case = Case(repo, Canary(tmp_path / "canary"))
    trap(case)
    case.canary.sign.unlink(missing_ok=True)
    for name, value in case.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(repo.folder)
    asked(repo.folder / "limits")
    assert case.canary.ran == ""
    ran = run("-C", str(repo.folder / "limits"), "plan", "--base", "main", "-o", str(tmp_path / "plan.json"))
    assert case.canary.ran == ""
    assert case.code in {None, ran.code}, ran.err
    assert case.says in ran.out + ran.err
    goes_off(case)


def goes_off(case: Case) -> None:
    """With git as it is used without care, in the same repository and environment."""
    environ: Mapping[str, str] = {**environment(), **case.environ}
    path = case.repo.folder / ACCOUNT_FILE
    if path.exists():
        path.write_text(path.read_text() + "# touched\n")
    for words in case.careless:
        if words == ["PATH"]:
            subprocess.run(["/bin/sh", "-c", "git status"], cwd=case.repo.folder, env=environ, capture_output=True, check=False)
        else:
            subprocess.run(["git", *words], cwd=case.repo.folder, env=environ, capture_output=True, check=False, stdin=subprocess.DEVNULL)
    assert case.canary.ran != ""


def test_there_are_many() -> None:
    """At least twenty-five, each once."""
    assert len({case.__name__ for case in CASES}) == len(CASES) >= 25
