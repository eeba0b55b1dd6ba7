"""The pictures of the review page that the documents show: ``python -m tools.picture_plan [FOLDER]``, with a Chromium and the DejaVu fonts.

Two plans: one with every kind of change, and one of 100,000 changes. Whoever changes the page makes them anew, and looks at them.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from amsctl.views.html import plan_html
from tests.views.samples import large_plan, rich_plan
from tools.browser import browser

IMAGES: Final = Path(__file__).resolve().parent.parent / "docs" / "images"
_TO_CHANGES: Final = "document.getElementById('all').scrollIntoView()"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the pictures; 0."""
    given = sys.argv[1:] if arguments is None else arguments
    folder = Path(given[0]) if given else IMAGES
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as kept, browser() as page:
        rich, long = Path(kept, "rich.html"), Path(kept, "long.html")
        rich.write_text(plan_html(rich_plan()), encoding="utf-8")
        long.write_text(plan_html(large_plan(100_000)), encoding="utf-8")
        for name, dark in (("plan-light.png", False), ("plan-dark.png", True)):
            page.size(1200, 860, dark=dark)
            page.open(rich)
            page.picture(folder / name)
        page.size(1440, 720)
        page.open(rich)
        page.value(_TO_CHANGES)
        page.picture(folder / "plan-changes.png")
        page.size(390, 844, scale=1.5, phone=True)
        page.open(rich)
        page.picture(folder / "plan-phone.png")
        page.value("document.getElementById('movers-title').scrollIntoView()")
        page.picture(folder / "plan-phone-movers.png")
        page.size(1200, 720)
        page.open(long)
        page.value("document.getElementById('search').focus()")
        page.type("dv00004 p0")
        page.value(_TO_CHANGES)
        page.picture(folder / "plan-100000.png")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
