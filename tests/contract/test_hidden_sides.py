"""Through HTTP: an AMS that hides a side, spells it otherwise, does not say what it answers, or answers a part. Nothing is written on such a reading."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from amsctl.cli.console import Console
from amsctl.cli.main import main
from amsctl.sandbox.books import spec_book
from amsctl.sandbox.faults import Rule
from amsctl.sandbox.server import Sandbox, serve
from tests.conftest import CAMPAIGN
from tests.hostile.canaries import ENVIRON

NUMBER = "DV10121801A"
KEY = ("3N1", "CJ.FUT.NYMEX")
TRUTH = (324, 567, 9000, 2000)
LIMITS = "/accountLimitsUtilization/*"
SHAPES = (
    "ef_side_absent", "cmf_side_absent", "ef_side_null", "cmf_side_null", "ef_side_empty", "cmf_side_empty", "ef_side_one_legged",
    "cmf_side_one_legged", "cmf_side_word", "legs_word", "legs_more", "ef_side_misspelt", "cmf_side_misspelt", "sides_misspelt_too", "legs_misspelt",
    "no_names", "no_service", "no_firm", "no_account", "partial_content",
)  # fmt: skip
WISHES = {
    "tighten": ("{ef: {long: 300}}", "{cmf: {long: 8000}}"),
    "loosen": ("{ef: {short: 600}}", "{cmf: {short: 2500}}"),
    "mixed": ("{ef: {long: 300, short: 600}}", "{cmf: {long: 8000, short: 2500}}"),
    "unset": ("unset", "unset"),
}
OWNERSHIP = {"ef": 0, "cmf": 1, "ef, cmf": 0}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with serve(spec_book()) as served:
        yield served


class Desk:
    """A limits repository, and one command line after the other in it."""

    def __init__(self, folder: Path, sandbox: Sandbox) -> None:
        self.folder, self.sandbox = folder, sandbox

    def write(self, limits: str, *, ownership: str = "ef, cmf", shown_as: str = "", product: str = KEY[1]) -> None:
        assumed = f", assumptions: {{unlimitedShownAs: {shown_as}}}" if shown_as else ""
        (self.folder / "amsctl.yaml").write_text(
            f"apiVersion: amsctl/v1\nkind: Project\nspec:\n  guards: none\n  ownership: [{ownership}]\n  manifests: [a.yaml]\n  defaultEnvironment: s\n"
            "  requests: {perSecond: unlimited, settleSeconds: 0.05, retries: 0}\n"
            f"  environments:\n    s: {{url: '{self.sandbox.url}', auth: {{type: none}}{assumed}}}\n"
        )
        (self.folder / "a.yaml").write_text(
            "apiVersion: amsctl/v1\nkind: Account\nmetadata: {clearingFirm: GREENTEA_API_CLEARING2, accountNumber: DV10121801A}\n"
            f"spec: {{executionFirms: {{3N1: {{limits: {{{product}: {limits}}}}}}}}}\n"
        )

    def run(self, *arguments: str) -> tuple[int, str]:
        out, err = io.StringIO(), io.StringIO()
        console = Console(stdout=out, stderr=err, stdin=io.StringIO(), environ=ENVIRON)
        return main(["-C", str(self.folder), *arguments], console=console), out.getvalue() + err.getvalue()

    def posts(self) -> int:
        return len(self.sandbox.log.calls("POST"))


@pytest.fixture
def desk(tmp_path: Path, sandbox: Sandbox) -> Desk:
    sandbox.reset()
    return Desk(tmp_path, sandbox)


@pytest.mark.parametrize("shape", SHAPES)
def test_nothing_is_planned_or_written_on_an_odd_answer(desk: Desk, shape: str) -> None:
    """Every ownership × direction (a third of them for each shape, all of them in a campaign): no plan, exit 1, by name; and a plan that was made before
    is not carried out on such a reading.
    """
    cases = list(product(OWNERSHIP.items(), WISHES.values()))
    for (ownership, side), wish in cases if CAMPAIGN > 1 else cases[SHAPES.index(shape) % 3 :: 3]:
        desk.sandbox.reset()
        desk.write(wish[side], ownership=ownership)
        plan = str(desk.folder / "plan.json")
        assert desk.run("plan", "-o", plan)[0] == 0
        desk.sandbox.faults.add(Rule(kind="malformed", variant=shape, method="GET", path=LIMITS))
        code, text = desk.run("plan")
        assert code == 1, text
        assert NUMBER in text
        assert desk.run("apply", plan)[0] == 1
        assert desk.posts() == 0
        assert desk.sandbox.book.row(NUMBER, *KEY) == TRUTH


@pytest.mark.parametrize("shape", SHAPES)
def test_an_answer_to_a_write_that_hides_a_side_is_not_verified_in_silence(desk: Desk, shape: str) -> None:
    """The write is read back: what the answer left out is as asked, and the report says that the answer was none, or differed."""
    desk.write("{ef: {long: 300}}")
    plan = str(desk.folder / "plan.json")
    assert desk.run("plan", "-o", plan)[0] == 0
    desk.sandbox.faults.add(Rule(kind="malformed", variant=shape, method="POST", path=LIMITS))
    code, text = desk.run("apply", plan, "--format", "json")
    (step,) = json.loads(text[text.index("{") : text.rindex("}") + 1])["steps"]
    assert desk.posts() == 1
    assert desk.sandbox.book.row(NUMBER, *KEY) == (300, *TRUTH[1:])
    if shape == "partial_content":
        assert (code, step["outcome"]) == (0, "verified")  # no answer at all: what was read back decides
        assert "no usable answer" in step["message"]
    else:
        assert (code, step["outcome"]) == (6, "diverged")
        assert "the answer cannot be compared" in step["message"]


@pytest.mark.parametrize(
    ("oddity", "shown_as"), [("null", '"null"'), ("Unlimited", "Unlimited"), ("omit", "leg-absent"), ("omit_side", "side-absent")]
)
def test_each_setting_reads_its_own_form_and_no_other(desk: Desk, oddity: str, shown_as: str) -> None:
    """A row with one limit: a change of it leaves the other legs without one, and every other setting refuses the reading and names what would read it."""
    desk.sandbox.switch(unlimited_as=oddity)
    desk.sandbox.book.put(NUMBER, "3N1", KEY[1], (10, None, None, None))
    for setting in ('"null"', "Unlimited", "leg-absent", "side-absent"):
        desk.write("{ef: {long: 5}}", shown_as=setting)
        code, text = desk.run("plan")
        admitted = setting == shown_as
        assert code == (0 if admitted else 1), text
        # Of a row that shows one leg without a limit, and a side without any, the first is named first.
        first = "leg-absent" if shown_as == "side-absent" and setting != "leg-absent" else shown_as
        assert admitted or f"set it to {first}" in text
        assert ("assumption-side-absent" in text or "does not show has no limit" in text) == (admitted and setting == "side-absent"), text
    desk.write("{ef: {long: 5}}", shown_as=shown_as)
    code, text = desk.run("apply", "--auto-approve")
    assert code == 0, text
    assert desk.sandbox.book.row(NUMBER, *KEY) == (5, None, None, None)
