"""The judge itself: defects that are put into the real command, one at a time, and each is seen."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.chaos.judge import judge
from tests.chaos.stage import Stage
from tests.chaos.worlds import WORLDS


@pytest.mark.parametrize(
    ("defect", "world", "said"),
    [
        ("no-intent", "mixed", "intent: "),
        ("late-intent", "mixed", "intent: "),
        ("sent-twice", "mixed", "twice: "),
        ("loosen-first", "suspension", "order: "),
        ("too-much", "mixed", "safety: "),
        ("wrong-outcome", "rows", "truth: "),
    ],
)
def test_a_defect_is_seen(stage: Stage, defect: str, world: str, said: str) -> None:
    """An apply with this defect is a breach of this kind, without a crash or with one."""
    stage.play(WORLDS[world]).planned()
    stage.run("apply", "plan.json", defect=defect)
    assert any(breach.startswith(said) for breach in stage.breaches()), stage.breaches()


def test_a_resume_that_does_not_look_is_seen(stage: Stage) -> None:
    """A killed run whose resume takes open calls for done, without reading."""
    stage.play(WORLDS["mixed"]).planned()
    assert stage.run("apply", "plan.json", at=1, label="before POST").code == -signal.SIGKILL
    stage.run("resume", defect="settled-blindly")
    found = stage.breaches()
    assert any(breach.startswith(("truth: ", "lost: ")) for breach in found), found


def test_a_changed_ledger_is_seen(stage: Stage) -> None:
    """A record that was changed, taken out or cut off is a breach by the judge's own reckoning."""
    stage.play(WORLDS["mixed"]).planned()
    assert stage.run("apply", "plan.json").code == 0
    ledger = stage.recorded()
    assert ledger is not None
    assert judge(stage.world, stage.log, stage.journal, ledger) == []
    first, second, *rest = ledger.records
    for changed in ([{**first, "firm": "OTHER"}, second, *rest], [first, *rest], [first, second, *rest[:-1]]):
        found = judge(stage.world, stage.log, stage.journal, replace(ledger, records=changed), finished=False)
        assert any(breach.startswith("chain: ") for breach in found), found


def test_an_intent_counts_from_the_moment_that_another_can_read_it(stage: Stage) -> None:
    """By its number and what the ledger held when the call arrived, one record less is a breach; a server that is away tells nothing."""
    stage.play(WORLDS["mixed"]).planned()
    assert stage.run("apply", "plan.json").code == 0
    intents = [record["seq"] for record in stage.records() if record["kind"] == "intent"]
    passages = [stage.journal.passage(post) for post in stage.posts]
    assert len(intents) == len(passages) == 2
    for passage, seq in zip(passages, intents, strict=True):
        assert passage.head is not None
        assert passage.head >= seq
        for head, seen in ((seq, False), (seq - 1, True), (0, True), (None, False)):
            passage.head = head
            assert [breach.partition(":")[0] for breach in stage.breaches()] == ["intent"] * seen
        passage.head = seq


def test_the_judge_knows_nothing_of_amsctl() -> None:
    """Nothing of the program is loaded with the judge, nor later by it: what it says cannot come from there."""
    source = (Path(__file__).parent / "judge.py").read_text(encoding="utf-8")
    imports = {line.split()[1].partition(".")[0] for line in source.splitlines() if line.lstrip().startswith(("import ", "from "))}
    assert imports - set(sys.stdlib_module_names) == {"tests", "psycopg"}
    program = "import sys, tests.chaos.judge; print(sorted(name for name in sys.modules if name.partition('.')[0] == 'amsctl'))"
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
