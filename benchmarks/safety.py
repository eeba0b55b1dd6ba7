"""What safety costs: an apply with ledger, locks, freshness checks and read-back beside a bare sequence of the very same POSTs, in one run.

``python -m benchmarks.safety [--accounts N] [--rounds N] [--results FOLDER]``. The AMS is the sandbox in a process of its own. The *bare POSTs* are the
plan's own calls, in the plan's order and as many accounts at a time, sent with aiohttp alone: nothing is read before or after, compared, recorded or
locked. *bare GETs and POSTs* are all the calls that the apply makes (from the sandbox's log), sent in the same bare way: what is left between that and
the apply is what amsctl computes and writes to disk; what is left between the two bare ones is what the rules cost in calls. The apply is measured with
its ledger where it belongs, on the disk, and with the ledger in memory-backed storage where the system has one, which tells what the disk costs.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.books import CONCURRENCY, asked, control, served
from benchmarks.measured import RESULTS, Measured, machine, middle, run, table

ACCOUNTS = 200
SHARE = 0.01
BASE = "bare POSTs"
PARTS = (BASE, "bare GETs and POSTs", "apply", "apply, ledger in memory")
_MEMORY = Path("/dev/shm")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """One measurement: what was applied, the calls it took, the ledger it left, and each part."""

    accounts: int
    changed_accounts: int
    changes: int
    gets: int
    posts: int
    ledger_records: int
    parts: dict[str, Measured]


def measure(accounts: int, rounds: int) -> Cost:
    """Every part once a round, in turn, from the same state of the AMS."""
    with tempfile.TemporaryDirectory(prefix="amsctl-bench-") as folder, served(accounts, f"{folder}/book", SHARE) as sandbox:
        book, plan_file = Path(folder, "book"), Path(folder, "plan.json")
        amsctl = [sys.executable, "-m", "amsctl.cli.main", "-C", str(book)]
        run([*amsctl, "plan", "-o", str(plan_file)])
        plan = json.loads(plan_file.read_text())
        asked(sandbox)
        posts = Path(folder, "posts.json")
        posts.write_text(json.dumps(_posts(plan, sandbox.url)))
        calls = Path(folder, "calls.json")
        kept: dict[str, list[Measured]] = {part: [] for part in PARTS}
        entries: list[dict[str, Any]] = []
        for _ in range(rounds):
            for part in PARTS:
                control(sandbox, "POST", "reset")
                asked(sandbox)
                if part.startswith("apply"):
                    memory = part != "apply" and _MEMORY.is_dir()
                    _ledger(book, str(_MEMORY / f"amsctl-bench-{os.getpid()}.db") if memory else f"{folder}/ledger.db")
                    done = run([*amsctl, "apply", str(plan_file), "--format", "json"])
                    entries = asked(sandbox)
                else:
                    if not calls.exists():
                        calls.write_text(json.dumps(_calls(plan_file, amsctl, book, folder, sandbox)))
                        control(sandbox, "POST", "reset")
                    done = run([sys.executable, "-m", "benchmarks.part", "send", str(posts if part == BASE else calls), str(CONCURRENCY)])
                assert done.exit_code == 0, f"{part} ended with {done.exit_code}"
                kept[part].append(done)
        records = run([*amsctl, "ledger", "head"], keep_output=True).output
        return Cost(
            accounts=accounts,
            changed_accounts=plan["summary"]["accounts_changed"],
            changes=plan["summary"]["changes"],
            gets=sum(entry["method"] == "GET" for entry in entries),
            posts=sum(entry["method"] == "POST" for entry in entries),
            ledger_records=int(records.partition(":")[0]),
            parts={part: middle(runs) for part, runs in kept.items()},
        )


def _posts(plan: dict[str, Any], url: str) -> list[list[dict[str, Any]]]:
    """The plan's calls, account by account."""
    grouped: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for step in plan["steps"]:
        query = "&".join(f"{name}={value}" for name, value in step["query"].items())
        call = {"method": "POST", "url": url + step["path"] + (f"?{query}" if query else ""), "body": step["body"]}
        grouped.setdefault((step["clearing_firm"], step["account"]), []).append(call)
    return list(grouped.values())


def _calls(plan_file: Path, amsctl: Sequence[str], book: Path, folder: str, sandbox: Any) -> list[list[dict[str, Any]]]:
    """Every call that an apply of the plan makes, in the order in which they came: each on its own, as nobody waits for another's answer."""
    _ledger(book, f"{folder}/first.db")
    assert run([*amsctl, "apply", str(plan_file)]).exit_code == 0
    return [
        [
            {
                "method": entry["method"],
                "url": f"{sandbox.origin}{entry['path']}?{entry['query']}".rstrip("?"),
                "body": json.loads(entry["body"]) if entry["method"] == "POST" else None,
            }
        ]
        for entry in asked(sandbox)
    ]


def _ledger(book: Path, path: str) -> None:
    """A new ledger at ``path``, named in the project file."""
    for suffix in ("", "-wal", "-shm"):
        Path(path + suffix).unlink(missing_ok=True)
    config = book / "amsctl.yaml"
    text = re.sub(r"\n  ledger: .*", "", config.read_text().rstrip("\n"))
    config.write_text(f'{text}\n  ledger: {{url: "sqlite:///{path}"}}\n')


def tables(cost: Cost) -> str:
    """The results as Markdown."""
    bare = cost.parts[BASE]
    rows = [
        [
            part,
            f"{done.wall_seconds:.2f} s (CPU {done.cpu_seconds:.2f})",
            f"**{done.wall_seconds / bare.wall_seconds:.2f}×**",
            f"{done.peak_bytes / 1e6:.0f} MB",
        ]
        for part, done in cost.parts.items()
    ]
    facts = [
        [
            f"{cost.accounts:,}",
            f"{cost.changed_accounts:,}",
            f"{cost.changes:,}",
            f"{cost.gets:,} + {cost.posts:,}",
            f"{cost.gets / cost.changed_accounts:.1f} + {cost.posts / cost.changed_accounts:.1f}",
            f"{cost.ledger_records:,}",
        ]
    ]
    head = ["accounts", "changed", "changes", "GETs + POSTs", "per changed account", "ledger records"]
    return table(["", "time", "beside bare POSTs", "peak"], rows) + "\n" + table(head, facts, left=0)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.safety", description="What safety costs an apply.")
    parser.add_argument("--accounts", type=int, default=ACCOUNTS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder for safety.json and safety.md")
    options = parser.parse_args(arguments)
    cost = measure(options.accounts, options.rounds)
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / "safety.json").write_text(json.dumps({"machine": machine(), **asdict(cost)}, indent=1) + "\n")
    (options.results / "safety.md").write_text(tables(cost))
    print(tables(cost))
    for leftover in _MEMORY.glob(f"amsctl-bench-{os.getpid()}.db*"):
        leftover.unlink()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
