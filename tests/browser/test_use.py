"""The page of a plan as people use it: with a keyboard alone, by ear, on a phone, in the dark; and what it forbids itself, tried from within."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import pytest

from amsctl.views.html import plan_html
from tests.browser.test_page import long_plan
from tests.views.samples import quiet_plan, rich_plan
from tests.wants import missing
from tools.browser import NAMES, Page, browser, program

SHOWN = "[document.getElementById('count').textContent, document.getElementById('rows').rows.length]"
FOCUSED = "((one) => one.id || one.getAttribute('aria-labelledby') || one.className || one.localName)(document.activeElement)"


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    """One browser for all tests here."""
    if program() is None:
        missing("chromium", "none of " + ", ".join(NAMES) + " is on the path")
    with browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The page of each plan, in a file."""
    folder = tmp_path_factory.mktemp("pages")
    made = {"long": long_plan(), "rich": rich_plan(), "quiet": quiet_plan()}
    for name, plan in made.items():
        (folder / f"{name}.html").write_text(plan_html(plan), encoding="utf-8")
    return {name: folder / f"{name}.html" for name in made}


def opened(page: Page, path: Path, **size: Any) -> Page:
    page.size(size.pop("width", 1280), 900, **size)
    page.open(path)
    return page


def tabs(page: Page, most: int = 60) -> list[str]:
    """What the tab key comes to, from the top to where it leaves the page."""
    met: list[str] = []
    for _ in range(most):
        page.press("Tab")
        now = page.value(FOCUSED)
        if now == "body" or (met and now == met[0]):
            return met
        met.append(now)
    raise AssertionError(met)


