"""Killed while it starts, again and again, the program starts at last and has lost nothing."""

import threading
from collections import Counter
from pathlib import Path

import pytest
from tests.support.angarium import Angarium
from tests.support.cluster import wait_for
from tests.support.crashes import repeatable
from tests.support.receiver import Answer, Receiver

from angarium.files.users import DEFAULT_USER

KILLS = 4
MESSAGES = 40
LONGEST_START_S = 1.5


def kill_while_it_starts(angarium: Angarium) -> None:
    for number in range(KILLS):
        with repeatable(number, angarium) as chance:
            angarium.program.start()
            threading.Event().wait(chance.uniform(0.2, LONGEST_START_S))
            angarium.kill()


@pytest.mark.timeout(300)
def test_a_start_may_be_killed(tmp_path: Path, receiver: Receiver) -> None:
    receiver.default = Answer(delay_s=0.05)
    with Angarium(tmp_path, command="dev", settings={"in-flight": "4"}) as angarium:
        kill_while_it_starts(angarium)
        angarium.start()
        with angarium.client(DEFAULT_USER.token) as client:
            batch = [{"destination": receiver.url("/"), "body": str(number)} for number in range(MESSAGES)]
            accepted = {one["messageId"] for one in client.post("/v2/batch", json=batch).raise_for_status().json()}
        receiver.wait_for(1)
        angarium.kill()
        kill_while_it_starts(angarium)
        angarium.start()
        wait_for(lambda: angarium.metric("angarium_messages_waiting") == 0, within=30, describe="all is done")
        wait_for(lambda: angarium.metric("angarium_messages_in_flight") == 0, describe="all is done")
    attempts = Counter(request.header("Upstash-Message-Id") for request in receiver.received())
    assert attempts.keys() == accepted
    assert max(attempts.values()) <= KILLS + 2
