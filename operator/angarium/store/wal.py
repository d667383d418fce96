"""Whether SQLite's write-ahead log still holds all that was committed to it.

SQLite reads the log up to the first frame that is damaged and takes what follows for never written: commits that were
acknowledged would be gone without a word. The index beside the log (`-shm`), which a killed process leaves behind,
tells how many frames there were. Formats: https://sqlite.org/walformat.html and https://sqlite.org/fileformat2.html.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from angarium.domain.errors import StoreUnusable
from angarium.store.head import HEAD_BYTES

_HEADER, _FRAME_HEADER = 32, 24
_MAGIC, _VERSION = 0x377F0682, 3007000
_INDEX_HEADER = 48
_WORD = 0xFFFFFFFF
_FIRST = struct.pack(">I", 1)


@dataclass(frozen=True, slots=True)
class _Index:
    """What the index says: frames committed, how many of them are in the database file too, and of which log."""

    frames: int
    copied: int
    salt: bytes


@dataclass(frozen=True, slots=True)
class _Log:
    """The header of a log."""

    salt: bytes
    page_size: int
    order: str
    sums: tuple[int, int]


def check_log(database: Path) -> bytes | None:
    """Raises StoreUnusable if commits that the log held cannot be read from it. Changes nothing.

    Returns the beginning of the database's first page, if the log has a newer one than the database file.
    Reads the whole log (some 40 MiB/s), which is there after a kill only. Nobody may have the database open.
    """
    path, index_path = (database.with_name(database.name + suffix) for suffix in ("-wal", "-shm"))
    if not path.exists() and not index_path.exists():
        return None
    index, log = _index(index_path), _log(path)
    readable, first_page = _readable(path, log) if log else (0, None)
    if readable and not (database.exists() and database.stat().st_size):
        raise StoreUnusable(
            f"the database {database} is missing or empty, but its write-ahead log {path} holds messages: SQLite would "
            "begin anew and remove the log; put the database back, or restore a backup and remove the log"
        )
    if _is_lost(path, index, log, readable):
        committed = f"{readable} of {index.frames}" if index else "not all"
        raise StoreUnusable(
            f"the write-ahead log {path} is damaged or missing: {committed} pages committed to it can be read, so that "
            f"messages would be lost; restore the database from a backup, or remove {index_path} and {path} if it is "
            "to start without what is lost"
        )
    return first_page


def _is_lost(path: Path, index: _Index | None, log: _Log | None, readable: int) -> bool:
    if log is None:
        # SQLite ignores a log without a valid header.
        return index.frames > index.copied if index else path.exists() and path.stat().st_size > _HEADER
    if index and index.salt == log.salt and readable < index.frames:
        return True
    # Without an index of this log: the last commit may be one that a power failure cut off, but two are not.
    return _commits_after(path, log, readable) > 1


def _index(path: Path) -> _Index | None:
    """None if there is none, or none that is valid: the machine may have lost power."""
    try:
        content = path.read_bytes()[: 2 * _INDEX_HEADER + 4]
    except FileNotFoundError:
        return None
    for copy in (content[:_INDEX_HEADER], content[_INDEX_HEADER : 2 * _INDEX_HEADER]):
        if len(content) == 2 * _INDEX_HEADER + 4 and _sums(copy[:-8], "=") == struct.unpack("=2I", copy[-8:]):
            (frames,), (copied,) = struct.unpack("=I", copy[16:20]), struct.unpack("=I", content[-4:])
            return _Index(frames, copied, copy[32:40])
    return None


def _log(path: Path) -> _Log | None:
    """None if SQLite would ignore it: missing, too short, or with a damaged header."""
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER)
    except FileNotFoundError:
        return None
    if len(header) < _HEADER:
        return None
    magic, version, page_size = struct.unpack(">3I", header[:12])
    order, sums = ">" if magic & 1 else "<", struct.unpack(">2I", header[24:])
    if magic & ~1 != _MAGIC or version != _VERSION or _sums(header[:24], order) != sums:
        return None
    return _Log(header[16:24], page_size, order, sums)


def _sums(content: bytes, order: str, seed: tuple[int, int] = (0, 0)) -> tuple[int, int]:
    """SQLite's checksum of pairs of 32-bit words; `order` as struct writes it."""
    first, second = seed
    for even, odd in struct.iter_unpack(f"{order}2I", content):
        first = first + even + second & _WORD
        second = second + odd + first & _WORD
    return first, second


def _frames(path: Path, log: _Log, start: int = 0) -> Iterator[tuple[bytes, bytes]]:
    """(header, page) of the frames after so many that are there in full."""
    with path.open("rb") as file:
        file.seek(_HEADER + start * (_FRAME_HEADER + log.page_size))
        while len(frame := file.read(_FRAME_HEADER + log.page_size)) == _FRAME_HEADER + log.page_size:
            yield frame[:_FRAME_HEADER], frame[_FRAME_HEADER:]


def _readable(path: Path, log: _Log) -> tuple[int, bytes | None]:
    """How many frames SQLite reads: up to the last commit before the first frame that does not fit.

    And the beginning of the newest first page among them.
    """
    readable, sums = 0, log.sums
    first_page = written = None
    for number, (header, page) in enumerate(_frames(path, log), start=1):
        sums = _sums(header[:8] + page, log.order, sums)
        if header[8:16] != log.salt or struct.unpack(">2I", header[16:]) != sums:
            break
        if header[:4] == _FIRST:
            written = page[:HEAD_BYTES]
        if _commits(header):
            readable, first_page = number, written
    return readable, first_page


def _commits_after(path: Path, log: _Log, readable: int) -> int:
    """The frames of this log that end a transaction but come after those that can be read."""
    return sum(header[8:16] == log.salt and _commits(header) for header, _ in _frames(path, log, readable))


def _commits(header: bytes) -> bool:
    return header[4:8] != bytes(4)
