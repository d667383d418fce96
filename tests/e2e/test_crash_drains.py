"""Killed while it ends in order, the program loses nothing: what it still had in hand is found again."""

import random
import signal
import threading
from pathlib import Path

import pytest
from tests.support.crashes import Rounds
from tests.support.load import Load

SLOW_S = 0.15
LONGEST_DRAIN_S = 0.4


def while_it_drains(rounds: Rounds, load: Load, chance: random.Random) -> None:
    """A drain that is quicker than the kill is a round too."""
    load.wait_for(chance.randint(20, 60))
    rounds.angarium.program.send(signal.SIGTERM)
    threading.Event().wait(chance.uniform(0, LONGEST_DRAIN_S))
    assert rounds.angarium.program.kill() in (-signal.SIGKILL, 0)


@pytest.mark.timeout(300)
def test_what_is_accepted_survives_a_kill_while_it_drains(tmp_path: Path) -> None:
    Rounds(tmp_path, answer_after_s=SLOW_S).run(while_it_drains, 4)


@pytest.mark.thorough
def test_what_is_accepted_survives_many_kills_while_it_drains(tmp_path: Path) -> None:
    Rounds(tmp_path, punctual=True, answer_after_s=SLOW_S).run(while_it_drains, 40)
