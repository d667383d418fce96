"""Not more than so many per second, however many ask."""

import asyncio

import pytest
from tests.support.fakes import LoopClock

from angarium.kube.pace import Pace


@pytest.mark.looptime
async def test_turns_keep_their_distance_after_a_small_burst() -> None:
    pace, now = Pace(20, LoopClock()), asyncio.get_running_loop().time
    turns = []
    for _ in range(42):
        await pace.wait()
        turns.append(now())
    assert turns[:3] == pytest.approx([0, 0, 0.05]), "a tenth of a second's worth is free"
    assert turns[-1] == pytest.approx(2.0)


@pytest.mark.looptime
async def test_time_without_turns_is_not_saved_up() -> None:
    pace, now = Pace(20, LoopClock()), asyncio.get_running_loop().time
    await asyncio.sleep(60)
    for _ in range(22):
        await pace.wait()
    assert now() >= 60.9


@pytest.mark.looptime
async def test_callers_at_once_share_one_pace() -> None:
    pace, now = Pace(10, LoopClock()), asyncio.get_running_loop().time
    await asyncio.gather(*(pace.wait() for _ in range(21)))
    assert now() == pytest.approx(2.0)
