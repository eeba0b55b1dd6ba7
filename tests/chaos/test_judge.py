"""The judge itself: defects that are put into the real command, one at a time, and each is seen."""

from __future__ import annotations

import signal

import pytest

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
