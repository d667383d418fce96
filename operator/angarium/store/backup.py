"""Copies a database, also one that a program is writing at this moment: the copy is of one instant, and one file."""

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from angarium.domain.errors import StoreError, StoreUnusable
from angarium.store.faults import translated
from angarium.store.functions import register
from angarium.store.location import check_exists, looking
from angarium.store.lock import FileLock, lock_of
from angarium.store.migration import APPLICATION_ID
from angarium.store.wal import check_log


def back_up(database: Path, target: Path) -> int:
    """Copy `database` to `target`, which nobody but its owner can read. Returns how many bytes it has.

    `target` is there only when it is complete and sound, and on the disk. Raises StoreUnusable if there is no such
    database, `target` exists or cannot be made, or what the log had is lost; StoreError if copying fails.
    """
    check_exists(database)
    with looking():
        if target.exists():
            raise StoreUnusable(f"{target} exists already; give a new name, or remove it")
    _check_log(database.resolve())
    with partial(target) as file:
        try:
            with closing(_opened(database)) as source:
                _copy(source, file)
        except sqlite3.Error as error:
            raise StoreError(f"{database} could not be copied to {target}: {translated(error)}") from error
        sync(file)
        file.rename(target)
    sync(target.parent)
    return target.stat().st_size


def _check_log(database: Path) -> None:
    """As a start does, unless a program runs, which has done it: SQLite would tidy a damaged log away here, unseen."""
    if not lock_of(database).exists():
        return
    try:
        lock = FileLock(database)
    except StoreUnusable:
        return
    try:
        with suppress(OSError):  # what cannot be read, SQLite says better
            check_log(database)
    finally:
        lock.release()


def _opened(database: Path) -> sqlite3.Connection:
    # In this mode SQLite makes no file where there is none any more, and still may read a log that is left over.
    source = sqlite3.connect(f"file:{quote(str(database.absolute()))}?mode=rw", uri=True, isolation_level=None)
    source.execute("PRAGMA query_only = 1")
    if source.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        source.close()
        raise StoreUnusable(f"{database} is not a database of Angarium; give the one in use with --database FILE")
    return source


def _copy(source: sqlite3.Connection, file: Path) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as copy:
        register(copy)
        copy.execute("PRAGMA locking_mode = EXCLUSIVE")  # no shared memory beside it: it may lie on any file system
        copy.execute("PRAGMA synchronous = OFF")
        source.backup(copy)  # in one step, so that it is of one instant and no writer makes it start again
        copy.execute("PRAGMA journal_mode = DELETE")  # whole in one file; the program that opens it turns the log on
        found = copy.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise StoreError(f"the copy is not sound, so the database is damaged: {found}")


@contextmanager
def partial(target: Path) -> Iterator[Path]:
    """A new file beside it, mode 0600, that does not outlive a failure."""
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    except OSError as error:
        raise StoreUnusable(f"cannot write into {target.parent}: {error.strerror}; give another place") from error
    os.close(descriptor)
    file = Path(name)
    try:
        yield file
    except OSError as error:
        raise StoreError(f"{target} cannot be written: {error.strerror}; give another place") from error
    finally:
        for left in (file, file.with_name(file.name + "-journal"), file.with_name(file.name + "-wal")):
            with suppress(OSError):
                left.unlink()


def sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
