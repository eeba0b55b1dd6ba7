"""``python -m benchmarks``: start-up, calls per account, what safety costs, the views of a long plan, the four books. ``--quick`` leaves out the large ones."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks import books, calls, safety, startup, views
from benchmarks.measured import RESULTS


def main(arguments: Sequence[str] | None = None) -> int:
    """Every measurement in turn; 1 when something starts slower than it may, or a view is beyond its limit."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="one round on books of 1 and 100 accounts, five runs of each start: a minute or two"
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder for the results")
    options = parser.parse_args(arguments)
    kept = ["--results", str(options.results)]
    ended = startup.main([*kept, *(["--runs", "5"] if options.quick else [])])
    calls.main(kept)
    safety.main([*kept, *(["--accounts", "10", "--rounds", "1"] if options.quick else [])])
    ended |= views.main([*kept, *(["--changes", "2000", "--rounds", "1"] if options.quick else [])])
    books.main([*kept, *(["--accounts", "1,100", "--rounds", "1"] if options.quick else [])])
    return ended


if __name__ == "__main__":
    raise SystemExit(main())
