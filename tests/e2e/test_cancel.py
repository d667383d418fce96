"""Cancel seen from the destination: its connections end, and who waited behind what was canceled comes at once."""

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml
from tests.support.angarium import Angarium
from tests.support.cluster import wait_for
from tests.support.hostile import Hostile, Watch

from angarium.files.users import DEFAULT_USER

PER_HOST = 100
PATIENT = {"Upstash-Timeout": "10m", "Upstash-Retries": "3"}
SOON_S = 20.0
"""On a machine that is busy with other things. Without the cancel it would be ten minutes."""


class Destination:
    """One host. What has `hang` in its path is never answered."""

    def __init__(self, hostile: Hostile) -> None:
        self.watch = Watch()
        self.port = hostile.serve(self.watch.conduct)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def holds(self, count: int, within: float = 30) -> None:
        wait_for(
            lambda: self.watch.under_way, lambda found: found == count, within=within, describe=f"{count} under way"
        )

    def came(self, count: int) -> None:
        came = self.watch.came
        wait_for(lambda: len(came), lambda found: found >= count, within=30, describe=f"{count} have come")

    def got(self, path: str, within: float = SOON_S) -> None:
        wait_for(lambda: path in self.watch.came, bool, within=within, describe=f"{path} has come")


@pytest.fixture
def destination() -> Iterator[Destination]:
    with Hostile() as hostile:
        yield Destination(hostile)


def states(client: httpx.Client, message_id: str) -> list[str]:
    """Oldest first."""
    log = client.get("/v2/logs", params={"messageIds": message_id}).raise_for_status().json()["logs"]
    return [entry["state"] for entry in reversed(log)]


def publish(client: httpx.Client, destination: Destination, path: str, **headers: str) -> str:
    answer = client.post(f"/v2/publish/{destination.url(path)}", headers=PATIENT | headers).raise_for_status().json()
    message_id: str = answer["messageId"]
    return message_id


def test_a_host_that_hangs_is_left_alone_and_its_next_messages_arrive(
    client: httpx.Client, destination: Destination
) -> None:
    batch = [{"destination": destination.url(f"/hang/{n}"), "headers": PATIENT} for n in range(PER_HOST + 10)]
    ids = [one["messageId"] for one in client.post("/v2/batch", json=batch).raise_for_status().json()]
    destination.holds(PER_HOST)
    for number in range(10):
        publish(client, destination, f"/next/{number}")
    reply = client.request("DELETE", "/v2/messages", json={"messageIds": ids}).raise_for_status()
    assert reply.json() == {"cancelled": len(ids)}
    destination.holds(0, SOON_S)
    for number in range(10):
        destination.got(f"/next/{number}")
    attempted, never = "CREATED,ACTIVE,CANCEL_REQUESTED,CANCELED", "CREATED,CANCEL_REQUESTED,CANCELED"
    became = [",".join(states(client, one)) for one in ids]
    assert set(became[:50]) == {attempted}
    assert set(became) <= {attempted, never}
    came = [path for path in destination.watch.came if "hang" in path]
    # Many are canceled in pieces: those that waited may have begun in the places of the first piece.
    assert PER_HOST <= len(came) == len(set(came)) <= became.count(attempted), "none was made twice, or without a lease"
    assert client.get("/v2/dlq").json()["messages"] == []


def test_a_queue_goes_on_when_the_message_at_its_head_is_canceled(
    client: httpx.Client, destination: Destination
) -> None:
    head, *_ = [
        client.post(f"/v2/enqueue/orders/{destination.url(path)}", headers=PATIENT).json()["messageId"]
        for path in ("/hang", "/second", "/third/hang", "/fourth")
    ]
    destination.holds(1)
    assert client.delete(f"/v2/messages/{head}").json() == {"cancelled": 1}
    destination.got("/second")
    destination.got("/third/hang")
    assert destination.watch.most == 1 and "/fourth" not in destination.watch.came
    client.delete("/v2/queues/orders").raise_for_status()
    destination.holds(0, SOON_S)
    assert "/fourth" not in destination.watch.came, "it went with its queue"


def test_no_more_attempts_than_a_key_allows_while_messages_are_canceled(
    client: httpx.Client, destination: Destination
) -> None:
    limits = {"Upstash-Flow-Control-Key": "shared", "Upstash-Flow-Control-Value": "parallelism=5"}
    batch = [{"destination": destination.url(f"/hang/{n}"), "headers": PATIENT | limits} for n in range(200)]
    ids = [one["messageId"] for one in client.post("/v2/batch", json=batch).raise_for_status().json()]
    for begun in range(5, len(ids) + 1, 5):
        destination.came(begun)
        some = ids[begun - 5 : begun]
        assert client.request("DELETE", "/v2/messages", json={"messageIds": some}).json() == {"cancelled": 5}
    destination.holds(0, SOON_S)
    assert destination.watch.most == 5 and len(destination.watch.came) == 200


def test_a_run_that_replaces_another_is_alone_at_the_destination(tmp_path: Path, destination: Destination) -> None:
    spec = {"every": "1s", "concurrencyPolicy": "Replace", "destination": {"url": destination.url("/hang")}}
    document = {
        "apiVersion": "angarium.dev/v1alpha1",
        "kind": "Schedule",
        "metadata": {"name": "report"},
        "spec": spec | {"timeout": "10m"},
    }
    file = tmp_path / "schedule.yaml"
    file.write_text(yaml.safe_dump(document))
    with Angarium(tmp_path, command="dev", settings={"drain": "1s"}, paths=(str(file),)) as angarium:
        angarium.start()
        destination.came(6)
        assert destination.watch.most == 1
        with angarium.client(DEFAULT_USER.token) as client:
            log = client.get("/v2/logs", params={"scheduleId": "report", "count": 100}).json()["logs"]
        by_message: dict[str, list[str]] = {}
        for entry in reversed(log):
            by_message.setdefault(entry["messageId"], []).append(entry["state"])
        *replaced, _ = by_message.values()
        assert len(replaced) >= 5
        assert replaced == [["CREATED", "ACTIVE", "CANCEL_REQUESTED", "CANCELED"]] * len(replaced)


def test_attempts_that_the_grace_period_cuts_off_end_at_the_destination(
    tmp_path: Path, destination: Destination
) -> None:
    with Angarium(tmp_path, command="dev", settings={"drain": "1s"}) as angarium:
        angarium.start()
        with angarium.client(DEFAULT_USER.token) as client:
            ids = [publish(client, destination, "/hang") for _ in range(20)]
            destination.holds(20)
            begun = time.monotonic()
            assert angarium.stop() == 0
            assert time.monotonic() - begun < 15
            destination.holds(0, SOON_S)
            angarium.start()
            destination.holds(20)
            assert {",".join(states(client, one)) for one in ids} == {"CREATED,ACTIVE"}
            assert client.request("DELETE", "/v2/messages").json() == {"cancelled": 20}
            destination.holds(0, SOON_S)
