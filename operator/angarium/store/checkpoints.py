"""Keeps the write-ahead log small while somebody reads all the time.

The writer takes committed pages back into the database as it goes, but begins the log anew only at an instant at which
nobody reads. Without this, a client that lists the history again and again makes the log grow until the disk is full.
"""

import logging
import sqlite3
import threading
from pathlib import Path

from angarium.domain.errors import StoreError
from angarium.store.connection import WAL_LIMIT_BYTES, WAL_PAGES
from angarium.store.readers import Readers
from angarium.store.transaction import Transaction
from angarium.store.writer import Writer

_log = logging.getLogger(__name__)

_POLL_S = 0.5
_AFTER_ERROR_S = 10.0
_TOO_LARGE = 2 * WAL_LIMIT_BYTES


class Checkpoints:
    """Looks at the log's size twice a second, in a thread of its own. `connection` is used by nobody else."""

    def __init__(self, path: Path, connection: sqlite3.Connection, writer: Writer, readers: Readers) -> None:
        self._wal = Path(f"{path}-wal")
        self._connection = connection
        self._writer = writer
        self._readers = readers
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._turn, name="store-checkpoints", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """To be called before the writer and the readers are closed."""
        self._ended.set()
        self._thread.join()
        self._connection.close()

    def _turn(self) -> None:
        pause_s = _POLL_S
        while not self._ended.wait(pause_s):
            pause_s = _POLL_S
            try:
                if self._wal.stat().st_size > _TOO_LARGE:
                    self._bring_back()
            except (OSError, StoreError, sqlite3.Error) as error:
                pause_s = _AFTER_ERROR_S
                _log.warning(
                    "the write-ahead log %s could not be made smaller; that is tried again: %s",
                    self._wal,
                    error,
                    extra={"action": "log.shrink"},
                )

    def _bring_back(self) -> None:
        """Reads wait meanwhile, writes only for what the first step left. The writer itself is kept from starting on a
        log that large: all others would wait for it."""
        self._let_writer_checkpoint(0)
        try:
            with self._readers.held():
                self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        finally:
            self._let_writer_checkpoint(WAL_PAGES)

    def _let_writer_checkpoint(self, pages: int) -> None:
        def change(tx: Transaction) -> None:
            tx.run(f"PRAGMA wal_autocheckpoint = {pages}")

        self._writer.submit(change).result()
