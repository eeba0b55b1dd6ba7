"""Every planted defect is caught, within few seeds of where it was met first: what the checker does not find in the real code is not overlooked but absent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from amsctl.model import AccountKey, DesiredAccount, DesiredExecutionFirm, DesiredRow
from tests.faults import loop as virtual
from tests.faults.bugs import BUGS, planted
from tests.faults.checker import Breach, judge
from tests.faults.server import Account, Json
from tests.faults.simulate import Simulation, played, run_seed
from tests.faults.transport import Weather
from tests.faults.worlds import FIRM, HERE, PRODUCTS, World, quiet_world

MOST_SEEDS = 400
CAUGHT_BY: dict[str, tuple[int, set[str]]] = {
    "skip-the-barrier": (134, {"order"}),
    "loosen-first": (6, {"order"}),
    "release-before-limits": (19, {"order"}),
    "activate-with-a-row-not-equal": (134, {"order"}),
    "barrier-round-the-account-alone": (12, {"order"}),
    "skip-the-intent": (1, {"intent"}),
    "intent-after-the-call": (1, {"intent"}),
    "one-intent-for-two-sendings": (9, {"intent"}),
    "skip-the-fsync": (23, {"durable"}),
    "skip-the-fsync-of-an-intent": (157, {"durable"}),
    "repeat-a-post-blindly": (12, {"intent"}),
    "resend-without-reading": (9, {"resend"}),
    "resend-under-a-new-intent": (12, {"resend"}),
    "write-a-row-outside-the-plan": (1, {"intent"}),
    "write-a-row-outside-the-plan-and-record-it": (1, {"plan"}),
    "echo-a-stale-foreign-side": (14, {"echo", "fresh", "lost"}),
    "rows-unread-after-another-call": (5, {"fresh"}),
    "drop-the-compare": (32, {"truth"}),
    "trust-a-200": (2, {"truth"}),
    "unknown-is-done": (80, {"truth", "fresh"}),
    "no-settling-time": (6, {"settled"}),
    "no-settling-time-after-a-crash": (87, {"settled"}),
    "failed-though-it-landed": (6, {"truth"}),
    "somebody-elses-change-untold": (12, {"told"}),
    "swallow-a-failed-page": (44, {"plan"}),
    "ignore-that-the-plan-is-stale": (6, {"fresh", "lost"}),
    "skip-the-stale-check-of-a-resume": (30, {"order", "lost", "fresh"}),
    "forget-what-was-made": (90, {"lost"}),
    "take-back-what-was-never-sent": (0, {"lost"}),
    "take-back-what-others-made-of-it": (0, {"lost"}),
    "ignore-a-quarantine": (34, {"quarantine"}),
    "resolved-as-wished": (11, {"truth"}),
    "the-ledger-always-says-verified": (2, {"truth"}),
    "ignore-the-lock": (143, {"lock"}),
    "ignore-the-fence": (148, {"lock"}),
}
"""Each defect with a seed at which it is caught (the search begins there: a change of the worlds may move it), and the rules that it breaks. One of these
must be named: a defect that is only seen by what it leads to, or by the error that it ends in, is not the one that was meant.
"""


def test_every_defect_has_rules() -> None:
    """None is left out, and none may be caught by nothing but an error of its own making."""
    assert CAUGHT_BY.keys() == BUGS.keys()
    assert not any(rules & {"defect", "end"} for _, rules in CAUGHT_BY.values())


def test_there_are_enough_of_them() -> None:
    """At least 18 defects, each of another kind."""
    assert len(BUGS) >= 18


Story = Callable[[Simulation], Awaitable[None]]
ROW = ("3N1", PRODUCTS[0])


def _world(weather: Weather) -> World:
    """A row of which one leg is to be tightened and one loosened."""
    row = DesiredRow(execution_firm=ROW[0], product=ROW[1], legs=(40, 60, None, None), sources=(HERE,) * 4, source=HERE)
    firms = (DesiredExecutionFirm(id=ROW[0], source=HERE, rows=(row,)),)
    listed = (DesiredAccount(key=AccountKey(FIRM, "DV1"), source=HERE, execution_firms=firms),)
    return quiet_world({"DV1": Account("A", {"3N1": False}, {ROW: (50, 50, 50, 50)})}, listed, [], weather)


def _somebody_sets(simulation: Simulation, index: int, value: int) -> None:
    account, changes = simulation.server.accounts["DV1"], list[Json]()
    legs = list(account.rows[ROW])
    legs[index] = value
    simulation.server.set_row(account, ROW, (legs[0], legs[1], legs[2], legs[3]), changes)
    simulation.history.add("effect", by="third", account="DV1", changes=changes)


def _taken_back(index: int, value: int) -> Story:
    """A run, somebody who sets a leg afterwards, and a rollback of the run."""

    async def story(simulation: Simulation) -> None:
        machine, wishes = simulation.machines[0], simulation.world.wishes
        await simulation.process(machine, "apply", wishes)
        _somebody_sets(simulation, index, value)
        simulation.world.weather.calm = True
        await simulation.process(machine, "rollback", wishes)
        await simulation._come_to_rest()

    return story


STORIES: dict[str, tuple[Weather, Story]] = {
    # The tightening is refused, so the loosening was never sent; somebody else makes it.
    "take-back-what-was-never-sent": (Weather(post={"400": 1.0}), _taken_back(1, 60)),
    "take-back-what-others-made-of-it": (Weather(), _taken_back(0, 45)),
}
"""What seeds hardly ever meet is played as it must go."""


def _played(name: str, bug: str | None) -> list[Breach]:
    weather, story = STORIES[name]

    async def play() -> list[Json]:
        simulation = Simulation(0, _world(replace(weather)))
        await played(simulation, lambda: story(simulation))
        return simulation.history.events

    with planted(bug):
        return judge(virtual.run(play()))


@pytest.mark.no_cover
@pytest.mark.parametrize("name", [name for name in BUGS if name not in STORIES])
def test_a_planted_defect_is_caught(name: str) -> None:
    """The checker finds the defect, by a rule that it breaks, in a world in which the real code keeps every promise."""
    first, rules = CAUGHT_BY[name]
    for seed in range(first, first + MOST_SEEDS):
        found = {breach.rule for breach in judge(run_seed(seed, bug=name).history.events)}
        if found & rules and not judge(run_seed(seed).history.events):
            return
    pytest.fail(f"{name} was not caught in {MOST_SEEDS} seeds")


@pytest.mark.no_cover
@pytest.mark.parametrize("name", STORIES)
def test_a_planted_defect_is_caught_in_its_story(name: str) -> None:
    """Likewise where the story is told and not drawn."""
    assert _played(name, None) == []
    assert {breach.rule for breach in _played(name, name)} & CAUGHT_BY[name][1]
