"""More is published than can be delivered: the API goes on answering, and what it accepted is delivered, soon after."""

import json
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.angarium import Angarium
from tests.support.processes import memory
from tests.support.receiver import Answer, Receiver
from tests.support.sink import Sink, sink

from angarium.files.users import DEFAULT_USER

RATE = 10_000  # a second, some ten times what this machine delivers while the flood takes a part of it
ALLOWED = {"200", "201", "202", "429", "503"}
PATIENCE_S = 60
MEMORY_MIB = 250


@pytest.fixture
def angarium(tmp_path: Path) -> Iterator[Angarium]:
    with Angarium(tmp_path, command="dev") as angarium:
        angarium.start()
        yield angarium


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Sink]:
    with sink(tmp_path) as target:
        yield target


def flood(angarium: Angarium, target: Sink, connections: int, seconds: float) -> subprocess.Popen[str]:
    given = [angarium.port, DEFAULT_USER.token, target.url, RATE, connections, seconds]
    command = [sys.executable, "-m", "tests.support.flood", *map(str, given)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def report_of(process: subprocess.Popen[str], within_s: float) -> dict[str, Any]:
    output, _ = process.communicate(timeout=within_s)
    assert process.returncode == 0
    report: dict[str, Any] = json.loads(output)
    return report


def check_answers(report: dict[str, Any]) -> None:
    assert set(report["statuses"]) <= ALLOWED, report["statuses"]
    assert report["without_retry_after"] == 0
    assert report["unanswered"] == 0
    assert report["unsent"] > 0, "it was no overload"
    assert report["accepted"]


def wait_for_all(target: Sink, accepted: Iterable[int], within_s: float) -> None:
    """Every accepted number arrives, and none that was refused."""
    wanted, deadline = set(accepted), time.monotonic() + within_s
    while missing := wanted - (arrived := set(target.numbers())):
        assert time.monotonic() < deadline, f"{len(missing)} of {len(wanted)} did not arrive within {within_s} s"
        time.sleep(0.2)
    assert arrived == wanted


def test_every_publish_is_answered_and_what_was_accepted_is_delivered(angarium: Angarium, target: Sink) -> None:
    report = report_of(flood(angarium, target, connections=500, seconds=5), within_s=PATIENCE_S)
    check_answers(report)
    wait_for_all(target, report["accepted"], PATIENCE_S)
    assert angarium.metric("angarium_messages_waiting") == 0


def test_what_waits_for_a_destination_that_hangs_refuses_nobody(angarium: Angarium, target: Sink) -> None:
    with Receiver(default=Answer(ending="hang")) as hanging, angarium.client(DEFAULT_USER.token) as client:
        batch = [{"destination": hanging.url("/never"), "body": str(number)} for number in range(500)]
        for _ in range(8):
            answers = client.post("/v2/batch", json=batch).raise_for_status().json()
            assert all("messageId" in answer for answer in answers)
        hanging.wait_for(1)
        for number in range(300):
            client.post(f"/v2/publish/{target.url}", content=str(number)).raise_for_status()
        wait_for_all(target, range(300), PATIENCE_S)
        assert angarium.metric("angarium_messages_waiting") > 3_000
        angarium.kill()


@pytest.mark.thorough
@pytest.mark.parametrize("connections", [640, 900])
def test_a_minute_of_overload_is_over_ten_seconds_after_its_end(
    angarium: Angarium, target: Sink, connections: int
) -> None:
    process = flood(angarium, target, connections, seconds=60)
    used: list[float] = []
    while process.poll() is None and len(used) < 60:
        used.append(memory(angarium.program.pid).rss)
        time.sleep(1)
    report = report_of(process, within_s=PATIENCE_S)
    ended = time.monotonic()
    check_answers(report)
    wait_for_all(target, report["accepted"], PATIENCE_S)
    assert time.monotonic() - ended <= 10
    assert max(used) <= MEMORY_MIB, used
    with angarium.client(DEFAULT_USER.token) as client:
        assert sorted(_publish_s(client, target) for _ in range(50))[25] < 0.05


def _publish_s(client: httpx.Client, target: Sink) -> float:
    began = time.monotonic()
    client.post(f"/v2/publish/{target.url}", content=b"1").raise_for_status()
    return time.monotonic() - began
