"""Killed at random instants under load, the program loses nothing and repeats only what was under way."""

import random
import signal
import threading
from pathlib import Path

import pytest
from tests.support.crashes import Rounds
from tests.support.load import Load


def at_any_instant(rounds: Rounds, load: Load, chance: random.Random) -> None:
    load.wait_for(1)
    threading.Event().wait(chance.uniform(0, 0.8))
    assert rounds.angarium.program.kill() == -signal.SIGKILL


@pytest.mark.timeout(300)
def test_what_is_accepted_survives_a_kill_at_any_instant(tmp_path: Path) -> None:
    Rounds(tmp_path).run(at_any_instant, 6)


@pytest.mark.thorough
def test_what_is_accepted_survives_many_kills(tmp_path: Path) -> None:
    Rounds(tmp_path, punctual=True).run(at_any_instant, 60)
