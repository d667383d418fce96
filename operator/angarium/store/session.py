"""Statements on one connection: reads for everyone, writes for the writer."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, cast

import msgspec

_MOST_ROWS = 64

_OBJECTS = msgspec.json.Decoder(list[dict[str, Any]])

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

    def objects(self, sql: str, *params: Any, **named: Any) -> list[Row]:
        """What a statement has in its one row, a JSON array of objects, which read like rows: many in a single step."""
        row = self.row(sql, *params, **named)
        return cast(list[Row], _OBJECTS.decode(row[0])) if row else []

    def objects_with_bodies(self, sql: str, *params: Any) -> Iterator[tuple[Row, bytes]]:
        """As `objects`, for a row that has their bodies too, as one, with `size` telling where each one ends."""
        row = self.row(sql, *params)
        assert row is not None
        start = 0
        for found in cast(list[Row], _OBJECTS.decode(row["objects"])):
            end = start + found["size"]
            yield found, row["bodies"][start:end] if found["size"] else b""
            start = end

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
        for start in range(0, len(rows), _MOST_ROWS):
            some = rows[start : start + _MOST_ROWS]
            self.connection.execute(_many(sql, len(some)), tuple(chain.from_iterable(some)))


@lru_cache(maxsize=1024)
def _many(sql: str, rows: int) -> str:
    head, values = sql.rsplit("VALUES", 1)
    return f"{head}VALUES{','.join([values] * rows)}"
