"""Opens connections to the database file as the store needs them."""

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from angarium.domain.errors import StoreFull, StoreUnusable, StoreUnwritable
from angarium.store.faults import translated
from angarium.store.functions import register
from angarium.store.migration import migrate

_WRITER_CACHE_KIB = 16 * 1024
_READER_CACHE_KIB = 4 * 1024
_BUSY_TIMEOUT_MS = 5000
WAL_PAGES = 2000  # 8 MiB: large enough that hot pages are written back once, not once per commit
WAL_LIMIT_BYTES = 32 * 2**20  # a longer log is cut down to this when it begins anew


def open_writer(path: Path, *, durable: bool) -> sqlite3.Connection:
    """The one connection that writes, with the schema brought up to date.

    `durable`: every commit reaches the disk before it returns (synchronous=FULL). Raises StoreUnusable, and
    StoreUnwritable for what may change by itself.
    """
    _create(path)
    with _opened(path, _WRITER_CACHE_KIB) as connection:
        if connection.execute("PRAGMA page_count").fetchone()[0] == 0:
            # See docs/adr/0006. Of any other file it would write the first page, which a full disk has no room for.
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'OFF'}")
        connection.execute("PRAGMA secure_delete = FAST")
        connection.execute(f"PRAGMA wal_autocheckpoint = {WAL_PAGES}")
        connection.execute(f"PRAGMA journal_size_limit = {WAL_LIMIT_BYTES}")
        migrate(connection)
    return connection


def open_checkpointer(path: Path) -> sqlite3.Connection:
    """A connection that only takes the write-ahead log back. Raises StoreUnusable."""
    with _opened(path, _READER_CACHE_KIB) as connection:
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()  # a checkpoint needs an open log
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """A connection that can only read. Raises StoreUnusable."""
    with _opened(path, _READER_CACHE_KIB) as connection:
        connection.execute("PRAGMA query_only = 1")
    return connection


def _create(path: Path) -> None:
    """A new file is its owner's alone, for it holds signing keys; SQLite gives the files beside it the same mode."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        hint = "free disk space" if error.errno == errno.ENOSPC else "check its owner and mode"
        raise StoreUnwritable(f"cannot open the database {path}: {error.strerror}; {hint}") from error


@contextmanager
def _opened(path: Path, cache_kib: int) -> Iterator[sqlite3.Connection]:
    """A connection that stays open, unless what is done with it inside fails: it may be tried again for hours."""
    connection = None
    try:
        connection = _connect(path, cache_kib)
        yield connection
    except BaseException as error:
        if connection is not None:
            connection.close()
        if isinstance(error, sqlite3.Error):
            raise _unusable(path, error) from error
        raise


def _connect(path: Path, cache_kib: int) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=640)
    connection.row_factory = sqlite3.Row
    connection.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
    connection.execute(f"PRAGMA cache_size = -{cache_kib}")
    connection.execute("PRAGMA temp_store = MEMORY")
    register(connection)
    return connection


def _unusable(path: Path, error: sqlite3.Error) -> StoreUnusable:
    if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_NOTADB:
        return StoreUnusable(f"{path} is not a database of Angarium; name another file, or move this one away")
    why = translated(error)
    if isinstance(why, StoreFull):
        return StoreUnwritable(f"cannot open the database {path}: {why}")
    if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_CANTOPEN:  # it, or the log or the index beside it
        return StoreUnwritable(f"cannot open the database {path}: {error}; free disk space, or check owner and mode")
    return StoreUnusable(f"cannot open the database {path}: {why}")
