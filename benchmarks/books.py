"""Four sizes of book, end to end: manifest load, plan and apply beside a bare fetch of the same answers, in one run.

``python -m benchmarks.books [--accounts 1,100,1000,10000] [--rounds N] [--results FOLDER]``. Each figure comes from a fresh process; the AMS is
the project's own sandbox in a process of its own, over loopback, without a cap on calls per second. The bare fetch asks for exactly the addresses
that the plan asked for (from the sandbox's log), with aiohttp alone, as many calls in flight, and lets the bodies go.

Two variants: ``share``, where one row in a hundred (and about five at least) differs from its manifest, so that changes grow with the book; and
``few``, where at most about 100 rows differ whatever the size: how memory grows there is what the book itself costs.
"""

from __future__ import annotations

import argparse
import json
import socket
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from amsctl.sandbox import generator
from amsctl.sandbox.server import RemoteSandbox, serve_apart
from amsctl.sandbox.state import Book
from benchmarks.measured import RESULTS, Measured, machine, middle, run, table

ACCOUNTS = (1, 100, 1_000, 10_000)
EXECUTION_FIRMS, PRODUCTS = 5, 20
ROWS = EXECUTION_FIRMS * PRODUCTS
SHARE, FEW = 0.01, 100
CONCURRENCY = 8
PARTS = ("load", "bare fetch", "fetch and decode", "plan", "apply")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One book in one variant: what differed, the calls that were made, and each part as it was measured."""

    accounts: int
    variant: str
    rows: int
    changes: int
    changed_accounts: int
    plan_gets: int
    apply_gets: int
    apply_posts: int
    plan_bytes: int
    fetched_bytes: int
    parts: dict[str, Measured]


def make_book(accounts: int, folder: str, url: str, share: float) -> Book:
    """The book, and beside it the repository that says what it says but for a share of the rows. Runs in the sandbox's process."""
    book = generator.generate(accounts, PRODUCTS, seed=accounts, execution_firms=EXECUTION_FIRMS)
    generator.write_manifests(book, folder, drift=share, seed=1, url=url, requests={"concurrency": CONCURRENCY, "perSecond": 100_000})
    return book


