"""Killed between sending an attempt and writing its outcome, the program makes that attempt again, and no other."""

import random
import signal
from pathlib import Path

import pytest
from tests.support.crashes import Rounds
from tests.support.launcher import Point, arrange_kill
from tests.support.load import Load

REACHED_S = 30.0


def before_an_answer(rounds: Rounds, load: Load, chance: random.Random) -> None:
    """While the receiver has the request and has not answered it."""
    rounds.receiver.wait_for(rounds.receiver.count() + chance.randint(1, 60), REACHED_S)
    assert rounds.angarium.program.kill() == -signal.SIGKILL


def around_a_record(rounds: Rounds, load: Load, chance: random.Random) -> None:
    """When the answers are there, and their outcomes are about to be written, or just are."""
    points: tuple[Point, ...] = ("before record", "after record")
    arrange_kill(rounds.folder, chance.choice(points), chance.randint(1, 30))
    assert rounds.angarium.program.wait(REACHED_S) == -signal.SIGKILL


def between_send_and_record(rounds: Rounds, load: Load, chance: random.Random) -> None:
    chance.choice([before_an_answer, around_a_record])(rounds, load, chance)


@pytest.mark.timeout(300)
def test_an_attempt_whose_outcome_is_not_written_is_made_again(tmp_path: Path) -> None:
    Rounds(tmp_path).run(between_send_and_record, 5)


@pytest.mark.thorough
def test_many_attempts_whose_outcomes_are_not_written_are_made_again(tmp_path: Path) -> None:
    Rounds(tmp_path, punctual=True).run(between_send_and_record, 40)
