"""Canceling messages on behalf of the API (contract 8.3), in transactions small enough to let others through."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

from angarium.domain.notices import Observer, RunsCanceled
from angarium.domain.ports import Alarm, Clock, MessageStore
from angarium.domain.views import HistoryFilter

T = TypeVar("T")

AT_ONCE = 500
"""Messages canceled in one transaction."""


class Messages:
    """What publishers may still do to messages that were accepted. `dispatch`: who leases messages."""

    def __init__(self, store: MessageStore, dispatch: Alarm, observers: Sequence[Observer], clock: Clock) -> None:
        self._store = store
        self._dispatch = dispatch
        self._observers = observers
        self._clock = clock

    async def cancel(self, where: HistoryFilter, most: int | None = None) -> int:
        """Cancel all messages that have not ended and match, or the first `most`; listed ids all. Returns how many.

        Raises StoreError; what was canceled before stays so.
        """
        if where.message_ids:
            chunks = pieces(where.message_ids, AT_ONCE)
            return sum([await self._cancel(replace(where, message_ids=chunk), len(chunk)) for chunk in chunks])
        canceled = 0
        while most is None or canceled < most:
            limit = AT_ONCE if most is None else min(AT_ONCE, most - canceled)
            count = await self._cancel(where, limit)
            canceled += count
            if count < limit:
                break
        return canceled

    async def _cancel(self, where: HistoryFilter, limit: int) -> int:
        canceled = await self._store.cancel(where, limit, self._clock.now())
        if canceled.count:
            self._dispatch.wake()  # who waited behind them may go; who holds one of them hears of it from the store
        if canceled.schedules:
            for observer in self._observers:
                observer.notice([RunsCanceled(canceled.schedules)])
        return canceled.count


def pieces(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """The items in their order, each once, so many at a time."""
    unique = list(dict.fromkeys(items))
    for start in range(0, len(unique), size):
        yield unique[start : start + size]
