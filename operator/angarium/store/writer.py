"""The one thread that writes. What waits is committed together (group commit); what fails is undone alone."""

import contextlib
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Generic, TypeVar

from angarium.domain.errors import StoreError
from angarium.domain.figures import WriterFigures
from angarium.domain.ports import Clock
from angarium.store.faults import translated
from angarium.store.transaction import Transaction

T = TypeVar("T")
_MOST_PER_COMMIT = 500
_BEGIN = "BEGIN IMMEDIATE"
_RELEASE = "RELEASE operation"
CLOSED = "the store is closed"


class _Entry(Generic[T]):
    """An operation that waits, and whom to tell."""

    def __init__(self, operation: Callable[[Transaction], T], committed: Callable[[], None] | None) -> None:
        self.operation = operation
        self.committed = committed
        self.future: Future[T] = Future()
        self.result: T
        self.recalled: Sequence[str] = ()
        self.error: BaseException | None = None

    def resolve(self) -> None:
        if self.error is not None:
            self.future.set_exception(self.error)
            return
        if self.committed is not None:
            self.committed()
        self.future.set_result(self.result)


class _Guard:
    """Undoes one operation that raises and keeps what it raised for its caller, so that others are not hurt.

    The first of a transaction needs no savepoint, since nothing was done before it: each statement costs a hand-over
    of the interpreter's lock.
    """

    def __init__(self, connection: sqlite3.Connection, entry: _Entry[Any], *, first: bool) -> None:
        self._connection = connection
        self._entry = entry
        self._undo = ("ROLLBACK", _BEGIN) if first else ("ROLLBACK TO operation", _RELEASE)
        self._first = first

    def __enter__(self) -> None:
        if not self._first:
            self._connection.execute("SAVEPOINT operation")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is None:
            if not self._first:
                self._connection.execute(_RELEASE)
            return True
        if not self._connection.in_transaction:
            return False  # SQLite gave up the whole transaction: it is lost for everyone in it
        for statement in self._undo:
            self._connection.execute(statement)
        self._entry.error = translated(error) if isinstance(error, sqlite3.Error) else error
        return True


class Writer:
    """Runs operations in order. `submit` may be called from any thread."""

    def __init__(self, connection: sqlite3.Connection, clock: Clock) -> None:
        self._connection = connection
        self._clock = clock
        self._entries: queue.SimpleQueue[_Entry[Any] | None] = queue.SimpleQueue()
        self._gate = threading.Lock()
        self._closed = False
        self._busy_since: float | None = None
        self.figures = WriterFigures()
        self.recall: Callable[[Sequence[str]], None] = lambda _: None
        self._thread = threading.Thread(target=self._turn, name="store-writer", daemon=True)
        self._thread.start()

    def submit(self, operation: Callable[[Transaction], T], committed: Callable[[], None] | None = None) -> Future[T]:
        """The future has the operation's result once it is on disk. `committed` runs in the writer just before that.

        Raises StoreError when closed. An operation whose future is cancelled before its turn does not run.
        """
        entry = _Entry(operation, committed)
        with self._gate:
            if self._closed:
                raise StoreError(CLOSED)
            self._entries.put(entry)
        return entry.future

    def beat(self) -> float:
        """Seconds that the present turn has lasted; 0 when idle."""
        since = self._busy_since
        return 0.0 if since is None else max(0.0, self._clock.monotonic() - since)

    def waiting(self) -> int:
        """Operations that no turn has taken yet."""
        return self._entries.qsize()

    def close(self) -> bool:
        """Finish what was submitted, then end the thread. False if that had been asked before."""
        with self._gate:
            if self._closed:
                return False
            self._closed = True
            self._entries.put(None)
        self._thread.join()
        return True

    def _turn(self) -> None:
        while (batch := self._gather()) is not None:
            self._busy_since = self._clock.monotonic()
            self._carry_out(batch)
            self._busy_since = None

    def _gather(self) -> list[_Entry[Any]] | None:
        """Wait for one entry and take what else is there; None at the end."""
        entry = self._entries.get()
        if entry is None:
            return None
        batch = [entry]
        while len(batch) < _MOST_PER_COMMIT and not self._entries.empty():
            entry = self._entries.get()
            if entry is None:
                self._entries.put(None)
                break
            batch.append(entry)
        return [entry for entry in batch if entry.future.set_running_or_notify_cancel()]

    def _carry_out(self, batch: list[_Entry[Any]]) -> None:
        began = self._clock.monotonic()
        try:
            self._connection.execute(_BEGIN)
            for entry in batch:
                with _Guard(self._connection, entry, first=entry is batch[0]):
                    transaction = Transaction(self._connection)
                    entry.result = entry.operation(transaction)
                    transaction.settle()
                    entry.recalled = transaction.recalled
            settled = self._clock.monotonic()
            self._connection.execute("COMMIT")
            self.figures.commit.observe(self._clock.monotonic() - settled)
        except sqlite3.Error as error:
            self._abandon(batch, error)
        self.figures.turn.observe(self._clock.monotonic() - began)
        self.figures.operations.observe(len(batch))
        self.figures.failures += any(isinstance(entry.error, StoreError) for entry in batch)
        if recalled := [one for entry in batch if entry.error is None for one in entry.recalled]:
            self.recall(recalled)
        for entry in batch:
            entry.resolve()

    def _abandon(self, batch: Iterable[_Entry[Any]], error: sqlite3.Error) -> None:
        with contextlib.suppress(sqlite3.Error):  # the next turn tries again; this one's callers hear of `error`
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        for entry in batch:
            entry.error = translated(error)
            entry.error.__cause__ = error
