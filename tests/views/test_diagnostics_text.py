"""Diagnostics and errors as lines."""

from __future__ import annotations

from amsctl.diagnostics import Diagnostic, Severity, Source
from amsctl.errors import AmsctlError
from amsctl.views.diagnostics_text import diagnostic_json, diagnostic_line, diagnostics_text, error_line
from amsctl.views.style import Look

DIAGNOSTIC = Diagnostic(
    code="duplicate-key",
    what="the key a is there twice",
    source=Source("x.yaml", 3, 1),
    found="a\x1b[31m",
    hint="keep one",
    related=Source("x.yaml", 1, 1),
)


def test_the_contract_form() -> None:
    """error: WHAT (file:line:col): expected …, found …; hint — on one line, escaped, with the second place."""
    line = "error: the key a is there twice (x.yaml:3:1): found a\\u{1B}[31m; keep one (see x.yaml:1:1)"
    assert diagnostic_line(DIAGNOSTIC) == line
    assert diagnostics_text([DIAGNOSTIC, DIAGNOSTIC]) == f"{line}\n{line}\n"


def test_a_second_place_is_told_once() -> None:
    """Where the message names the second place already, it is not repeated."""
    told = Diagnostic(code="c", what="w", source=Source("x", 3, 1), found="the first at x:1:1", related=Source("x", 1, 1))
    assert diagnostic_line(told) == "error: w (x:3:1): found the first at x:1:1"
    assert diagnostic_line(Diagnostic(code="c", what="w", source=Source("x", 3, 1), severity=Severity.WARNING)) == "warning: w (x:3:1)"
    assert diagnostic_line(Diagnostic(code="c", what="w", source=Source("x", 3, 1), severity=Severity.NOTE)) == "note: w (x:3:1)"


def test_json() -> None:
    """All parts apart, what is not known null."""
    assert diagnostic_json(DIAGNOSTIC) == {
        "severity": "error",
        "code": "duplicate-key",
        "what": "the key a is there twice",
        "file": "x.yaml",
        "line": 3,
        "column": 1,
        "expected": None,
        "found": "a\x1b[31m",
        "hint": "keep one",
        "related": {"file": "x.yaml", "line": 1, "column": 1},
        "message": "the key a is there twice (x.yaml:3:1): found a\x1b[31m; keep one",
    }


def test_errors() -> None:
    """An error's text is escaped too; colour is on the word alone."""
    error = AmsctlError("what\x9b", where="w", expected="e", found="f", hint="h")
    assert error_line(error) == "error: what\\u{9B} (w): expected e, found f; h"
    assert error_line(error, Look(color=True)).startswith("\x1b[1;31merror\x1b[0m: ")
