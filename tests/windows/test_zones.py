"""Time zones: which names are zones, and where they come from."""

from __future__ import annotations

import subprocess
import sys

import pytest

from amsctl.windows.zones import Unusable, tell, zone_of, zone_problem
from tests.project.checkout import ROOT


@pytest.mark.parametrize("name", ["America/Chicago", "UTC", "Etc/GMT+5", "America/Argentina/Buenos_Aires", "CST6CDT"])
def test_zones_of_the_database_are_known(name: str) -> None:
    """As IANA names them."""
    assert zone_problem(name) is None
    assert zone_of(name).key == name


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("America/Chicagoo", "did you mean America/Chicago?"),
        ("america/chicago", "did you mean America/Chicago?"),
        ("Chicago", "did you mean America/Chicago?"),
        ("America/New York", "did you mean America/New_York?"),
        ("America", None),
        ("Mars/Olympus", None),
        ("right/UTC", None),
        ("posix/UTC", None),
        ("localtime", None),
        ("posixrules", None),
        ("Factory", None),
        ("../../etc/passwd", None),
        ("/etc/localtime", None),
        ("", None),
        ("a\0b", None),
        ("é", None),
        ("x" * 5000, None),
    ],
)
def test_a_name_that_is_no_zone_is_refused(name: str, hint: str | None) -> None:
    """Also what a system keeps beside its zones, and what would depend on this machine."""
    assert zone_problem(name) == Unusable("time-zone", "there is no such time zone", "a name as America/Chicago", name, hint)


def test_moments_are_told_in_both_times() -> None:
    """The UTC part tells apart what the clock on the wall shows twice."""
    assert tell(1793514600, "America/Chicago") == "Sun 2026-11-01 01:30 America/Chicago (2026-11-01 06:30 UTC)"
    assert tell(1793518201.5, "America/Chicago") == "Sun 2026-11-01 01:30:01 America/Chicago (2026-11-01 07:30:01 UTC)"


PROGRAM = """
import sys
{blocked}
from amsctl.errors import ConfigError
from amsctl.config import Calendar
from amsctl.windows.hours import Hours
from amsctl.model import Phase
try:
    print(Hours(calendar=Calendar.CME, windows=(), environment="e").closed(1795824000, Phase.HALT).until)
except ConfigError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("blocked", "said"),
    [
        ("", "1795975200.0"),
        (
            "sys.modules['tzdata'] = None",
            "there is no such time zone: expected a name as America/Chicago, found America/Chicago; "
            "pip install tzdata, where the system has no time zones",
        ),
    ],
)
def test_a_system_without_time_zones_is_served_by_tzdata(blocked: str, said: str) -> None:
    """A minimal container has no database; the package is a dependency for that reason, and where it is missing that is said."""
    program = PROGRAM.format(blocked=blocked)
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True, env={"PYTHONTZPATH": "", "PATH": ""}
    )
    assert done.stdout.strip() == said
