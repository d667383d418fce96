"""A few threads that read, each with a connection of its own, so that a long read holds up no write."""

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from queue import SimpleQueue
from typing import TypeVar

from angarium.domain.errors import StoreError
from angarium.store.faults import translated
from angarium.store.transaction import Session
from angarium.store.writer import CLOSED

T = TypeVar("T")


class Readers:
    """`submit` may be called from any thread."""

    def __init__(self, connections: Sequence[sqlite3.Connection]) -> None:
        self._all = tuple(connections)
        self._idle: SimpleQueue[sqlite3.Connection] = SimpleQueue()
        for connection in connections:
            self._idle.put(connection)
        self._admitting = threading.Event()
        self._admitting.set()
        self._threads = ThreadPoolExecutor(len(connections), thread_name_prefix="store-reader")

    def submit(self, operation: Callable[[Session], T]) -> Future[T]:
        """The operation sees the database as it is at one instant. Raises StoreError when closed."""
        try:
            return self._threads.submit(self._read, operation)
        except RuntimeError as error:
            raise StoreError(CLOSED) from error

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nobody reads inside: waits for the reads that run, and those that come wait for the end. For one thread."""
        self._admitting.clear()
        try:
            taken = [self._idle.get() for _ in self._all]
            try:
                yield
            finally:
                for connection in taken:
                    self._idle.put(connection)
        finally:
            self._admitting.set()

    def close(self) -> None:
        self._threads.shutdown(wait=True)
        for connection in self._all:
            connection.close()

    def _read(self, operation: Callable[[Session], T]) -> T:
        self._admitting.wait()
        connection = self._idle.get()
        try:
            connection.execute("BEGIN")
            return operation(Session(connection))
        except sqlite3.Error as error:
            raise translated(error) from error
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            self._idle.put(connection)
