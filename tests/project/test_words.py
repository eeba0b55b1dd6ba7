"""The house's words: what things are not called."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.project.checkout import ROOT, sources

NOT_NAMES = {"manager", "handler", "helper", "helpers", "util", "utils", "data", "info", "process", "sync", "force"}


def words(name: str) -> set[str]:
    """The words of a name, in snake or camel case."""
    return {word.lower() for part in name.split("_") for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", part)}


def names(path: Path) -> Iterator[tuple[str, int]]:
    """Modules, classes, functions and parameters that a file defines."""
    yield path.stem, 0
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno


def test_words_are_taken_apart() -> None:
    """The next test sees a word wherever it stands in a name."""
    assert words("HTTPHandler_forDataSync") == {"http", "handler", "for", "data", "sync"}
    assert words("information") == {"information"}


def test_nothing_is_called_by_a_word_that_says_nothing() -> None:
    """No module, class, function or parameter of amsctl or its tools is a manager, handler, helper, util, data, info, process, sync or force."""
    found = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for folder in ("amsctl", "tools")
        for path in sources(ROOT / folder)
        for name, line in names(path)
        if words(name) & NOT_NAMES
    ]
    assert found == []
