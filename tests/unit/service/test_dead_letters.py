"""Listed dead letters are all acted on; of a filter's, a page. Room is given back whatever happens."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest
from tests.support.fakes import FakeClock, FakeDispatch, Recorder

from angarium.domain.errors import LimitExceeded, StoreError
from angarium.domain.messages import LeaseGrant, Overrides
from angarium.domain.ports import Retried
from angarium.domain.views import HistoryFilter, Page
from angarium.service.dead_letters import AT_ONCE, DeadLetters


@dataclass
class FakeStore:
    """Retries one letter per call of those listed, and hands out a cursor while there are more."""

    errors: dict[int, Exception] = field(default_factory=dict)
    calls: list[HistoryFilter] = field(default_factory=list)

    async def delete_dead_letters(self, where: HistoryFilter) -> Page[str]:
        self.calls.append(where)
        return Page(tuple(where.dlq_ids) or ("1-1", "1-2"), None if where.dlq_ids else "next")

    async def retry_dead_letters(
        self, where: HistoryFilter, overrides: Overrides, grant: LeaseGrant | None, now: datetime
    ) -> Retried:
        if len(self.calls) in self.errors:
            raise self.errors[len(self.calls)]
        self.calls.append(where)
        at = int(where.cursor or 0)
        more = str(at + 1) if at + 1 < len(where.dlq_ids) or not where.dlq_ids else None
        message: Any = where.dlq_ids[at] if where.dlq_ids else "1-1"
        return Retried((message,), ("https://e.test",), (), 1, more)


def letters(store: FakeStore, dispatch: FakeDispatch | None = None, recorder: Recorder | None = None) -> DeadLetters:
    return DeadLetters(store, dispatch or FakeDispatch(), [recorder or Recorder()], FakeClock())  # type: ignore[arg-type]


async def test_a_page_of_a_filter_comes_with_its_cursor() -> None:
    store = FakeStore()
    where = HistoryFilter("shop", labels=("a",), count=7, cursor="3")
    deleted = await letters(store).delete(where)
    assert (deleted.count, deleted.cursor) == (2, "next")
    retried = await letters(store).retry(where, Overrides())
    assert (len(retried.messages), retried.cursor) == (1, "4")
    assert store.calls == [where, where]


async def test_listed_letters_are_all_acted_on_and_have_no_cursor() -> None:
    ids = tuple(f"1-{number}" for number in range(AT_ONCE + 3))
    where = HistoryFilter("shop", dlq_ids=(*ids, ids[0]), count=1, cursor="9")
    store = FakeStore()
    deleted = await letters(store).delete(where)
    assert (deleted.count, deleted.cursor) == (len(ids), None)
    assert [len(call.dlq_ids) for call in store.calls] == [AT_ONCE, 3]
    dispatch = FakeDispatch()
    retried = await letters(FakeStore(), dispatch).retry(where, Overrides())
    assert [str(message) for message in retried.messages] == list(ids)
    assert (retried.matched, retried.cursor) == (len(ids), None)
    assert dispatch.open_grants == 0


async def test_what_was_retried_before_the_limit_is_told_and_the_rest_stays() -> None:
    recorder, full = Recorder(), LimitExceeded("too many messages wait", 1)
    where = HistoryFilter("shop", dlq_ids=("1-1", "1-2", "1-3"))
    retried = await letters(FakeStore({2: full}), recorder=recorder).retry(where, Overrides())
    assert [str(message) for message in retried.messages] == ["1-1", "1-2"]
    assert len(recorder.notices) == 2
    with pytest.raises(LimitExceeded):
        await letters(FakeStore({0: full})).retry(where, Overrides())


async def test_room_is_given_back_when_the_store_fails() -> None:
    dispatch = FakeDispatch()
    with pytest.raises(StoreError):
        await letters(FakeStore({0: StoreError("gone")}), dispatch).retry(HistoryFilter("shop"), Overrides())
    assert dispatch.open_grants == 0


async def test_the_dispatcher_is_woken_for_what_was_not_leased() -> None:
    dispatch = FakeDispatch()
    await letters(FakeStore(), dispatch).retry(HistoryFilter("shop"), Overrides())
    assert dispatch.woken == 1
