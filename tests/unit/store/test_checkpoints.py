"""The write-ahead log stays small, also while somebody reads all the time."""

import asyncio
import itertools
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.fakes import WallClock
from tests.support.stores import NS, accepted, ids, publication
from tests.support.waiting import until

from angarium.domain.ports import Limits, Retention
from angarium.domain.views import HistoryFilter
from angarium.store import SqliteStore, checkpoints, open_store
from angarium.store.connection import WAL_PAGES
from angarium.store.transaction import Session

LIMIT = 2**20


@pytest.fixture
async def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SqliteStore]:
    monkeypatch.setattr(checkpoints, "_TOO_LARGE", LIMIT)
    monkeypatch.setattr(checkpoints, "_POLL_S", 0.02)
    path = tmp_path / "a.db"
    opened = open_store(path, limits=Limits(), new_id=ids(), clock=WallClock(), retention=Retention())
    yield opened
    await opened.close()


def log_size(folder: Path) -> int:
    return (folder / "a.db-wal").stat().st_size


def slow_read(session: Session) -> int:
    """Holds its snapshot for a moment, as a listing with a narrow filter does."""
    found = len(session.rows("SELECT seq FROM messages LIMIT 9"))
    time.sleep(0.03)  # longer than the other reader's pause, so that somebody reads at every instant
    return found


async def read_for_ever(store: SqliteStore, reads: list[int]) -> None:
    while True:
        reads.append(await store._read(slow_read))


async def test_reads_that_never_pause_do_not_keep_the_log_from_being_taken_back(
    store: SqliteStore, tmp_path: Path
) -> None:
    reads: list[int] = []
    reading = [asyncio.create_task(read_for_ever(store, reads)) for _ in range(3)]
    smaller = 0
    for number in itertools.count(1):
        before = log_size(tmp_path)
        await accepted(store, *(publication(body=bytes(4096)) for _ in range(50)))
        smaller += log_size(tmp_path) < before
        if smaller == 3:
            break
        assert number < 2000, "the log was never begun anew"
    written = 50 * number
    await until(lambda: log_size(tmp_path) <= LIMIT)
    so_far = len(reads)
    await until(lambda: len(reads) >= so_far + 3)
    for task in reading:
        task.cancel()
    await asyncio.gather(*reading, return_exceptions=True)
    assert (await store.backlog()).waiting == written
    assert (await store.log(HistoryFilter(NS))).items


async def test_nobody_who_writes_waits_for_a_long_read(store: SqliteStore, tmp_path: Path) -> None:
    over = threading.Event()

    def long_read(session: Session) -> bool:
        session.rows("SELECT seq FROM messages LIMIT 9")
        return over.wait(20)

    reading = asyncio.create_task(store._read(long_read))
    while log_size(tmp_path) <= LIMIT:
        await accepted(store, publication(body=bytes(65536)))
    async with asyncio.timeout(4):  # less than SQLite waits for a lock
        for _ in range(40):
            await accepted(store, publication())
            await asyncio.sleep(0.02)
    assert not reading.done() and log_size(tmp_path) > LIMIT
    over.set()
    assert await reading
    await until(lambda: log_size(tmp_path) <= LIMIT)


async def test_the_writer_takes_back_the_log_itself_again_afterwards(store: SqliteStore, tmp_path: Path) -> None:
    while log_size(tmp_path) <= LIMIT:
        await accepted(store, *(publication(body=bytes(65536)) for _ in range(10)))
    await until(lambda: log_size(tmp_path) == 0)

    async def on_its_own() -> bool:
        return bool(await store._write(lambda tx: tx.rows("PRAGMA wal_autocheckpoint")[0][0] == WAL_PAGES))

    await until(on_its_own)


async def test_a_store_that_is_closed_at_once_ends_cleanly(tmp_path: Path) -> None:
    for name in range(5):
        opened = open_store(
            tmp_path / f"{name}.db", limits=Limits(), new_id=ids(), clock=WallClock(), retention=Retention()
        )
        await opened.close()
        await opened.close()
        assert not (tmp_path / f"{name}.db-wal").exists()
