"""A full disk: publishers are told, nothing is stored in part, and all goes on by itself when there is space again."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.support.angarium import ANGARIUM, Angarium, refuses, run
from tests.support.cluster import wait_for
from tests.support.disks import Disk
from tests.support.receiver import Answer, Receiver

from angarium.files.users import DEFAULT_USER

LARGE = 200_000
SLOW_S = 1.5


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with Disk(tmp_path, "12m") as disk:
        yield disk


@pytest.fixture
def angarium(tmp_path: Path, disk: Disk) -> Iterator[Angarium]:
    settings = {"database": str(disk.point / "angarium.db"), "log-level": "info"}
    with Angarium(tmp_path, command="dev", settings=settings, launch=disk.launch(ANGARIUM)) as angarium:
        angarium.start()
        yield angarium


def publish(client: httpx.Client, receiver: Receiver, name: str, size: int = 10, **options: str) -> httpx.Response:
    headers = {f"Upstash-{option}": value for option, value in options.items()}
    return client.post(f"/v2/publish/{receiver.url(f'/{name}')}", content=b"x" * size, headers=headers)


def refused(answer: httpx.Response) -> None:
    assert answer.status_code in (503, 507), answer.text
    assert "free disk space" in answer.json()["error"]
    assert int(answer.headers["Retry-After"]) > 0


def fill(client: httpx.Client, receiver: Receiver, disk: Disk) -> int:
    """Publish until there is no room, and then take the last of it; returns how many were accepted."""
    disk.fill()
    accepted = 0
    while (answer := publish(client, receiver, "large", LARGE, Delay="1s")).status_code == 200:
        accepted += 1
        assert accepted < 1000
    refused(answer)
    disk.fill()
    return accepted


def test_it_refuses_delivers_what_it_can_and_recovers(angarium: Angarium, receiver: Receiver, disk: Disk) -> None:
    receiver.answer("/slow", Answer(delay_s=SLOW_S))
    with angarium.client(DEFAULT_USER.token) as client:
        for number in range(20):
            assert publish(client, receiver, f"before-{number}", Delay="2s").status_code == 200
        assert publish(client, receiver, "slow").status_code == 200
        receiver.wait_for(1, path="/slow")
        large = fill(client, receiver, disk)

        elements = [{"destination": receiver.url(f"/batch-{size}"), "body": "x" * size} for size in (5, LARGE)]
        answer = client.post("/v2/batch", json=elements)
        refused(answer)
        text = wait_for(lambda: angarium.health("/readyz"), lambda answer: answer[0] == 503)[1]
        assert "store" in text and "free disk space" in text
        assert angarium.health("/livez")[0] == 200
        logs = client.get("/v2/logs").raise_for_status().json()["logs"]
        assert not [entry for entry in logs if "/batch-" in entry["url"]], "nothing of it is stored"

        disk.free()
        wait_for(angarium.is_ready, within=30, describe="ready again")
        for number in range(20):
            receiver.wait_for(1, path=f"/before-{number}", timeout=20)
        receiver.wait_for(large, path="/large", timeout=20)
        assert publish(client, receiver, "after").status_code == 200
        receiver.wait_for(1, path="/after")
        wait_for(lambda: angarium.metric("angarium_messages_waiting") == 0, within=20, describe="all is done")
    sent = [request.target for request in receiver.received()]
    assert len(sent) == 20 + 1 + large + 1, "each message once, and nothing that was refused"
    assert angarium.program.running
    angarium.kill()
    angarium.start()


def test_a_start_on_a_full_disk(angarium: Angarium, receiver: Receiver, disk: Disk) -> None:
    """There has to be a file at least; with one it runs, and does what it can."""
    with angarium.client(DEFAULT_USER.token) as client:
        assert publish(client, receiver, "later", Delay="1s").status_code == 200
    angarium.kill()
    disk.fill()
    flags = (f"--database={disk.point / 'new.db'}", "--port=0", "--health-port=0")
    refuses(run("dev", *flags, launch=disk.launch(ANGARIUM)), "free disk space")
    angarium.start(ready=False)
    disk.free()
    receiver.wait_for(1, path="/later")
