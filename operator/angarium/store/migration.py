"""Brings a database to the newest schema: numbered files in `migrations/`, each in one transaction."""

import re
import sqlite3
from collections.abc import Sequence
from importlib.resources import files

from angarium.domain.errors import StoreUnusable

APPLICATION_ID = 0x416E6761  # "Anga": SQLite's header field that says whose file this is
_FILE = re.compile(r"(\d{4})_\w+\.sql")


def migrations() -> list[tuple[int, str]]:
    """(number, SQL) in order, from 1 without gaps."""
    found = []
    for entry in files(__package__).joinpath("migrations").iterdir():
        if match := _FILE.fullmatch(entry.name):
            found.append((int(match[1]), entry.read_text("utf-8")))
    return sorted(found)


def migrate(connection: sqlite3.Connection, steps: Sequence[tuple[int, str]] | None = None) -> None:
    """Raises StoreUnusable for a database that is not ours or that a newer Angarium has written."""
    steps = migrations() if steps is None else steps
    newest = steps[-1][0]
    _check_owner(connection)
    version = _pragma(connection, "user_version")
    if version > newest:
        raise StoreUnusable(
            f"the database has schema {version}, but this Angarium knows schemas up to {newest}; "
            "install the newer Angarium again, or restore a backup from before the upgrade"
        )
    for number, sql in steps:
        if number > version:
            _apply(connection, number, sql)


def _check_owner(connection: sqlite3.Connection) -> None:
    if _pragma(connection, "application_id") == APPLICATION_ID:
        return
    if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise StoreUnusable("the file is an SQLite database, but of another program; name a file of Angarium's own")


def _apply(connection: sqlite3.Connection, number: int, sql: str) -> None:
    marks = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {number};"
    try:
        connection.executescript(f"BEGIN IMMEDIATE;\n{sql}\n{marks}\nCOMMIT;")
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])
