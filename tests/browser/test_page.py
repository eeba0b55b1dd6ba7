"""The page of a plan in a real browser: its script works under its own policy, its filters find what they should, and hostile texts stay texts."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

from amsctl.diagnostics import Source
from amsctl.model import UNLIMITED
from amsctl.planning.plan import Plan
from amsctl.views.html import plan_html
from tests.browser.chromium import load, told, with_script
from tests.conftest import CAMPAIGN
from tests.views.samples import leg, plan_of, rich_plan, suspension
from tests.views.test_formats import nasty

STRINGS = 20_000
FIRMS = ("3N1", "350")


def saved(folder: Path, text: str) -> Path:
    path = folder / "page.html"
    path.write_text(text, encoding="utf-8")
    return path


def long_plan() -> Plan:
    """450 limits of ten accounts and three suspensions."""
    limits = [
        leg(
            f"c{number}",
            f"DV{number % 10}",
            f"{('3N1', '350')[number % 2]}/P{number % 7}.FUT.CME",
            "ef.long",
            100,
            100 + (number if number % 3 else -7),
            other=9_999,
        )
        for number in range(1, 451)
    ]
    return plan_of([*limits, *(suspension(f"c{450 + number}", f"DV{number}", "3N1", number == 1) for number in (1, 2, 3))])


def test_the_script_runs_under_the_policy_of_the_page(tmp_path: Path) -> None:
    """Untouched, as it is written: the script has taken the table over and shown the filters; nothing was asked for."""
    loaded = load(saved(tmp_path, plan_html(rich_plan())))
    assert '<p id="count" aria-live="polite">13 changes</p>' in loaded.document
    assert 'aria-label="Filter the changes">' in loaded.document, "no longer hidden"
    assert loaded.asked == ()


def test_filters_order_and_pages(tmp_path: Path) -> None:
    """What each control leaves over is counted against the plan."""
    script = """
      const byId = (id) => document.getElementById(id);
      const seen = () => [byId("count").textContent, byId("page").textContent, byId("rows").rows.length, byId("rows").rows[0]?.cells[1].textContent ?? ""];
      const set = (id, value) => { byId(id)[id === "binding" ? "checked" : "value"] = value; byId(id).dispatchEvent(new Event("input")); };
      const out = {start: seen()};
      byId("next").click(); byId("next").click(); out.last = [...seen(), byId("next").disabled];
      set("search", "dv3"); out.account = seen();
      set("search", "DV3 p2.fut 350"); out.words = seen();
      set("search", "nothing like it"); out.none = seen();
      set("search", ""); set("kind", "1"); out.suspensions = seen();
      set("direction", "2"); out.tighten = seen();
      set("kind", ""); set("direction", ""); set("order", "account"); out.ordered = seen();
      set("order", "product"); out.product = [...byId("rows").rows].slice(0, 4).map((row) => row.cells[3].textContent);
      dispatchEvent(new Event("beforeprint")); out.printed = byId("rows").rows.length;
      dispatchEvent(new Event("afterprint")); out.after = byId("rows").rows.length;
      return out;
    """
    plan = long_plan()
    found = told(load(saved(tmp_path, with_script(plan_html(plan), script))))
    firm = "GREENTEA_API_CLEARING2"
    in_account = sum(change.account == "DV3" for change in plan.changes)
    in_words = sum(change.account == "DV3" and change.product == "P2.FUT.CME" and change.execution_firm == "350" for change in plan.changes)
    assert found["start"] == ["453 changes", "Page 1 of 3", 200, f"{firm}/DV2"]
    assert found["last"][:3] == ["453 changes", "Page 3 of 3", 53]
    assert found["last"][4] is True
    assert found["account"] == [f"{in_account} of 453 changes", "Page 1 of 1", in_account, f"{firm}/DV3"]
    assert found["words"][:3] == [f"{in_words} of 453 changes", "Page 1 of 1", in_words]
    assert found["none"] == ["0 of 453 changes", "Page 1 of 1", 0, ""]
    assert found["suspensions"][0] == "3 of 453 changes"
    assert found["tighten"][0] == "1 of 453 changes"
    assert found["ordered"][3] == f"{firm}/DV0"
    assert found["product"] == ["", "", "", "P0.FUT.CME"], "what concerns a whole execution firm stands first"
    assert (found["printed"], found["after"]) == (453, 200)


def test_hostile_texts_do_nothing(tmp_path: Path) -> None:
    """Thousands of hostile strings on a page: no element, attribute, address or title of theirs, no script of theirs, no request."""
    chance = random.Random(31)
    strings = STRINGS if CAMPAIGN > 1 else STRINGS // 5
    changes = [
        replace(
            leg(f"c{number}", "A", "3N1/X.FUT.Y", "ef.long", 5, UNLIMITED if number % 2 else 7, other=UNLIMITED),
            clearing_firm=nasty(chance),
            account=nasty(chance),
            execution_firm=nasty(chance),
            product=nasty(chance),
            source=Source(nasty(chance), 1, 1),
        )
        for number in range(1, strings // 5 + 1)
    ]
    script = """
      const tags = {};
      for (const one of document.querySelectorAll("*")) tags[one.localName] = (tags[one.localName] ?? 0) + 1;
      const bad = [...document.querySelectorAll("*")].flatMap((one) => [...one.attributes]).filter((one) => /evil|alert/i.test(one.name + one.value));
      return {
        tags: Object.keys(tags).sort(), bad: bad.map((one) => one.value), title: document.title,
        links: document.links.length, images: document.images.length,
      };
    """
    loaded = load(saved(tmp_path, with_script(plan_html(replace(plan_of([]), changes=tuple(changes))), script)))
    found = told(loaded)
    assert found["bad"] == []
    assert (found["links"], found["images"], found["title"]) == (1, 0, "Limits plan for new-release")
    assert not set(found["tags"]) & {"img", "a ", "iframe", "object", "embed", "link", "base", "b", "i", "u"}
    assert loaded.asked == ()
