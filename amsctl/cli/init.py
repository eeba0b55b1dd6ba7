"""``amsctl init``: a new limits repository."""

from __future__ import annotations

import os
from collections.abc import Mapping

import click

from amsctl.cli.session import Session, pass_session
from amsctl.cli.shell import Command
from amsctl.errors import ConfigError

EPILOG = """\
Examples:
  amsctl init                                    in this folder
  amsctl init limits && amsctl -C limits validate
  amsctl init limits --ci gitlab                 with a pipeline for GitLab
"""
INIT_FORMAT = "amsctl.init/v1"
LEFT_ALONE = frozenset({"README.md", ".gitignore"})
"""Files that a folder may well have, and that amsctl does not need."""


@click.command("init", cls=Command, epilog=EPILOG)
@click.argument("folder", metavar="[DIR]", default=".")
@click.option("--ci", type=click.Choice(["github", "gitlab", "none"]), default="github", show_default=True, help="Whose pipeline to write.")
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True, help="How to print the list of files."
)
@pass_session
def command(session: Session, folder: str, ci: str, form: str) -> None:
    """Write a new limits repository.

    Writes amsctl.yaml, a sample account and a profile, and a pipeline that plans pull requests, applies what is merged and looks for drift into DIR
    (default: this folder), and lists what it wrote. Nothing is ever overwritten: a README.md and a .gitignore that are there stay as they are, and where
    any other file is there already nothing is written at all.
    """
    from amsctl.manifests.starter import starter_files, to_edit
    from amsctl.views.escape import visible

    kept = [name for name in sorted(LEFT_ALONE) if os.path.lexists(os.path.join(folder, name))]
    texts = starter_files(ci)
    files = {name: texts[name] for name in sorted(texts) if name not in kept}
    write_new(folder, files)
    for name in kept:
        session.console.note(f"{name} is there already and was left as it is")
    if form == "json":
        session.console.result_json({"format": INIT_FORMAT, "folder": os.path.abspath(folder), "files": list(files)})
        return
    session.console.result("".join(f"{visible(os.path.join(folder, name))}\n" for name in files))
    here = "" if folder == "." else f" -C {folder}"
    session.console.note(f"next: amsctl{here} validate; then, with amsctl sandbox running beside it, amsctl{here} plan")
    if ci != "none":
        session.console.note(f"before the pipeline runs: edit {', '.join(to_edit(ci))} (docs/howto/pipeline.md)")


def write_new(folder: str, files: Mapping[str, str]) -> None:
    """Write files that do not exist yet, all of them or none; ConfigError when one is there already or cannot be written."""
    there = [name for name in files if os.path.lexists(os.path.join(folder, name))]
    if there:
        raise ConfigError(
            "a file is there already, so nothing was written",
            where=os.path.join(folder, there[0]),
            hint="choose an empty folder: amsctl init DIR",
        )
    written: list[str] = []
    try:
        for name, text in files.items():
            path = os.path.join(folder, name)
            os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
            with open(path, "x", encoding="utf-8") as stream:
                written.append(path)
                stream.write(text)
    except OSError as error:
        for path in written:
            os.unlink(path)
        raise ConfigError("the repository cannot be written", where=error.filename or folder, found=error.strerror) from None
