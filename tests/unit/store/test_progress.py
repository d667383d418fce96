"""What the status of the longest history costs: a few thousand rows are read, not half a million."""

import json
import sqlite3
import time
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.fakes import START, FakeClock
from tests.support.histories import ATTEMPTS, MEMBERS, RUNS, fill
from tests.support.stores import ids, schedule, topic

from angarium.domain.declarations import Declared, Destination, Topic, TopicMember
from angarium.domain.messages import MessageState
from angarium.domain.ports import Limits, Retention, Store
from angarium.domain.views import AttemptView
from angarium.resources import manifest
from angarium.store import open_store, progress

LIMIT = 32 * 1024
MIB = 2**20
FULL = schedule(destination=Destination(topic="many"), history_limit=50)


def many() -> Declared:
    """A Topic whose members have names and URLs as long as they may be."""
    members = tuple(
        TopicMember(f"{number:03}-{'m' * 59}", url=f"https://h{number}.test/{'p' * 2000}") for number in range(MEMBERS)
    )
    return replace(topic("many"), spec=Topic(members))


@pytest.fixture
async def full(tmp_path: Path) -> AsyncIterator[Store]:
    database = tmp_path / "angarium.db"
    store = open_store(database, limits=Limits(), new_id=ids(), clock=FakeClock(), retention=Retention())
    await store.apply([many(), FULL], START)
    (due,) = (await store.due_schedules(START, 1)).schedules
    await fill(store, database, due, START)
    with closing(sqlite3.connect(database)) as connection:
        (count,) = connection.execute("SELECT count(*) FROM attempts").fetchone()
    assert count == RUNS * MEMBERS * ATTEMPTS
    yield store
    await store.close()


async def test_the_longest_history_is_read_in_part_only(full: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[AttemptView] = []
    real = progress._attempt

    def counted(row: sqlite3.Row) -> AttemptView:
        read.append(real(row))
        return read[-1]

    monkeypatch.setattr(progress, "_attempt", counted)
    tracemalloc.start()
    try:
        began = time.process_time()
        view = (await full.schedule_views([FULL.ref]))[FULL.ref]
        status = manifest.status(FULL, view, (), (), START)
        took = time.process_time() - began
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(read) <= 600, len(read)
    assert peak < 8 * MIB, f"{peak / MIB:.1f} MiB"
    assert took < 5, f"{took:.2f} s"
    (newest, *older) = view.runs
    assert newest.counts == {MessageState.FAILED: MEMBERS}
    assert all(one.attempts == ATTEMPTS and one.state is MessageState.FAILED for one in newest.members)
    assert len(older) < RUNS - 1, "the oldest would not fit in any case"
    assert status["recentRuns"][0]["deliveries"] == {"total": 100, "delivered": 0, "failed": 100, "canceled": 0}
    assert len(json.dumps(status, separators=(",", ":"), ensure_ascii=False).encode()) <= LIMIT

    monkeypatch.setattr(progress, "_MOST_SHOWN", 1_000_000)
    view = (await full.schedule_views([FULL.ref]))[FULL.ref]
    assert len(view.runs) == RUNS
    assert manifest.status(FULL, view, (), (), START) == status, "what was left out would not have fitted"
