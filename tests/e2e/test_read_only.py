"""A database that cannot be written: no start without a clear line; while running, refusals, and recovery by itself."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support.angarium import ANGARIUM, Angarium, refuses, run
from tests.support.cluster import wait_for
from tests.support.disks import Disk
from tests.support.receiver import Answer, Receiver

from angarium.files.users import DEFAULT_USER

SLOW_S = 1.5
# Modes count for root too, once it may not override them.
BOUND = ("setpriv", "--bounding-set=-dac_override,-dac_read_search") if os.geteuid() == 0 else ()


def refused(database: Path, *words: str, launch: tuple[str | Path, ...] = (*BOUND, ANGARIUM)) -> None:
    refuses(run("dev", f"--database={database}", "--port=0", "--health-port=0", launch=launch), *words)


@pytest.fixture
def left_behind(tmp_path: Path) -> Path:
    """The database of a program that was killed."""
    with Angarium(tmp_path, command="dev") as angarium:
        angarium.start()
        angarium.kill()
    return angarium.database


def test_a_read_only_volume_is_named(tmp_path: Path) -> None:
    with Disk(tmp_path, "12m") as disk:
        settings = {"database": str(disk.point / "angarium.db")}
        with Angarium(tmp_path, command="dev", settings=settings, launch=disk.launch(ANGARIUM)) as angarium:
            angarium.start()
            angarium.kill()
            disk.make_read_only()
            database = disk.point / "angarium.db"
            refused(database, str(disk.point), "read-only file system", launch=disk.launch(ANGARIUM))
            disk.make_writable()
            angarium.start()


@pytest.mark.parametrize(
    "name, mode",
    [("angarium.db", 0o400), ("angarium.db-wal", 0o000), ("angarium.db-shm", 0o400), ("angarium.db.lock", 0o400)],
)
def test_a_file_that_may_not_be_written_is_named(left_behind: Path, name: str, mode: int) -> None:
    left_behind.with_name(name).chmod(mode)
    refused(left_behind, str(left_behind.with_name(name)), "owner and mode")
    left_behind.with_name(name).chmod(0o600)
    with Angarium(left_behind.parent, command="dev", launch=(*BOUND, ANGARIUM)) as angarium:
        angarium.start()


def test_a_folder_that_may_not_be_written_is_named(left_behind: Path) -> None:
    left_behind.parent.chmod(0o500)
    refused(left_behind, str(left_behind.parent), "not writable by this user")
    left_behind.parent.chmod(0o700)


@contextmanager
def unchangeable(*files: Path) -> Iterator[None]:
    """Even what has them open cannot write them (ext4 and its like)."""
    subprocess.run(["chattr", "+i", *files], check=True)
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", *files], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can take the right to write from a running program")
def test_a_database_that_becomes_read_only_is_told_and_recovers(tmp_path: Path, receiver: Receiver) -> None:
    receiver.answer("/slow", Answer(delay_s=SLOW_S))
    with Angarium(tmp_path, command="dev") as angarium:
        angarium.start()
        with angarium.client(DEFAULT_USER.token) as client:
            for name, delay in (("later", "2s"), ("slow", "0s")):
                headers = {"Upstash-Delay": delay}
                client.post(f"/v2/publish/{receiver.url(f'/{name}')}", headers=headers).raise_for_status()
            receiver.wait_for(1, path="/slow")
            with unchangeable(angarium.database, angarium.database.with_name("angarium.db-wal")):
                answer = client.post(f"/v2/publish/{receiver.url('/refused')}")
                assert answer.status_code in (503, 507)
                assert "make the volume writable" in answer.json()["error"]
                assert int(answer.headers["Retry-After"]) > 0
                text = angarium.health("/readyz")[1]
                assert "store" in text and "make the volume writable" in text
                assert angarium.health("/livez")[0] == 200
                assert client.get("/v2/logs").status_code == 200, "what is stored can be read"
            wait_for(angarium.is_ready, within=20, describe="ready again")
            receiver.wait_for(1, path="/later", timeout=20)
            wait_for(lambda: angarium.metric("angarium_messages_waiting") == 0, within=20, describe="all is done")
    assert sorted(request.target for request in receiver.received()) == ["/later", "/slow"]
