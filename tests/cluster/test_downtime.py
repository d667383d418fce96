"""Slots that pass while the program does not run, and clocks that are set between two starts.

The clock of the program is moved, so that an hour of downtime takes as long as a start. Its Schedules come every five
minutes, and it always stands in the middle between two slots.
"""

import uuid
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from itertools import count

import pytest
from tests.support import launcher, rights
from tests.support.angarium import Angarium
from tests.support.cluster import Object, create_namespace, events_of, remove_namespace, wait_for
from tests.support.controlplane import ControlPlane
from tests.support.moved_clock import Clock
from tests.support.programs import python_module
from tests.support.receiver import Receiver
from tests.support.stage import STATUS_S, Stage, instants

FIVE_MINUTES, MINUTE, HOUR = timedelta(minutes=5), timedelta(minutes=1), timedelta(hours=1)
SETTINGS = {"in-flight": "1"}
"""One attempt at a time, so that the order of arrival is the order of the runs."""


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Clock:
    return Clock(tmp_path_factory.mktemp("clock"))


@pytest.fixture(scope="module")
def stage(control_plane: ControlPlane, clock: Clock, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    name = f"downtime-{uuid.uuid4().hex[:10]}"
    create_namespace(control_plane, name)
    folder = tmp_path_factory.mktemp(name)
    kubeconfig = control_plane.write_kubeconfig(folder / "kubeconfig", rights.operator_token(control_plane, name))
    launch = python_module(launcher, clock.folder)
    settings = SETTINGS | {"namespaces": name}
    with (
        Receiver() as receiver,
        Angarium(folder, kubeconfig=kubeconfig, settings=settings, launch=launch) as angarium,
    ):
        angarium.start()
        stage = Stage(control_plane, name, angarium, receiver)
        poke = {"every": "365d", "suspend": True, "destination": {"url": receiver.url("/poke")}}
        stage.apply("Schedule", "poke", poke)
        stage.condition("Schedule", "poke", "Ready=True")
        yield stage
    remove_namespace(control_plane, name)


_numbers = count(1)


@pytest.fixture(autouse=True)
def cast(stage: Stage, clock: Clock) -> Iterator["Cast"]:
    """The Schedules of one test, which fire no more after it."""
    clock.align()
    cast = Cast(stage, next(_numbers))
    yield cast
    for name in cast.names:
        stage.delete("Schedule", name)


class Cast:
    """Schedules of every policy; `recent` ones have a deadline."""

    def __init__(self, stage: Stage, number: int) -> None:
        self.stage = stage
        self._suffix = f"-{number}"
        self.names: list[str] = []

    def declare(self, roles: Mapping[str, Object]) -> None:
        self.names = [self.name(role) for role in roles]
        for name in self.names:
            destination = {"url": self.stage.receiver.url(f"/{name}")}
            given = {"cron": "*/5 * * * *", "historyLimit": 50, "destination": destination}
            self.stage.apply("Schedule", name, given)
        self.stage.ready(*(("Schedule", name) for name in self.names))
        # Only now, or a deadline would reach back from this clock to before the creation, which has the real time.
        for role, spec in roles.items():
            self.stage.change("Schedule", self.name(role), **spec)
        self.stage.ready(*(("Schedule", name) for name in self.names))

    def name(self, role: str) -> str:
        return role + self._suffix

    def count(self, role: str) -> int:
        return self.stage.receiver.count(f"/{self.name(role)}")

    def slots(self, role: str) -> list[datetime]:
        return instants(self.stage.runs(self.name(role)))

    def settled(self, role: str, *, fired: int, skipped: int) -> list[datetime]:
        """Wait until status tells of so many runs, all delivered, and slots that were skipped; returns the slots."""
        name = self.name(role)

        def accept(status: Object) -> bool:
            runs = status.get("recentRuns", [])
            delivered = all(run["state"] == "Delivered" for run in runs)
            return len(runs) == fired and delivered and status.get("skippedSlots", 0) == skipped

        describe = f"{name}: {fired} fired, {skipped} skipped"
        wait_for(lambda: self.stage.status("Schedule", name), accept, within=STATUS_S, describe=describe)
        assert self.count(role) == fired
        return self.slots(role)

    def arrived(self, role: str, count: int) -> None:
        """Wait for so many requests, which is quicker than for a status; there are no more."""
        self.stage.receiver.wait_for(count, STATUS_S, f"/{self.name(role)}")
        assert self.count(role) == count

    def missed(self, role: str) -> list[str]:
        """What Events tell of missed slots."""
        found = events_of(self.stage.control_plane, "Schedule", self.name(role), self.stage.namespace)
        return [str(event["message"]) for event in found if event["reason"] == "SlotsMissed"]

    def assert_told(self, role: str, skipped: int) -> None:
        """One Event tells how many were skipped, or none if none was."""
        if skipped:
            (event,) = self.stage.events("Schedule", self.name(role), "SlotsMissed")
            assert event["message"].startswith(f"{skipped} slot"), event["message"]
            assert event.get("count", 1) == 1
        else:
            assert self.missed(role) == []


ROLES: dict[str, Object] = {
    "latest": {"missedRunPolicy": "RunLatest"},
    "latest-recent": {"missedRunPolicy": "RunLatest", "startingDeadlineSeconds": 480},
    "latest-too-late": {"missedRunPolicy": "RunLatest", "startingDeadlineSeconds": 60},
    "all": {"missedRunPolicy": "RunAll"},
    "all-recent": {"missedRunPolicy": "RunAll", "startingDeadlineSeconds": 480},
    "skip": {"missedRunPolicy": "Skip"},
}


def let_slot_come(stage: Stage, clock: Clock) -> None:
    """The next slot, on time: a jump over it would make it a missed one, and a jump of half a minute is none."""
    now = clock.now()
    into = timedelta(minutes=now.minute % 5, seconds=now.second, microseconds=now.microsecond)
    clock.move(FIVE_MINUTES - into - MINUTE / 2)
    pokes = stage.receiver.count("/poke")
    for step in (timedelta(0), MINUTE / 2 + timedelta(seconds=1)):
        clock.move(step)
        stage.run_now("poke", str(clock.now()))
        pokes += 1
        stage.receiver.wait_for(pokes, STATUS_S, "/poke")


def be_down(stage: Stage, clock: Clock, step: timedelta, *, killed: bool = True) -> None:
    if killed:
        stage.angarium.kill()
    else:
        assert stage.angarium.stop() == 0
    clock.move(step)
    stage.angarium.start()


@pytest.mark.parametrize(
    ("slots", "killed"), [(3, True), (12, False), pytest.param(2, True, marks=pytest.mark.thorough)]
)
def test_slots_of_a_downtime(stage: Stage, clock: Clock, cast: Cast, slots: int, killed: bool) -> None:
    """Also what a clock that is set forward makes due. The deadline of eight minutes covers the two newest."""
    cast.declare(ROLES)
    began = clock.now()
    be_down(stage, clock, slots * FIVE_MINUTES, killed=killed)
    fired = {"latest": 1, "latest-recent": 1, "latest-too-late": 0, "all": slots, "all-recent": 2, "skip": 0}
    found = {role: cast.settled(role, fired=fired[role], skipped=slots - fired[role]) for role in ROLES}
    expected = [instant for instant in found["all"] if instant > began]
    assert found["all"] == expected and len(set(expected)) == slots
    assert found["latest"] == found["latest-recent"] == expected[-1:]
    assert found["all-recent"] == expected[-2:]
    for role in ROLES:
        cast.assert_told(role, slots - fired[role])
    oldest_first = [run["messageIds"][0] for run in reversed(stage.runs(cast.name("all")))]
    arrived = [one.header("Upstash-Message-Id") for one in stage.receiver.received(f"/{cast.name('all')}")]
    assert arrived == oldest_first
    let_slot_come(stage, clock)
    for role in ROLES:
        cast.arrived(role, fired[role] + 1)


@pytest.mark.parametrize("back", [HOUR, timedelta(minutes=10)])
def test_a_clock_set_back_between_two_starts(stage: Stage, clock: Clock, cast: Cast, back: timedelta) -> None:
    """Each starts anew from the time it is now, and one Event tells. Nothing fires at once, no slot twice, ever."""
    roles = {role: spec for role, spec in ROLES.items() if role in ("latest", "all", "skip")}
    cast.declare(roles)
    let_slot_come(stage, clock)
    for role in roles:
        cast.arrived(role, 1)
    be_down(stage, clock, -back)
    for role in roles:
        (event,) = stage.events("Schedule", cast.name(role), "ClockReset")
        assert "starts anew" in event["message"] and event.get("count", 1) == 1
        status = wait_for(
            lambda role=role: stage.status("Schedule", cast.name(role)),  # type: ignore[misc]
            lambda status: datetime.fromisoformat(status["nextSlotTime"]) <= clock.now() + FIVE_MINUTES,
            within=STATUS_S,
        )
        assert len(status["recentRuns"]) == 1
        assert status["skippedSlots"] == 0
    let_slot_come(stage, clock)
    for role in roles:
        cast.arrived(role, 2)
    be_down(stage, clock, back - FIVE_MINUTES)
    missed = back // FIVE_MINUTES - 1
    for role, made_up in {"latest": 0, "all": missed - 1, "skip": 0}.items():
        slots = cast.settled(role, fired=2 + made_up, skipped=missed - made_up - (role != "skip"))
        assert len(set(slots)) == len(slots)
        assert slots[-1] - slots[0] == back - FIVE_MINUTES


def test_a_clock_set_back_a_little_waits_for_where_it_stood(stage: Stage, clock: Clock, cast: Cast) -> None:
    """Less than five minutes: no Event, nothing fires again, and the next slot comes in its time."""
    cast.declare(ROLES)
    let_slot_come(stage, clock)
    for role in ROLES:
        cast.arrived(role, 1)
    be_down(stage, clock, timedelta(minutes=-4))
    clock.move(timedelta(minutes=4))
    stage.run_now(cast.name("skip"), "it goes on")
    stage.receiver.wait_for(2, STATUS_S, f"/{cast.name('skip')}")
    for role in ROLES:
        assert cast.count(role) == (2 if role == "skip" else 1)
        assert stage.event_reasons("Schedule", cast.name(role)) == []
    let_slot_come(stage, clock)
    for role in ROLES:
        cast.arrived(role, 3 if role == "skip" else 2)
