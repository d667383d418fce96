"""One version takes over from another on the same database: upwards with traffic, back again, and where that ends."""

import json
import subprocess
from collections.abc import Iterator
from hashlib import sha256
from itertools import groupby, pairwise
from pathlib import Path

import pytest
from tests.support import ledger
from tests.support.angarium import ANGARIUM, Angarium, refuses, run
from tests.support.another_version import NEWEST, launch
from tests.support.cluster import wait_for
from tests.support.disks import Disk
from tests.support.publishers import Publishers
from tests.support.receiver import Answer, Receiver
from tests.support.releases import DATABASE, FIRST, tables_of

from angarium.files.users import DEFAULT_USER

EARLIER, LATER = (NEWEST - 1, "0.0.9"), (NEWEST + 1, "9.9.9")
RATE = 200
WITHIN_S = 60.0
SLOW_S = 0.15
SCHEDULE = """
apiVersion: angarium.dev/v1alpha1
kind: Schedule
metadata: {{name: every-second}}
spec:
  every: 1s
  missedRunPolicy: RunAll
  destination: {{url: "{url}"}}
"""


def started(folder: Path, schema: int, number: str) -> Angarium:
    """Another version, on the folder's database; its own ports."""
    angarium = Angarium(folder, command="dev", launch=launch(schema, number))
    angarium.start()
    return angarium


def contents(folder: Path) -> dict[str, str]:
    files = (file for file in folder.iterdir() if file.name.startswith(DATABASE) and file.suffix != ".lock")
    return {file.name: sha256(file.read_bytes()).hexdigest() for file in files}


def refused(folder: Path, *words: str) -> None:
    """By this version."""
    refuses(run("dev", f"--database={folder / DATABASE}", "--port=0", "--health-port=0"), *words)


def publish(angarium: Angarium, url: str, **options: str) -> str:
    headers = {f"Upstash-{name}": value for name, value in options.items()}
    with angarium.client(DEFAULT_USER.token) as client:
        found: str = client.post(f"/v2/publish/{url}", headers=headers).raise_for_status().json()["messageId"]
        return found


def test_an_older_version_refuses_and_the_newer_one_goes_on(tmp_path: Path, receiver: Receiver) -> None:
    with started(tmp_path, *LATER) as later:
        message = publish(later, receiver.url("/later"), Delay="2s")
        assert later.stop() == 0
        before = contents(tmp_path)
        refused(
            tmp_path, f"has schema {NEWEST + 1}", "made by Angarium 9.9.9", f"up to {NEWEST};",
            "restore a backup from before the upgrade",
        )  # fmt: skip
        assert contents(tmp_path) == before
        later.start()
        request, *_ = receiver.wait_for(1, path="/later")
        assert request.header("Upstash-Message-Id") == message


def test_a_backup_from_before_the_upgrade_brings_the_older_version_back(tmp_path: Path, receiver: Receiver) -> None:
    with started(tmp_path, *EARLIER) as earlier:
        kept_back = publish(earlier, receiver.url("/before"), Delay="2s")
        done(run("backup", str(tmp_path / "before.db"), f"--database={earlier.database}", launch=launch(*EARLIER)))
    with started(tmp_path, NEWEST, "0.1.0") as present:
        lost = publish(present, receiver.url("/after"), Delay="1h")
    refuses(
        run("dev", f"--database={tmp_path / DATABASE}", "--port=0", "--health-port=0", launch=launch(*EARLIER)),
        f"knows schemas up to {NEWEST - 1}; install Angarium 0.1.0 or newer again",
    )
    done(run("restore", str(tmp_path / "before.db"), f"--database={tmp_path / DATABASE}", launch=launch(*EARLIER)))
    count = receiver.count("/before")
    with started(tmp_path, *EARLIER) as earlier, earlier.client(DEFAULT_USER.token) as client:
        requests = receiver.wait_for(count + 1, path="/before")
        assert {request.header("Upstash-Message-Id") for request in requests} == {kept_back}
        assert client.get(f"/v2/messages/{lost}").status_code == 404, "what came after the back-up is not in it"
    assert (tmp_path / f"{DATABASE}.replaced").exists()


