"""One program has a database at a time, by whatever name it is called, and a kill -9 sets it free at once."""

import os
import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.angarium import Angarium, refuses, run
from tests.support.receiver import Receiver

from angarium.files.users import DEFAULT_USER


@pytest.fixture
def angarium(tmp_path: Path) -> Iterator[Angarium]:
    with Angarium(tmp_path, command="dev") as angarium:
        angarium.start()
        yield angarium


def refused(database: Path, *words: str) -> None:
    refuses(run("dev", f"--database={database}", "--port=0", "--health-port=0"), *words)


def delivers(angarium: Angarium, receiver: Receiver) -> None:
    before = receiver.count()
    with angarium.client(DEFAULT_USER.token) as client:
        client.post(f"/v2/publish/{receiver.url('/')}").raise_for_status()
    receiver.wait_for(before + 1)


@pytest.fixture
def symbolic_link(tmp_path: Path) -> Path:
    """Another name of the database, in another folder."""
    link = tmp_path / "elsewhere" / "link.db"
    link.parent.mkdir()
    link.symlink_to(tmp_path / "angarium.db")
    return link


def test_a_second_program_is_refused_and_the_first_goes_on(
    angarium: Angarium, receiver: Receiver, symbolic_link: Path
) -> None:
    for name in (angarium.database, symbolic_link):
        refused(name, "used by another Angarium", str(angarium.program.pid), "stop that one first")
        delivers(angarium, receiver)


def test_a_second_program_is_refused_by_another_link_to_the_file(
    angarium: Angarium, receiver: Receiver, tmp_path: Path
) -> None:
    link = tmp_path / "link.db"
    os.link(angarium.database, link)
    refused(link, str(link), "hard link")
    delivers(angarium, receiver)
    link.unlink()
    angarium.kill()
    angarium.start()
    delivers(angarium, receiver)


def test_what_waits_is_found_by_a_symbolic_link(angarium: Angarium, receiver: Receiver, symbolic_link: Path) -> None:
    with angarium.client(DEFAULT_USER.token) as client:
        client.post(f"/v2/publish/{receiver.url('/')}", headers={"Upstash-Delay": "1s"}).raise_for_status()
    angarium.kill()
    with Angarium(symbolic_link.parent, command="dev", settings={"database": str(symbolic_link)}) as another:
        another.start()
        receiver.wait_for(1)
        refused(angarium.database, "used by another Angarium", str(another.program.pid))


def test_a_killed_program_lets_go_at_once(angarium: Angarium, receiver: Receiver) -> None:
    os.kill(angarium.program.pid, signal.SIGKILL)
    angarium.program.wait()
    angarium.program.start()
    angarium.wait_until(angarium.is_ready, "ready")
    delivers(angarium, receiver)
    assert sqlite3.connect(angarium.database).execute("PRAGMA quick_check").fetchone() == ("ok",)
