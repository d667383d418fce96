"""The group commit for callers: order, grouping without waiting, errors to whom they belong, cancellation."""

import asyncio
from collections.abc import Sequence

import pytest

from angarium.domain.errors import AngariumError, NotFound
from angarium.service.grouping import Group


class Flushes:
    """A flush that doubles numbers, and stands still while `gate` is closed. At most `abreast` may run at once."""

    def __init__(self, abreast: int = 2) -> None:
        self.abreast = abreast
        self.batches: list[list[int]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.at_once = 0

    async def __call__(self, items: Sequence[int]) -> Sequence[int | AngariumError]:
        self.at_once += 1
        assert self.at_once <= self.abreast
        self.batches.append(list(items))
        await self.gate.wait()
        self.at_once -= 1
        if 13 in items:
            raise ValueError("unlucky")
        return [NotFound("negative") if item < 0 else item * 2 for item in items]


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_those_who_come_in_one_turn_share_a_flush() -> None:
    flushes = Flushes()
    group: Group[int, int] = Group(flushes, most=10)
    assert await asyncio.gather(*(group.put(n) for n in range(4))) == [0, 2, 4, 6]
    assert flushes.batches == [[0, 1, 2, 3]]


@pytest.mark.parametrize("abreast", [1, 2, 3])
async def test_a_busy_group_gathers_what_comes_meanwhile(abreast: int) -> None:
    flushes = Flushes(abreast)
    group: Group[int, int] = Group(flushes, most=10, abreast=abreast)
    flushes.gate.clear()
    first = []
    for n in range(abreast):
        first.append(asyncio.create_task(group.put(n)))
        await settle()
    later = [asyncio.create_task(group.put(n)) for n in (7, 8)]
    await settle()
    under_way = [[n] for n in range(abreast)]
    assert flushes.batches == under_way
    flushes.gate.set()
    assert await asyncio.gather(*first, *later) == [*(n * 2 for n in range(abreast)), 14, 16]
    assert flushes.batches == [*under_way, [7, 8]]


async def test_a_flush_takes_at_most_so_many() -> None:
    flushes = Flushes()
    group: Group[int, int] = Group(flushes, most=3)
    assert await asyncio.gather(*(group.put(n) for n in range(7))) == [n * 2 for n in range(7)]
    assert flushes.batches == [[0, 1, 2], [3, 4, 5], [6]]


async def test_an_error_answer_is_raised_for_its_item_alone() -> None:
    group: Group[int, int] = Group(Flushes(), most=10)
    answers = await asyncio.gather(*(group.put(n) for n in (1, -1, 2)), return_exceptions=True)
    assert [answers[0], answers[2]] == [2, 4]
    assert isinstance(answers[1], NotFound)


async def test_a_failing_flush_fails_all_its_items_and_no_others() -> None:
    group: Group[int, int] = Group(Flushes(), most=2)
    answers = await asyncio.gather(*(group.put(n) for n in (1, 13, 2, 3)), return_exceptions=True)
    assert [type(answer) for answer in answers[:2]] == [ValueError, ValueError]
    assert answers[2:] == [4, 6]


async def test_too_few_answers_are_an_error_not_a_hang() -> None:
    async def flush(items: Sequence[int]) -> Sequence[int]:
        return []

    with pytest.raises(RuntimeError, match="1 items gave 0 answers"):
        await Group(flush, most=10).put(1)


async def test_a_cancelled_caller_takes_its_item_back_and_harms_nobody() -> None:
    flushes = Flushes(1)
    group: Group[int, int] = Group(flushes, most=10, abreast=1)
    flushes.gate.clear()
    callers = [asyncio.create_task(group.put(n)) for n in (1, 2)]
    await settle()
    waiting = [asyncio.create_task(group.put(n)) for n in (3, 4)]
    await settle()
    callers[0].cancel()
    waiting[0].cancel()
    flushes.gate.set()
    assert await asyncio.gather(callers[1], waiting[1]) == [4, 8]
    assert flushes.batches == [[1, 2], [4]]


async def test_close_finishes_what_waits_and_refuses_more() -> None:
    flushes = Flushes()
    group: Group[int, int] = Group(flushes, most=1)
    flushes.gate.clear()
    callers = [asyncio.create_task(group.put(n)) for n in (1, 2, 3)]
    await settle()
    closing = asyncio.create_task(group.close())
    await settle()
    assert not closing.done()
    flushes.gate.set()
    await closing
    assert [caller.result() for caller in callers] == [2, 4, 6]
    with pytest.raises(RuntimeError, match="closed"):
        await group.put(4)


async def test_many_keep_their_order_and_their_errors() -> None:
    flushes = Flushes()
    group: Group[int, int] = Group(flushes, most=3)
    answers = await group.put_many([1, -1, 2, 3, 4])
    assert [answer if isinstance(answer, int) else type(answer) for answer in answers] == [2, NotFound, 4, 6, 8]
    assert flushes.batches == [[1, -1, 2], [3, 4]]
    assert await group.put_many([]) == []
    with pytest.raises(ValueError, match="unlucky"):
        await group.put_many([1, 13])
