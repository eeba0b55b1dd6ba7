"""Messages that point at the right place and ask for the right thing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from amsctl.errors import ManifestErrors
from amsctl.manifests.load import load
from amsctl.manifests.project import load_project

PROJECT = {
    "apiVersion": "amsctl/v1",
    "kind": "Project",
    "spec": {"environments": {"e": {"url": "http://127.0.0.1:1", "auth": {"type": "none"}}}},
}
LIMIT = """\
apiVersion: amsctl/v1
kind: Account
metadata: {clearingFirm: F, accountNumber: A}
spec:
  executionFirms:
    3N1:
      limits:
        CJ.FUT.NYMEX: {ef: {long: -0}}
"""


def test_minus_nought_is_refused_where_it_stands(tmp_path: Path) -> None:
    (tmp_path / "amsctl.yaml").write_text(json.dumps(PROJECT))
    (tmp_path / "a.yaml").write_text(LIMIT)
    with pytest.raises(ManifestErrors) as caught:
        load(load_project(tmp_path))
    (found,) = caught.value.diagnostics
    assert (found.what, str(found.source), found.found) == ("long is not a limit", "a.yaml:8:35", "-0")


@pytest.mark.parametrize("url", ["mysql://u:hidden@h/db", "hidden", "sqlite://hidden"])
def test_a_ledger_is_asked_for_a_ledger_s_address(tmp_path: Path, url: str) -> None:
    document = {**PROJECT, "spec": {**PROJECT["spec"], "ledger": {"url": url}}}  # type: ignore[dict-item]
    (tmp_path / "amsctl.yaml").write_text(json.dumps(document))
    with pytest.raises(ManifestErrors) as caught:
        load_project(tmp_path)
    (found,) = caught.value.diagnostics
    assert found.expected == "sqlite:///FILE or postgresql://HOST/NAME"
    assert "hidden" not in f"{found}"
