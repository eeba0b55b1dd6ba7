"""A table of cases: what one person does alone, the exit code that documents why it is refused, and a piece of the reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.alone.desk import Desk, Stopped
from tests.cli.conftest import Ran
from tests.conftest import CAMPAIGN

Try = Callable[[Desk], Ran]


@dataclass(frozen=True)
class Case:
    """``code`` is that of the command that refuses; ``says`` stands in its message."""

    code: int
    says: str
    attempt: Try


class Cases(dict[str, Case]):
    """Cases by a sentence."""

    def add(self, name: str, code: int, says: str = "") -> Callable[[Try], Try]:
        def keep(attempt: Try) -> Try:
            assert name not in self, name
            self[name] = Case(code, says, attempt)
            return attempt

        return keep

    def check(self, name: str, desk: Desk) -> None:
        """No call reached the AMS, and the exit code is the documented one."""
        case = self[name]
        if CAMPAIGN == 1:  # every second one also by the program's own interface; in a campaign, all
            desk.program = list(self).index(name) % 2 == 0
        try:
            ran = case.attempt(desk)
        except Stopped as stopped:
            ran = stopped.ran
        assert desk.writes() == [], f"it was written: {ran.out}{ran.err}"
        assert (ran.code, ran.code == case.code) == (case.code, True), ran.out + ran.err
        assert case.says in ran.err, ran.err
