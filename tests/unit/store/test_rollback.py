"""A database that this version must not use is refused with what to do, and left as it is, byte by byte."""

import asyncio
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

import pytest
from tests.support.fakes import FakeClock
from tests.support.releases import FIRST
from tests.support.stores import accepted, publication

from angarium.domain.errors import StoreUnusable
from angarium.domain.ports import Limits, Retention
from angarium.store import SqliteStore, migration, open_store
from angarium.store.migration import APPLICATION_ID, check_current, migrations, program

NEWEST = migrations()[-1][0]
NEXT = (NEWEST + 1, "CREATE TABLE of_the_future (x);")
FILES = ("", "-wal", "-shm")
Making = Callable[[Path], None]


def opened(path: Path) -> SqliteStore:
    return open_store(
        path, limits=Limits(), new_id=lambda _: f"msg_{uuid4().hex}", clock=FakeClock(), retention=Retention()
    )


def refusal(path: Path) -> str:
    with pytest.raises(StoreUnusable) as caught:
        opened(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def left_alone(path: Path) -> str:
    """Why it is refused; every file beside it stays as it is, byte by byte."""
    before = contents(path.parent)
    text = refusal(path)
    assert contents(path.parent) == before
    return text


def contents(folder: Path) -> dict[str, str]:
    """What every file holds, but for the lock, which says who looked at it last."""
    return {file.name: sha256(file.read_bytes()).hexdigest() for file in folder.iterdir() if file.suffix != ".lock"}


def newer(monkeypatch: pytest.MonkeyPatch, version: str = "9.9.9") -> None:
    """From here on the program is a later version, with one migration more."""
    steps = [*migrations(), NEXT]
    monkeypatch.setattr(migration, "migrations", lambda: steps)
    monkeypatch.setattr(migration, "program", lambda: version)


async def fill(path: Path, killed_in: Path | None = None) -> None:
    """Opened and closed; `killed_in` gets the files as a kill would have left them."""
    store = opened(path)
    await accepted(store, *[publication() for _ in range(20)])
    for suffix in FILES if killed_in else ():
        file = path.with_name(path.name + suffix)
        shutil.copy(file, killed_in or path)
    await store.close()


def made_by_a_newer_one(path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        newer(patch)
        asyncio.run(fill(path))


def test_it_names_both_versions_and_what_to_do(tmp_path: Path) -> None:
    made_by_a_newer_one(tmp_path / "a.db")
    assert left_alone(tmp_path / "a.db") == (
        f"the database {tmp_path / 'a.db'} has schema {NEWEST + 1}, made by Angarium 9.9.9, but this is Angarium "
        f"{program()}, which knows schemas up to {NEWEST}; install Angarium 9.9.9 or newer again, or restore a backup "
        "from before the upgrade"
    )


def test_what_a_newer_one_left_when_it_was_killed_is_left_alone(tmp_path: Path) -> None:
    """The schema is in the log alone. Who wrote it is not asked there: whoever reads the log changes it."""
    killed = tmp_path / "killed"
    killed.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        newer(patch)
        asyncio.run(fill(tmp_path / "a.db", killed))
    before = contents(killed)
    assert before.keys() == {"a.db", "a.db-wal", "a.db-shm"}
    text = left_alone(killed / "a.db")
    assert f"has schema {NEWEST + 1}, made by a newer Angarium, but this is" in text
    assert "install the newer one again" in text


def test_an_upgrade_whose_log_was_left_by_a_kill_is_refused_too(tmp_path: Path) -> None:
    """The file itself is of this version still, and what it tells of that one is not taken for the newer one."""
    asyncio.run(fill(tmp_path / "a.db"))
    killed = tmp_path / "killed"
    killed.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        newer(patch)
        asyncio.run(fill(tmp_path / "a.db", killed))
    assert f"has schema {NEWEST + 1}, made by a newer Angarium, but" in left_alone(killed / "a.db")


def test_the_newer_one_goes_on_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made_by_a_newer_one(tmp_path / "a.db")
    refusal(tmp_path / "a.db")
    newer(monkeypatch)

    async def waiting() -> int:
        store = opened(tmp_path / "a.db")
        try:
            return (await store.backlog()).waiting
        finally:
            await store.close()

    assert asyncio.run(waiting()) == 20


def of_nobody_known(path: Path) -> None:
    """As a version writes it that has another place for its name."""
    asyncio.run(fill(path))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 77")
        connection.execute("DROP TABLE migrations")


def test_a_version_that_is_not_told_is_not_guessed(tmp_path: Path) -> None:
    of_nobody_known(tmp_path / "a.db")
    assert "has schema 77, made by a newer Angarium, but" in left_alone(tmp_path / "a.db")


def foreign(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE notes (text)")


def foreign_with_a_name(path: Path) -> None:
    foreign(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA application_id = 7")


@pytest.mark.parametrize("make", [foreign, foreign_with_a_name])
def test_the_database_of_another_program_is_left_alone(make: Making, tmp_path: Path) -> None:
    make(tmp_path / "a.db")
    assert "but of another program" in left_alone(tmp_path / "a.db")


def a_start_that_was_killed_before_its_first_table(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")


def nothing(path: Path) -> None:
    path.touch()


@pytest.mark.parametrize("make", [nothing, a_start_that_was_killed_before_its_first_table])
def test_a_database_without_a_table_is_begun(make: Making, tmp_path: Path) -> None:
    make(tmp_path / "a.db")
    asyncio.run(fill(tmp_path / "a.db"))
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
        assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        assert connection.execute("SELECT * FROM migrations").fetchall() == [(NEWEST, program())]


def test_what_must_not_migrate_refuses_an_earlier_schema(tmp_path: Path) -> None:
    database = FIRST.unpack(tmp_path)
    before = contents(tmp_path)
    with pytest.raises(StoreUnusable, match="has schema 4, .* with the version that runs, or start this one first"):
        check_current(database)
    assert contents(tmp_path) == before
    asyncio.run(opened(database).close())
    check_current(database)
