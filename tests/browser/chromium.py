"""A headless Chromium that loads a page and tells what became of it."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.wants import missing

_NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_POLICY: Final = re.compile(r"script-src 'sha256-[^']*'")


@dataclass(frozen=True, slots=True)
class Loaded:
    """The document after its scripts have run, and every address that the page asked for."""

    document: str
    asked: tuple[str, ...]


def load(path: Path, *, width: int = 1280, seconds: int = 240) -> Loaded:
    """Load a file; skips (or fails, where it is required) without a Chromium on this machine."""
    program = next(filter(None, map(shutil.which, _NAMES)), None)
    if program is None:
        missing("chromium", "none of " + ", ".join(_NAMES) + " is on the path")
    log = path.with_suffix(".net.json")
    done = subprocess.run(
        [
            *(
                program,
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--no-first-run",
                "--disable-extensions",
            ),
            *(
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                f"--user-data-dir={path.with_suffix('.profile')}",
            ),
            *(f"--window-size={width},2000", f"--log-net-log={log}", "--virtual-time-budget=20000", "--dump-dom", path.as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=seconds,
        check=True,
    )
    return Loaded(done.stdout, tuple(sorted(_asked(_events(log.read_text())))))


def _events(text: str) -> list[dict[str, Any]]:
    """The events of the log, also where the browser has left before it wrote the last brackets."""
    try:
        log = json.loads(text)
    except ValueError:
        log = json.loads(text.rstrip().rstrip(",") + "]}")
    events: list[dict[str, Any]] = log["events"]
    return events


def _asked(events: list[dict[str, Any]]) -> set[str]:
    """The addresses of requests; the browser's own errands (all to its maker) are none of the page's."""
    found = {str(event.get("params", {}).get("url", "")) for event in events if isinstance(event.get("params"), dict)}
    return {
        url
        for url in found
        if url and not url.startswith(("file:", "data:", "chrome", "devtools:", "about:", "blob:")) and "google" not in url
    }


def with_script(page: str, script: str) -> str:
    """The page with one more script at its end, allowed for this purpose: what it returns stands in ``<body data-told>`` as JSON."""
    more = f"<script>document.body.dataset.told = JSON.stringify((() => {{{script}}})());</script>"
    assert _POLICY.search(page)
    return _POLICY.sub("script-src 'unsafe-inline'", page).replace("</body>", f"{more}</body>")


def told(loaded: Loaded) -> Any:
    """What ``with_script`` has returned."""
    found = re.search(r'<body data-told="([^"]*)"', loaded.document)
    assert found is not None
    return json.loads(html.unescape(found[1]))
