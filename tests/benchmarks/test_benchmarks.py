"""The benchmarks run, at their smallest size: what they print comes from real processes, and is complete."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from amsctl.views.formats import PLAN_FORMATS
from benchmarks import books, calls, measured, safety, startup, views
from tools.browser import program


def test_a_failing_program_is_no_measurement() -> None:
    """A part that fails stops the benchmark, with what it said."""
    with pytest.raises(RuntimeError, match="ended with 1: no such thing"):
        measured.run([sys.executable, "-c", "raise SystemExit('no such thing')"])


def test_memory_of_the_whole_family_is_seen() -> None:
    """The peak is that of a process and the processes that it starts, together."""
    filled = "import sys, time; held = bytearray(60_000_000); time.sleep(2)"
    alone = measured.run([sys.executable, "-c", filled])
    both = measured.run(
        [sys.executable, "-c", f"import subprocess, sys; kept = bytearray(60_000_000); subprocess.run([sys.executable, '-c', {filled!r}])"]
    )
    assert 60_000_000 < alone.peak_bytes < 100_000_000
    if sys.platform == "linux":
        assert 120_000_000 < both.peak_bytes < 200_000_000


def test_one_small_book(tmp_path: Path) -> None:
    """Every part is measured, the fetch asks for what the plan asked for, and every change is applied."""
    books.main(["--accounts", "2", "--rounds", "1", "--results", str(tmp_path)])
    (book,) = json.loads((tmp_path / "books.json").read_text())["books"]
    assert book["rows"] == 200
    assert 0 < book["changes"] < 20
    assert set(book["parts"]) == set(books.PARTS)
    assert all(part["wall_seconds"] > 0 and part["peak_bytes"] > 10_000_000 for part in book["parts"].values())
    # myFirms, the status of each account, and per account efStatus and three pages of limits
    assert book["plan_gets"] == 1 + 2 + 2 * 4
    assert book["apply_posts"] >= book["changed_accounts"] > 0
    assert (tmp_path / "books.md").read_text().count("| 2 |") == 3


def test_calls_are_the_least_that_the_rules_allow(tmp_path: Path) -> None:
    """Nothing is asked for twice without a rule that wants it, whatever changes on an account."""
    calls.main(["--results", str(tmp_path)])
    found = json.loads((tmp_path / "calls.json").read_text())["accounts"]
    assert [one["what"] for one in found] == list(calls.CASES)
    for one in found:
        assert one["plan_gets"] == one["plan_least"], one
        assert one["apply_gets"] + one["apply_posts"] == one["apply_least"], one


def test_starting_is_measured_against_its_baseline(tmp_path: Path) -> None:
    """The table has the baseline at 1 and amsctl above it; that a start is quick enough is for an idle machine to say."""
    startup.main(["--runs", "1", "--results", str(tmp_path)])
    document = json.loads((tmp_path / "startup.json").read_text())
    ratios = {one["command"]: one["cpu_ratio"] for one in document["commands"]}
    assert ratios[startup.BASELINE] == 1
    assert set(ratios) == set(startup.COMMANDS)
    assert 1 < ratios["amsctl validate ONE_FILE"] < 10


def test_what_safety_costs_is_measured_beside_the_same_posts(tmp_path: Path) -> None:
    """Each part runs to its end, the bare POSTs are the plan's, and the ledger has two records a POST beside those of the run and its lock."""
    safety.main(["--accounts", "2", "--rounds", "1", "--results", str(tmp_path)])
    cost = json.loads((tmp_path / "safety.json").read_text())
    assert set(cost["parts"]) == set(safety.PARTS)
    assert cost["posts"] >= cost["changed_accounts"] > 0
    assert cost["ledger_records"] == 2 * cost["posts"] + 4


def test_views_are_measured_beside_json(tmp_path: Path) -> None:
    """Every format is measured and keeps to its limit, the baseline is at 1; the page is opened where there is a browser."""
    assert views.main(["--changes", "300", "--rounds", "1", "--results", str(tmp_path)]) == 0
    document = json.loads((tmp_path / "views.json").read_text())
    found = {one["name"]: one for one in document["views"]}
    assert {name.partition(" (")[0] for name in found} == {views.BASE, *PLAN_FORMATS}
    assert found[views.BASE]["ratio"] == 1
    assert all(one["within"] and one["size_bytes"] > 0 and one["cpu_seconds"] > 0 for one in found.values())
    if program() is not None:
        assert 0 < document["page"]["first_paint"] <= document["page"]["loaded"] + 1
        assert document["page"]["found"].endswith("of 300 changes")


@pytest.mark.parametrize(
    ("name", "text", "within"),
    [
        ("markdown (comment)", "x" * 65_537, False),
        ("markdown (summary)", "é" * 524_288, True),
        ("markdown (summary)", "é" * 524_289, False),
        ("github", "::error::x\n" * 11, False),
        ("sarif", json.dumps({"runs": [{"results": [0] * 25_001}]}), False),
        ("csv", "x", True),
    ],
)
def test_a_view_beyond_its_limit_is_seen(name: str, text: str, within: bool) -> None:
    """What its reader would not take."""
    assert views.limit_of(name, text)[1] is within
