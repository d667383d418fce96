"""Objects that people declare and objects made over the API: who may change what, and who takes over from whom."""

import shlex
from collections.abc import Iterator

import pytest
from qstash import QStash
from qstash.errors import QStashError
from tests.support.cluster import Object, wait_for
from tests.support.stage import STATUS_S, Stage


@pytest.fixture(scope="module")
def sdk(stage: Stage) -> Iterator[QStash]:
    client = QStash(stage.token, base_url=stage.angarium.url)
    yield client
    client.http._client.close()  # the SDK offers no way to close its connections


@pytest.fixture(scope="module")
def declared(stage: Stage) -> Stage:
    """One of each kind that the API has too."""
    stage.endpoint("billing")
    stage.apply("Queue", "mail", {"parallelism": 4})
    stage.apply(
        "Topic", "orders",
        {"endpoints": [
            {"name": "billing", "endpointRef": {"name": "billing"}},
            {"name": "audit", "url": stage.receiver.url("/audit")},
        ]},
    )  # fmt: skip
    stage.apply(
        "Schedule", "yearly",
        {
            "cron": "0 6 1 1 *",
            "timeZone": "Europe/Berlin",
            "destination": {"endpointRef": {"name": "billing"}},
            "queueRef": {"name": "mail"},
            "callback": {"url": stage.receiver.url("/done")},
            "flowControl": {"rate": 10, "period": "1m"},
            "body": {"text": "happy new year"},
        },
    )  # fmt: skip
    stage.ready(("Queue", "mail"), ("Topic", "orders"), ("Schedule", "yearly"))
    return stage


def test_the_sdk_reads_a_declared_queue(declared: Stage, sdk: QStash) -> None:
    found = sdk.queue.get("mail")
    assert (found.name, found.parallelism, found.lag, found.paused) == ("mail", 4, 0, False)
    assert "mail" in [one.name for one in sdk.queue.list()]


def test_the_sdk_reads_a_declared_topic(declared: Stage, sdk: QStash) -> None:
    found = sdk.url_group.get("orders")
    urls = [(one.name, one.url) for one in found.endpoints]
    assert urls == [("billing", declared.receiver.url("/billing")), ("audit", declared.receiver.url("/audit"))]
    assert "orders" in [one.name for one in sdk.url_group.list()]


def test_the_sdk_reads_a_declared_schedule(declared: Stage, sdk: QStash) -> None:
    found = sdk.schedule.get("yearly")
    assert (found.schedule_id, found.cron) == ("yearly", "CRON_TZ=Europe/Berlin 0 6 1 1 *")
    assert found.destination == declared.receiver.url("/billing")
    assert (found.queue, found.callback) == ("mail", declared.receiver.url("/done"))
    assert found.body == "happy new year"
    assert found.flow_control is not None
    assert (found.flow_control.key, found.flow_control.rate, found.flow_control.period) == ("schedule/yearly", 10, 60)
    assert "yearly" in [one.schedule_id for one in sdk.schedule.list()]


WRITES: list[tuple[str, str, str, Object | None]] = [
    ("Queue", "POST", "/v2/queues", {"queueName": "mail", "parallelism": 4, "paused": False}),
    ("Queue", "DELETE", "/v2/queues/mail", None),
    ("Queue", "POST", "/v2/queues/mail/pause", None),
    ("Queue", "POST", "/v2/queues/mail/resume", None),
    ("Topic", "POST", "/v2/topics/orders/endpoints", {"endpoints": [{"url": "https://b.test"}]}),
    ("Topic", "DELETE", "/v2/topics/orders/endpoints", {"endpoints": [{"name": "audit"}]}),
    ("Topic", "PATCH", "/v2/topics/orders", {"headers": {"X-A": "1"}}),
    ("Topic", "DELETE", "/v2/topics/orders", None),
    ("Schedule", "POST", "/v2/schedules/https://a.test", None),
    ("Schedule", "DELETE", "/v2/schedules/yearly", None),
    ("Schedule", "PATCH", "/v2/schedules/yearly/pause", None),
    ("Schedule", "POST", "/v2/schedules/yearly/resume", None),
]


