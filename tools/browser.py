"""A Chromium that is driven over a pipe, for tests, measurements and pictures of pages: the DevTools protocol, without a port and without a library."""

from __future__ import annotations

import base64
import itertools
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_OPTIONS: Final = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-extensions"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-default-apps", "--mute-audio"),
    *("--hide-scrollbars", "--force-color-profile=srgb", "--font-render-hinting=none", "--remote-debugging-pipe"),
)
_START: Final = """
import os, sys
reading, writing = (os.dup(int(name)) for name in sys.argv[1:3])
for place, file in ((3, reading), (4, writing)):
    os.dup2(file, place)
    os.set_inheritable(place, True)
os.execv(sys.argv[3], sys.argv[3:])
"""
"""The browser reads its third file and writes its fourth."""
_PATIENCE_SECONDS: Final = 100.0


def program() -> str | None:
    """The Chromium on the path; ``None`` where there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class BrowserError(Exception):
    """The browser refused, or did not answer."""


class Page:
    """One tab. ``asked`` are the addresses that the page has asked for, its own file apart."""

    def __init__(self, browser: _Pipe, session: str) -> None:
        self._browser, self._session = browser, session
        self.asked: list[str] = []
        for domain in ("Page", "Network", "Runtime"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """What a method of the protocol gives back."""
        return self._browser.call(method, parameters, self._session, self._heard)

    def _heard(self, event: Mapping[str, Any]) -> None:
        if event["method"] == "Network.requestWillBeSent":
            self.asked.append(event["params"]["request"]["url"])

    def size(self, width: int, height: int, *, scale: float = 1, phone: bool = False, dark: bool = False) -> None:
        """The window, and whether its reader prefers the dark."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=phone)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def open(self, path: Path) -> None:
        """Load a file; returns when it has loaded and something of it was painted."""
        self.call("Page.navigate", url=path.absolute().as_uri())
        ready = "document.readyState === 'complete' && location.protocol === 'file:' && performance.getEntriesByType('paint').length > 0"
        end = time.monotonic() + _PATIENCE_SECONDS
        while not self.value(ready):
            if time.monotonic() > end:
                raise BrowserError(f"{path} was not painted within {_PATIENCE_SECONDS:.0f} s")
            time.sleep(0.01)
        self.asked = [url for url in self.asked if url != path.absolute().as_uri()]

    def value(self, expression: str) -> Any:
        """What an expression of JavaScript is, a promise's outcome where it is one. It runs as a debugger's, beside the page's policy."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise BrowserError(json.dumps(answer["exceptionDetails"])[:2_000])
        return answer["result"].get("value")

    def press(self, key: str, *, shift: bool = False, text: str = "") -> None:
        """A key down and up, as a person presses it."""
        codes = {"Tab": 9, "Enter": 13, "Escape": 27, "ArrowDown": 40, "ArrowRight": 39, " ": 32, "End": 35}
        common = {"key": key, "code": "Space" if key == " " else key, "windowsVirtualKeyCode": codes[key], "modifiers": 8 if shift else 0}
        self.call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", **common, **({"text": text} if text else {}))
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def type(self, text: str) -> None:
        """Text where the cursor is."""
        self.call("Input.insertText", text=text)

    def roles(self) -> list[tuple[str, str]]:
        """What a screen reader meets: the role and the name of each node of the accessibility tree."""
        nodes = self.call("Accessibility.getFullAXTree")["nodes"]
        return [
            (str(node["role"]["value"]), str(node.get("name", {}).get("value", "")))
            for node in nodes
            if not node.get("ignored") and "role" in node
        ]

    def picture(self, path: Path, *, whole: bool = False) -> None:
        """What the window shows, as PNG; ``whole`` takes the page to its end."""
        answer = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(answer["data"]))


class _Pipe:
    """Messages of JSON, each ended by a zero byte, over two pipes."""

    def __init__(self, program: subprocess.Popen[bytes], reading: int, writing: int) -> None:
        self._program, self._reading, self._writing = program, reading, writing
        self._numbers = itertools.count(1)
        self._rest = b""

    def call(self, method: str, parameters: Mapping[str, Any], session: str | None, heard: Any = None) -> dict[str, Any]:
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters, **({"sessionId": session} if session else {})}
        os.write(self._writing, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + _PATIENCE_SECONDS
        while True:
            answer = self._next(end, method)
            if answer.get("id") == number:
                break
            if heard is not None and answer.get("sessionId") == session and "method" in answer:
                heard(answer)
        if "error" in answer:
            raise BrowserError(f"{method}: {answer['error'].get('message')}")
        result: dict[str, Any] = answer["result"]
        return result

    def _next(self, end: float, method: str) -> dict[str, Any]:
        while b"\0" not in self._rest:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self._reading], [], [], left)[0]:
                raise BrowserError(f"no answer to {method} within {_PATIENCE_SECONDS:.0f} s")
            piece = os.read(self._reading, 1 << 20)
            if not piece:
                raise BrowserError(f"the browser ended with {self._program.wait(10)}")
            self._rest += piece
        line, _, self._rest = self._rest.partition(b"\0")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def browser(path: str | None = None) -> Iterator[Page]:
    """A page of a browser of its own, which leaves nothing behind; BrowserError without one on this machine."""
    chosen = path or program()
    if chosen is None:
        raise BrowserError("none of " + ", ".join(NAMES) + " is on the path")
    to_browser, from_browser = os.pipe(), os.pipe()
    with tempfile.TemporaryDirectory(prefix="amsctl-browser-", ignore_cleanup_errors=True) as profile:
        wrapped = [sys.executable, "-c", _START, str(to_browser[0]), str(from_browser[1]), chosen, *_OPTIONS, f"--user-data-dir={profile}"]
        process = subprocess.Popen(
            [*wrapped, "about:blank"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(to_browser[0], from_browser[1]),
        )
        os.close(to_browser[0])
        os.close(from_browser[1])
        pipe = _Pipe(process, from_browser[0], to_browser[1])
        try:
            target = pipe.call("Target.createTarget", {"url": "about:blank"}, None)["targetId"]
            session = pipe.call("Target.attachToTarget", {"targetId": target, "flatten": True}, None)["sessionId"]
            yield Page(pipe, session)
        finally:
            os.close(to_browser[1])  # a browser whose pipe is closed leaves
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            os.close(from_browser[0])
