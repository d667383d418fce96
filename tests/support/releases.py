"""The databases that earlier versions have left for the tests, as `tests/releases` keeps them."""

import fcntl
import json
import shutil
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.releases.contents import HOST, PORT
from tests.support.receiver import Receiver

RELEASES = Path(__file__).resolve().parents[1] / "releases"
DATABASE = "angarium.db"
SUFFIXES = ("", "-wal", "-shm")

Tables = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True)
class Release:
    """One of them, by the name of its folder."""

    name: str

    @property
    def crds(self) -> Path:
        return RELEASES / self.name / "crds"

    @cached_property
    def contents(self) -> Mapping[str, Any]:
        """What is in the database, as `tests/releases/contents.py` has put it there."""
        found: Mapping[str, Any] = json.loads((RELEASES / self.name / "contents.json").read_text())
        return found

    def unpack(self, folder: Path) -> Path:
        """The database in this folder, as the kill has left it."""
        with tarfile.open(RELEASES / self.name / "database.tar.xz") as archive:
            archive.extractall(folder, filter="data")
        return folder / DATABASE


FIRST = Release("first")
ALL = tuple(Release(folder.name) for folder in sorted(RELEASES.iterdir()) if (folder / "contents.json").exists())


def tables_of(database: Path) -> Tables:
    """Every row by table, in the order of its columns. Read from a copy: whoever opens a database tidies it."""
    with tempfile.TemporaryDirectory() as folder:
        for suffix in SUFFIXES[:2]:
            file = database.with_name(database.name + suffix)
            if file.exists():
                shutil.copy(file, folder)
        with closing(sqlite3.connect(Path(folder) / database.name)) as connection:
            connection.row_factory = sqlite3.Row
            (problem,) = connection.execute("PRAGMA integrity_check").fetchone()
            assert problem == "ok", problem
            names = [row["name"] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            return {name: [dict(row) for row in _rows(connection, name)] for name in names}


def _rows(connection: sqlite3.Connection, table: str) -> list[sqlite3.Row]:
    return connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()


def kept(before: Tables, after: Tables) -> None:
    """Every row of every table, in all the columns that it had. A migration that means to change one says so here."""
    for table, rows in before.items():
        columns = rows[0].keys() if rows else ()
        assert [{name: row[name] for name in columns} for row in after[table]] == rows, table


def schema_of(database: Path) -> int:
    """Of a database that nobody has open and that was closed in order."""
    with closing(sqlite3.connect(f"file:{database}?immutable=1", uri=True)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


@contextmanager
def destinations() -> Iterator[Receiver]:
    """Who answers where the messages in those databases go. Test runs side by side take turns."""
    with Path(tempfile.gettempdir(), f"angarium-tests-{HOST}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with Receiver(host=HOST, port=PORT) as receiver:
            yield receiver