@contextmanager
def served(accounts: int, folder: str, share: float) -> Iterator[RemoteSandbox]:
    """The book behind a sandbox in a process of its own, its repository in ``folder``."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}/rest/v2"
    make = partial(make_book, accounts, folder, url, share)
    with serve_apart(make, start_seconds=600, port=port, log_size=40 * accounts + 1_000) as sandbox:
        yield sandbox


def asked(sandbox: RemoteSandbox) -> list[dict[str, Any]]:
    """The requests since the log was last cleared; clears it."""
    with urllib.request.urlopen(f"{sandbox.control_url}/log") as answer:
        document = json.load(answer)
    assert document["total"] == len(document["entries"]), "the sandbox's log was too short"
    control(sandbox, "DELETE", "log")
    return list(document["entries"])


def control(sandbox: RemoteSandbox, method: str, what: str) -> None:
    with urllib.request.urlopen(urllib.request.Request(f"{sandbox.control_url}/{what}", method=method)) as answer:
        answer.read()


def measure(accounts: int, variant: str, rounds: int) -> Outcome:
    """One book in one variant; parts in turn, so that what disturbs the machine meets all alike."""
    share = max(SHARE, 5 / (accounts * ROWS)) if variant == "share" else min(1.0, FEW / (accounts * ROWS))
    with tempfile.TemporaryDirectory(prefix="amsctl-bench-") as folder, served(accounts, f"{folder}/book", share) as sandbox:
        return _Bench(sandbox, Path(folder), accounts, variant).outcome(rounds)


class _Bench:
    def __init__(self, sandbox: RemoteSandbox, folder: Path, accounts: int, variant: str) -> None:
        self.sandbox, self.folder, self.accounts, self.variant = sandbox, folder, accounts, variant
        self.plan_file, self.addresses = folder / "plan.json", folder / "addresses"
        self.runs: dict[str, list[Measured]] = {part: [] for part in PARTS}

    def outcome(self, rounds: int) -> Outcome:
        python, concurrency = sys.executable, str(CONCURRENCY)
        gets: list[dict[str, Any]] = []
        writes: list[dict[str, Any]] = []
        for number in range(rounds):
            self.keep("plan", self.amsctl("plan", "-o", str(self.plan_file), "--format", "json"))
            gets = asked(self.sandbox)
            if number == 0:
                origin = self.sandbox.origin
                self.addresses.write_text("".join(f"{origin}{entry['path']}?{entry['query']}".rstrip("?") + "\n" for entry in gets))
            self.keep("bare fetch", [python, "-m", "benchmarks.part", "fetch", str(self.addresses), concurrency, "bare"])
            self.keep("fetch and decode", [python, "-m", "benchmarks.part", "fetch", str(self.addresses), concurrency, "decoded"])
            self.keep("load", [python, "-m", "benchmarks.part", "load", str(self.folder / "book")])
            asked(self.sandbox)
            self.keep("apply", self.amsctl("apply", str(self.plan_file), "--format", "json"))
            writes = asked(self.sandbox)
            control(self.sandbox, "POST", "reset")
        plan = json.loads(self.plan_file.read_text())
        assert {entry["method"] for entry in gets} == {"GET"}
        return Outcome(
            accounts=self.accounts,
            variant=self.variant,
            rows=self.accounts * ROWS,
            changes=plan["summary"]["changes"],
            changed_accounts=plan["summary"]["accounts_changed"],
            plan_gets=len(gets),
            apply_gets=sum(entry["method"] == "GET" for entry in writes),
            apply_posts=sum(entry["method"] == "POST" for entry in writes),
            plan_bytes=self.plan_file.stat().st_size,
            fetched_bytes=sum(entry["response_bytes"] for entry in gets),
            parts={part: middle(runs) for part, runs in self.runs.items()},
        )

    def amsctl(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "amsctl.cli.main", "-C", str(self.folder / "book"), *arguments]

    def keep(self, part: str, command: Sequence[str]) -> None:
        done = run(command)
        assert done.exit_code == 0, f"{part} ended with {done.exit_code}"
        self.runs[part].append(done)


# --- what is shown ---


def tables(outcomes: Sequence[Outcome]) -> str:
    """The results as Markdown: time beside the bare fetch, then memory, then what a run was about."""
    return "\n".join([_times(outcomes), _memory(outcomes), _facts(outcomes)])


def _times(outcomes: Sequence[Outcome]) -> str:
    head = ["accounts", "differs", "bare fetch", *(f"{part}" for part in PARTS if part != "bare fetch")]
    rows = []
    for outcome in outcomes:
        bare = outcome.parts["bare fetch"]
        cells = [f"{outcome.accounts:,}", _differs(outcome), f"{bare.wall_seconds:.2f} s (CPU {bare.cpu_seconds:.2f})"]
        for part in PARTS:
            if part != "bare fetch":
                done = outcome.parts[part]
                times = f"{done.wall_seconds:.2f} s (CPU {done.cpu_seconds:.2f})"
                cells.append(f"{times}, **{done.wall_seconds / bare.wall_seconds:.2f}×**")
        rows.append(cells)
    return table(head, rows, left=2)


def _memory(outcomes: Sequence[Outcome]) -> str:
    rows = [
        [f"{outcome.accounts:,}", _differs(outcome), *(f"{outcome.parts[part].peak_bytes / 1e6:.0f} MB" for part in PARTS)]
        for outcome in outcomes
    ]
    return table(["accounts", "differs", *(f"{part}, peak" for part in PARTS)], rows, left=2)


def _facts(outcomes: Sequence[Outcome]) -> str:
    rows = [
        [
            f"{outcome.accounts:,}",
            _differs(outcome),
            f"{outcome.rows:,}",
            f"{outcome.changes:,}",
            f"{outcome.plan_gets:,}",
            f"{outcome.fetched_bytes / 1e6:.1f} MB",
            f"{outcome.plan_bytes / 1e6:.2f} MB",
            f"{outcome.apply_gets:,} + {outcome.apply_posts:,}",
        ]
        for outcome in outcomes
    ]
    return table(["accounts", "differs", "rows", "changes", "GETs of plan", "fetched", "plan file", "GETs + POSTs of apply"], rows, left=2)


def _differs(outcome: Outcome) -> str:
    return "1 row in 100" if outcome.variant == "share" else f"{FEW} rows"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.books", description="Manifest load, plan and apply on books of several sizes."
    )
    parser.add_argument("--accounts", default=",".join(map(str, ACCOUNTS)), help="sizes of the books")
    parser.add_argument("--rounds", type=int, default=0, help="measurements of each part; default 5, 3 from 1,000 accounts, 1 beyond")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder for books.json and books.md")
    options = parser.parse_args(arguments)
    outcomes = []
    for accounts in map(int, options.accounts.split(",")):
        for variant in ("share", "few") if accounts * ROWS * SHARE > FEW else ("share",):
            rounds = options.rounds or (5 if accounts < 1_000 else 3 if accounts < 10_000 else 1)
            outcomes.append(measure(accounts, variant, rounds))
            print(tables(outcomes[-1:]), flush=True)
    options.results.mkdir(parents=True, exist_ok=True)
    document = {"machine": machine(), "concurrency": CONCURRENCY, "books": [asdict(outcome) for outcome in outcomes]}
    (options.results / "books.json").write_text(json.dumps(document, indent=1) + "\n")
    (options.results / "books.md").write_text(tables(outcomes))
    print(tables(outcomes))


if __name__ == "__main__":
    main()
