"""Group commit for callers: what waits while flushes are under way goes out with the next one.

Nobody waits for a batch to fill: an idle group flushes at once, and a busy one has its batch by the time it is free.
A second flush may be under way while the first one is: it waits in the store's line, so that the store goes on without
a pause, and with what others brought meanwhile. Belongs to one event loop.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Generic, TypeVar, cast

from angarium.domain.errors import AngariumError

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Group(Generic[Item, Answer]):
    """Collects items and hands them to `flush` in order, at most `most` at once, `abreast` flushes at a time.

    `flush` answers for each item, in the same order; an answer that is an AngariumError is raised for that item alone,
    an exception that `flush` raises is raised for all of them.
    """

    def __init__(
        self,
        flush: Callable[[Sequence[Item]], Awaitable[Sequence[Answer | AngariumError]]],
        most: int,
        abreast: int = 2,
    ) -> None:
        self._flush = flush
        self._most = most
        self._abreast = abreast
        self._waiting: list[tuple[Item, asyncio.Future[Answer]]] = []
        self._starting = False
        self._flushing: set[asyncio.Task[None]] = set()
        self._closed = False

    async def put(self, item: Item) -> Answer:
        """The answer for this item. A caller cancelled before the flush takes its item back."""
        return await self._add(item)

    async def put_many(self, items: Iterable[Item]) -> list[Answer | AngariumError]:
        """The answers for these items, which are flushed in this order; an error stands in the place of its item."""
        answers = await asyncio.gather(*map(self._add, items), return_exceptions=True)
        for answer in answers:
            if isinstance(answer, BaseException) and not isinstance(answer, AngariumError):
                raise answer
        return cast(list[Answer | AngariumError], answers)

    async def close(self) -> None:
        """Refuse new items and wait until those that wait are answered."""
        self._closed = True
        while self._flushing:
            await asyncio.wait(self._flushing)

    def _add(self, item: Item) -> asyncio.Future[Answer]:
        if self._closed:
            raise RuntimeError("the group is closed")
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        self._start()
        return future

    def _start(self) -> None:
        # A turn takes its batch only with the loop's next turn, so that all who came in this one share it.
        if self._waiting and not self._starting and len(self._flushing) < self._abreast:
            self._starting = True
            turn = asyncio.get_running_loop().create_task(self._turn())
            self._flushing.add(turn)
            turn.add_done_callback(self._ended)

    def _ended(self, turn: asyncio.Task[None]) -> None:
        self._flushing.discard(turn)
        if not turn.cancelled():  # else the loop is being closed
            turn.result()
            self._start()

    async def _turn(self) -> None:
        self._starting = False
        waiting = [(item, future) for item, future in self._waiting if not future.done()]
        batch, self._waiting = waiting[: self._most], waiting[self._most :]
        self._start()
        answers: Sequence[Answer | BaseException]
        try:
            answers = await self._answers([item for item, _ in batch])
        except asyncio.CancelledError:
            for _, future in (*batch, *self._waiting):
                future.cancel()
            raise
        except Exception as error:  # noqa: BLE001  it belongs to those who wait for this flush
            answers = [error] * len(batch)
        for (_, future), answer in zip(batch, answers, strict=True):
            _resolve(future, answer)

    async def _answers(self, items: Sequence[Item]) -> Sequence[Answer | AngariumError]:
        answers = await self._flush(items) if items else ()
        if len(answers) != len(items):
            raise RuntimeError(f"a flush of {len(items)} items gave {len(answers)} answers")
        return answers


def _resolve(future: asyncio.Future[Answer], answer: Answer | BaseException) -> None:
    if future.done():  # its caller was cancelled
        return
    if isinstance(answer, BaseException):
        future.set_exception(answer)
    else:
        future.set_result(answer)
