"""A backup in the place of the database: the whole of it, with nothing of the log before, and the old one kept."""

import asyncio
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from tests.support.fakes import FakeClock
from tests.support.stores import accepted, publication

from angarium.domain.errors import StoreUnusable
from angarium.domain.ports import Limits, Retention
from angarium.store import SqliteStore, back_up, open_store, restore

BEFORE, AFTER = 3, 7
Step = Callable[..., Any]


class Killed(BaseException):
    """Stands for a kill: nothing below it is carried out, and nobody tidies up."""


def opened(path: Path) -> SqliteStore:
    return open_store(
        path, limits=Limits(), new_id=lambda _: f"msg_{uuid4().hex}", clock=FakeClock(), retention=Retention()
    )


async def add(database: Path, count: int, killed_in: Path | None = None) -> None:
    store = opened(database)
    await accepted(store, *[publication() for _ in range(count)])
    for file in database.parent.glob("a.db*") if killed_in else ():
        shutil.copy(file, killed_in or file)
    await store.close()


async def _waiting(database: Path) -> int:
    store = opened(database)
    try:
        return (await store.backlog()).waiting
    finally:
        await store.close()


def waiting(database: Path) -> int:
    return asyncio.run(_waiting(database))


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """As a kill leaves it, with more messages in its log than `backup.db` has, which was made before."""
    folder = tmp_path / "data"
    folder.mkdir()
    (tmp_path / "made").mkdir()
    made = tmp_path / "made" / "a.db"
    asyncio.run(add(made, BEFORE))
    back_up(made, tmp_path / "backup.db")
    asyncio.run(add(made, AFTER - BEFORE, killed_in=folder))
    return folder / "a.db"


@pytest.fixture
def backup(database: Path, tmp_path: Path) -> Path:
    return tmp_path / "backup.db"


def refusal(source: Path, database: Path) -> str:
    with pytest.raises(StoreUnusable) as caught:
        restore(source, database)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_database_is_the_backup_and_the_one_before_is_whole_beside_it(database: Path, backup: Path) -> None:
    replaced = restore(backup, database)
    assert replaced == database.with_name("a.db.replaced")
    assert waiting(database) == BEFORE
    assert waiting(replaced) == AFTER, "with what was in its log"
    assert backup.exists()
    assert database.stat().st_mode & 0o777 == 0o600


def test_into_an_empty_folder(database: Path, backup: Path, tmp_path: Path) -> None:
    (tmp_path / "fresh").mkdir()
    fresh = tmp_path / "fresh" / "angarium.db"
    assert restore(backup, fresh) is None
    assert waiting(fresh) == BEFORE


def test_a_second_restore_overwrites_nothing(database: Path, backup: Path) -> None:
    restore(backup, database)
    assert "a.db.replaced exists, which an earlier restore has left" in refusal(backup, database)
    assert waiting(database) == BEFORE


def test_a_log_that_an_earlier_restore_has_left_is_not_taken_for_this_ones(database: Path, backup: Path) -> None:
    replaced = restore(backup, database)
    assert replaced is not None
    replaced.unlink()
    assert "a.db.replaced-wal exists" in refusal(backup, database)


def test_a_log_without_its_database_is_not_written_into_the_new_one(database: Path, backup: Path) -> None:
    database.unlink()
    assert restore(backup, database) is None
    assert waiting(database) == BEFORE


def test_a_program_that_runs_is_not_disturbed(database: Path, backup: Path) -> None:
    store = opened(database)
    try:
        assert f"is used by another Angarium (pid {os.getpid()} on " in refusal(backup, database)
    finally:
        asyncio.run(store.close())
    assert waiting(database) == AFTER


def empty(path: Path) -> None:
    path.write_bytes(b"")


def text(path: Path) -> None:
    path.write_text("no database " * 1000)


def foreign(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE notes (text)")


def newer(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 77")


def cut(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 4096)


def with_a_log(path: Path) -> None:
    path.with_name(f"{path.name}-wal").write_bytes(b"x")


def missing(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (missing, "there is no backup"),
        (empty, "is not a backup of Angarium"),
        (text, "is not a backup of Angarium"),
        (foreign, "is not a backup of Angarium"),
        (newer, "has schema 77, made by a newer Angarium"),
        (cut, "damaged"),
        (with_a_log, "is no backup but a database with a write-ahead log beside it"),
    ],
)
def test_what_is_no_sound_backup_is_refused(spoil: Step, words: str, database: Path, backup: Path) -> None:
    spoil(backup)
    before = {file.name: file.read_bytes() for file in database.parent.iterdir() if file.suffix != ".lock"}
    assert words in refusal(backup, database)
    assert {file.name: file.read_bytes() for file in database.parent.iterdir() if file.suffix != ".lock"} == before


def test_a_backup_that_cannot_be_looked_at(database: Path) -> None:
    assert "cannot be looked at: File name too long" in refusal(database.with_name("a" * 300), database)


def test_the_database_itself_is_no_backup(database: Path) -> None:
    assert "is the database itself" in refusal(database, database)


CHANGES = [(os, "link"), (Path, "unlink"), (Path, "rename")]
"""What changes the folder: three links, two files that go, and the new name."""


def kill_before(number: int, act: Callable[[], object]) -> None:
    """Carry it out until before the change of this number."""
    passed = 0

    def mortal(change: Step) -> Step:
        def counted(*args: Any, **kwargs: Any) -> Any:
            nonlocal passed
            passed += 1
            if passed >= number:
                raise Killed
            return change(*args, **kwargs)

        return counted

    with pytest.MonkeyPatch.context() as patch:
        for where, name in CHANGES:
            patch.setattr(where, name, mortal(getattr(where, name)))
        with pytest.raises(Killed):
            act()


@pytest.mark.parametrize("number", range(1, 7))
def test_after_a_kill_no_start_goes_on_with_half_of_it_and_it_can_be_done_again(
    number: int, database: Path, backup: Path
) -> None:
    kill_before(number, lambda: restore(backup, database))
    if number == 1:
        assert waiting(database) == AFTER
    else:
        with pytest.raises(StoreUnusable, match="was cut off; run the same `angarium restore` again"):
            opened(database)
    replaced = restore(backup, database)
    assert replaced is not None
    assert (waiting(database), waiting(replaced)) == (BEFORE, AFTER)
