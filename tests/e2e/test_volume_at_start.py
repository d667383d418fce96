"""`angarium run` on a volume that is full, read-only, missing or another user's: it waits, says why at /readyz, loses
nothing, and goes on by itself. What only a person can repair ends the start at once, and nothing is changed.
"""

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.alone import kubeconfig_of
from tests.support.angarium import ANGARIUM, Angarium, refuses, run
from tests.support.cluster import wait_for
from tests.support.disks import Disk
from tests.support.receiver import Receiver
from tests.support.staging import await_health

from angarium.files.users import DEFAULT_USER

# Modes count for root too, once it may not override them.
BOUND = ("setpriv", "--bounding-set=-dac_override,-dac_read_search") if os.geteuid() == 0 else ()
WAITS = "it cannot start yet"


@dataclass
class Volume:
    """A volume with a database on it that holds a message, left behind by a program that was ended or killed."""

    disk: Disk
    folder: Path

    @property
    def seen(self) -> Path:
        """The folder of the database as the program sees it."""
        return self.disk.point / "data"

    @property
    def data(self) -> Path:
        """The same as the test reaches it."""
        return self.disk.path / "data"

    def program(self, command: str) -> Angarium:
        settings = {"database": str(self.seen / "angarium.db"), "log-level": "info"}
        kubeconfig = kubeconfig_of(self.folder)
        launch = self.disk.launch(*BOUND, ANGARIUM)
        return Angarium(self.folder, command=command, kubeconfig=kubeconfig, settings=settings, launch=launch)

    def content(self) -> bytes:
        """The database, which nothing may change while it waits; an empty log may come beside it."""
        return contents(self.data)["angarium.db"]


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Volume]:
    with Disk(tmp_path, "12m") as disk:
        volume = Volume(disk, tmp_path)
        volume.data.mkdir(mode=0o700)
        yield volume


def leave_a_message(volume: Volume, receiver: Receiver, *, killed: bool) -> None:
    with volume.program("dev") as before:
        before.start()
        with before.client(DEFAULT_USER.token) as client:
            for name, delay in (("stored", "3s"), ("later", "1h")):
                headers = {"Upstash-Delay": delay}
                client.post(f"/v2/publish/{receiver.url(f'/{name}')}", headers=headers).raise_for_status()
        if killed:
            before.kill()


def read_only(volume: Volume) -> None:
    volume.disk.make_read_only()


def writable(volume: Volume) -> None:
    volume.disk.make_writable()


def full(volume: Volume) -> None:
    volume.disk.fill()


def free(volume: Volume) -> None:
    volume.disk.free()


def of_nobody(volume: Volume) -> None:
    volume.data.chmod(0o500)


def closed(volume: Volume) -> None:
    """As a new volume is whose root is root's alone."""
    volume.data.chmod(0o000)


def of_its_user(volume: Volume) -> None:
    volume.data.chmod(0o700)


def log_of_nobody(volume: Volume) -> None:
    (volume.data / "angarium.db").chmod(0o000)


def log_of_its_user(volume: Volume) -> None:
    (volume.data / "angarium.db").chmod(0o600)


def moved_away(volume: Volume) -> None:
    volume.data.rename(volume.disk.path / "elsewhere")


def moved_back(volume: Volume) -> None:
    (volume.disk.path / "elsewhere").rename(volume.data)


Change = Callable[[Volume], None]
HINDRANCES: dict[str, tuple[Change, Change, str]] = {
    "read-only": (read_only, writable, "read-only file system"),
    "full": (full, free, "free disk space"),
    "folder of another user": (of_nobody, of_its_user, "not writable by this user"),
    "folder that is closed": (closed, of_its_user, "not writable by this user"),
    "file of another user": (log_of_nobody, log_of_its_user, "owner and mode"),
    "not mounted": (moved_away, moved_back, "does not exist; mount or create it"),
}


