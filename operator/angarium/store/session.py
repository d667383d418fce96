"""Statements on one connection: reads for everyone, writes for the writer."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

import msgspec

_CHUNKS = (64, 16, 4, 1)

Row = sqlite3.Row


def json_array(values: Iterable[Any]) -> str:
    """The values as the text that `json_each(?)` takes."""
    return msgspec.json.encode(list(values)).decode()


class Session:
    """Reads on one connection; everything read in one operation is from one instant."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def rows(self, sql: str, *params: Any, **named: Any) -> list[Row]:
        return self.connection.execute(sql, named or params).fetchall()

    def row(self, sql: str, *params: Any, **named: Any) -> Row | None:
        row: Row | None = self.connection.execute(sql, named or params).fetchone()
        return row

    def records(self, sql: str, *params: Any, **named: Any) -> list[dict[str, Any]]:
        """Rows of a statement that selects them as one JSON array: one step, where Python gives up its lock once."""
        (text,) = self.connection.execute(sql, named or params).fetchone()
        found: list[dict[str, Any]] = msgspec.json.decode(text)
        return found

    def stream(self, sql: str, *params: Any, **named: Any) -> Iterator[Row]:
        """Rows one by one; the statement stays open until the last one is taken or the iterator is dropped."""
        return iter(self.connection.execute(sql, named or params))


class WritingSession(Session):
    """Reads and writes; what it writes is part of the operation under way."""

    def run(self, sql: str, *params: Any, **named: Any) -> int:
        """Execute; returns how many rows it touched."""
        return self.connection.execute(sql, named or params).rowcount

    def insert(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """An `INSERT … VALUES (?, …)` for many rows, up to 64 of them per step.

        Python gives up its lock at each step and may wait long to get it back, so steps are dear, not rows.
        """
        head, values = sql.rsplit("VALUES", 1)
        start = 0
        for size in _CHUNKS:
            many = f"{head}VALUES{','.join([values] * size)}"
            while len(rows) - start >= size:
                self.connection.execute(many, tuple(chain.from_iterable(rows[start : start + size])))
                start += size
