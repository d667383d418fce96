import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from socket import gethostname

import pytest
from tests.support.fakes import FakeClock
from tests.support.stores import ids, publication

from angarium.domain.errors import StoreError, StoreUnusable, StoreUnwritable
from angarium.domain.ports import Limits, Retention
from angarium.store import SqliteStore, open_store
from angarium.store.location import check_exists, check_location, file_system_of
from angarium.store.migration import APPLICATION_ID, migrate, migrations

HOLD = """
import sys
from pathlib import Path
from angarium.store.lock import FileLock
lock = FileLock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def opened(path: Path | None) -> SqliteStore:
    return open_store(path, limits=Limits(), new_id=ids(), clock=FakeClock(), retention=Retention())


def refusal(path: Path) -> str:
    """What opening this path is refused with: one line."""
    with pytest.raises(StoreUnusable) as caught:
        opened(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def modes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}


async def test_a_second_opener_is_told_who_has_it(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    store = opened(path)
    text = refusal(path)
    assert str(path) in text and f"used by another Angarium (pid {os.getpid()} on {gethostname()})" in text
    await store.close()
    await opened(path).close()


async def test_a_second_opener_by_a_symbolic_link_is_told_too(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "b.db").symlink_to(tmp_path / "a.db")
    store = opened(tmp_path / "a.db")
    assert "used by another Angarium" in refusal(tmp_path / "elsewhere" / "b.db")
    await store.close()


async def test_a_database_with_two_names_is_refused(tmp_path: Path) -> None:
    await opened(tmp_path / "a.db").close()
    os.link(tmp_path / "a.db", tmp_path / "b.db")
    for name in ("a.db", "b.db"):
        assert "hard link" in refusal(tmp_path / name)


def test_another_process_has_it_until_it_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
        assert f"pid {holder.pid}" in refusal(path)
        holder.kill()
        holder.wait()
    asyncio.run(opened(path).close())


async def test_a_new_database_is_its_owners_alone(tmp_path: Path) -> None:
    store = opened(tmp_path / "a.db")
    await store.accept([publication()], None)
    assert modes(tmp_path) == dict.fromkeys(("a.db", "a.db-wal", "a.db-shm", "a.db.lock"), 0o600)
    await store.close()


async def test_the_mode_of_a_database_that_exists_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    await opened(path).close()
    path.chmod(0o660)
    await opened(path).close()
    assert modes(tmp_path)["a.db"] == 0o660


def test_a_missing_folder(tmp_path: Path) -> None:
    assert "does not exist; mount or create it" in refusal(tmp_path / "missing" / "a.db")


def test_a_folder_instead_of_a_file(tmp_path: Path) -> None:
    assert "is a folder" in refusal(tmp_path)


def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write anywhere
    with pytest.raises(StoreUnusable, match="not writable"):
        check_location(tmp_path / "a.db")


@pytest.mark.parametrize("look", [check_location, check_exists])
def test_what_the_system_does_not_tell_of_a_file(tmp_path: Path, look: Callable[[Path], None]) -> None:
    """A folder that is closed to us is another such case, but not for root."""
    with pytest.raises(StoreUnwritable, match="aaa cannot be looked at: File name too long; check owner and mode"):
        look(tmp_path / ("a" * 300))


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    path.write_bytes(b"this is a text file, and longer than a header of SQLite" * 20)
    assert "is not a database of Angarium" in refusal(path)
    assert "is not a database" in refusal(path), "the lock was given back"


def test_a_database_of_another_program(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (x)")
    connection.close()
    assert "of another program" in refusal(path)


async def test_a_database_from_a_newer_version(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    await opened(path).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 77")
    connection.close()
    text = refusal(path)
    assert "schema 77" in text and f"up to {migrations()[-1][0]}" in text


async def test_a_damaged_database(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    await opened(path).close()
    data = bytearray(path.read_bytes())
    data[100:4096] = b"\xff" * 3996
    path.write_bytes(data)
    assert "damaged" in refusal(path)


def test_migrations_are_numbered_without_gaps() -> None:
    assert [number for number, _ in migrations()] == list(range(1, len(migrations()) + 1))


def test_each_migration_is_whole_or_not_at_all() -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    steps = [(1, "CREATE TABLE a (x);"), (2, "CREATE TABLE b (x); CREATE TABLE a (x);")]
    with pytest.raises(sqlite3.OperationalError):
        migrate(connection, steps)
    assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("a",)]
    assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    migrate(connection, [steps[0], (2, "CREATE TABLE b (x);")])
    assert connection.execute("PRAGMA user_version").fetchone() == (2,)
    assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
    connection.close()


def test_responses_that_an_older_version_stored_are_counted() -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate(connection, migrations()[:2])
    connection.execute("INSERT INTO usage VALUES ('shop', 0, 100, 0), ('other', 0, 7, 0)")
    entry = "INSERT INTO log (namespace, time_ms, state, message, url, error, response_body)"
    letter = "INSERT INTO dead_letters (namespace, created_ms, message, url, error, response_body)"
    connection.execute(
        f"{entry} VALUES ('shop', 0, 'ERROR', 1, '', '', x'0102'), ('shop', 0, 'CREATED', 1, '', '', NULL)"
    )
    connection.execute(f"{letter} VALUES ('shop', 0, 1, '', '', x'010203')")
    migrate(connection)
    held = dict(connection.execute("SELECT namespace, stored_bytes FROM usage"))
    assert held == {"shop": 105, "other": 7}
    connection.close()


MOUNTS = """\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
90 22 0:50 / /data rw shared:5 - nfs4 server:/export rw
91 90 254:1 / /data/local\\040disk rw - xfs /dev/vdb rw
92 22 0:51 / /ssh rw - fuse.sshfs host: rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/a.db", "ext4"),
        ("/data/a.db", "nfs4"),
        ("/data/local disk/a.db", "xfs"),
        ("/database/a.db", "ext4"),
        ("/ssh/x/a.db", "fuse.sshfs"),
    ],
)
def test_which_file_system_holds_a_path(tmp_path: Path, path: str, kind: str) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    assert file_system_of(Path(path), mounts) == kind


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "glusterfs", "lustre", "fuse.sshfs"])
def test_a_network_file_system_is_refused(tmp_path: Path, kind: str) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"1 1 0:1 / / rw - {kind} server:/ rw\n")
    with pytest.raises(StoreUnusable, match="network file system"):
        check_location(tmp_path / "a.db", mounts)


async def test_a_temporary_store_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    store = opened(None)
    await store.accept([publication()], None)
    assert os.listdir(tmp_path)
    await store.close()
    assert os.listdir(tmp_path) == []


async def test_a_closed_store_says_so(tmp_path: Path) -> None:
    store = opened(tmp_path / "a.db")
    await store.close()
    await store.close()
    with pytest.raises(StoreError, match="closed"):
        await store.accept([publication()], None)
    with pytest.raises(StoreError, match="closed"):
        await store.backlog()
