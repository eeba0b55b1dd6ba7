"""The public Python interface: its names, its signatures, its types, and that it works from end to end."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import amsctl
from amsctl.errors import ApprovalMissing, ExitCode
from tests.project.checkout import ROOT

SURFACE = {
    "load_manifests": (
        "(directory: 'str | os.PathLike[str]' = '.', *, paths: 'Sequence[str]' = (), accounts: 'Sequence[str]' = (),"
        " labels: 'Sequence[str]' = (), base: 'str | None' = None, environ: 'Mapping[str, str] | None' = None) -> 'Manifests'"
    ),
    "read_live": "(manifests: 'Manifests', environment: 'str | None' = None, *, environ: 'Mapping[str, str] | None' = None) -> 'Live'",
    "plan": "(manifests: 'Manifests', live: 'Live', *, base: 'str | None' = None, environ: 'Mapping[str, str] | None' = None) -> 'Plan'",
    "apply": (
        "(plan: 'Plan | PlanFile', manifests: 'Manifests', *, environ: 'Mapping[str, str] | None' = None, approved: 'bool' = False, "
        "reason: 'str | None' = None, overrides: 'Sequence[str]' = (), given: 'Given | None' = None, "
        "barrier: 'str | None' = None) -> 'Report'"
    ),
}
VALUES = {"AmsctlError", "Live", "Manifests", "Plan", "Report"}


def test_the_surface_is_what_was_promised() -> None:
    """A name that goes, comes or changes its signature is a breaking change, made on purpose and told in the changelog."""
    assert set(amsctl.__all__) == SURFACE.keys() | VALUES
    assert {name: str(inspect.signature(getattr(amsctl, name))) for name in SURFACE} == SURFACE
    assert all(inspect.isclass(getattr(amsctl, name)) for name in VALUES)
    with pytest.raises(AttributeError, match="has no attribute 'force'"):
        _ = amsctl.force  # type: ignore[attr-defined]


def test_every_public_name_is_documented() -> None:
    """The result, the units and the errors stand in the docstring."""
    for name in amsctl.__all__:
        assert len((getattr(amsctl, name).__doc__ or "").strip()) > 40, name


USER_CODE = """
from amsctl import AmsctlError, Live, Manifests, Plan, Report, apply, load_manifests, plan, read_live

manifests: Manifests = load_manifests("limits", accounts=["DV10121801A"])
live: Live = read_live(manifests, environment="sandbox", environ={})
proposal: Plan = plan(manifests, live)
steps: int = proposal.summary.requests
try:
    report: Report = apply(proposal, manifests, approved=True)
except AmsctlError as error:
    raise SystemExit(int(error.exit_code)) from None
"""


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("", None),
        ("apply(proposal)\n", "call-arg"),
        ('load_manifests("limits").desires\n', "attr-defined"),
        ("steps = proposal\n", "assignment"),
    ],
)
def test_types_reach_users(tmp_path: Path, line: str, complaint: str | None) -> None:
    """A program that uses the interface is checked by mypy strict, and a wrong use is found."""
    program = tmp_path / "program.py"
    program.write_text(USER_CODE + line, encoding="utf-8")
    arguments = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--config-file=",
        "--follow-imports=silent",
        f"--cache-dir={tmp_path.parent / 'types'}",
    ]
    done = subprocess.run([*arguments, str(program)], cwd=ROOT, capture_output=True, text=True, check=False)
    if complaint is None:
        assert done.returncode == 0, done.stdout
    else:
        assert done.returncode == 1
        assert f"[{complaint}]" in done.stdout


PROJECT = """\
apiVersion: amsctl/v1
kind: Project
spec:
  manifests: [accounts]
  defaultEnvironment: here
  environments:
    here:
      url: {url}
      auth: {{type: none}}
"""

ACCOUNT = """\
apiVersion: amsctl/v1
kind: Account
metadata:
  clearingFirm: GREENTEA_API_CLEARING2
  accountNumber: DV10121801A
spec:
  executionFirms:
    3N1:
      limits:
        CJ.FUT.NYMEX: {ef: {short: 600}}
"""


def test_four_functions_from_manifests_to_a_verified_apply(tmp_path: Path) -> None:
    """Load, read, plan, apply against the sandbox over HTTP: the wish is there afterwards, and the next plan is empty."""
    from amsctl.sandbox.books import spec_book
    from amsctl.sandbox.server import serve

    (tmp_path / "accounts").mkdir()
    (tmp_path / "accounts" / "dv.yaml").write_text(ACCOUNT, encoding="utf-8")
    with serve(spec_book()) as sandbox:
        (tmp_path / "amsctl.yaml").write_text(PROJECT.format(url=sandbox.url), encoding="utf-8")
        manifests = amsctl.load_manifests(tmp_path)
        proposal = amsctl.plan(manifests, amsctl.read_live(manifests))
        with pytest.raises(ApprovalMissing):
            amsctl.apply(proposal, manifests)
        report = amsctl.apply(proposal, manifests, approved=True)
        again = amsctl.plan(manifests, amsctl.read_live(manifests))
    assert [(change.before, change.after) for change in proposal.changes] == [(567, 600)]
    assert report.exit_code is ExitCode.DONE
    assert [step.outcome for step in report.steps] == ["verified"]
    assert again.changes == again.steps == ()
