"""A damaged write-ahead log never loses in silence: what was committed is found, or the start is refused."""

import os
import random
import shutil
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
from tests.support.fakes import FakeClock
from tests.support.stores import publication

from angarium.domain.errors import StoreUnusable
from angarium.domain.ports import Limits, Retention
from angarium.store import SqliteStore, open_store

HEADER, FRAME = 32, 24 + 4096
COMMITS = 20
FILES = ("a.db", "a.db-wal", "a.db-shm")


def opened(path: Path) -> SqliteStore:
    return open_store(
        path, limits=Limits(), new_id=lambda _: f"msg_{uuid4().hex}", clock=FakeClock(), retention=Retention()
    )


@pytest.fixture
async def killed(tmp_path: Path) -> AsyncIterator[Path]:
    """A database as a kill leaves it, with some commits in its log alone."""
    folder = tmp_path / "killed"
    folder.mkdir()
    store = opened(tmp_path / "a.db")
    for _ in range(COMMITS):
        await store.accept([publication()], None)
    for name in FILES:
        shutil.copy(tmp_path / name, folder)
    yield folder / "a.db"
    await store.close()


def log_of(database: Path) -> Path:
    return database.with_name("a.db-wal")


def index_of(database: Path) -> Path:
    return database.with_name("a.db-shm")


def spoil(path: Path, start: int, size: int) -> None:
    with path.open("r+b") as file:
        file.seek(start)
        file.write(random.Random(7).randbytes(size))


async def waiting(database: Path) -> int:
    store = opened(database)
    try:
        return (await store.backlog()).waiting
    finally:
        await store.close()


def refused(database: Path) -> None:
    """Twice, and with nothing changed: whoever restores it finds everything as it was."""
    before = log_of(database).read_bytes() if log_of(database).exists() else None
    for _ in range(2):
        with pytest.raises(StoreUnusable, match="write-ahead log .*a.db-wal is damaged.* restore .* backup") as caught:
            opened(database)
        assert "\n" not in str(caught.value)
    assert (log_of(database).read_bytes() if log_of(database).exists() else None) == before


async def test_a_kill_leaves_nothing_damaged(killed: Path) -> None:
    assert await waiting(killed) == COMMITS


@pytest.mark.parametrize("index", [True, False])
@pytest.mark.parametrize("place", [0, 16, HEADER + 4, HEADER + 100, HEADER + 9 * FRAME + 500])
async def test_garbage_in_the_log_is_refused(killed: Path, place: int, index: bool) -> None:
    spoil(log_of(killed), place, 64)
    if not index:
        index_of(killed).unlink()
    refused(killed)


async def test_garbage_in_the_last_commit_is_refused(killed: Path) -> None:
    spoil(log_of(killed), log_of(killed).stat().st_size - 2000, 64)
    refused(killed)


@pytest.mark.parametrize("size", [0, 10, HEADER, HEADER + 3 * FRAME, HEADER + 20 * FRAME + 11])
async def test_a_truncated_log_is_refused(killed: Path, size: int) -> None:
    assert size < log_of(killed).stat().st_size
    os.truncate(log_of(killed), size)
    refused(killed)


async def test_a_missing_log_is_refused(killed: Path) -> None:
    log_of(killed).unlink()
    refused(killed)


async def test_what_is_lost_may_be_given_up_on_purpose(killed: Path) -> None:
    spoil(log_of(killed), log_of(killed).stat().st_size - 2000, 64)
    refused(killed)
    index_of(killed).unlink()
    log_of(killed).unlink()
    assert await waiting(killed) == 0, "only what reached the database file is there"


@pytest.mark.parametrize("index", [True, False])
async def test_what_a_power_failure_cut_off_is_no_damage(killed: Path, index: bool) -> None:
    """The last commit was never acknowledged: its last frame alone came to the disk, not the index."""
    content = log_of(killed).read_bytes()
    (last_frame,) = struct.unpack("=I", index_of(killed).read_bytes()[16:20])
    end = HEADER + last_frame * FRAME
    log_of(killed).write_bytes(content[:end] + content[end - FRAME : end])
    if not index:
        index_of(killed).unlink()
    assert await waiting(killed) == COMMITS


async def test_a_log_that_was_moved_to_the_database_in_full_may_go(tmp_path: Path) -> None:
    store = opened(tmp_path / "a.db")
    await store.accept([publication()], None)
    store._connection.execute("PRAGMA wal_checkpoint(FULL)")
    (tmp_path / "copy").mkdir()
    for name in FILES:
        shutil.copy(tmp_path / name, tmp_path / "copy")
    await store.close()
    database = tmp_path / "copy" / "a.db"
    spoil(log_of(database), 0, 64)
    assert await waiting(database) == 1


async def test_an_index_of_an_earlier_log_does_not_count(killed: Path, tmp_path: Path) -> None:
    """As after a power failure: the index was written back to disk long ago, the log is a newer one."""
    old = index_of(killed).read_bytes()
    store = opened(killed)
    store._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    await store.accept([publication()], None)
    (tmp_path / "copy").mkdir()
    for name in FILES:
        shutil.copy(killed.with_name(name), tmp_path / "copy")
    await store.close()
    database = tmp_path / "copy" / "a.db"
    index_of(database).write_bytes(old)
    assert await waiting(database) == COMMITS + 1
