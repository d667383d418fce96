"""How much one operation of housekeeping takes on: what this machine does in a few milliseconds.

The writer is one thread, so what it does at once is a pause for publishers and outcomes. A row costs more here than
there, so the number of rows follows what the last ones took. That is counted in time of the processor: a busy program
makes the writer wait for the interpreter's lock at each statement, however few rows it has, and what is removed has to
keep up with what comes in then, too. Bodies are counted in bytes as well: each 4 KiB of them are a page to give back.
"""

import time
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import TypeVar

from angarium.store.transaction import Row, Transaction

T = TypeVar("T")

MOST_BYTES = 2 * 2**20
"""Of bodies and responses that are removed at once, unless a single one is larger."""

_AIM_S = 0.005
_PAUSE_S = 0.050
_FIRST = 100
_FEWEST = 10
_FEWEST_OF_A_SLOW_DISK = 100
MOST_ROWS = 2000


def fitting(rows: Sequence[Row], most: int, column: str) -> Sequence[Row]:
    """The first of these rows, until their sum in this column exceeds `most`; at least one, if there is one."""
    fit = sum(total <= most for total in accumulate(row[column] for row in rows))
    return rows[: max(1, fit)]


class Portion:
    """Of one kind of work. `rows` may be asked from any thread. The clocks tell seconds; `processor` this thread's."""

    def __init__(self, monotonic: Callable[[], float], processor: Callable[[], float] = time.thread_time) -> None:
        self._monotonic = monotonic
        self._processor = processor
        self.rows = _FIRST

    def carry_out(self, tx: Transaction, operation: Callable[[Transaction], T], rows: int) -> T:
        """Run the operation, which takes on so many rows, and learn from what it took."""
        began, busy, changed = self._monotonic(), self._processor(), tx.connection.total_changes
        answer = operation(tx)
        tx.settle()
        self._learn(rows, self._processor() - busy, self._monotonic() - began, tx.connection.total_changes - changed)
        return answer

    def _learn(self, rows: int, busy_s: float, took_s: float, changes: int) -> None:
        if busy_s > 2 * _AIM_S:
            self.rows = max(_FEWEST, int(rows * _AIM_S / busy_s))
        elif took_s > _PAUSE_S:
            self.rows = max(min(rows, _FEWEST_OF_A_SLOW_DISK), rows // 2)
        elif busy_s < _AIM_S and rows == self.rows and changes >= rows:
            self.rows = min(MOST_ROWS, 2 * rows)
