"""The clock is set forward or back by an hour, while the program runs or between: nothing is lost, nothing bursts."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import groupby
from pathlib import Path

import httpx
import pytest
from tests.support import launcher
from tests.support.angarium import Angarium
from tests.support.cluster import wait_for
from tests.support.moved_clock import Clock
from tests.support.programs import python_module
from tests.support.receiver import Answer, Receiver

from angarium.files.users import DEFAULT_USER

HOUR = timedelta(hours=1)
NOTICED_S = 20.0
SLOW_S = 3.0


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    return Clock(tmp_path)


@pytest.fixture
def angarium(tmp_path: Path, clock: Clock) -> Iterator[Angarium]:
    """One attempt at a time, so that the order of arrival is the order in which they are made."""
    settings = {"in-flight": "1", "log-level": "info"}
    launch = python_module(launcher, tmp_path)
    with Angarium(tmp_path, command="dev", settings=settings, launch=launch) as angarium:
        angarium.start()
        yield angarium


@pytest.fixture
def client(angarium: Angarium) -> Iterator[httpx.Client]:
    with angarium.client(DEFAULT_USER.token) as client:
        yield client


def publish(client: httpx.Client, receiver: Receiver, name: str, **options: str) -> None:
    headers = {f"Upstash-{option.replace('_', '-')}": value for option, value in options.items()}
    client.post(f"/v2/publish/{receiver.url(f'/{name}')}", headers=headers).raise_for_status()


def arrived(receiver: Receiver) -> list[str]:
    return [request.target.strip("/") for request in receiver.received()]


def jump(angarium: Angarium, clock: Clock, step: timedelta, *, running: bool) -> None:
    if not running:
        angarium.kill()
    clock.move(step)
    if not running:
        angarium.start()


@pytest.mark.parametrize("running", [True, False])
def test_set_forward_what_has_come_due_goes_out_in_its_order(
    angarium: Angarium, clock: Clock, client: httpx.Client, receiver: Receiver, running: bool
) -> None:
    for minutes in (50, 20, 40, 30, 90):
        publish(client, receiver, f"in-{minutes}", Delay=f"{minutes}m")
    jump(angarium, clock, HOUR, running=running)
    receiver.wait_for(4, NOTICED_S)
    publish(client, receiver, "now")
    receiver.wait_for(5)
    assert arrived(receiver) == ["in-20", "in-30", "in-40", "in-50", "now"]


@pytest.mark.parametrize("running", [True, False])
def test_set_back_nothing_is_lost_and_new_messages_go_out(
    angarium: Angarium, clock: Clock, client: httpx.Client, receiver: Receiver, running: bool
) -> None:
    receiver.answer("/slow", Answer(delay_s=SLOW_S))
    limits = {"Flow_Control_Key": "k", "Flow_Control_Value": "rate=100, period=1s"}
    publish(client, receiver, "limited-before", **limits)
    receiver.wait_for(1)
    publish(client, receiver, "slow")
    receiver.wait_for(2)
    publish(client, receiver, "in-2", Delay="2m")
    publish(client, receiver, "in-1", Delay="1m")
    jump(angarium, clock, -HOUR, running=running)
    attempts_of_slow = 1 if running else 2
    publish(client, receiver, "now")
    publish(client, receiver, "limited", **limits)
    receiver.wait_for(1, NOTICED_S, path="/now")
    receiver.wait_for(1, NOTICED_S, path="/limited")
    wait_for(lambda: angarium.metric("angarium_messages_in_flight") == 0, describe="the outcomes are written")
    assert angarium.health("/livez")[0] == 200
    clock.move(HOUR + timedelta(minutes=2))
    receiver.wait_for(1, NOTICED_S, path="/in-2")
    wait_for(lambda: angarium.metric("angarium_messages_waiting") == 0, describe="all is done")
    came = arrived(receiver)
    assert came.count("slow") == attempts_of_slow
    assert len(came) == 5 + attempts_of_slow, came
    assert came[-2:] == ["in-1", "in-2"]


@pytest.mark.parametrize("running", [True, False])
def test_a_schedule_does_not_burst_and_goes_on(
    angarium: Angarium, clock: Clock, client: httpx.Client, receiver: Receiver, running: bool
) -> None:
    headers = {"Upstash-Cron": "*/5 * * * *"}
    client.post(f"/v2/schedules/{receiver.url('/tick')}", headers=headers).raise_for_status()

    def ticks_after(step: timedelta, expected: int) -> None:
        """What is sent afterwards shows that whatever the jump made due has been sent."""
        jump(angarium, clock, step, running=running)
        receiver.wait_for(expected, NOTICED_S, path="/tick")
        mark = f"mark-{receiver.count()}"
        publish(client, receiver, mark)
        receiver.wait_for(1, NOTICED_S, path=f"/{mark}")
        assert receiver.count("/tick") == expected

    ticks_after(timedelta(minutes=3), 1)
    ticks_after(HOUR, 2)
    ticks_after(-HOUR, 2)
    wait_for(lambda: "starts anew" in angarium.program.log.read_text(), within=NOTICED_S, describe="it is noticed")
    ticks_after(timedelta(minutes=5), 3)
    ticks_after(timedelta(minutes=5), 4)


@pytest.mark.parametrize("running", [True, False])
def test_a_queue_stays_in_order_when_the_clock_is_set_back(
    angarium: Angarium, clock: Clock, client: httpx.Client, receiver: Receiver, running: bool
) -> None:
    receiver.answer("/0", Answer(delay_s=SLOW_S))

    def enqueue(*numbers: int) -> None:
        for number in numbers:
            client.post(f"/v2/enqueue/line/{receiver.url(f'/{number}')}").raise_for_status()

    enqueue(0, 1, 2)
    receiver.wait_for(1)
    jump(angarium, clock, -HOUR, running=running)
    enqueue(3, 4)
    publish(client, receiver, "another")
    receiver.wait_for(1, NOTICED_S, path="/another")
    clock.move(HOUR)
    receiver.wait_for(1, NOTICED_S, path="/4")
    order = [int(name) for name, _ in groupby(name for name in arrived(receiver) if name != "another")]
    assert order == [0, 1, 2, 3, 4]
