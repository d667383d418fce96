"""Reads the head of a database file without SQLite, which would tidy the log away and change both of them.

What a program must not use it leaves as it is, byte by byte. Format: https://sqlite.org/fileformat2.html
"""

import struct
from dataclasses import dataclass
from pathlib import Path

HEAD_BYTES = 108  # of the first page: the header of the file, and that of the tree which lists all tables
_MAGIC = b"SQLite format 3\0"
_VERSION, _APPLICATION, _TREE = 60, 68, 100
_LEAF = 0x0D


@dataclass(frozen=True, slots=True)
class Head:
    """Whose file it is, its schema, and whether it has no table yet."""

    application: int
    schema: int
    empty: bool


def read_head(database: Path, logged: bytes | None) -> Head | None:
    """`logged` is the first page as the log has it, if it has. None: there is nothing yet, or it is no database."""
    page = logged or _first_bytes(database)
    if len(page) < HEAD_BYTES or not page.startswith(_MAGIC):
        return None
    application, schema = (struct.unpack_from(">I", page, offset)[0] for offset in (_APPLICATION, _VERSION))
    (cells,) = struct.unpack_from(">H", page, _TREE + 3)
    return Head(application, schema, empty=page[_TREE] == _LEAF and cells == 0)


def _first_bytes(database: Path) -> bytes:
    try:
        with database.open("rb") as file:
            return file.read(HEAD_BYTES)
    except OSError:  # SQLite says better what is the matter
        return b""