@pytest.mark.parametrize("name", HINDRANCES)
def test_it_waits_says_why_and_goes_on(volume: Volume, receiver: Receiver, tmp_path: Path, name: str) -> None:
    hinder, heal, words = HINDRANCES[name]
    leave_a_message(volume, receiver, killed=False)
    before = volume.content()
    hinder(volume)
    with volume.program("run") as angarium:
        angarium.program.start()
        told = await_health(angarium, "/readyz", 503, words)
        assert told.startswith("api: it does not listen yet\nstore: ")
        assert angarium.health("/livez")[0] == 200, "the kubelet has no cause to start it again"
        assert angarium.metric("angarium_build_info") == 1
        (said,) = [line for line in angarium.log_lines() if line["action"] == "store.wait"]
        assert words in said["message"] and WAITS in said["message"]
        if name != "not mounted":
            assert volume.content() == before
        heal(volume)
        angarium.wait_until(angarium.listens, "listening")
        receiver.wait_for(1, path="/stored", timeout=20)
        assert "store:" not in angarium.health("/readyz")[1]
        assert angarium.stop() == 0
    assert waiting(volume, tmp_path) == 1, "the other one waits as before"


def waiting(volume: Volume, folder: Path) -> int:
    """SQLite itself would not open it by the path on which the test reaches it."""
    copy = folder / "copy.db"
    shutil.copy(volume.data / "angarium.db", copy)
    connection = sqlite3.connect(copy)
    try:
        found: int = connection.execute("SELECT count(*) FROM messages WHERE state = 'Waiting'").fetchone()[0]
        return found
    finally:
        connection.close()


def test_what_was_on_its_way_at_a_kill_is_not_lost_to_a_full_disk(volume: Volume, receiver: Receiver) -> None:
    leave_a_message(volume, receiver, killed=True)
    volume.disk.fill()
    with volume.program("run") as angarium:
        angarium.program.start()
        wait_for(lambda: angarium.health("/readyz")[0] == 503, within=20, describe="it answers")
        volume.disk.free()
        receiver.wait_for(1, path="/stored", timeout=30)


def test_a_new_database_is_made_once_there_is_room(volume: Volume) -> None:
    volume.disk.fill()
    with volume.program("run") as angarium:
        angarium.program.start()
        await_health(angarium, "/readyz", 503, "free disk space")
        volume.disk.free()
        angarium.wait_until(angarium.listens, "listening")


def test_it_ends_when_it_is_told_to_while_it_waits(volume: Volume) -> None:
    volume.disk.make_read_only()
    with volume.program("run") as angarium:
        angarium.program.start()
        await_health(angarium, "/readyz", 503, "read-only file system")
        assert angarium.stop() == 0


def newer(database: Path) -> None:
    connection = sqlite3.connect(database)
    connection.execute("PRAGMA user_version = 77")
    connection.close()


def no_database(database: Path) -> None:
    database.write_bytes(b"this is a text file, and longer than a header of SQLite" * 20)


def lost(database: Path) -> None:
    """A program that was killed leaves its log; the file itself is gone."""
    database.unlink()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (newer, ("schema 77", "install the newer one again")),
        (no_database, ("is not a database of Angarium", "name another file")),
        (lost, ("missing or empty", "put the database back")),
    ],
)
def test_what_a_person_has_to_repair_ends_the_start_and_is_left_as_it_is(
    tmp_path: Path, receiver: Receiver, change: Callable[[Path], None], words: tuple[str, ...]
) -> None:
    with Angarium(tmp_path, command="dev") as before:
        before.start()
        with before.client(DEFAULT_USER.token) as client:
            client.post(f"/v2/publish/{receiver.url('/')}", headers={"Upstash-Delay": "1h"}).raise_for_status()
        if change is not lost:
            before.stop()
        else:
            before.kill()
    change(before.database)
    kept = contents(tmp_path)
    flags = (f"--database={before.database}", "--port=0", "--health-port=0", f"--kubeconfig={kubeconfig_of(tmp_path)}")
    for _ in range(2):  # as a kubelet starts it again and again
        refuses(run("run", *flags), *words)
    assert contents(tmp_path) == kept


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.glob("angarium.db*") if not file.name.endswith(".lock")}
