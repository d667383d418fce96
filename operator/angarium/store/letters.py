"""Dead letters come to be, and leave."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from angarium.domain.ids import dlq_id
from angarium.domain.instants import to_ms
from angarium.domain.messages import Response
from angarium.store.remains import sweep
from angarium.store.rows import response_row
from angarium.store.statements import load
from angarium.store.transaction import Row, Transaction, json_array

SQL = load("dead_letters")


class Letters:
    """Those that one operation makes; `store` writes them. Their ids are known before, for callbacks name them."""

    def __init__(self, tx: Transaction, now: datetime) -> None:
        self._tx = tx
        self._now_ms = to_ms(now)
        self._seq: int | None = None
        self._rows: list[tuple[Any, ...]] = []

    def add(self, namespace: str, message: int, url: str, error: str, response: Response | None = None) -> str:
        """The message with this number was given up. Returns the id of its letter."""
        seq = self._next()
        self._rows.append((seq, namespace, self._now_ms, message, url, error, *response_row(response)))
        self._tx.charge(namespace, dead_letters=1, stored_bytes=len(response.body) if response else 0)
        return dlq_id(self._now_ms, seq)

    def store(self) -> None:
        self._tx.insert(SQL["insert"], self._rows)
        self._rows = []

    def _next(self) -> int:
        if self._seq is None:
            row = self._tx.row(SQL["newest"])
            self._seq = int(row["seq"]) if row else 0
        self._seq += 1
        return self._seq


def remove(tx: Transaction, rows: Sequence[Row | dict[str, Any]]) -> None:
    """Delete letters, and what nothing but they needed. Rows: seq, namespace, message, size (of the response)."""
    for row in rows:
        tx.charge(row["namespace"], stored_bytes=-row["size"], dead_letters=-1)
    tx.run(SQL["delete"], json_array(row["seq"] for row in rows))
    sweep(tx, {row["message"] for row in rows})
