"""How long amsctl takes to start: ``amsctl --help`` and ``amsctl validate ONE_FILE`` beside ``python -c "import click"``, in turn.

``python -m benchmarks.startup [--runs N] [--results FOLDER]``. Wall and CPU time from start to end of the process, median of N runs each, by the same
interpreter. The console script of an installation does the same as ``python -m amsctl``, which is what is run here.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.measured import RESULTS, ROOT, machine, run, table

MOST = 2.5
"""So many times the baseline a start may take."""
BASELINE = 'python -c "import click"'
ONE_FILE = ROOT / "examples" / "limits" / "accounts" / "softs.yaml"
COMMANDS = {
    BASELINE: ("-c", "import click"),
    "amsctl --help": ("-m", "amsctl.cli.main", "--help"),
    "amsctl validate ONE_FILE": ("-m", "amsctl.cli.main", "validate", str(ONE_FILE)),
    "amsctl plan --help": ("-m", "amsctl.cli.main", "plan", "--help"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """Medians of one command, and each as a multiple of the baseline's."""

    command: str
    wall_seconds: float
    cpu_seconds: float
    wall_ratio: float
    cpu_ratio: float


def measure(runs: int) -> list[Started]:
    """Every command ``runs`` times, in turn, after one round that counts for nothing."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in COMMANDS}
    for number in range(runs + 1):
        for name, arguments in COMMANDS.items():
            done = run([sys.executable, *arguments])
            if number:
                taken[name].append((done.wall_seconds, done.cpu_seconds))
    middles = {name: tuple(map(statistics.median, zip(*times, strict=True))) for name, times in taken.items()}
    wall, cpu = middles[BASELINE]
    return [
        Started(command=name, wall_seconds=mine[0], cpu_seconds=mine[1], wall_ratio=mine[0] / wall, cpu_ratio=mine[1] / cpu)
        for name, mine in middles.items()
    ]


def shown(found: Sequence[Started]) -> str:
    """The results as Markdown."""
    rows = [
        [
            f"`{one.command}`",
            f"{one.wall_seconds * 1000:.0f} ms",
            f"{one.wall_ratio:.2f}×",
            f"{one.cpu_seconds * 1000:.0f} ms",
            f"{one.cpu_ratio:.2f}×",
        ]
        for one in found
    ]
    return table(["command", "wall", "to the baseline", "CPU", "to the baseline"], rows)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.startup", description="How long amsctl takes to start.")
    parser.add_argument("--runs", type=int, default=21, help="runs of each command")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder for startup.json and startup.md")
    options = parser.parse_args(arguments)
    found = measure(options.runs)
    options.results.mkdir(parents=True, exist_ok=True)
    document = {"machine": machine(), "runs": options.runs, "most": MOST, "commands": [asdict(one) for one in found]}
    (options.results / "startup.json").write_text(json.dumps(document, indent=1) + "\n")
    (options.results / "startup.md").write_text(shown(found))
    print(shown(found))
    slow = [one.command for one in found if one.wall_ratio > MOST and one.cpu_ratio > MOST]
    if slow:
        print(f"slower than {MOST} times the baseline: {', '.join(slow)}")
    return 1 if slow else 0


if __name__ == "__main__":
    raise SystemExit(main())
