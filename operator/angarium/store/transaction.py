"""What operations of the store work with: statements on one connection, and the sums that a transaction owes.

Three tables sum up others: `lanes` (earliest due message), `usage` (what a tenant holds) and `runs`. Operations only
say what they changed; `settle` writes the sums once, inside the same savepoint.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import chain
from typing import Any

import msgspec

from angarium.domain.messages import MessageState
from angarium.store.statements import load
from angarium.store.times import to_ms

SQL = load("sums")
_CHUNKS = (64, 16, 4, 1)
_COLUMN_OF = {MessageState.DELIVERED: 1, MessageState.FAILED: 2, MessageState.CANCELED: 3}

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

    def stream(self, sql: str, *params: Any, **named: Any) -> Iterator[Row]:
        """Rows one by one; the statement stays open until the last one is taken or the iterator is dropped."""
        return iter(self.connection.execute(sql, named or params))


class Transaction(Session):
    """One operation of the writer. What it changes is undone as a whole if it raises."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__(connection)
        self._lanes: set[str] = set()
        self._usage: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
        self._runs: dict[int, list[int]] = {}

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

    def touch_lane(self, lane: str) -> None:
        """A message began or ceased to wait in this lane."""
        self._lanes.add(lane)

    def charge(self, namespace: str, *, waiting: int = 0, stored_bytes: int = 0, dead_letters: int = 0) -> None:
        """Change what a tenant holds by these differences."""
        usage = self._usage[namespace]
        usage[0] += waiting
        usage[1] += stored_bytes
        usage[2] += dead_letters

    def charged(self, namespace: str) -> tuple[int, int]:
        """(messages not terminal, bytes of bodies and responses) that a tenant holds, with this operation's changes."""
        row = self.row(SQL["usage"], namespace)
        stored = (row["waiting"], row["stored_bytes"]) if row else (0, 0)
        owed = self._usage[namespace]
        return stored[0] + owed[0], stored[1] + owed[1]

    def end(self, namespace: str, run: int | None, state: MessageState, now: datetime) -> None:
        """A message became terminal."""
        self.charge(namespace, waiting=-1)
        if run is not None:
            tally = self._runs.setdefault(run, [run, 0, 0, 0, to_ms(now)])
            tally[_COLUMN_OF[state]] += 1

    def settle(self) -> None:
        """Write the sums that this operation owes."""
        if self._lanes:
            lanes = json_array(sorted(self._lanes))
            self._lanes.clear()
            self.run(SQL["forget_lanes"], lanes)
            self.run(SQL["sum_lanes"], lanes)
        if self._usage:
            for namespace, changes in self._usage.items():
                self.run(SQL["charge"], namespace, *changes)
            self._usage.clear()
        if self._runs:
            runs = json_array(self._runs.values())
            self._runs.clear()
            self.run(SQL["count_ends"], runs)
            self.run(SQL["note_results"], runs)
