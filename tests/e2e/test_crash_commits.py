"""Killed just before or just after a commit, the program holds what it has said and repeats only what was under way."""

import random
import signal
from pathlib import Path

import pytest
from tests.support.crashes import Rounds
from tests.support.launcher import Point, arrange_kill
from tests.support.load import Load

REACHED_S = 30.0


def around_a_commit(rounds: Rounds, load: Load, chance: random.Random) -> None:
    points: tuple[Point, ...] = ("before commit", "after commit")
    arrange_kill(rounds.folder, chance.choice(points), chance.randint(1, 60))
    assert rounds.angarium.program.wait(REACHED_S) == -signal.SIGKILL


@pytest.mark.timeout(300)
def test_what_is_accepted_survives_a_kill_around_a_commit(tmp_path: Path) -> None:
    Rounds(tmp_path).run(around_a_commit, 5)


@pytest.mark.thorough
def test_what_is_accepted_survives_kills_around_many_commits(tmp_path: Path) -> None:
    Rounds(tmp_path, punctual=True).run(around_a_commit, 60)
