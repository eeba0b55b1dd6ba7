"""What each view of a long plan costs, and what a browser makes of the page: seconds, bytes, and the limit of whoever reads it.

``python -m benchmarks.views [--changes N] [--rounds N] [--results FOLDER]``. The plan has 100,000 changes, half of which let more through, and 30,000
findings. The baseline is ``json.dumps`` of the same plan, whose values are made before. Each view is made in this process, in turn with the others. The page
is opened from its file by a headless Chromium, where the machine has one: when the first of it is painted (the browser's own entry ``first-paint``, from
the start of the navigation), when it has loaded, and how long it takes from a typed letter until the rows that are left have been painted.
"""

from __future__ import annotations

import argparse
import gc
import gzip
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from amsctl.diagnostics import Severity
from amsctl.planning.codec import encode
from amsctl.planning.plan import Finding, Plan
from amsctl.views.formats import MARKDOWN_BYTES, PLAN_FORMATS, plan_in
from amsctl.views.style import Look
from benchmarks.measured import RESULTS, machine, table
from tests.views.samples import large_plan
from tools.browser import browser, program

CHANGES: Final = 100_000
FINDINGS: Final = 30_000
BASE: Final = "json.dumps of the plan"
MOST_SECONDS: Final = 10.0
"""So long a view may take."""
MOST_PAINT_SECONDS: Final = 2.0
"""So long the page may stay white."""
_SEARCH: Final = """(async () => {
  const field = document.getElementById("search");
  const started = performance.now();
  field.value = %s; field.dispatchEvent(new Event("input"));
  await new Promise((painted) => requestAnimationFrame(() => requestAnimationFrame(painted)));
  return [(performance.now() - started) / 1000, document.getElementById("count").textContent];
})()"""
_TIMES: Final = """[performance.getEntriesByName("first-paint")[0].startTime / 1000, performance.getEntriesByName("first-contentful-paint")[0].startTime / 1000,
  performance.getEntriesByType("navigation")[0].loadEventEnd / 1000]"""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One view: CPU and wall time (medians), the ratio of its CPU time to the baseline's, its size, and how near it is to a limit."""

    name: str
    cpu_seconds: float
    wall_seconds: float
    ratio: float
    size_bytes: int
    limit: str
    within: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """The page in a browser, medians in seconds."""

    first_paint: float
    first_contentful_paint: float
    loaded: float
    search: float
    found: str


