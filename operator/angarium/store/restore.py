"""Puts a backup in the place of the database, so that a kill at any instant leaves one of both, and nothing is lost."""

import contextlib
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from angarium.domain.errors import StoreError, StoreUnusable
from angarium.store.backup import partial, sync
from angarium.store.faults import translated
from angarium.store.functions import register
from angarium.store.head import read_head
from angarium.store.location import check_location, looking, replaced_name
from angarium.store.lock import FileLock
from angarium.store.migration import APPLICATION_ID, check_schema

_BESIDE = ("-wal", "-shm")


def restore(source: Path, database: Path) -> Path | None:
    """Make `source`, which stays, the database. Returns where the one that was there before is now, if there was one.

    Raises StoreUnusable if `source` is no sound backup that this version can use, a program uses the database, or the
    place for the one before is taken; StoreError if copying fails.
    """
    database = database.resolve()
    check_location(database.with_name(f"{database.name}.restored"))
    _check_source(source, database)
    replaced = replaced_name(database)
    _check_free(database, replaced)
    lock = FileLock(database)
    try:
        with partial(database) as file:
            shutil.copyfile(source, file)
            _check(file, source)
            sync(file)
            before = replaced if database.exists() else None
            _put_aside(database, replaced)
            file.rename(database)
        sync(database.parent)
    finally:
        lock.release()
    return before


def _check_free(database: Path, replaced: Path) -> None:
    """Nothing is overwritten, and no log of another database is taken for that of the one that is put aside."""
    if database.exists() and replaced.exists() and replaced.samefile(database):
        return  # this very restore was cut off
    for file in _files(replaced):
        if file.exists():
            raise StoreUnusable(f"{file} exists, which an earlier restore has left; move it away, or remove it")


def _files(database: Path) -> list[Path]:
    """The file itself, then what SQLite has beside it."""
    return [database, *(database.with_name(database.name + suffix) for suffix in _BESIDE)]


@looking()
def _check_source(source: Path, database: Path) -> None:
    """All that can be told before it is copied."""
    if not source.is_file():
        raise StoreUnusable(f"there is no backup {source}; give the file that `angarium backup` has made")
    if database.exists() and source.samefile(database):
        raise StoreUnusable(f"{source} is the database itself; give the file that `angarium backup` has made")
    if source.with_name(f"{source.name}-wal").exists():
        raise StoreUnusable(
            f"{source} is no backup but a database with a write-ahead log beside it; make a backup of it with "
            f"`angarium backup --database {source} FILE`, and restore that"
        )
    head = read_head(source, None)
    if head is None or head.application != APPLICATION_ID:
        raise StoreUnusable(f"{source} is not a backup of Angarium; give the file that `angarium backup` has made")
    check_schema(source, None)


def _check(file: Path, source: Path) -> None:
    """Of the copy, for SQLite writes beside what it reads."""
    try:
        with closing(sqlite3.connect(f"file:{quote(str(file))}?immutable=1", uri=True)) as connection:
            register(connection)
            found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.Error as error:
        raise StoreUnusable(f"{source} is no backup that can be used: {translated(error)}") from error
    if found != "ok":
        raise StoreUnusable(f"{source} is damaged: {found}; take another backup")


def _put_aside(database: Path, replaced: Path) -> None:
    """Another name for each of its files. Whoever starts after a kill in here is refused, because of the two names."""
    try:
        for file, name in zip(_files(database), _files(replaced), strict=True):
            with contextlib.suppress(FileNotFoundError, FileExistsError):
                os.link(file, name)
    except OSError as error:
        raise StoreError(f"{database} cannot be kept as {replaced}: {error.strerror}; move it away yourself") from error
    sync(database.parent)
    for file in _files(database)[1:]:  # a log beside another database than its own would be written into that
        file.unlink(missing_ok=True)
    sync(database.parent)
