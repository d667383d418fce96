"""Lets a loop sleep until something happens or some time has passed. May be woken from any thread."""

import asyncio
from datetime import timedelta


class Waker:
    """One loop waits; being woken before it waits, or several times, wakes it once."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._woken = False

    def wake(self) -> None:
        if self._woken:
            return
        self._woken = True
        if self._loop is None or self._loop.is_closed():
            self._event.set()
        else:
            self._loop.call_soon_threadsafe(self._event.set)

    async def wait(self, longest: timedelta) -> None:
        """Return when woken, at the latest after this long."""
        self._loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(longest.total_seconds()):
                await self._event.wait()
        except TimeoutError:
            pass
        # In this order: whoever wakes us in between sets the event again, after it was cleared.
        self._woken = False
        self._event.clear()