def test_everything_is_reached_with_the_keyboard(page: Page, files: dict[str, Path]) -> None:
    """In the order of reading: the way past everything, each table that scrolls, each filter, the pages; and each shows that it is there."""
    opened(page, files["long"])
    met = tabs(page)
    assert met == [
        *("skip", "movers-title", "group-1", "group-2", "group-3", "heat-title"),
        *("search", "direction", "kind", "order", "binding", "changes", "next"),
    ]
    page.value("document.activeElement.blur()")
    page.press("Tab")
    assert page.value("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert page.value("document.activeElement.getBoundingClientRect().left") > 0, "what is skipped to is seen once it is reached"
    page.press("Enter", text="\r")
    assert page.value(FOCUSED) == "changes", "the heading of the changes is where one goes on"


def test_search_and_filters_with_the_keyboard_alone(page: Page, files: dict[str, Path]) -> None:
    """Typed, chosen, turned over: what is left is told, and read out as it changes."""
    opened(page, files["long"])
    page.value("document.getElementById('search').focus()")
    page.type("dv3 p2")
    plan = long_plan()
    hits = sum(change.account == "DV3" and change.product == "P2.FUT.CME" for change in plan.changes)
    assert page.value(SHOWN) == [f"{hits} of 453 changes", hits]
    page.value("document.getElementById('search').select()")
    page.type(" ")
    assert page.value(SHOWN) == ["453 changes", 200]
    page.press("Tab")
    page.press("ArrowDown")
    assert page.value("document.getElementById('direction').value") == "0"
    assert page.value(SHOWN)[0] == f"{plan.summary.loosen} of 453 changes"
    for _ in range(3):
        page.press("Tab")
    page.press(" ", text=" ")
    assert page.value("document.getElementById('binding').checked") is True
    page.press("Tab")
    page.press("Tab")
    assert page.value(FOCUSED) == "next"
    page.press("Enter", text="\r")
    assert page.value("document.getElementById('page').textContent") == "Page 2 of 2"
    assert page.value("document.getElementById('count').getAttribute('aria-live')") == "polite"
    assert page.asked == []


@pytest.mark.parametrize("width", [1280, 390])
def test_by_ear(page: Page, files: dict[str, Path], width: int) -> None:
    """Landmarks, one first heading and none left out, a name for whatever can be acted on, tables that are tables on a phone too."""
    opened(page, files["rich"], width=width, phone=width < 500)
    roles = page.roles()
    for landmark in ("banner", "main", "contentinfo", "search"):
        assert [role for role, _ in roles].count(landmark) == 1, landmark
    assert all(name for role, name in roles if role in ("searchbox", "combobox", "checkbox", "region", "link", "button", "search"))
    levels = page.value("[...document.querySelectorAll('h1,h2,h3,h4')].map((one) => +one.localName[1])")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert [role for role, _ in roles].count("table") == page.value("document.querySelectorAll('table').length")
    heads = [name for role, name in roles if role == "columnheader"]
    assert heads[-10:] == ["direction", "account", "EF", "product", "leg", "before", "after", "effective limit", "use", "manifest"]
    assert len([role for role, _ in roles if role == "row"]) == page.value("document.querySelectorAll('tr').length")
    assert page.value("document.documentElement.lang") == "en"


CONTRAST = """(() => {
  const linear = (one) => (one / 255 <= 0.04045 ? one / 255 / 12.92 : ((one / 255 + 0.055) / 1.055) ** 2.4);
  const light = (text) => { const [r, g, b] = text.match(/[\\d.]+/g).map(linear);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const ground = (one) => {
    for (; one; one = one.parentElement) { const found = getComputedStyle(one).backgroundColor; if (!/, 0\\)$/.test(found)) return found; }
    return "rgb(255, 255, 255)";
  };
  const low = [];
  for (const one of document.querySelectorAll("body *")) {
    if (![...one.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim()) || !one.getClientRects().length) continue;
    const [a, b] = [light(getComputedStyle(one).color), light(ground(one))].sort((x, y) => y - x);
    const found = (a + 0.05) / (b + 0.05);
    if (found < 4.5 && !one.disabled) low.push([one.localName, one.className, one.textContent.slice(0, 30), found.toFixed(2)]);
  }
  return low;
})()"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_readable_in_any_light_and_width(page: Page, files: dict[str, Path], width: int, dark: bool) -> None:
    """Every text stands out 4.5 to 1 (WCAG AA), and nothing but tables in their frames is wider than the window."""
    for name in ("rich", "quiet"):
        opened(page, files[name], width=width, dark=dark, phone=width < 500)
        assert page.value(CONTRAST) == []
        assert page.value("document.documentElement.scrollWidth") <= width
    assert page.value("getComputedStyle(document.body).backgroundColor") == ("rgb(17, 22, 28)" if dark else "rgb(255, 255, 255)")


def test_before_and_after_are_seen_on_a_phone(page: Page, files: dict[str, Path]) -> None:
    """Each row of the changes is whole within the width of the window."""
    opened(page, files["rich"], width=390, phone=True)
    edges = page.value(
        "[...document.querySelectorAll('#rows td')].filter((one) => one.getClientRects().length).map((one) => one.getBoundingClientRect().right)"
    )
    assert len(edges) > 80
    assert max(edges) <= 390


ATTACK = """(async () => {
  const stopped = [];
  addEventListener("securitypolicyviolation", (event) => stopped.push(event.effectiveDirective));
  const add = (name, more) => document.body.appendChild(Object.assign(document.createElement(name), more));
  add("script", {textContent: "window.ran = 'inline'"});
  add("script", {src: "http://127.0.0.1:PORT/x.js"});
  add("img", {src: "http://127.0.0.1:PORT/x.png"});
  add("link", {rel: "stylesheet", href: "http://127.0.0.1:PORT/x.css"});
  add("iframe", {src: "http://127.0.0.1:PORT/x.html"});
  add("object", {data: "http://127.0.0.1:PORT/x.swf"});
  add("style", {textContent: "body{display:none}"});
  add("div", {innerHTML: "<b style='color:red' onclick='window.ran=1'>x</b>"}).firstChild.click();
  add("base", {href: "http://127.0.0.1:PORT/"});
  const form = add("form", {action: "http://127.0.0.1:PORT/", method: "post"}); form.submit();
  const refused = [];
  for (const send of [() => fetch("http://127.0.0.1:PORT/x"), () => new WebSocket("ws://127.0.0.1:PORT/x"), () => new EventSource("http://127.0.0.1:PORT/x"),
    () => new Worker("data:text/javascript,1"), () => navigator.sendBeacon("http://127.0.0.1:PORT/x", "x"), () => import("http://127.0.0.1:PORT/x.js")]) {
    try { await send(); } catch (error) { refused.push(error.name); }
  }
  await new Promise((done) => setTimeout(done, 150));
  return JSON.stringify({stopped: [...new Set(stopped)].sort(), ran: window.ran ?? null, base: document.baseURI.slice(0, 5),
    shown: getComputedStyle(document.body).display, red: getComputedStyle(document.querySelector("div > b")).color});
})()"""


class Called(BaseHTTPRequestHandler):
    """Somebody elsewhere, who writes down what he is asked for."""

    paths: ClassVar[list[str]] = []

    def answer(self) -> None:
        self.paths.append(f"{self.command} {self.path}")
        self.send_response(404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST = do_OPTIONS = answer  # noqa: N815  the names that http.server calls

    def log_message(self, *_: Any) -> None:
        """Nothing."""


def attacked(page: Page, path: Path, attack: str) -> tuple[dict[str, Any], list[str]]:
    """What became of it, and what somebody elsewhere was asked for."""
    Called.paths.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Called) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        opened(page, path)
        found: dict[str, Any] = json.loads(page.value(attack.replace("PORT", str(server.server_port))))
        server.shutdown()
    return found, sorted(Called.paths)


def test_the_policy_holds_from_within(page: Page, files: dict[str, Path]) -> None:
    """Whatever somebody got into the page: no script, style, picture, frame, form or connection comes of it, and nobody is called."""
    found, called = attacked(page, files["rich"], ATTACK)
    assert called == []
    assert (found["ran"], found["base"], found["shown"]) == (None, "file:", "block")
    assert found["red"] != "rgb(255, 0, 0)"
    scripts_and_styles = {"script-src-elem", "script-src-attr", "style-src-elem", "style-src-attr"}
    assert scripts_and_styles | {"img-src", "frame-src", "object-src", "connect-src", "base-uri", "form-action"} <= set(found["stopped"])


def test_without_its_policy_the_page_would_not_hold(page: Page, files: dict[str, Path], tmp_path: Path) -> None:
    """The same attempts do reach their aim on a page that forbids nothing: the test above can fail."""
    text = files["rich"].read_text(encoding="utf-8")
    bare = re.sub('<meta http-equiv="Content-Security-Policy"[^>]*>', "", text)
    (tmp_path / "bare.html").write_text(bare, encoding="utf-8")
    found, called = attacked(page, tmp_path / "bare.html", ATTACK.replace("form.submit();", ""))
    assert {"GET /x.js", "GET /x.png", "GET /x.css", "GET /x.html", "GET /x"} <= set(called)
    assert (found["ran"], found["shown"], found["stopped"]) == (1, "none", [])
