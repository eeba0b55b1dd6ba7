"""The ledger under real processes: never two writers, and nothing lost that was acknowledged."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from amsctl.ledger.store import open_ledger
from amsctl.ledger.values import Kind
from tests.conftest import CAMPAIGN
from tests.ledger.processes import VARIABLE
from tests.ledger.samples import Place, TestClock
from tests.project.checkout import ROOT

pytestmark = [pytest.mark.campaign, pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and signals")]


def run(place: Place, *arguments: object) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.ledger.processes", *map(str, arguments)]
    environment = {**os.environ, VARIABLE: place.url.reveal()}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    told: dict[str, Any] = json.loads(done.stdout)
    print(told)
    return told


def test_never_two_writers(place: Place, tmp_path: Path) -> None:
    """16 processes, 8 rounds each (50 in a campaign), for one lock; two of them stopped until another has the lock, four killed while they hold it."""
    processes, rounds, stops, kills = 16, 8 if CAMPAIGN == 1 else 50 * CAMPAIGN, 2, 4
    told = run(place, "contend", processes, rounds, tmp_path, 5.0, stops, kills)
    assert (told["failed"], told["killed"], told["stopped"]) == (0, kills, stops)
    assert told["rounds"] == processes * rounds
    assert told["counted"] == processes * rounds + kills, "the counter lost none: nobody was there twice at once"
    assert told["lost"] >= stops, "a holder that was stopped finds its lock gone before it writes"
    with open_ledger(place.url, clock=TestClock()) as ledger:
        fence, reasons = 0, []
        for record in ledger.records():
            body: Any = record.body
            if record.kind is Kind.LOCK_TAKEN:
                assert body["fence"] == fence + 1
                fence = body["fence"]
                reasons += [body["taken_over_from"]["why"]] if body["taken_over_from"] else []
            elif record.kind is Kind.INTENT:
                assert body["fence"] == fence, "an intent of a holder that was replaced"
        assert reasons.count("its holder is gone") == kills
        assert reasons.count("its lease had run out") >= stops
        assert ledger.verify().attempts == processes * rounds + kills
        assert ledger.locks() == ()


def test_nothing_acknowledged_is_lost_to_a_kill(place: Place) -> None:
    """SIGKILL at random instants, also while the ledger is made: each record that was told of is there, the chain is whole, the next one can write."""
    rounds = 12 if CAMPAIGN == 1 else 50 * CAMPAIGN
    told = run(place, "kill", rounds, 20261121)
    assert told["lost"] == []
    assert told["acknowledged"] > rounds


def test_eight_make_the_same_ledger(place: Place, tmp_path: Path) -> None:
    """Processes that start together on an empty place make it once, and each is served."""
    assert run(place, "make", 8, tmp_path) == {"statuses": [0] * 8}
    with open_ledger(place.url, clock=TestClock(), create=False) as ledger:
        assert ledger.verify().attempts == 8
