"""Brings a database to the newest schema: numbered files in `migrations/`, each in one transaction."""

import logging
import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from importlib.metadata import version as package_version
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote

from angarium.domain.errors import StoreUnusable
from angarium.store.faults import translated
from angarium.store.head import read_head
from angarium.store.lock import FileLock
from angarium.store.wal import check_log

APPLICATION_ID = 0x416E6761  # "Anga": SQLite's header field that says whose file this is
_FILE = re.compile(r"(\d{4})_\w+\.sql")
_NAMED_FROM = 5  # the schema that has a place for the program's version

_log = logging.getLogger(__name__)


def migrations() -> list[tuple[int, str]]:
    """(number, SQL) in order, from 1 without gaps."""
    found = []
    for entry in files(__package__).joinpath("migrations").iterdir():
        if match := _FILE.fullmatch(entry.name):
            found.append((int(match[1]), entry.read_text("utf-8")))
    return sorted(found)


def program() -> str:
    """The version of this program."""
    return package_version("angarium")


def check_schema(database: Path, logged: bytes | None) -> None:
    """Raises StoreUnusable for a database that is not ours or that a newer Angarium has written. Changes nothing.

    `logged` is the first page as the log has it, if it has. Nobody may have the database open.
    """
    head = read_head(database, logged)
    if head is None or (head.empty and head.application != APPLICATION_ID):
        return
    if head.application != APPLICATION_ID:
        raise StoreUnusable(f"{database} is an SQLite database, but of another program; name a file of Angarium's own")
    newest = migrations()[-1][0]
    if head.schema > newest:
        known = _writer_of(database, head.schema)
        raise StoreUnusable(
            f"the database {database} has schema {head.schema}, made by {known or 'a newer Angarium'}, but this is "
            f"Angarium {program()}, which knows schemas up to {newest}; install "
            f"{f'{known} or newer' if known else 'the newer one'} again, or restore a backup from before the upgrade"
        )


def check_current(database: Path) -> None:
    """Raises StoreUnusable if opening the database would bring it to a newer schema; StoreInUse if a program has it."""
    lock = FileLock(database.resolve())
    try:
        head = read_head(database, check_log(database.resolve()))
    finally:
        lock.release()
    newest = migrations()[-1][0]
    if head is not None and head.application == APPLICATION_ID and head.schema < newest:
        raise StoreUnusable(
            f"the database {database} has schema {head.schema}, and Angarium {program()} would bring it to {newest}, "
            "from which there is no way back; do this with the version that runs, or start this one first"
        )


def migrate(connection: sqlite3.Connection, steps: Sequence[tuple[int, str]] | None = None) -> None:
    """Raises StoreUnusable if a database of an older schema cannot be brought to the newest; it is whole all the same.

    What `check_schema` refuses must not come here.
    """
    steps = migrations() if steps is None else steps
    found = int(connection.execute("PRAGMA user_version").fetchone()[0])
    missing = [(number, sql) for number, sql in steps if number > found]
    if found and missing:
        newest = missing[-1][0]
        _log.info("the database is brought from schema %d to %d", found, newest, extra={"action": "store.migrate"})
    for number, sql in missing:
        try:
            _apply(connection, number, sql)
        except sqlite3.Error as error:
            if not found:
                raise
            raise StoreUnusable(
                f"the database stays at schema {number - 1}, for it could not be brought to {number}: "
                f"{translated(error)}; nothing in it is lost"
            ) from error


def _apply(connection: sqlite3.Connection, number: int, sql: str) -> None:
    marks = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {number};"
    if number >= _NAMED_FROM:
        marks += f"INSERT INTO migrations (schema, program) VALUES ({number}, '{program()}');"
    try:
        connection.executescript(f"BEGIN IMMEDIATE;\n{sql}\n{marks}\nCOMMIT;")
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _writer_of(database: Path, schema: int) -> str | None:
    """The program that made this schema, with its version; None if the database file does not tell."""
    # So SQLite takes no lock, makes no file beside it, and does not look at the log, which has been kept since a kill.
    location = f"file:{quote(str(database))}?immutable=1"
    try:
        with closing(sqlite3.connect(location, uri=True)) as connection:
            found = connection.execute("SELECT program FROM migrations WHERE schema = ?", (schema,)).fetchone()
    except sqlite3.Error:
        return None
    return f"Angarium {found[0]}" if found else None
