"""Where a database may lie: in a folder that exists, and never on a network file system (SQLite's locks fail there)."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from angarium.domain.errors import StoreUnusable, StoreUnwritable

_MOUNTS = Path("/proc/self/mountinfo")
# Types as the kernel writes them in mountinfo.
_NETWORK = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "coda", "gfs", "gfs2", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs"}
    | {"nfs4", "ocfs2", "orangefs", "pvfs2", "smb", "smb2", "smb3", "smbfs"}
    | {"fuse.cephfs", "fuse.gcsfuse", "fuse.glusterfs", "fuse.juicefs", "fuse.s3fs", "fuse.sshfs"}
)

_SUFFIXES = ("", "-wal", "-shm", ".lock")


@contextlib.contextmanager
def looking() -> Iterator[None]:
    """What the system refuses to tell of a file becomes StoreUnwritable, which a mount or a person may change."""
    try:
        yield
    except OSError as error:
        raise StoreUnwritable(
            f"{error.filename} cannot be looked at: {error.strerror}; check owner and mode of its folders"
        ) from error


def check_exists(database: Path) -> None:
    """Raises StoreUnusable if there is no such file: for what must never begin a new one."""
    with looking():
        if not database.is_file():
            raise StoreUnusable(f"there is no database {database}; give the one in use with --database FILE")


@looking()
def check_location(database: Path, mounts: Path = _MOUNTS) -> None:
    """Raises StoreUnwritable if the folder is missing or anything is not writable: that may change by itself.

    StoreUnusable if it lies on a network file system, or if the file has several names: SQLite's log belongs to one of
    them, and is not found by the others.
    """
    folder = database.parent
    if not folder.is_dir():
        raise StoreUnwritable(f"the folder {folder} of the database does not exist; mount or create it")
    if os.statvfs(folder).f_flag & os.ST_RDONLY:
        raise StoreUnwritable(f"the folder {folder} of the database lies on a read-only file system; make it writable")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise StoreUnwritable(f"the folder {folder} of the database is not writable by this user; change its owner")
    if database.is_dir():
        raise StoreUnusable(f"{database} is a folder; name the database file in it")
    for file in (database.with_name(database.name + suffix) for suffix in _SUFFIXES):
        if file.exists() and not os.access(file, os.R_OK | os.W_OK):
            raise StoreUnwritable(f"{file} may not be read and written by this user; check its owner and mode")
    if database.exists() and database.stat().st_nlink > 1:
        _check_restore(database)
        raise StoreUnusable(
            f"the database {database} has another name too (a hard link), by which its write-ahead log is not found; "
            f"remove the other name (`find FOLDER -samefile {database}` tells it), and copy a database to keep two"
        )
    kind = file_system_of(database.resolve(), mounts)
    if kind in _NETWORK:
        raise StoreUnusable(
            f"the database {database} lies on a network file system ({kind}), where its locks cannot be trusted; "
            "use a local or block volume"
        )


def replaced_name(database: Path) -> Path:
    """What a restore calls the database that was there before."""
    return database.with_name(f"{database.name}.replaced")


def _check_restore(database: Path) -> None:
    replaced = replaced_name(database)
    if replaced.exists() and replaced.samefile(database):
        raise StoreUnusable(f"a restore into {database} was cut off; run the same `angarium restore` again")


def sizes(database: Path) -> tuple[int, int, int]:
    """Bytes of the file, of its write-ahead log, and free on the volume; 0 for what is not there."""
    free = 0
    with contextlib.suppress(OSError):
        volume = os.statvfs(database.parent)
        free = volume.f_bavail * volume.f_frsize
    return _size(database), _size(database.with_name(database.name + "-wal")), free


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0


def file_system_of(path: Path, mounts: Path = _MOUNTS) -> str | None:
    """The type of the file system that holds an absolute path; None where the system does not tell."""
    if not mounts.exists():
        return None
    found: tuple[int, str] | None = None
    for line in mounts.read_text("utf-8", "replace").splitlines():
        left, separator, right = line.partition(" - ")
        fields = left.split()
        if not separator or len(fields) < 5:
            continue
        point = Path(_unescaped(fields[4]))
        # A later mount on the same point hides the earlier one.
        if path.is_relative_to(point) and (found is None or len(point.parts) >= found[0]):
            found = len(point.parts), right.split()[0]
    return found[1] if found else None


def _unescaped(text: str) -> str:
    """mountinfo writes blanks, tabs, line feeds and backslashes as three octal digits (proc(5))."""
    for code in ("\\040", "\\011", "\\012", "\\134"):
        text = text.replace(code, chr(int(code[1:], 8)))
    return text
