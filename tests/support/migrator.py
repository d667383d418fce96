"""Brings copies of a database to a schema of the future and is killed each time, one statement later than the last.

`python -m tests.support.migrator DATABASE FOLDER STEPS`: STEPS is JSON, migrations beyond those there are. FOLDER gets
a folder for each kill, 1, 2, …, with the files as that has left them; the last copy is brought there in full.
"""

import json
import os
import shutil
import signal
import sqlite3
import sys
from functools import partial
from pathlib import Path
from typing import Any

from angarium.store import connection, migration

MOST = 100
PAGES_IN_MEMORY = 10
"""So few that a migration which writes much is in the log before it ends, as with a large database."""


class Mortal(sqlite3.Connection):
    """Kills its process at the start of the statement of this number, of those that migrate."""

    number: int

    def executescript(self, script: str, /) -> sqlite3.Cursor:
        super().execute(f"PRAGMA cache_size = {PAGES_IN_MEMORY}")
        self.set_trace_callback(self._count)
        return super().executescript(script)

    def _count(self, statement: str) -> None:
        Mortal.number -= 1
        if Mortal.number == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def bring_there(database: Path, number: int, steps: list[tuple[int, str]]) -> None:
    Mortal.number = number
    sqlite3.connect = partial(sqlite3.connect, factory=Mortal)  # type: ignore[assignment]
    everything = [*migration.migrations(), *steps]
    migration.migrations = lambda: everything  # type: ignore[assignment]
    connection.open_writer(database, durable=True).close()


def killed(database: Path, number: int, steps: list[Any]) -> bool:
    """In a child process; False if it came to the end."""
    child = os.fork()
    if child == 0:
        bring_there(database, number, [(int(step), sql) for step, sql in steps])
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) or os.waitstatus_to_exitcode(status) == 0
    return os.WIFSIGNALED(status)


def main(database: Path, folder: Path, steps: list[Any]) -> None:
    for number in range(1, MOST):
        copy = folder / str(number) / database.name
        copy.parent.mkdir()
        shutil.copy(database, copy)
        if not killed(copy, number, steps):
            return
    raise AssertionError(f"more than {MOST} statements")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3]))
