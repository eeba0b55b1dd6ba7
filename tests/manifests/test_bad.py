"""Each bad manifest is refused with its code at its line and column, in words that hold together."""

from __future__ import annotations

from pathlib import Path

import pytest

from amsctl.config import Project
from amsctl.diagnostics import Source
from amsctl.errors import ManifestErrors
from amsctl.manifests.load import load
from tests.manifests.bad import GOOD, TABLE, Bad


def project(root: Path) -> Project:
    return Project(root=str(root), source=Source("amsctl.yaml", 1, 1))


def test_there_are_at_least_two_hundred() -> None:
    """The table does not shrink, and no two entries are the same."""
    assert len({(bad.name, bad.text) for bad in TABLE}) == len(TABLE) >= 200


def test_the_good_manifest_is_good(tmp_path: Path) -> None:
    """What the table changes is itself accepted."""
    (tmp_path / "a.yaml").write_text(GOOD)
    assert len(load(project(tmp_path))) == 1


@pytest.mark.parametrize("bad", TABLE, ids=lambda bad: f"{bad.code}-{bad.line}-{bad.column}")
def test_a_bad_manifest_is_refused_at_its_place(bad: Bad, tmp_path: Path) -> None:
    """Contract 1 and 2: an error with file, line and column, that says what was expected or what to do."""
    (tmp_path / bad.name).write_text(bad.text, encoding="utf-8", newline="")
    with pytest.raises(ManifestErrors) as caught:
        load(project(tmp_path))
    findings = caught.value.diagnostics
    places = [(one.code, one.source) for one in findings]
    assert (bad.code, Source(bad.name, bad.line, bad.column)) in places, [one.message for one in findings]
    for one in findings:
        assert one.hint or one.expected or one.found, one
        assert len(one.message) < 700
        assert "\n" not in one.message
