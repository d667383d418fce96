"""A loop's alarm clock: early calls, calls from other threads, and none."""

import asyncio
import threading
import time
from datetime import timedelta

import pytest

from angarium.engine.waking import Waker

LONG = timedelta(minutes=5)


async def test_a_call_before_the_wait_is_not_lost() -> None:
    waker = Waker()
    waker.wake()
    await waker.wait(LONG)


async def test_a_call_from_another_thread_wakes() -> None:
    waker = Waker()
    for _ in range(50):
        waiting = asyncio.create_task(waker.wait(LONG))
        await asyncio.sleep(0)
        thread = threading.Thread(target=waker.wake)
        thread.start()
        await asyncio.wait_for(waiting, 5)
        thread.join()


async def test_calls_from_many_threads_are_never_lost() -> None:
    waker, calls, seen = Waker(), [0], 0

    def call() -> None:
        for _ in range(200):
            calls[0] += 1
            waker.wake()
            time.sleep(0)

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    while seen < 1 or any(thread.is_alive() for thread in threads):
        await asyncio.wait_for(waker.wait(timedelta(milliseconds=100)), 5)
        seen = calls[0]
    waker.wake()
    await asyncio.wait_for(waker.wait(LONG), 5)


@pytest.mark.looptime
async def test_without_a_call_the_time_is_up() -> None:
    waker, loop = Waker(), asyncio.get_running_loop()
    started = loop.time()
    await waker.wait(timedelta(seconds=90))
    assert loop.time() - started == pytest.approx(90)


@pytest.mark.looptime
async def test_several_calls_wake_once() -> None:
    waker, loop = Waker(), asyncio.get_running_loop()
    waker.wake()
    waker.wake()
    await waker.wait(LONG)
    started = loop.time()
    await waker.wait(timedelta(seconds=3))
    assert loop.time() - started == pytest.approx(3)


def test_a_call_after_the_loop_has_ended_does_nothing() -> None:
    waker = Waker()
    asyncio.run(waker.wait(timedelta(0)))
    waker.wake()
