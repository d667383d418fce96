"""Translates what SQLite raises into our errors, so that nothing of the driver leaves the store."""

import sqlite3

from angarium.domain.errors import StoreError, StoreFull, StoreUnusable

_FULL = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY}
_READS = {sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ}
_UNUSABLE = {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT}


def translated(error: sqlite3.Error) -> StoreError:
    """StoreFull when nothing can be written, StoreUnusable when the file is damaged, else StoreError."""
    extended = getattr(error, "sqlite_errorcode", 0)
    code = extended & 0xFF
    # A file that cannot be written or grow is an error of input and output to SQLite, unless the system says "full".
    if code in _FULL or (code == sqlite3.SQLITE_IOERR and extended not in _READS):
        return StoreFull(f"the database cannot be written: {error}; free disk space or make the volume writable")
    if code in _UNUSABLE:
        return StoreUnusable(f"the database file is damaged: {error}; restore it from a backup")
    return StoreError(f"the database could not do it: {error}; nothing of it is stored")
