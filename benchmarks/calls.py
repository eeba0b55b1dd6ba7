"""How many HTTP calls plan and apply make for one account, by what changes on it, beside the least that the rules allow.

``python -m benchmarks.calls [--results FOLDER]``. Counted in the sandbox's log. With R the calls that read an account whole (``/efStatus`` and its pages of
limits, P of them) the rules ask for (docs/architecture.md): one read to plan; before the first write of all, every account that is written is read again
(R and its status), and the plan derived again from it; right before its own writes again (R and its status); after each call what it wrote is read back, and
after the last call the account whole (R and its status). So the least is R to plan, and to apply 3 R + 3, the POSTs, and P (or one, for a suspension or a
status) for each call but the last.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

from benchmarks.books import asked, served
from benchmarks.measured import RESULTS, machine, run, table

_LEG = re.compile(r"\{ef: \{long: (\d+), short: (\d+)\}")
PAGES = 3
"""GETs for the 100 rows of an account: two full pages of 50, and a look beyond, since a full last page does not prove that nothing follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """The calls for one account, and the least that there may be."""

    what: str
    plan_gets: int
    plan_least: int
    apply_gets: int
    apply_posts: int
    apply_least: int


def leg(text: str, rows: range, steps: Sequence[int]) -> str:
    """Long and short limits of some rows moved by so many contracts each; rows that have none to spare are passed over."""
    seen = -1

    def moved(found: re.Match[str]) -> str:
        nonlocal seen
        long, short = int(found[1]), int(found[2])
        if min(long, short) < 5:
            return found[0]
        seen += 1
        return f"{{ef: {{long: {long + steps[0]}, short: {short + steps[1]}}}" if seen in rows else found[0]

    return _LEG.sub(moved, text)


def tombstone(text: str) -> str:
    return re.sub(r"(\.(?:FUT|OOF|OOC)\.[A-Z]+): \{ef.*", r"\1: unset", text, count=1)


CASES: dict[str, tuple[Callable[[str], str], int, int]] = {
    "nothing": (lambda text: text, 0, 0),
    "one limit lowered": (lambda text: leg(text, range(1), (-1, 0)), 1, 0),
    "one limit raised": (lambda text: leg(text, range(1), (1, 0)), 1, 0),
    "ten limits lowered": (lambda text: leg(text, range(10), (-1, 0)), 1, 0),
    "one row both ways": (lambda text: leg(text, range(1), (-1, 1)), 2, PAGES),
    "one row unset": (tombstone, 1, -1),
    "an execution firm's suspension": (lambda text: re.sub("suspended: (true|false)", _turned, text, count=1), 1, 0),
    "the account's status": (lambda text: re.sub("status: (Active|Inactive)", _turned, text, count=1), 1, 0),
}
"""What changes: the manifest's text rewritten, the POSTs that takes, and the GETs beyond a single call's: those that read back the calls before the last,
less the look beyond the last page where 99 rows are left."""


def _turned(found: re.Match[str]) -> str:
    other = {"true": "false", "false": "true", "Active": "Inactive", "Inactive": "Active"}
    return f"{found[0].split(':')[0]}: {other[found[1]]}"


def measure() -> list[Counted]:
    """One account for each case, in one plan and one apply."""
    with tempfile.TemporaryDirectory(prefix="amsctl-calls-") as folder, served(len(CASES), f"{folder}/book", 0.0) as sandbox:
        numbers = []
        for (rewrite, _, _), path in zip(CASES.values(), sorted(Path(folder, "book", "accounts").iterdir()), strict=True):
            text = path.read_text()
            path.write_text(rewrite(text))
            numbers.append(unquote(path.stem))
        amsctl = [sys.executable, "-m", "amsctl.cli.main", "-C", f"{folder}/book"]
        run([*amsctl, "plan", "-o", f"{folder}/plan.json"])
        planned = asked(sandbox)
        assert run([*amsctl, "apply", f"{folder}/plan.json"]).exit_code == 0
        applied = asked(sandbox)
    whole = 1 + PAGES  # R
    return [
        Counted(
            what=what,
            plan_gets=len(of(planned, number, "GET")),
            plan_least=whole,
            apply_gets=len(of(applied, number, "GET")),
            apply_posts=len(of(applied, number, "POST")),
            apply_least=3 * whole + 3 + posts + between if posts else 0,
        )
        for (what, (_, posts, between)), number in zip(CASES.items(), numbers, strict=True)
    ]


def of(entries: Sequence[dict[str, Any]], number: str, method: str) -> list[dict[str, Any]]:
    """The requests that are about one account; the listing of all accounts is about none."""

    def about(entry: dict[str, Any]) -> bool:
        if "/status/clearing/" in entry["path"]:
            return bool(json.loads(entry["body"])["clearingAccounts"][0]["accountNumber"] == number)
        if "/accounts/clearing/" in entry["path"]:
            return parse_qs(entry["query"]).get("accountNumber") == [number]
        return unquote(entry["path"].rpartition("/")[2]) == number

    return [entry for entry in entries if entry["method"] == method and about(entry)]


def shown(found: Sequence[Counted]) -> str:
    """The results as Markdown."""
    rows = [
        [one.what, str(one.plan_gets), str(one.plan_least), f"{one.apply_gets} + {one.apply_posts}", str(one.apply_least)] for one in found
    ]
    return table(["what changes on the account", "GETs of plan", "least", "GETs + POSTs of apply", "least"], rows)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.calls", description="HTTP calls per account.")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder for calls.json and calls.md")
    options = parser.parse_args(arguments)
    found = measure()
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / "calls.json").write_text(
        json.dumps({"machine": machine(), "accounts": [asdict(one) for one in found]}, indent=1) + "\n"
    )
    (options.results / "calls.md").write_text(shown(found))
    print(shown(found))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