def done(process: subprocess.CompletedProcess[str]) -> None:
    assert process.returncode == 0, process.stderr


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with Disk(tmp_path, "10m") as disk:
        yield disk


def test_a_migration_on_a_full_disk_changes_nothing_and_goes_on_when_there_is_room(tmp_path: Path, disk: Disk) -> None:
    database = FIRST.unpack(disk.path)
    before = tables_of(database)
    disk.fill()
    flags = ("dev", f"--database={disk.point / DATABASE}", "--port=0", "--health-port=0")
    for _ in range(2):
        refuses(
            run(*flags, launch=disk.launch(ANGARIUM)), "stays at schema 4", f"brought to {NEWEST}", "free disk space"
        )
        assert tables_of(database) == before
    disk.free()
    settings = {"database": str(disk.point / DATABASE)}
    with Angarium(tmp_path, command="dev", settings=settings, launch=disk.launch(ANGARIUM)) as angarium:
        angarium.start()
        assert angarium.stop() == 0, angarium.program.last_words()
    assert tables_of(database)["migrations"][-1]["schema"] == NEWEST


@pytest.mark.timeout(240)
def test_an_upgrade_under_traffic_loses_nothing(tmp_path: Path, receiver: Receiver) -> None:
    """Up from an earlier schema, then back to a version of the same one, on one port. `-rP` tells how long it took."""
    receiver.answer("/plain", Answer(delay_s=SLOW_S))
    manifest = tmp_path / "schedule.yaml"
    manifest.write_text(SCHEDULE.format(url=receiver.url("/slot")))
    angarium = Angarium(tmp_path, command="dev", paths=(str(manifest),), launch=launch(*EARLIER))
    with angarium:
        angarium.start()
        with Publishers(angarium, receiver, DEFAULT_USER.token, RATE) as publishers:
            publishers.wait_for(RATE)
            for number in ("9.9.9", "0.1.0"):
                become(angarium, NEWEST, number)
                publishers.wait_for(RATE)
        print(f"nobody took a message for {publishers.away:.1f} s at most; what was no 2xx: {publishers.refused}")
        wait_for(lambda: missing(publishers, receiver), lambda left: not left, within=WITHIN_S)
        assert angarium.stop() == 0
    assert publishers.refused, "nobody noticed: it did not end"
    plain, line = ([request.body.decode() for request in receiver.received(path)] for path in ("/plain", "/line"))
    assert set(plain) | set(line) == publishers.accepted.keys()
    order = [int(body.split(".")[1]) for body, _ in groupby(line)]
    assert order == list(range(len(order))), "the queue is out of order"
    found = ledger.read_left(angarium.database)
    assert list(found.faults()) == []
    slots = sorted(run.slot for run in found.of("every-second"))
    assert {(later - earlier).total_seconds() for earlier, later in pairwise(slots)} == {1.0}, "RunAll leaves none out"
    assert {run.state for run in found.of("every-second")} == {"Delivered"}


def become(angarium: Angarium, schema: int, number: str) -> None:
    """As an upgrade of the StatefulSet does it: SIGTERM, the drain, then the other version."""
    assert angarium.stop() == 0
    before = len(launch(schema, number))
    angarium.program.argv[:before] = [str(part) for part in launch(schema, number)]
    angarium.start()


def missing(publishers: Publishers, receiver: Receiver) -> set[str]:
    """The messages that were accepted and have not come, and the reports that have not."""
    came = {request.header("Upstash-Message-Id") for path in ("/plain", "/line") for request in receiver.received(path)}
    told = {json.loads(request.body)["sourceMessageId"] for request in receiver.received("/told")}
    lost = {body for body, message in publishers.accepted.items() if message not in came}
    reports = {body for body in publishers.accepted if publishers.is_told_of(body)}
    return lost | {f"a report on {body}" for body in reports if publishers.accepted[body] not in told}
