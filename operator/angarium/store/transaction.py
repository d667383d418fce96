"""What operations of the store work with: statements on one connection, and the sums that a transaction owes.

Five tables sum up others: `lanes` (earliest due message), `usage` (what a tenant holds), `runs`, `queues` and
`flow_controls`. Operations only say what they changed; `settle` writes the sums once, inside the same savepoint.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime

from angarium.domain.instants import to_ms
from angarium.domain.messages import MessageState
from angarium.store.places import Places
from angarium.store.session import Row, Session, WritingSession, json_array
from angarium.store.starts import Starts
from angarium.store.statements import load

__all__ = ["Row", "Session", "Transaction", "json_array"]

SQL = load("sums")
_COLUMN_OF = {MessageState.DELIVERED: 1, MessageState.FAILED: 2, MessageState.CANCELED: 3}

_DELIVERING = MessageState.DELIVERING.value


class Transaction(WritingSession):
    """One operation of the writer. What it changes is undone as a whole if it raises."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__(connection)
        self.places = Places(self)
        self.starts = Starts(self)
        self._lanes: set[str] = set()
        self._usage: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
        self._runs: dict[int, list[int]] = {}
        self.recalled: list[str] = []

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

    def end(self, row: Row, state: MessageState, now: datetime) -> None:
        """A message became terminal: it leaves its lane, its queue, and what counts it as on its way.

        `row` is the message as it was before: seq, namespace, run, lane, queue, queued, flow, endpoint, state, source.
        Callbacks of it have to be stored before the operation ends, for they keep its place in the queue.
        """
        self.charge(row["namespace"], waiting=-1)
        if row["run"] is not None:
            tally = self._runs.setdefault(row["run"], [row["run"], 0, 0, 0, to_ms(now)])
            tally[_COLUMN_OF[state]] += 1
        if row["state"] == _DELIVERING:
            self.starts.end(row)
        else:
            self.touch_lane(row["lane"])
        if row["queue"] is not None or row["source"] is not None:
            self.places.end(row, state, now)

    def recall(self, rows: Iterable[Row]) -> None:
        """These messages end without an outcome: whoever holds one is to hear of it. Of each row: id, and its state."""
        self.recalled += [row["id"] for row in rows if row["state"] == _DELIVERING]

    def end_lease(self, row: Row) -> None:
        """A lease has ended, and its message waits again: namespace, lane, flow, endpoint of the row."""
        self.starts.end(row)
        self.touch_lane(row["lane"])

    def settle(self) -> None:
        """Let in whom a free place in a queue waits for, and write the sums that this operation owes."""
        self._lanes |= self.places.settle()
        self.starts.settle()
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
