"""Times as plans and reports write them."""

from __future__ import annotations

from collections.abc import Iterator

from amsctl.applying.means import lifetime


class _Ticking:
    """A clock that is a second on at every look."""

    def __init__(self) -> None:
        self._seconds: Iterator[int] = iter(range(1_700_000_000, 1_700_000_100))

    def wall(self) -> float:
        return next(self._seconds) + 0.9

    def monotonic(self) -> float:
        return self.wall()

    async def sleep(self, seconds: float) -> None:
        raise AssertionError(seconds)


def test_a_plan_lives_as_long_as_the_setting_says() -> None:
    """Not a second longer where the clock turns between its two times: apply would refuse it."""
    assert lifetime(_Ticking(), 3600) == ("2023-11-14T22:13:20Z", "2023-11-14T23:13:20Z")
