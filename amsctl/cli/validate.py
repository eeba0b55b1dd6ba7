"""``amsctl validate``: manifests checked offline."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from amsctl.cli.session import Session, pass_session
from amsctl.cli.shell import Command
from amsctl.errors import ApprovalMissing, ExitCode

if TYPE_CHECKING:
    from amsctl.config import Project
    from amsctl.diagnostics import Diagnostic
    from amsctl.manifests.validate import Validation

EPILOG = """\
Examples:
  amsctl validate                                every manifest of the project
  amsctl validate accounts/softs.yaml            one file; no project is needed
  amsctl -C limits validate --format json
"""
VALIDATION_FORMAT = "amsctl.validation/v1"


@click.command("validate", cls=Command, epilog=EPILOG)
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True, help="How to print the findings.")
@pass_session
def command(session: Session, paths: tuple[str, ...], form: str) -> int:
    """Check manifests offline: syntax, schema, meaning.

    PATH is a manifest or a folder of them; without any, every manifest of the project is checked, and its list of signers. Needs no network and no
    credentials. All findings of all files are shown in one run; the exit code is 1 when there is an error among them.
    """
    from amsctl.errors import ManifestErrors
    from amsctl.manifests.validate import Validation, validate_paths

    try:
        project = session.checkout_project() if session.has_project() or not paths else None
        validation = validate_paths(project, paths)
        if project is not None and not paths:
            validation = replace(validation, diagnostics=(*signers_findings(project), *validation.diagnostics))
        if project is not None and not paths:
            from amsctl.operations.material import left_out

            for finding in left_out(project, session.environ):
                session.console.warn(finding.message)
    except ManifestErrors as wrong:
        validation = Validation(files=0, documents=0, accounts=0, diagnostics=wrong.diagnostics)
    if form == "json":
        session.console.result_json(encode(validation))
    else:
        _tell(session, validation)
    return ExitCode.ERROR if validation.errors else ExitCode.DONE


def signers_findings(project: Project) -> tuple[Diagnostic, ...]:
    """What keeps the list of signers from being used, with file and line: without it nothing that needs an approval is ever applied."""
    from amsctl.approvals.signers import read_signers
    from amsctl.config import ApprovalSource
    from amsctl.diagnostics import Diagnostic, Source

    settings = project.safeguards.approvals
    if settings is None or settings.source is not ApprovalSource.SIGNATURES:
        return ()
    try:
        if read_signers(project.root, settings.signers).lines:
            return ()
        wrong = ApprovalMissing("the list of signers names nobody", expected="a line for each approver: NAMES KEY-TYPE KEY")
    except ApprovalMissing as found:
        wrong = found
    line = (wrong.where or "").rpartition(":")[2]
    source = Source(settings.signers, int(line) if line.isdigit() else 1, 1)
    return (Diagnostic(code="signers", what=wrong.what, source=source, expected=wrong.expected, found=wrong.found, hint=wrong.hint),)


def encode(validation: Validation) -> dict[str, object]:
    """The outcome as one JSON object."""
    from amsctl.views.diagnostics_text import diagnostic_json

    return {
        "format": VALIDATION_FORMAT,
        "valid": not validation.errors,
        "files": validation.files,
        "documents": validation.documents,
        "accounts": validation.accounts,
        "diagnostics": [diagnostic_json(diagnostic) for diagnostic in validation.diagnostics],
    }


def _tell(session: Session, validation: Validation) -> None:
    """Findings to standard error; the verdict to standard output when it is good, to standard error when it is not."""
    from amsctl.views.layout import count

    console = session.console
    console.diagnostics(validation.diagnostics)
    looked = ", ".join(
        (count(validation.files, "file"), count(validation.documents, "document"), count(validation.accounts, "account")),
    )
    errors = len(validation.errors)
    if errors:
        console.error(f"{count(errors, 'error')} in the manifests; nothing was read from or written to the AMS", files=validation.files)
    else:
        console.result(f"Valid: {looked}.")
