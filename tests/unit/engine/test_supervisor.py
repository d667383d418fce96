"""Loops that die start again; loops that keep dying end the process; loops that hang are seen."""

import asyncio
import logging
from datetime import timedelta

import pytest

from angarium.engine.supervisor import Loop, Pulse, Supervisor


def monotonic() -> float:
    return asyncio.get_running_loop().time()


class Failing:
    """Fails so many times, after `lasting` seconds each, then beats for ever."""

    def __init__(self, times: int, lasting: float = 0.0) -> None:
        self.times = times
        self.lasting = lasting
        self.starts: list[float] = []

    async def __call__(self, pulse: Pulse) -> None:
        self.starts.append(monotonic())
        if len(self.starts) <= self.times:
            await asyncio.sleep(self.lasting)
            raise ZeroDivisionError("a bug")
        while True:
            pulse.beat()
            await asyncio.sleep(1)


@pytest.mark.looptime
async def test_a_dead_loop_starts_again_with_growing_pauses(caplog: pytest.LogCaptureFixture) -> None:
    failing, steady = Failing(3), Failing(0)
    supervisor = Supervisor([Loop("failing", failing), Loop("steady", steady)], monotonic)
    with caplog.at_level(logging.ERROR):
        running = asyncio.create_task(supervisor.run())
        await asyncio.sleep(30)
    starts = [round(b - a, 1) for a, b in zip(failing.starts, failing.starts[1:], strict=False)]
    assert starts == [1, 2, 4]
    assert len(steady.starts) == 1
    assert "failing" in caplog.text and "a bug" in caplog.text
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


@pytest.mark.looptime
async def test_five_failures_within_a_minute_end_it_with_the_error() -> None:
    steady = Failing(0)
    supervisor = Supervisor([Loop("failing", Failing(99)), Loop("steady", steady)], monotonic)
    with pytest.raises(ZeroDivisionError):
        await supervisor.run()


@pytest.mark.looptime
async def test_failures_far_apart_do_not() -> None:
    failing = Failing(20, lasting=61)
    running = asyncio.create_task(Supervisor([Loop("failing", failing)], monotonic).run())
    await asyncio.sleep(3600)
    assert not running.done() and len(failing.starts) == 21
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


@pytest.mark.looptime
async def test_a_loop_that_hangs_is_stale_and_one_that_turns_is_not() -> None:
    async def hang(pulse: Pulse) -> None:
        await asyncio.sleep(1e6)

    loops = [Loop("hanging", hang), Loop("turning", Failing(0)), Loop("slow", hang, limit=timedelta(minutes=10))]
    supervisor = Supervisor(loops, monotonic)
    running = asyncio.create_task(supervisor.run())
    await asyncio.sleep(100)
    assert supervisor.stale() == ["hanging"]
    turns = supervisor.turns()
    assert turns["hanging"].age_s == pytest.approx(100) and turns["turning"].age_s <= 1
    assert {name: turn.limit_s for name, turn in turns.items()} == {"hanging": 60, "turning": 60, "slow": 600}
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


@pytest.mark.looptime
async def test_a_loop_that_returns_is_done_and_healthy() -> None:
    async def once(pulse: Pulse) -> None:
        await asyncio.sleep(5)

    supervisor = Supervisor([Loop("once", once)], monotonic)
    await supervisor.run()
    assert supervisor.turns() == {} and supervisor.stale() == []
