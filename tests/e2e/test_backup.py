"""A back-up taken under load, restored into a fresh folder: what had been accepted is delivered from there."""

import asyncio
import sqlite3
import stat
import subprocess
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from tests.support.alone import TOKEN, admit, kubeconfig_of
from tests.support.angarium import ANGARIUM, Angarium
from tests.support.receiver import Answer, Receiver

ENDED = ("Delivered", "Failed", "Canceled")


@pytest.fixture
def angarium(tmp_path: Path) -> Iterator[Angarium]:
    asyncio.run(admit(tmp_path / "angarium.db"))
    with Angarium(tmp_path, kubeconfig=kubeconfig_of(tmp_path)) as angarium:
        yield angarium


def backup(database: Path, target: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ANGARIUM, "backup", target, f"--database={database}"], capture_output=True, text=True, timeout=60, check=False
    )


def restored(source: Path, folder: Path) -> Angarium:
    """Another program, not started yet, whose database is the back-up."""
    folder.mkdir()
    (folder / "angarium.db").write_bytes(source.read_bytes())
    return Angarium(folder, kubeconfig=kubeconfig_of(folder))


def states(database: Path) -> dict[str, str]:
    connection = sqlite3.connect(database)
    try:
        return dict(connection.execute("SELECT id, state FROM messages").fetchall())
    finally:
        connection.close()


class Load:
    """A thread that publishes one message after the other until it is told to end."""

    def __init__(self, angarium: Angarium, url: str) -> None:
        self.accepted: list[str] = []
        self._angarium, self._url = angarium, url
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def end(self) -> None:
        self._ended.set()
        self._thread.join(20)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        with self._angarium.client(TOKEN) as client:
            while not self._ended.is_set():
                answer = client.post(f"/v2/publish/{self._url}", content=b"load")
                assert answer.status_code == 200, answer.text
                self.accepted.append(answer.json()["messageId"])


def test_what_waited_at_the_back_up_is_delivered_from_it(
    angarium: Angarium, receiver: Receiver, tmp_path: Path
) -> None:
    receiver.answer("/load", Answer(delay_s=0.1))
    receiver.answer("/held", Answer(ending="hang"), 200)
    angarium.start(ready=False)
    with angarium.client(TOKEN) as client:
        once = {"Upstash-Deduplication-Id": "order-1"}
        first = client.post(f"/v2/publish/{receiver.url('/once')}", headers=once).json()["messageId"]
        late = client.post(f"/v2/publish/{receiver.url('/late')}", headers={"Upstash-Delay": "1h"}).json()["messageId"]
        held = client.post(f"/v2/publish/{receiver.url('/held')}").json()["messageId"]
    receiver.wait_for(1, path="/held")
    load = Load(angarium, receiver.url("/load"))
    angarium.wait_until(lambda: len(load.accepted) >= 50, "under load")
    before = list(load.accepted)
    done = backup(angarium.database, tmp_path / "copy.db")
    assert done.returncode == 0, done.stderr
    assert stat.S_IMODE((tmp_path / "copy.db").stat().st_mode) == 0o600, "it holds signing keys"
    load.end()
    angarium.kill()

    found = states(tmp_path / "copy.db")
    assert {*before, first, late, held} <= found.keys(), "whatever was accepted before the command is in it"
    waiting = {message for message, state in found.items() if state not in ENDED}
    assert {late, held} <= waiting
    due = waiting - {late}
    already = receiver.count()
    with restored(tmp_path / "copy.db", tmp_path / "fresh") as fresh:
        fresh.start(ready=False)

        def delivered() -> set[str | None]:
            return {request.header("Upstash-Message-Id") for request in receiver.received()[already:]}

        fresh.wait_until(lambda: due <= delivered(), "done with what waited in the back-up")
        assert delivered() & found.keys() == due, "what had ended is not sent again, and nothing before its time"
        assert fresh.metric("angarium_messages_waiting") == 1
        with fresh.client(TOKEN) as client:
            assert client.get(f"/v2/messages/{late}").status_code == 200
            again = client.post(f"/v2/publish/{receiver.url('/once')}", headers=once)
        assert (again.status_code, again.json()["messageId"]) == (202, first), "a duplicate is one still"
        actions = {line["action"] for line in fresh.log_lines()}
    assert "lease.void" in actions


def test_schedules_of_an_old_back_up_fire_once_and_not_for_each_slot_since(
    angarium: Angarium, receiver: Receiver, tmp_path: Path
) -> None:
    angarium.start(ready=False)
    with angarium.client(TOKEN) as client:
        made = client.post(f"/v2/schedules/{receiver.url('/slot')}", headers={"Upstash-Cron": "* * * * *"})
        assert made.status_code == 200, made.text
    assert backup(angarium.database, tmp_path / "copy.db").returncode == 0
    angarium.stop()
    before = receiver.count("/slot")
    with sqlite3.connect(tmp_path / "copy.db") as connection:  # as if it were of an hour ago
        hour_ms = timedelta(hours=1) // timedelta(milliseconds=1)
        changed = connection.execute(
            "UPDATE schedules SET considered_ms = considered_ms - ?, wake_ms = wake_ms - ?", (hour_ms, hour_ms)
        )
        assert changed.rowcount == 1
        connection.execute("UPDATE runs SET slot_ms = slot_ms - ?", (hour_ms,))  # a minute may just have begun
        connection.execute("UPDATE declared SET created_ms = created_ms - ?", (hour_ms,))
    connection.close()
    with restored(tmp_path / "copy.db", tmp_path / "fresh") as fresh:
        fresh.start(ready=False)
        receiver.wait_for(before + 1, path="/slot")
        skipped = fresh.metric("angarium_schedule_slots_skipped_total")
        runs = fresh.metric("angarium_schedule_runs_total")
    assert 55 <= skipped <= 61
    assert runs in (1, 2), "the newest missed slot, and the next one if a minute ends just now"


def test_a_back_up_that_cannot_be_made_says_so_in_one_line(angarium: Angarium, tmp_path: Path) -> None:
    (tmp_path / "copy.db").touch()
    for database, words in ((angarium.database, "exists already"), (tmp_path / "missing.db", "there is no database")):
        done = backup(database, tmp_path / "copy.db")
        assert (done.returncode, done.stdout) == (2, "")
        (line,) = done.stderr.splitlines()
        assert line.startswith("angarium: ") and words in line
