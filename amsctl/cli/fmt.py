"""``amsctl fmt``: manifests in their canonical form."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from amsctl.cli.session import Session, pass_session
from amsctl.cli.shell import Command
from amsctl.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from amsctl.manifests.files import ManifestFile

EPILOG = """\
Examples:
  amsctl fmt                                     rewrite what is not canonical
  amsctl fmt --check                             for pipelines: list it, exit 1
  amsctl fmt accounts/softs.yaml
"""
FMT_FORMAT = "amsctl.fmt/v1"


@click.command("fmt", cls=Command, epilog=EPILOG)
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option("--check", is_flag=True, help="Change nothing; list the files that would change, and exit 1 if there are any.")
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True, help="How to print the list of files."
)
@pass_session
def command(session: Session, paths: tuple[str, ...], check: bool, form: str) -> int:
    """Write manifests in their canonical form; comments are kept.

    PATH is a manifest or a folder of them; without any, the project file and every manifest of the project. The files that were rewritten are listed.
    Each is written whole or not at all and keeps its mode. When any of them is wrong, none is written.
    """
    from amsctl.cli.files import refuse_links, write_atomically

    files = _files(session, paths)
    changed = _changed(files)
    if not check:
        for (
            path
        ) in paths:  # a link that is named is followed wherever it leads; those among the manifests of a folder stay in the repository
            refuse_links(os.path.join(session.directory, path))
        for file, text in changed:
            write_atomically(file.path, text)
    names = [file.shown for file, _ in changed]
    if form == "json":
        session.console.result_json({"format": FMT_FORMAT, "check": check, "files": len(files), "changed": names})
    else:
        _tell(session, names, len(files), check=check)
    return ExitCode.ERROR if check and names else ExitCode.DONE


def _files(session: Session, paths: Sequence[str]) -> list[ManifestFile]:
    from amsctl.config import PROJECT_FILE
    from amsctl.errors import ManifestErrors
    from amsctl.manifests.files import Start, discover
    from amsctl.manifests.load import discover_project

    here = session.directory
    if paths:
        root = session.checkout_project().root if session.has_project() else here
        found = discover(root, [Start(os.path.join(here, path), None) for path in paths], explicit=True, projects=True)
        files, diagnostics = found.files, found.diagnostics
    else:
        project = session.checkout_project()
        own = discover(project.root, [Start(os.path.join(project.root, PROJECT_FILE), None)], explicit=True, projects=True)
        rest = discover_project(project)
        files, diagnostics = [*own.files, *rest.files], [*own.diagnostics, *rest.diagnostics]
    if diagnostics:
        raise ManifestErrors(diagnostics)
    return files


def _changed(files: Sequence[ManifestFile]) -> list[tuple[ManifestFile, str]]:
    """The files whose canonical form is another one, each with that form; ManifestErrors with the findings of all files when any is wrong."""
    from amsctl.diagnostics import Diagnostic, Source
    from amsctl.errors import ManifestErrors
    from amsctl.manifests.documents import read_file
    from amsctl.manifests.files import Unreadable, content_of
    from amsctl.manifests.format import canonical

    changed: list[tuple[ManifestFile, str]] = []
    wrong: list[Diagnostic] = []
    for file in files:
        try:
            if file.path.endswith(".json") and read_file(file, projects=True).skipped:
                continue  # a plan or report of our own
            text = content_of(file.path).decode("utf-8", "surrogateescape")
            result = canonical(text, file=file.shown)
        except ManifestErrors as errors:
            wrong.extend(errors.diagnostics)
        except Unreadable as problem:
            place = Source(file.shown, 1, 1)
            wrong.append(
                Diagnostic(
                    code=problem.code, what=problem.what, source=place, expected=problem.expected, found=problem.found, hint=problem.hint
                )
            )
        else:
            if result != text:
                changed.append((file, result))
    if wrong:
        raise ManifestErrors(sorted(wrong, key=Diagnostic.sort_key))
    return changed


def _tell(session: Session, names: Sequence[str], files: int, *, check: bool) -> None:
    from amsctl.views.escape import visible
    from amsctl.views.layout import count

    session.console.result("".join(f"{visible(name)}\n" for name in names))
    done = "would be rewritten by amsctl fmt" if check else "rewritten"
    session.console.note(f"{len(names):,} of {count(files, 'file')} {done}")