def plan_of_size(changes: int) -> Plan:
    """The plan that is measured."""
    findings = tuple(
        Finding(
            code=("undeclared-row", "foreign-mismatch", "above-use")[number % 3],
            severity=Severity.WARNING,
            message=f"the AMS has a limit that no manifest names: ef.long {number}, ef.short 5, cmf.long unlimited, cmf.short unlimited",
            where=f"GREENTEA_API_CLEARING2/DV{number % max(1, changes // 100):07}/3N1/P{number % 50:02}.FUT.CME",
        )
        for number in range(changes * FINDINGS // CHANGES)
    )
    return replace(large_plan(changes), findings=findings)


def makers(plan: Plan) -> dict[str, Callable[[], str]]:
    """Everything that is measured, by name."""
    values = encode(plan)
    look = Look(color=True, width=100)
    made: dict[str, Callable[[], str]] = {BASE: lambda: json.dumps(values)}
    for form in PLAN_FORMATS:
        for name, most in MARKDOWN_BYTES.items() if form == "markdown" else (("", 0),):
            made[f"{form} ({name})" if name else form] = lambda form=form, most=most: "".join(plan_in(form, plan, look, limit_bytes=most))  # type: ignore[misc]
    return made


def limit_of(name: str, text: str) -> tuple[str, bool]:
    """How near a view is to what its reader takes, in words, and whether it keeps to it."""
    match name:
        case "markdown (comment)":
            return f"{len(text):,} of 65,536 characters", len(text) <= 65_536
        case "markdown (summary)":
            size = len(text.encode())
            return f"{size:,} of 1,048,576 bytes", size <= 1_048_576
        case "github":
            number = sum(line.startswith("::") for line in text.splitlines())
            return f"{number} of 10 annotations", number <= 10
        case "sarif":
            number, size = len(json.loads(text)["runs"][0]["results"]), len(gzip.compress(text.encode()))
            return f"{number:,} of 25,000 results, {size / 1e6:.1f} of 10 MB gzip", number <= 25_000 and size <= 10_000_000
    return "", True


def measure(changes: int, rounds: int) -> tuple[list[View], Opened | None]:
    """Every view ``rounds`` times, in turn, and the page as often in a browser."""
    plan = plan_of_size(changes)
    taken: dict[str, list[tuple[float, float]]] = {}
    texts: dict[str, str] = {}
    made = makers(plan)
    gc.collect()
    gc.freeze()  # the baseline's values are not part of a run: the collector need not walk them while a view is made
    for _ in range(rounds):
        for name, make in made.items():
            wall, cpu = time.perf_counter(), time.process_time()
            texts[name] = make()
            taken.setdefault(name, []).append((time.process_time() - cpu, time.perf_counter() - wall))
    middles = {name: tuple(map(statistics.median, zip(*times, strict=True))) for name, times in taken.items()}
    views = []
    for name, (cpu, wall) in middles.items():
        limit, within = limit_of(name, texts[name])
        views.append(
            View(
                name=name, cpu_seconds=cpu, wall_seconds=wall, ratio=cpu / middles[BASE][0], size_bytes=len(texts[name].encode()), limit=limit,
                within=within and cpu < MOST_SECONDS,
            )
        )  # fmt: skip
    return views, opened(texts["html"], rounds) if program() else None


def opened(page: str, rounds: int) -> Opened:
    """The page in a browser of its own for each round: nothing is cached."""
    times: list[tuple[float, ...]] = []
    found = ""
    with tempfile.TemporaryDirectory(prefix="amsctl-bench-") as folder:
        path = Path(folder, "plan.html")
        path.write_text(page, encoding="utf-8")
        for _ in range(rounds):
            with browser() as tab:
                tab.size(1280, 900)
                tab.open(path)
                search, found = tab.value(_SEARCH % json.dumps("dv0000007 p07 350"))
                times.append((*tab.value(_TIMES), search))
    middle = [statistics.median(column) for column in zip(*times, strict=True)]
    return Opened(first_paint=middle[0], first_contentful_paint=middle[1], loaded=middle[2], search=middle[3], found=found)


def tables(views: Sequence[View], page: Opened | None) -> str:
    """The results as Markdown."""
    rows = [
        [
            one.name,
            f"{one.wall_seconds:.2f} s (CPU {one.cpu_seconds:.2f})",
            f"**{one.ratio:.2f}×**",
            f"{one.size_bytes / 1e6:.2f} MB" if one.size_bytes > 1e5 else f"{one.size_bytes / 1e3:.1f} kB",
            one.limit,
        ]
        for one in views
    ]
    text = table(["view", "time", "beside the baseline", "size", "limit"], rows)
    if page is None:
        return text + "\nNo Chromium on this machine: the page was not opened.\n"
    base = next(one for one in views if one.name == BASE).cpu_seconds
    facts = (
        ("first paint", page.first_paint),
        ("first contentful paint", page.first_contentful_paint),
        ("loaded, every filter ready", page.loaded),
        (f"a search ({page.found})", page.search),
    )
    return (
        text
        + "\n"
        + table(["the page in Chromium", "time", "beside the baseline"], [[name, f"{it:.2f} s", f"{it / base:.2f}×"] for name, it in facts])
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.views", description="What each view of a long plan costs.")
    parser.add_argument("--changes", type=int, default=CHANGES)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder for views.json and views.md")
    options = parser.parse_args(arguments)
    views, page = measure(options.changes, options.rounds)
    options.results.mkdir(parents=True, exist_ok=True)
    document = {
        "machine": machine(), "changes": options.changes, "rounds": options.rounds, "views": [asdict(one) for one in views],
        "page": None if page is None else asdict(page),
    }  # fmt: skip
    (options.results / "views.json").write_text(json.dumps(document, indent=1) + "\n")
    (options.results / "views.md").write_text(tables(views, page))
    print(tables(views, page))
    beyond = [one.name for one in views if not one.within]
    if page is not None and page.first_paint > MOST_PAINT_SECONDS:
        beyond.append("the first paint")
    for name in beyond:
        print(f"beyond its limit: {name}", file=sys.stderr)
    return 1 if beyond else 0


if __name__ == "__main__":
    raise SystemExit(main())
