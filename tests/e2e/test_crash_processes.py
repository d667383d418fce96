"""Whichever of its processes is killed, alone, nothing is lost; and none of them outlives the program."""

import os
import random
import signal
from pathlib import Path

import pytest
from tests.support.cluster import wait_for
from tests.support.crashes import GONE_S, Rounds
from tests.support.load import Load
from tests.support.processes import tree


@pytest.mark.timeout(300)
def test_each_process_may_be_killed_alone(tmp_path: Path) -> None:
    killed: list[int] = []

    def the_next_one(rounds: Rounds, load: Load, chance: random.Random) -> None:
        main, *others = tree(rounds.angarium.program.pid)
        load.wait_for(chance.randint(10, 100))
        victim = [*others, main][len(killed) % (1 + len(others))]
        killed.append(victim.pid)
        os.kill(victim.pid, signal.SIGKILL)
        if victim is main:
            assert rounds.angarium.program.wait() == -signal.SIGKILL
        wait_for(lambda: not victim.exists, within=GONE_S, describe="the process has ended")

    rounds = Rounds(tmp_path)
    # Its processes are known once it runs: each of them is killed, and the program itself twice.
    rounds.run(the_next_one, 3)
    assert len(set(killed)) == len(killed)
