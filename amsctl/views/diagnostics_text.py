"""Diagnostics and errors → lines for a person or a log."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from amsctl.diagnostics import Diagnostic, Severity
from amsctl.views.escape import visible
from amsctl.views.style import PLAIN, Look

if TYPE_CHECKING:
    from amsctl.errors import AmsctlError


def diagnostic_line(diagnostic: Diagnostic, look: Look = PLAIN) -> str:
    """``error: WHAT (file:line:col): expected …, found …; hint``, one line."""
    return f"{_word(diagnostic.severity, look)}: {visible(diagnostic.message)}{_related(diagnostic)}"


def diagnostics_text(diagnostics: Iterable[Diagnostic], look: Look = PLAIN) -> str:
    """One line each, each with a line break."""
    return "".join(diagnostic_line(diagnostic, look) + "\n" for diagnostic in diagnostics)


def diagnostic_json(diagnostic: Diagnostic) -> dict[str, object]:
    """One diagnostic as JSON; what is not known is null."""
    return {
        "severity": diagnostic.severity.value,
        "code": diagnostic.code,
        "what": diagnostic.what,
        "file": diagnostic.source.file,
        "line": diagnostic.source.line,
        "column": diagnostic.source.column,
        "expected": diagnostic.expected,
        "found": diagnostic.found,
        "hint": diagnostic.hint,
        "related": None if diagnostic.related is None else diagnostic.related._asdict(),
        "message": diagnostic.message,
    }


def error_line(error: AmsctlError, look: Look = PLAIN) -> str:
    """``error: WHAT (WHERE): expected …, found …; hint``, one line."""
    return f"{look.danger('error')}: {visible(str(error))}"


def _word(severity: Severity, look: Look) -> str:
    match severity:
        case Severity.ERROR:
            return look.danger("error")
        case Severity.WARNING:
            return look.caution("warning")
        case Severity.NOTE:
            return look.quiet("note")


def _related(diagnostic: Diagnostic) -> str:
    """The second place, unless the message names it already."""
    if diagnostic.related is None or str(diagnostic.related) in diagnostic.message:
        return ""
    return f" (see {visible(str(diagnostic.related))})"
