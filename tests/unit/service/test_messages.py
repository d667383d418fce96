"""Canceling in small transactions, until everything that matches is canceled."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import pytest
from tests.support.fakes import Bell, FakeClock, Recorder

from angarium.domain.declarations import Kind, ObjectRef
from angarium.domain.errors import StoreError
from angarium.domain.messages import Canceled
from angarium.domain.notices import RunsCanceled
from angarium.domain.views import HistoryFilter
from angarium.service.messages import AT_ONCE, Messages, pieces


@dataclass
class FakeStore:
    """So many messages match; `calls` are the limits asked for, with the ids."""

    matching: int = 0
    failing_after: int | None = None
    schedules: frozenset[ObjectRef] = frozenset()
    calls: list[tuple[Sequence[str], int]] = field(default_factory=list)

    async def cancel(self, where: HistoryFilter, limit: int, now: datetime) -> Canceled:
        if len(self.calls) == self.failing_after:
            raise StoreError("the disk is gone")
        self.calls.append((where.message_ids, limit))
        count = min(limit, len(where.message_ids) or self.matching)
        self.matching -= count
        return Canceled(count, self.schedules if count else frozenset())


def messages(store: FakeStore, bell: Bell | None = None, *observers: Recorder) -> Messages:
    return Messages(store, bell or Bell(), observers, FakeClock())  # type: ignore[arg-type]


@pytest.mark.parametrize("matching", [0, 1, AT_ONCE - 1, AT_ONCE, AT_ONCE + 1, 3 * AT_ONCE])
async def test_all_that_match_in_small_transactions(matching: int) -> None:
    store = FakeStore(matching)
    assert await messages(store).cancel(HistoryFilter("shop")) == matching
    assert {limit for _, limit in store.calls} == {AT_ONCE}
    assert len(store.calls) == matching // AT_ONCE + 1


@pytest.mark.parametrize(("most", "limits"), [(1, [1]), (AT_ONCE, [AT_ONCE]), (AT_ONCE + 3, [AT_ONCE, 3])])
async def test_no_more_than_asked_for(most: int, limits: list[int]) -> None:
    store = FakeStore(10 * AT_ONCE)
    assert await messages(store).cancel(HistoryFilter("shop"), most) == most
    assert [limit for _, limit in store.calls] == limits


async def test_listed_ids_go_in_pieces_each_once() -> None:
    store = FakeStore()
    ids = [f"msg_{number}" for number in range(AT_ONCE + 7)]
    assert await messages(store).cancel(HistoryFilter("shop", message_ids=[*ids, *ids])) == len(ids)
    assert [list(asked) for asked, _ in store.calls] == [ids[:AT_ONCE], ids[AT_ONCE:]]
    assert list(pieces([1, 2, 1, 3], 2)) == [[1, 2], [3]]


async def test_who_leases_messages_is_woken_also_if_the_store_fails_later() -> None:
    bell = Bell()
    with pytest.raises(StoreError):
        await messages(FakeStore(3 * AT_ONCE, failing_after=1), bell).cancel(HistoryFilter("shop"))
    assert bell.rung == 1
    idle = Bell()
    await messages(FakeStore(0), idle).cancel(HistoryFilter("shop"))
    assert idle.rung == 0


async def test_who_shows_runs_is_told_of_those_that_were_canceled() -> None:
    nightly = frozenset({ObjectRef(Kind.SCHEDULE, "shop", "nightly")})
    told, untold = Recorder(), Recorder()
    await messages(FakeStore(3, schedules=nightly), None, told).cancel(HistoryFilter("shop"))
    await messages(FakeStore(3), None, untold).cancel(HistoryFilter("shop"))
    assert told.notices == [RunsCanceled(nightly)]
    assert untold.notices == []
