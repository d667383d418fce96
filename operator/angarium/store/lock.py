"""Holds `<database>.lock` for life, so that two programs never write one database."""

import contextlib
import fcntl
import os
import socket
from pathlib import Path

from angarium.domain.errors import StoreInUse, StoreUnwritable


class FileLock:
    """An exclusive flock. The file stays behind: removing it would let two programs lock two different files."""

    def __init__(self, database: Path) -> None:
        """Raises StoreInUse at once if another program, or another store of this one, holds the lock.

        StoreUnwritable if there can be none.
        """
        self._path = lock_of(database)
        try:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreUnwritable(
                f"cannot create {self._path}: {error.strerror}; the folder must exist, be writable and have room"
            ) from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(self._descriptor, 300, 0).decode(errors="replace").strip() or "unknown"
            os.close(self._descriptor)
            raise StoreInUse(
                f"the database {database} is used by another Angarium (pid {holder}); "
                "stop that one first, or give this one a database of its own"
            ) from error
        self._write_holder()

    def release(self) -> None:
        os.close(self._descriptor)

    def _write_holder(self) -> None:
        """The name of the host is the pod's in a cluster, where every pid is 1."""
        with contextlib.suppress(OSError):  # it is a hint for people; a full disk must not stop a start
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{os.getpid()} on {socket.gethostname()}\n".encode(), 0)


def lock_of(database: Path) -> Path:
    """The file beside a database that tells that a program of ours uses it, or has used it."""
    return database.with_name(database.name + ".lock")
