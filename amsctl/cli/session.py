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


class Session:
    """One run. ``-C`` has changed the working directory already, so every relative path of a command line stands in ``directory``."""

    def __init__(self, console: Console, *, environ: Mapping[str, str] | None = None) -> None:
        self.console = console
        self.environ: Mapping[str, str] = os.environ if environ is None else environ
        self.environment_name: str | None = None
        self._project: Project | None = None
        self._told: set[Diagnostic] = set()

    @property
    def directory(self) -> str:
        """The folder of the run, absolute."""
        return os.getcwd()

    def project(self) -> Project:
        """The project file of the run's folder, read once; ManifestErrors or ConfigError when there is none that can be used."""
        if self._project is None:
            from amsctl.manifests.project import load_project

            self._project = load_project(self.directory)
        return self._project

    def has_project(self) -> bool:
        """Whether there is a project file at all."""
        from amsctl.config import PROJECT_FILE

        return os.path.lexists(os.path.join(self.directory, PROJECT_FILE))

    def environment(self) -> Environment:
        """The environment of ``-e`` (or the project's default) with ``${NAME}`` read; ConfigError names what is missing."""
        from amsctl.manifests.project import resolve_environment

        environment = resolve_environment(self.project(), self.environment_name, self.environ)
        self.console.diagnostics(warning for warning in environment.warnings if warning not in self._told)
        self._told.update(environment.warnings)
        return environment


pass_session = click.make_pass_decorator(Session)
"""Decorator: the command's first argument is the ``Session``."""
