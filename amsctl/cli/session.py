"""What every command is handed: where it runs, against what, and where it speaks."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from amsctl.cli.console import Console

if TYPE_CHECKING:
    from amsctl.config import Environment, Project
    from amsctl.diagnostics import Diagnostic
    from amsctl.operations.record import Sources


class Session:
    """One run. ``-C`` has changed the working directory already, so every relative path of a command line stands in ``directory``, which is ``named``
    with its links resolved.
    """

    def __init__(self, console: Console, *, environ: Mapping[str, str] | None = None) -> None:
        self.console = console
        self.environ: Mapping[str, str] = os.environ if environ is None else environ
        self.environment_name: str | None = None
        self.base: str | None = None
        self._sources: Sources | None = None
        self._checkout: Project | None = None
        self._told: set[Diagnostic] = set()
        self.inside = ""
        """What ``-C`` said, as it was typed; empty without it."""
        self.named = _as_named(self.environ)

    @property
    def directory(self) -> str:
        """The folder of the run, absolute."""
        return os.getcwd()

    def seen(self, path: str) -> str:
        """A path of this command line as the shell finds it, which stands outside of ``-C``."""
        return os.path.join(self.inside, path)

    def sources(self) -> Sources:
        """Whose rules hold here, found once: the branch of record's, which ``--base`` or the event of the job names. ConfigError or ManifestErrors."""
        if self._sources is None:
            from amsctl.operations.record import sources_of

            self._sources = sources_of(self.named, self.environ, option=self.base)
        return self._sources

    def look_again(self) -> None:
        """Forget whose rules hold here: a person was asked, and the branch of record may have moved while they thought."""
        self._sources = None

    def project(self) -> Project:
        """The project file that rules: that of the branch of record, or of the run's folder where there is none."""
        return self.sources().project

    def checkout_project(self) -> Project:
        """The project file of the run's folder, read once, for what asks no AMS; ManifestErrors or ConfigError when there is none that can be used."""
        if self._checkout is None:
            from amsctl.manifests.project import load_project

            self._checkout = load_project(self.directory)
        return self._checkout

    def has_project(self) -> bool:
        """Whether there is a project file at all."""
        from amsctl.config import PROJECT_FILE

        return os.path.lexists(os.path.join(self.directory, PROJECT_FILE))

    def environment(self) -> Environment:
        """The environment of ``-e`` (or the project's default) with ``${NAME}`` read; ConfigError names what is missing."""
        environment = self.sources().environment(self.environment_name, self.environ)
        self.console.diagnostics(warning for warning in environment.warnings if warning not in self._told)
        self._told.update(environment.warnings)
        return environment


def _as_named(environ: Mapping[str, str]) -> str:
    """The working directory as the shell calls it, links unresolved, where that is still true: a folder that is gone has a relative name alone."""
    named = environ.get("PWD", "")
    try:
        here = os.getcwd()
        return named if os.path.isabs(named) and os.path.exists(named) and os.path.samefile(named, here) else here
    except OSError:
        return os.curdir


pass_session = click.make_pass_decorator(Session)
"""Decorator: the command's first argument is the ``Session``."""
