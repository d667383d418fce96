"""A database of an earlier version opens in this one with all it had, whatever happens in between."""

import asyncio
import json
import subprocess
from pathlib import Path
from uuid import uuid4

import pytest
from tests.support import migrator
from tests.support.fakes import FakeClock
from tests.support.programs import python_module
from tests.support.releases import ALL, FIRST, Release, kept, schema_of, tables_of

from angarium.domain.ports import Limits, Retention
from angarium.store import back_up, migration, open_store
from angarium.store.migration import migrations, program

NEWEST = migrations()[-1][0]
FUTURE = (
    NEWEST + 1,
    """
    CREATE TABLE filling AS WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400)
        SELECT i, randomblob(4000) AS x FROM n;
    UPDATE messages SET labels = labels;
    DELETE FROM filling;
    DROP TABLE filling;
    ALTER TABLE messages ADD COLUMN of_the_future TEXT;
    """,
)
"""A migration that rewrites much, as one may come to."""


def open_and_close(database: Path) -> None:
    """As the start and the end of the program do."""

    async def turn() -> None:
        store = open_store(
            database, limits=Limits(), new_id=lambda _: f"msg_{uuid4().hex}", clock=FakeClock(), retention=Retention()
        )
        await store.backlog()
        await store.close()

    asyncio.run(turn())


@pytest.mark.parametrize("release", ALL, ids=lambda release: release.name)
def test_all_that_an_earlier_version_left_is_there(release: Release, tmp_path: Path) -> None:
    database = release.unpack(tmp_path)
    before = tables_of(database)
    assert all(before[table] for table in before), "each table has a row at least, or this would show nothing of it"
    open_and_close(database)
    kept(before, tables_of(database))
    assert schema_of(database) == NEWEST
    assert tables_of(database)["migrations"][-1] == {"schema": NEWEST, "program": program()}


def test_a_backup_from_before_the_upgrade_is_of_the_old_schema_and_opens(tmp_path: Path) -> None:
    database = FIRST.unpack(tmp_path)
    before = tables_of(database)
    back_up(database, tmp_path / "copy.db")
    assert schema_of(tmp_path / "copy.db") == 4, "so the old version can be installed again, and read it"
    kept(before, tables_of(tmp_path / "copy.db"))
    open_and_close(tmp_path / "copy.db")
    kept(before, tables_of(tmp_path / "copy.db"))


def test_it_may_be_killed_at_every_statement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two migrations, the second of which writes into the log long before it ends."""
    database = FIRST.unpack(tmp_path)
    before = tables_of(database)
    back_up(database, tmp_path / "copy.db")
    (tmp_path / "kills").mkdir()
    command = python_module(migrator, tmp_path / "copy.db", tmp_path / "kills", json.dumps([FUTURE]))
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    steps = [*migrations(), FUTURE]
    monkeypatch.setattr(migration, "migrations", lambda: steps)
    folders = sorted((tmp_path / "kills").iterdir(), key=lambda folder: int(folder.name))
    assert len(folders) > 12, "two migrations have so many statements"
    left_in_log = 0
    for folder in folders:
        killed = folder / "copy.db"
        log = folder / "copy.db-wal"
        left_in_log = max(left_in_log, log.stat().st_size if log.exists() else 0)
        kept(before, tables_of(killed))
        open_and_close(killed)
        kept(before, tables_of(killed))
        assert schema_of(killed) == NEWEST + 1
    assert left_in_log > 1_000_000, "half a migration was in the log at one of the kills"
