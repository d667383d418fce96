"""A copy of the database: of one instant, sound, private, and there only when it is complete."""

import asyncio
import os
import sqlite3
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.support.fakes import KEYS, FakeClock
from tests.support.stores import NS, accepted, ids, publication

from angarium.domain.errors import StoreError, StoreUnusable
from angarium.domain.ports import Limits, Retention, Store
from angarium.store import back_up, open_store


def opened(database: Path) -> Store:
    return open_store(database, limits=Limits(), new_id=ids(), clock=FakeClock(), retention=Retention())


@pytest.fixture
def database(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return tmp_path / "data" / "angarium.db"


@pytest.fixture
async def store(database: Path) -> AsyncIterator[Store]:
    store = opened(database)
    yield store
    await store.close()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "backups").mkdir()
    return tmp_path / "backups" / "copy.db"


def files_in(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and mode by name."""
    found = {entry.name: entry.stat() for entry in folder.iterdir()}
    return {name: (one.st_size, stat.S_IMODE(one.st_mode)) for name, one in found.items()}


def asked(database: Path, sql: str) -> Any:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(sql).fetchone()[0]


def overwrite_pages(database: Path) -> None:
    content = bytearray(database.read_bytes())
    for page in range(10, len(content) // 4096 - 1, 3):
        content[page * 4096 : page * 4096 + 100] = os.urandom(100)
    database.write_bytes(content)


def break_a_rule(database: Path) -> None:
    """Every page can be read, and what is in one of them cannot be."""
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        (sql,) = connection.execute("SELECT sql FROM sqlite_schema WHERE name = 'usage'").fetchone()
        change = "UPDATE sqlite_schema SET sql = ? WHERE name = 'usage'"
        connection.execute(change, (sql.replace("NOT NULL,   -- messages", ",   -- messages"),))
        connection.commit()
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("UPDATE usage SET waiting = NULL")
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(change, (sql,))
        connection.commit()


async def test_what_was_committed_is_in_the_copy_which_is_one_private_file(
    store: Store, database: Path, target: Path
) -> None:
    await accepted(store, *[publication() for _ in range(100)])
    await store.put_signing_keys(NS, KEYS, replace=True)
    assert files_in(database.parent)["angarium.db-wal"][0] > 0, "most of it is in the log still"
    size = await asyncio.to_thread(back_up, database, target)
    assert files_in(target.parent) == {"copy.db": (size, 0o600)}
    assert asked(target, "PRAGMA journal_mode") == "delete", "it can be read where nothing can be written beside it"
    restored = opened(target)
    assert (await restored.backlog()).waiting == 100
    assert await restored.signing_keys() == {NS: KEYS}
    await restored.close()


async def test_a_copy_taken_while_messages_come_in_is_of_one_instant(
    store: Store, database: Path, target: Path
) -> None:
    """Each transaction has messages, bodies, log entries and a count: they agree in every copy."""
    await accepted(store, *[publication() for _ in range(50)])
    ended = asyncio.Event()

    async def publish() -> None:
        while not ended.is_set():
            await accepted(store, *[publication() for _ in range(10)])

    publishing = asyncio.create_task(publish())
    for number in range(5):
        copy = target.with_name(f"copy-{number}.db")
        await asyncio.to_thread(back_up, database, copy)
        messages, bodies, entries = (asked(copy, f"SELECT count(*) FROM {it}") for it in ("messages", "bodies", "log"))
        assert messages == bodies == entries == asked(copy, "SELECT waiting FROM usage") >= 50
        assert messages % 10 == 0, "no transaction is in it by half"
    ended.set()
    await publishing


def test_a_database_that_nobody_uses_can_be_copied_with_what_a_kill_left_in_its_log(
    database: Path, target: Path, tmp_path: Path
) -> None:
    async def fill() -> None:
        store = opened(database)
        await accepted(store, publication())
        for suffix in ("", "-wal"):  # as a kill would leave it: closing writes the log back
            (tmp_path / f"killed.db{suffix}").write_bytes(database.with_name(database.name + suffix).read_bytes())
        await store.close()

    asyncio.run(fill())
    back_up(tmp_path / "killed.db", target)
    assert asked(target, "SELECT count(*) FROM messages") == 1


async def test_a_log_that_has_lost_commits_is_neither_copied_nor_tidied_away(
    store: Store, database: Path, target: Path, tmp_path: Path
) -> None:
    await accepted(store, publication())
    killed = tmp_path / "killed.db"
    for suffix in ("", "-wal", "-shm", ".lock"):
        killed.with_name(killed.name + suffix).write_bytes(database.with_name(database.name + suffix).read_bytes())
    log = killed.with_name("killed.db-wal")
    with log.open("r+b") as file:
        file.seek(1000)
        file.write(b"garbage" * 10)
    damaged = log.read_bytes()
    with pytest.raises(StoreUnusable, match=r"the write-ahead log .*killed\.db-wal is damaged"):
        back_up(killed, target)
    assert log.read_bytes() == damaged, "else the next start would not know that there was more"
    assert list(target.parent.iterdir()) == []


def test_a_file_that_exists_is_left_alone(store: Store, database: Path, target: Path) -> None:
    target.write_text("yesterday's")
    with pytest.raises(StoreUnusable, match=r"copy\.db exists already; give a new name"):
        back_up(database, target)
    assert target.read_text() == "yesterday's"


def test_what_is_not_there_is_not_made(database: Path, target: Path) -> None:
    with pytest.raises(StoreUnusable, match=r"there is no database .*angarium\.db; .*--database"):
        back_up(database, target)
    assert list(database.parent.iterdir()) == list(target.parent.iterdir()) == []


async def test_a_place_that_cannot_be_written_is_named(store: Store, database: Path, target: Path) -> None:
    with pytest.raises(StoreUnusable, match=r"cannot write into .*missing: No such file"):
        back_up(database, target.parent / "missing" / "copy.db")


def test_the_database_of_another_program_is_refused(database: Path, target: Path) -> None:
    connection = sqlite3.connect(database)
    connection.execute("CREATE TABLE notes (text)")
    connection.close()
    with pytest.raises(StoreUnusable, match="is not a database of Angarium"):
        back_up(database, target)
    assert list(target.parent.iterdir()) == []


@pytest.mark.parametrize("damage", [overwrite_pages, break_a_rule])
def test_no_copy_is_made_of_a_damaged_database(damage: Callable[[Path], None], database: Path, target: Path) -> None:
    async def fill() -> None:
        store = opened(database)
        await accepted(store, *[publication(body=os.urandom(2000)) for _ in range(200)])
        await store.close()

    asyncio.run(fill())
    damage(database)
    with pytest.raises(StoreError, match="damaged"):
        back_up(database, target)
    assert list(target.parent.iterdir()) == []
