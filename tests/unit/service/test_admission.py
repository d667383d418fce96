"""Publishes wait while deliveries fall behind for want of time, and for no other reason."""

import asyncio

import pytest
from tests.support.fakes import LoopClock

from angarium.domain.notices import AttemptEnded
from angarium.service.admission import (
    MOST_WAITING,
    MOST_WAITING_BYTES,
    PATIENCE_S,
    TICK_S,
    Admission,
    Overloaded,
    Pressure,
)

LATE, ON_TIME = 0.2, 0.0
SECOND = 20  # ticks


class Beats:
    """Counts them."""

    def __init__(self) -> None:
        self.count = 0

    def beat(self) -> None:
        self.count += 1


def ticks(pressure: Pressure, lateness_s: float, count: int = SECOND, *, ended: int = 0, entered: int = 0) -> None:
    for _ in range(count):
        pressure.entered(entered)
        pressure.left(ended)
        pressure.felt(lateness_s)


def strained() -> Pressure:
    pressure = Pressure()
    pressure.entered(5000)
    ticks(pressure, LATE)
    assert pressure.strained
    return pressure


def ended(count: int) -> list[AttemptEnded]:
    return [AttemptEnded(None)] * count  # type: ignore[arg-type]


class TestPressure:
    def test_what_waits_alone_is_no_reason(self) -> None:
        pressure = Pressure()
        pressure.entered(1_000_000)
        ticks(pressure, ON_TIME)
        assert not pressure.strained and pressure.take(500)

    def test_being_late_alone_is_no_reason(self) -> None:
        pressure = Pressure()
        ticks(pressure, LATE, 10 * SECOND, entered=50, ended=50)
        assert not pressure.strained

    def test_ten_milliseconds_are_late(self) -> None:
        """So late is a loop of libuv's in a flood; without one it is half of that."""
        pressure = Pressure()
        pressure.entered(5000)
        ticks(pressure, 0.005, 3 * SECOND)
        assert not pressure.strained
        ticks(pressure, 0.010, 3 * SECOND)
        assert pressure.strained

    def test_one_late_tick_is_no_reason(self) -> None:
        pressure = Pressure()
        pressure.entered(5000)
        pressure.felt(0.15)
        assert not pressure.strained

    def test_what_is_delivered_within_three_seconds_may_wait(self) -> None:
        pressure = Pressure()
        ticks(pressure, LATE, 3 * SECOND, entered=100, ended=100)
        pressure.entered(5000)
        ticks(pressure, LATE, SECOND, entered=100, ended=100)
        assert not pressure.strained
        pressure.entered(1100)
        ticks(pressure, LATE, SECOND, entered=100, ended=100)
        assert pressure.strained

    def test_under_strain_each_delivery_lets_one_in(self) -> None:
        pressure = strained()
        assert not pressure.take(1)
        pressure.left(2)
        assert [pressure.take(1) for _ in range(3)] == [True, True, False]

    def test_a_batch_goes_into_debt(self) -> None:
        pressure = strained()
        pressure.left(1)
        assert pressure.take(50)
        pressure.left(49)
        assert not pressure.take(1)
        pressure.left(1)
        assert pressure.take(1)

    def test_a_lull_saves_up_little(self) -> None:
        pressure = strained()
        pressure.left(3000)
        assert sum(pressure.take(1) for _ in range(3000)) <= 100

    def test_it_ends_when_little_waits(self) -> None:
        pressure = strained()
        ticks(pressure, LATE, SECOND, ended=225)
        assert pressure.strained or pressure.take(1)
        pressure.left(5000)
        pressure.felt(LATE)
        assert not pressure.strained and pressure.take(1)

    def test_it_ends_when_there_is_time_though_much_waits_for_its_destination(self) -> None:
        pressure = strained()
        ticks(pressure, ON_TIME, 10 * SECOND)
        assert not pressure.strained and pressure.take(1)
        ticks(pressure, LATE, SECOND)
        assert not pressure.strained, "what waited then is known to be held back elsewhere"


@pytest.mark.looptime
class TestAdmission:
    async def test_what_sends_may_be_late_alone(self) -> None:
        late = LATE
        pressure = Pressure()
        admission = Admission(LoopClock(), pressure, lambda: late)
        running = asyncio.create_task(admission.run(Beats()))
        admission.accepted(5000)
        await asyncio.sleep(1)
        assert pressure.strained
        late = ON_TIME
        await admission.admit(1, 10)
        assert not pressure.strained
        running.cancel()

    async def test_nobody_waits_without_strain(self) -> None:
        await Admission(LoopClock()).admit(500, 10)

    async def test_under_strain_they_are_let_in_in_order_as_deliveries_end(self) -> None:
        admission = Admission(LoopClock(), strained())
        order: list[int] = []

        async def publish(number: int) -> None:
            await admission.admit(1, 10)
            order.append(number)

        publishing = [asyncio.create_task(publish(number)) for number in range(5)]
        await asyncio.sleep(0.1)
        assert order == []
        admission.notice(ended(3))
        await asyncio.sleep(0)
        assert order == [0, 1, 2]
        admission.notice(ended(2))
        await asyncio.gather(*publishing)
        assert order == [0, 1, 2, 3, 4]

    async def test_who_waits_too_long_is_refused_and_takes_no_place(self) -> None:
        admission = Admission(LoopClock(), strained())
        began = asyncio.get_running_loop().time()
        with pytest.raises(Overloaded):
            await admission.admit(1, 10)
        assert asyncio.get_running_loop().time() - began == pytest.approx(PATIENCE_S)
        following = asyncio.create_task(admission.admit(1, 10))
        await asyncio.sleep(0)
        admission.notice(ended(1))
        await following

    async def test_more_than_may_wait_are_refused_at_once(self) -> None:
        admission = Admission(LoopClock(), strained())
        waiting = [asyncio.create_task(admission.admit(1, 10)) for _ in range(MOST_WAITING)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            async with asyncio.timeout(0):
                await admission.admit(1, 10)
        answers = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(answer, Overloaded) for answer in answers)

    async def test_more_bytes_than_may_wait_are_refused_at_once_until_there_is_room_again(self) -> None:
        admission = Admission(LoopClock(), strained())
        first = asyncio.create_task(admission.admit(1, MOST_WAITING_BYTES))
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            async with asyncio.timeout(0):
                await admission.admit(1, 1)
        admission.notice(ended(1))
        await first
        following = asyncio.create_task(admission.admit(1, MOST_WAITING_BYTES))
        await asyncio.sleep(0)
        admission.notice(ended(1))
        await following

    async def test_a_publisher_that_goes_away_is_not_waited_for(self) -> None:
        admission = Admission(LoopClock(), strained())
        gone, following = (asyncio.create_task(admission.admit(1, 10)) for _ in range(2))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
        admission.notice(ended(1))
        await following

    async def test_the_loop_feels_how_late_it_is_and_lets_in_who_waits_when_it_is_calm(self) -> None:
        pressure = strained()
        admission, beats = Admission(LoopClock(), pressure), Beats()
        running = asyncio.create_task(admission.run(beats))
        await admission.admit(1, 10)
        assert not pressure.strained
        assert beats.count >= 1 / TICK_S
        running.cancel()