@pytest.mark.parametrize(("kind", "method", "path", "body"), WRITES, ids=[f"{one[1]} {one[2]}" for one in WRITES])
def test_every_write_is_refused_with_a_command_that_kubectl_knows(
    declared: Stage, kind: str, method: str, path: str, body: Object | None
) -> None:
    before = {one: {obj["metadata"]["name"]: obj["spec"] for obj in declared.list_all(one)} for one in OF_THE_API}
    headers = {"Upstash-Schedule-Id": "yearly", "Upstash-Cron": "* * * * *"}
    answer = declared.api(method, path, headers=headers, **({"json": body} if body else {}))
    assert answer.status_code == 409, answer.text
    command = command_in(answer.json()["error"])
    if command[3] == "edit":  # it would open an editor
        command[3] = "get"
    declared.control_plane.kubectl(*command[1:], *(["--dry-run=server"] if command[3] != "get" else []))
    after = {one: {obj["metadata"]["name"]: obj["spec"] for obj in declared.list_all(one)} for one in OF_THE_API}
    assert after == before


OF_THE_API = ("Queue", "Topic", "Schedule")


def command_in(error: str) -> list[str]:
    command = shlex.split(error.rpartition("run: ")[2])
    assert command[:2] == ["kubectl", "-n"], error
    return command


def test_the_command_does_what_was_asked(declared: Stage) -> None:
    answer = declared.api("POST", "/v2/queues/mail/pause")
    declared.control_plane.kubectl(*command_in(answer.json()["error"])[1:])
    wait_for(lambda: declared.api("GET", "/v2/queues/mail").json()["paused"], bool)
    declared.condition("Queue", "mail", "Ready=True", "Suspended")


def test_the_sdk_tells_the_refusal(declared: Stage, sdk: QStash) -> None:
    with pytest.raises(QStashError, match="kubectl"):
        sdk.queue.delete("mail")


MADE: dict[str, tuple[str, str, Object, Object]] = {
    "Topic": ("/v2/topics/taken/endpoints", "/v2/topics/taken", {"endpoints": [{"url": "https://a.test"}]},
              {"endpoints": [{"name": "b", "url": "https://b.test"}]}),
    "Schedule": ("/v2/schedules/https://a.test", "/v2/schedules/taken", {},
                 {"cron": "@yearly", "destination": {"url": "https://b.test"}}),
}  # fmt: skip


@pytest.mark.parametrize("kind", sorted(MADE))
def test_what_the_api_made_is_taken_over_and_does_not_come_back(stage: Stage, kind: str) -> None:
    making, reading, body, spec = MADE[kind]
    headers = {"Upstash-Schedule-Id": "taken", "Upstash-Cron": "0 0 1 1 *"}
    assert stage.api("POST", making, json=body, headers=headers).is_success
    assert "https://a.test" in stage.api("GET", reading).text
    stage.apply(kind, "taken", spec)
    stage.ready((kind, "taken"))
    (event,) = stage.events(kind, "taken", "TakenOver")
    assert (event["type"], event["count"]) == ("Normal", 1)
    shown = stage.api("GET", reading).text
    assert "https://b.test" in shown
    assert "https://a.test" not in shown
    assert stage.api("POST", making, json=body, headers=headers).status_code == 409
    stage.delete(kind, "taken")
    wait_for(lambda: stage.api("GET", reading).status_code, lambda code: code == 404, within=STATUS_S)
    assert stage.api("POST", making, json=body, headers=headers).is_success, "the name is free again"


def test_what_the_api_made_needs_no_resource_and_gets_no_status(stage: Stage) -> None:
    assert stage.api("POST", "/v2/queues", json={"queueName": "Only_API", "parallelism": 2}).is_success
    assert stage.api("POST", f"/v2/enqueue/Only_API/{stage.receiver.url('/only-api')}").is_success
    stage.receiver.wait_for(1, path="/only-api")
    assert [obj["metadata"]["name"] for obj in stage.list_all("Queue") if "nly" in obj["metadata"]["name"]] == []
    assert stage.api("GET", "/v2/queues/Only_API").status_code == 200
