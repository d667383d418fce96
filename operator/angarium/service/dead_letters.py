"""Dead letters taken out of their queue on behalf of the API: deleted, or published anew (contract 9.4, 9.5)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from angarium.domain.errors import LimitExceeded, QuotaReached
from angarium.domain.messages import Leased, Message, Overrides
from angarium.domain.notices import Accepted, Observer
from angarium.domain.ports import Clock, DeadLetterStore, Dispatch, Retried
from angarium.domain.views import HistoryFilter
from angarium.service.messages import pieces

AT_ONCE = 100
"""Letters in one transaction, and the most on one page."""

ROOM_BYTES = 8 * 2**20
"""Bytes of bodies asked for per transaction: as much as the store retries at once."""


@dataclass(frozen=True, slots=True)
class Deleted:
    """How many letters went, and the position after them if more match."""

    count: int
    cursor: str | None


@dataclass(frozen=True, slots=True)
class Repeated:
    """The new messages, how many letters were looked at, and the position after them if more match."""

    messages: tuple[Message, ...]
    matched: int
    cursor: str | None


class DeadLetters:
    """Listed ids are all acted on and have no cursor; of a filter's letters, at most a page. One event loop."""

    def __init__(self, store: DeadLetterStore, dispatch: Dispatch, observers: Sequence[Observer], clock: Clock) -> None:
        self._store = store
        self._dispatch = dispatch
        self._observers = tuple(observers)
        self._clock = clock

    async def delete(self, where: HistoryFilter) -> Deleted:
        """Ids that do not exist are skipped. Raises InvalidInput for a cursor that is none, StoreError."""
        if not where.dlq_ids and not where.message_ids:
            page = await self._store.delete_dead_letters(where)
            return Deleted(len(page.items), page.cursor)
        count = 0
        for part in [_of(where, chunk) for chunk in pieces(where.dlq_ids, AT_ONCE)] or [where]:
            following: HistoryFilter | None = part
            while following is not None:
                page = await self._store.delete_dead_letters(following)
                count += len(page.items)
                following = replace(part, cursor=page.cursor) if page.cursor else None
        return Deleted(count, None)

    async def retry(self, where: HistoryFilter, overrides: Overrides) -> Repeated:
        """Publish them anew, with these changes. Raises InvalidInput, StoreError, LimitExceeded and QuotaReached.

        When a limit of the tenant is reached after some of the listed ids, those are returned and the others stay.
        """
        if not where.dlq_ids:
            page = await self._retry(where, overrides)
            return Repeated(page.messages, page.matched, page.cursor)
        messages: list[Message] = []
        matched = 0
        for chunk in pieces(where.dlq_ids, AT_ONCE):
            part: HistoryFilter | None = _of(where, chunk)
            while part is not None:
                try:
                    page = await self._retry(part, overrides)
                except (LimitExceeded, QuotaReached):
                    if not messages:
                        raise
                    return Repeated(tuple(messages), matched, None)
                messages += page.messages
                matched += page.matched
                # A page ends early when its bodies are large.
                part = replace(part, cursor=page.cursor) if page.cursor else None
        return Repeated(tuple(messages), matched, None)

    async def _retry(self, where: HistoryFilter, overrides: Overrides) -> Retried:
        grant = self._dispatch.grant(where.count, ROOM_BYTES)
        leased: Sequence[Leased] = ()
        try:
            retried = await self._store.retry_dead_letters(where, overrides, grant, self._clock.now())
            leased = retried.leased
        finally:
            self._dispatch.offer(grant, leased)
        if len(retried.messages) > len(leased):
            self._dispatch.wake()
        for observer in self._observers:
            observer.notice([Accepted(*one) for one in zip(retried.messages, retried.urls, strict=True)])
        return retried


def _of(where: HistoryFilter, ids: Sequence[str]) -> HistoryFilter:
    return replace(where, dlq_ids=ids, count=len(ids), cursor=None)
