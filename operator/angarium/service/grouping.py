"""Group commit for callers: what waits while one flush runs goes out with the next one.

Nobody waits for a batch to fill: an idle group flushes at once, and a busy one has its batch by the time it is free.
Belongs to one event loop.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Generic, TypeVar, cast

from angarium.domain.errors import AngariumError

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Group(Generic[Item, Answer]):
    """Collects items and hands them to `flush` in order, at most `most` at once, one flush at a time.

    `flush` answers for each item, in the same order; an answer that is an AngariumError is raised for that item alone,
    an exception that `flush` raises is raised for all of them.
    """

    def __init__(
        self, flush: Callable[[Sequence[Item]], Awaitable[Sequence[Answer | AngariumError]]], most: int
    ) -> None:
        self._flush = flush
        self._most = most
        self._waiting: list[tuple[Item, asyncio.Future[Answer]]] = []
        self._flushed: list[asyncio.Future[Answer]] = []
        self._flushing: asyncio.Task[Sequence[Answer | AngariumError]] | None = None
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
        while self._flushing is not None:
            await asyncio.wait([self._flushing])
            await asyncio.sleep(0)  # the next flush starts in a callback of this one

    def _add(self, item: Item) -> asyncio.Future[Answer]:
        if self._closed:
            raise RuntimeError("the group is closed")
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._flushing is None:
            self._start()
        return future

    def _start(self) -> None:
        self._flushing = asyncio.ensure_future(self._turn())
        self._flushing.add_done_callback(self._deliver)

    async def _turn(self) -> Sequence[Answer | AngariumError]:
        # Taken only now, with the loop's next turn, so that all who came in one turn share the first flush.
        waiting = [(item, future) for item, future in self._waiting if not future.done()]
        batch, self._waiting = waiting[: self._most], waiting[self._most :]
        self._flushed = [future for _, future in batch]
        answers = await self._flush([item for item, _ in batch]) if batch else ()
        if len(answers) != len(batch):
            raise RuntimeError(f"a flush of {len(batch)} items gave {len(answers)} answers")
        return answers

    def _deliver(self, turn: asyncio.Task[Sequence[Answer | AngariumError]]) -> None:
        futures = self._flushed
        self._flushing = None
        if turn.cancelled():  # the loop is being closed
            for future in [*futures, *(future for _, future in self._waiting)]:
                future.cancel()
            return
        if self._waiting:
            self._start()
        error = turn.exception()
        answers: Sequence[Answer | BaseException] = [error] * len(futures) if error else turn.result()
        for future, answer in zip(futures, answers, strict=True):
            _resolve(future, answer)


def _resolve(future: asyncio.Future[Answer], answer: Answer | BaseException) -> None:
    if future.done():  # its caller was cancelled
        return
    if isinstance(answer, BaseException):
        future.set_exception(answer)
    else:
        future.set_result(answer)
