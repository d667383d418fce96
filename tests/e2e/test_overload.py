"""More is published than can be delivered: the API goes on answering, and what it accepted is delivered, soon after."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.angarium import Angarium
from tests.support.receiver import Answer, Receiver

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


def flood(angarium: Angarium, receiver: Receiver, connections: int, seconds: float) -> subprocess.Popen[str]:
    given = [angarium.port, DEFAULT_USER.token, receiver.url("/flood"), RATE, connections, seconds]
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


def wait_for_all(receiver: Receiver, accepted: list[int], within_s: float) -> None:
    """Every accepted number has arrived. Those that were refused have not."""
    receiver.wait_for(len(accepted), timeout=within_s, path="/flood")
    arrived = {int(request.body) for request in receiver.received("/flood")}
    assert not set(accepted) - arrived
    assert arrived == set(accepted)


def test_every_publish_is_answered_and_what_was_accepted_is_delivered(angarium: Angarium, receiver: Receiver) -> None:
    report = report_of(flood(angarium, receiver, connections=500, seconds=5), within_s=PATIENCE_S)
    check_answers(report)
    wait_for_all(receiver, report["accepted"], PATIENCE_S)
    assert angarium.metric("angarium_messages_waiting") == 0


def test_what_waits_for_a_destination_that_hangs_refuses_nobody(angarium: Angarium, receiver: Receiver) -> None:
    with Receiver(default=Answer(ending="hang")) as hanging, angarium.client(DEFAULT_USER.token) as client:
        batch = [{"destination": hanging.url("/never"), "body": str(number)} for number in range(500)]
        for _ in range(8):
            answers = client.post("/v2/batch", json=batch).raise_for_status().json()
            assert all("messageId" in answer for answer in answers)
        hanging.wait_for(1)
        for number in range(300):
            client.post(f"/v2/publish/{receiver.url('/flood')}", content=str(number)).raise_for_status()
        wait_for_all(receiver, list(range(300)), PATIENCE_S)
        assert angarium.metric("angarium_messages_waiting") > 3_000
        angarium.kill()


@pytest.mark.thorough
@pytest.mark.parametrize("connections", [640, 900])
def test_a_minute_of_overload_is_over_ten_seconds_after_its_end(
    angarium: Angarium, receiver: Receiver, connections: int
) -> None:
    process = flood(angarium, receiver, connections, seconds=60)
    memory = []
    while process.poll() is None and len(memory) < 60:
        memory.append(angarium.program.resident_mib())
        time.sleep(1)
    report = report_of(process, within_s=PATIENCE_S)
    ended = time.monotonic()
    check_answers(report)
    wait_for_all(receiver, report["accepted"], PATIENCE_S)
    assert time.monotonic() - ended <= 10
    assert max(memory) <= MEMORY_MIB, memory
    with angarium.client(DEFAULT_USER.token) as client:
        assert sorted(_publish_s(client, receiver) for _ in range(50))[25] < 0.05


def _publish_s(client: httpx.Client, receiver: Receiver) -> float:
    began = time.monotonic()
    client.post(f"/v2/publish/{receiver.url('/after')}", content=b"1").raise_for_status()
    return time.monotonic() - began
