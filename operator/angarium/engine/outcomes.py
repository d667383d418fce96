"""Writes the outcomes of attempts to the store, in groups, and tells observers only then.

An outcome is never dropped because the store is in trouble: it waits here while the dispatcher renews its lease.
"""

import asyncio
import logging
from collections.abc import Sequence
from datetime import timedelta

from angarium.domain.errors import AngariumError, StoreError, StoreFull
from angarium.domain.messages import Outcome
from angarium.domain.notices import AttemptEnded, Notice, Observer
from angarium.domain.ports import Clock, MessageStore
from angarium.service.grouping import Group

_FIRST_WAIT = timedelta(milliseconds=200)
_LONGEST_WAIT = timedelta(seconds=5)
_MOST = 500

_log = logging.getLogger(__name__)


class Outcomes:
    """Groups outcomes into transactions, at most 500 in one."""

    def __init__(self, store: MessageStore, observers: Sequence[Observer], clock: Clock) -> None:
        self._store = store
        self._observers = observers
        self._clock = clock
        self._group: Group[Outcome, bool] = Group(self._flush, _MOST)

    async def record(self, outcome: Outcome) -> bool:
        """Whether the outcome was written; False: the lease was lost. Tries until the store takes it."""
        wait = _FIRST_WAIT
        while True:
            try:
                return await self._group.put(outcome)
            except StoreError as error:
                _log.warning(
                    "the outcome of message %s is tried again: %s",
                    outcome.leased.message.id,
                    error,
                    extra={"action": "outcome.record", "about": outcome.leased.message},
                )
            await asyncio.sleep(wait.total_seconds())
            wait = min(wait * 2, _LONGEST_WAIT)

    async def close(self) -> None:
        await self._group.close()

    async def _flush(self, outcomes: Sequence[Outcome]) -> Sequence[bool | AngariumError]:
        try:
            stored = await self._store.record(outcomes, self._clock.now())
        except StoreFull:
            raise
        except StoreError as error:
            return await self._halves(outcomes, error)
        notices: list[Notice] = [AttemptEnded(o) for o, written in zip(outcomes, stored, strict=True) if written]
        if notices:
            for observer in self._observers:
                observer.notice(notices)
        return stored

    async def _halves(self, outcomes: Sequence[Outcome], error: StoreError) -> Sequence[bool | AngariumError]:
        """One outcome that the store cannot write must not hold back those that happen to be in its group."""
        if len(outcomes) == 1:
            return [error]
        middle = len(outcomes) // 2
        return [*await self._flush(outcomes[:middle]), *await self._flush(outcomes[middle:])]
