"""How long an apply takes: neither told too short nor too long."""

from __future__ import annotations

import pytest

from amsctl.applying.estimate import Speed, seconds_needed
from amsctl.applying.means import Barrier, Work
from amsctl.model import Phase
from amsctl.planning.plan import Step
from tests.applying.test_executor import account, wish
from tests.applying.world import World, apply, plan_of


def step(phase: Phase) -> Step:
    return Step(id="s", phase=phase, clearing_firm="F", account="A", path="/", query={}, body={}, changes=())


def work(*phases: Phase, pages: int = 1) -> Work:
    return Work(steps=tuple(map(step, phases)), pages=pages)


def speed(answer: float = 0.0, per_second: float | None = None, concurrency: int = 8) -> Speed:
    return Speed(answer_seconds=answer, per_second=per_second, concurrency=concurrency)


T, L, H, R = Phase.TIGHTEN, Phase.LOOSEN, Phase.HALT, Phase.RELEASE


@pytest.mark.parametrize(
    ("listed", "pace", "seconds"),
    [
        ([], speed(1, 1), 0),
        ([work(*[T] * 14)], speed(0.01, 3), (14 + 13 + 3) / 3),
        ([work(*[T] * 14)], speed(0.05, 20), 14 * 0.15 + 16 * 0.05),
        ([work(*[T] * 14)], speed(0.5), 14 * 1.5 + 16 * 0.5),
        ([work(T)] * 10_000, speed(0.1, 20), 10_000 * 7 / 20),
        ([work(T)] * 10_000, speed(0.1), 10_000 * (3 * 0.1 + 6 * 0.1) / 8),
        ([work(*[T] * 100), work(T)], speed(0.1, concurrency=2), 100 * 0.3 + (3 + 99 + 3) * 0.1),
        ([work(H, T, L, R, pages=4)], speed(1), 4 * 3 + (1 + 4) + 4 + 4 + 6),
    ],
)
def test_the_time_that_a_run_needs(listed: list[Work], pace: Speed, seconds: float) -> None:
    """By hand: calls of one account in order, of all of them at the pace or over the places, whichever takes longest."""
    assert seconds_needed(listed, pace, Barrier.ACCOUNT) == pytest.approx(seconds)


def test_a_barrier_round_the_run_is_two_passes() -> None:
    """What tightens of every account, then what loosens, with a whole read before and after each part."""
    both = [work(T, L), work(L)]
    assert seconds_needed(both, speed(1, concurrency=1), Barrier.RUN) == pytest.approx((3 + 3 + 3) + 2 * (3 + 3 + 3))
    assert seconds_needed([work(T)], speed(1), Barrier.RUN) == pytest.approx(9)


@pytest.mark.parametrize("barrier", list(Barrier))
@pytest.mark.parametrize("count", [1, 5])
def test_as_many_calls_are_reckoned_with_as_are_made(count: int, barrier: Barrier) -> None:
    """Held against a run in which nothing goes wrong, at one call a second: not one call apart."""
    names = [f"A{number}" for number in range(count)]
    here = World({name: account(name) for name in names})
    plan = plan_of(here, {name: wish(name) for name in names})
    told: list[float] = []
    looked = 0

    def reckon(listed: object) -> None:
        nonlocal looked
        looked = here.calls
        told.append(seconds_needed(listed, speed(0, 1), barrier))  # type: ignore[arg-type]

    counted(here)
    apply(here, plan, may_begin=reckon, barrier=barrier)
    assert told == [here.calls - looked]


def counted(here: World) -> None:
    """``here.calls``: what would be calls over HTTP; a whole account is three of them."""
    here.calls = 0  # type: ignore[attr-defined]
    for name, calls in (("statuses", 1), ("account", 3), ("limits", 1), ("suspensions", 1), ("post", 1)):
        plain = getattr(here, name)

        async def counting(*arguments: object, plain: object = plain, calls: int = calls, **named: object) -> object:
            here.calls += calls  # type: ignore[attr-defined]
            return await plain(*arguments, **named)  # type: ignore[operator]

        setattr(here, name, counting)
