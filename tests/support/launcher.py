"""The program as a process, with what a test wants to happen inside it at an exact point.

`python -m tests.support.launcher FOLDER dev …` is `angarium dev …` that heeds two files in FOLDER, whenever they come
to be. `kill` says "before commit 3": SIGKILL at the third commit from then on. `clock` says "3600": the time of day is
so many seconds later for it. The program itself knows nothing of this.
"""

import os
import signal
import sqlite3
import sys
import time
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Literal

import angarium.app
from angarium.cli import main
from angarium.engine.clock import SystemClock
from angarium.store import SqliteStore

Point = Literal["before commit", "after commit", "before record", "after record", "amid fire"]
"""`record` writes outcomes; `amid fire` is inside the transaction that makes a run of a slot."""

TOO_EARLY_S = 0.05
"""How long a kill before a commit waits for what is said too early to get out."""


def arrange_kill(folder: Path, point: Point, count: int) -> None:
    """The process that heeds this folder kills itself when it comes to this point for the `count`-th time from now."""
    _write(folder / "kill", f"{point} {count}")


def forget_kill(folder: Path) -> None:
    (folder / "kill").unlink(missing_ok=True)


def set_clock(folder: Path, ahead: timedelta) -> None:
    """The clock of the process that heeds this folder is so far ahead from now on; negative: behind."""
    _write(folder / "clock", str(ahead.total_seconds()))


def _write(file: Path, text: str) -> None:
    """Whole or not at all, for it may be read at any instant."""
    draft = file.with_suffix(".draft")
    draft.write_text(text)
    draft.rename(file)


class Trap:
    """Counts the passages of the point that the file names."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._passed = 0

    def passing(self, point: Point) -> None:
        try:
            arranged, _, count = self._file.read_text().rpartition(" ")
        except FileNotFoundError:
            return
        if arranged == point:
            self._passed += 1
            if self._passed == int(count):
                if point == "before commit":
                    time.sleep(TOO_EARLY_S)
                os.kill(os.getpid(), signal.SIGKILL)


class Mortal(sqlite3.Connection):
    """A connection whose process may end around its commits."""

    trap: Trap

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        if sql.lstrip().startswith("INSERT INTO runs"):
            self.trap.passing("amid fire")
        commits = sql.strip().upper() == "COMMIT"
        if commits:
            self.trap.passing("before commit")
        cursor = super().execute(sql, *parameters)
        if commits:
            self.trap.passing("after commit")
        return cursor


class MovedClock(SystemClock):
    """Reads how far it is off each time."""

    file: Path

    def now(self) -> datetime:
        try:
            ahead = float(self.file.read_text())
        except FileNotFoundError:
            ahead = 0.0
        return super().now() + timedelta(seconds=ahead)


def arrange(folder: Path) -> None:
    trap = Mortal.trap = Trap(folder / "kill")
    MovedClock.file = folder / "clock"
    record = SqliteStore.record

    async def mortal_record(store: SqliteStore, *outcomes: Any) -> Any:
        trap.passing("before record")
        written = await record(store, *outcomes)
        trap.passing("after record")
        return written

    sqlite3.connect = partial(sqlite3.connect, factory=Mortal)  # type: ignore[assignment]
    SqliteStore.record = mortal_record  # type: ignore[method-assign]
    angarium.app.SystemClock = MovedClock  # type: ignore[misc]


if __name__ == "__main__":
    arrange(Path(sys.argv[1]))
    main(sys.argv[2:])
