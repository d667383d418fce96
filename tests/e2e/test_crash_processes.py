"""Whichever of its processes is killed, alone, nothing is lost; and none of them outlives the program."""

import os
import random
import signal
from pathlib import Path

import pytest
from tests.support.angarium import Angarium
from tests.support.cluster import wait_for
from tests.support.crashes import GONE_S, Rounds
from tests.support.load import Load
from tests.support.processes import Process, tree
from tests.support.receiver import Answer, Receiver

from angarium.files.users import DEFAULT_USER


@pytest.mark.timeout(300)
def test_each_process_may_be_killed_alone(tmp_path: Path) -> None:
    killed: list[int] = []
    mains: list[int] = []

    def the_next_one(rounds: Rounds, load: Load, chance: random.Random) -> None:
        main, courier = tree(rounds.angarium.program.pid)[0], couriers(rounds.angarium)[0]
        mains.append(main.pid)
        load.wait_for(chance.randint(10, 100))
        victim = (courier, main)[len(killed) % 2]
        killed.append(victim.pid)
        os.kill(victim.pid, signal.SIGKILL)
        if victim is main:
            assert rounds.angarium.program.wait() == -signal.SIGKILL
        wait_for(lambda: not victim.exists, within=GONE_S, describe="the process has ended")

    rounds = Rounds(tmp_path)
    rounds.run(the_next_one, 4)
    assert len(set(killed)) == 4
    first, again, second, and_again = mains
    assert first == again != second == and_again, "it goes on without its courier"


def couriers(angarium: Angarium) -> list[Process]:
    """Those that run: one that was killed stays in the tree until the program has heard of it."""
    return [one for one in tree(angarium.program.pid)[1:] if one.exists]


@pytest.mark.thorough
def test_a_courier_that_keeps_dying_ends_the_program_which_then_has_lost_nothing(
    tmp_path: Path, receiver: Receiver
) -> None:
    receiver.answer("/slow", Answer(ending="hang"))
    with Angarium(tmp_path, command="dev") as angarium:
        angarium.start()
        with angarium.client(DEFAULT_USER.token) as client:
            client.post(f"/v2/publish/{receiver.url('/slow')}").raise_for_status()
        receiver.wait_for(1)
        for _ in range(5):
            courier = wait_for(lambda: couriers(angarium), bool, describe="there is a courier")[0]
            os.kill(courier.pid, signal.SIGKILL)
            wait_for(lambda courier=courier: not courier.exists, describe="the courier has ended")
        assert angarium.program.wait() == 1
        receiver.answer("/slow", 200)
        angarium.start()
        angarium.wait_until(lambda: angarium.metric("angarium_attempts_total") == 1, "done with it")
