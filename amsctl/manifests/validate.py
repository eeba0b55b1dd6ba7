"""Checks manifests without network and credentials, and tells what was looked at."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from amsctl.config import Project
from amsctl.diagnostics import Diagnostic, Severity
from amsctl.manifests.files import Start, discover
from amsctl.manifests.load import Reading, discover_project, nothing_found


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """What was checked, and all findings, sorted: errors and warnings. ``files`` counts files, ``documents`` those in them, ``accounts`` the sound ones."""

    files: int
    documents: int
    accounts: int
    diagnostics: tuple[Diagnostic, ...]

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        """The findings that stop a plan."""
        return tuple(finding for finding in self.diagnostics if finding.severity is Severity.ERROR)


def validate_paths(project: Project | None, paths: Sequence[str] = (), *, base: str | None = None) -> Validation:
    """Every finding in the files and folders of ``paths``; without any, in all manifests of ``project`` or, without one, of ``base``.

    ``base`` (default: the working directory) is what relative paths begin at. A project file among ``paths`` is checked as one. Profiles that the
    given files use are looked up in all of ``project``; without a project and with single files, a profile that is not among them is a warning.

    Raises :class:`ConfigError` when there is no manifest to check.
    """
    here = os.path.abspath(base if base is not None else os.curdir)
    root = project.root if project is not None else here
    reading = Reading(root)
    whole = True
    if project is not None and not paths:
        reading.take(discover_project(project), accounts=True)
    else:
        starts = [Start(os.path.join(here, path), None) for path in paths or (".",)]
        reading.take(discover(root, starts, explicit=True, projects=True), accounts=True, projects=True)
        if project is not None:
            reading.complete_profiles(project)
        whole = project is not None or not any(os.path.isfile(start.path) for start in starts)
    errors = reading.finish(whole=whole)
    if not errors and not reading.documents:
        raise nothing_found(project, paths)
    if not errors and not reading.places and not paths and project is not None:
        raise nothing_found(project, paths)
    return Validation(
        files=len(reading.files),
        documents=reading.documents,
        accounts=len(reading.places),
        diagnostics=reading.findings,
    )
