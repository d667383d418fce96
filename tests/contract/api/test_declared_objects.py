"""What resources declare, through the API: read like everything else, changed with kubectl (DESIGN 5, Ownership)."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.support.api import Api

from angarium.domain.declarations import (
    Callback,
    DeliveryOptions,
    Destination,
    Endpoint,
    FlowControl,
    Header,
    KeyRef,
    Queue,
    Schedule,
    Timing,
    Topic,
    TopicMember,
)

URL = "https://reports.test/in"
CRON = Timing(cron="0 6 * * 1-5", time_zone="Europe/Berlin")
SCHEDULES = "schedules.angarium.dev daily"
QUEUES = "queues.angarium.dev mail"
TOPICS = "topics.angarium.dev orders"


@pytest.fixture
async def declared(api: Api) -> Api:
    await api.declare(
        ("daily", Schedule(CRON, Destination(url=URL), body=b"x")),
        ("mail", Queue(4, suspend=True)),
        ("orders", Topic((TopicMember("a", url="https://a.test"),))),
    )
    return api


async def everything(api: Api) -> Any:
    return [await api.done("GET", path) for path in ("/v2/schedules", "/v2/queues", "/v2/topics")]


def patch(about: str, **spec: object) -> str:
    return f"patch {about} --type merge -p '{json.dumps({'spec': spec}, separators=(',', ':'))}'"


WRITES = [
    ("POST", f"/v2/schedules/{URL}", b"", f"edit {SCHEDULES}"),
    ("POST", f"/v2/publish/{URL}", b"", f"edit {SCHEDULES}"),
    ("DELETE", "/v2/schedules/daily", b"", f"delete {SCHEDULES}"),
    ("PATCH", "/v2/schedules/daily/pause", b"", patch(SCHEDULES, suspend=True)),
    ("POST", "/v2/schedules/daily/resume", b"", patch(SCHEDULES, suspend=False)),
    ("POST", "/v2/queues", b'{"queueName": "mail", "parallelism": 2}', patch(QUEUES, parallelism=2, suspend=False)),
    ("DELETE", "/v2/queues/mail", b"", f"delete {QUEUES}"),
    ("POST", "/v2/queues/mail/pause", b"", patch(QUEUES, suspend=True)),
    ("POST", "/v2/queues/mail/resume", b"", patch(QUEUES, suspend=False)),
    ("POST", "/v2/topics/orders/endpoints", b'{"endpoints": [{"url": "https://b.test"}]}', f"edit {TOPICS}"),
    ("DELETE", "/v2/topics/orders/endpoints", b'{"endpoints": [{"url": "https://a.test"}]}', f"edit {TOPICS}"),
    ("PATCH", "/v2/topics/orders", b'{"headers": {"X": "1"}}', f"edit {TOPICS}"),
    ("DELETE", "/v2/topics/orders", b"", f"delete {TOPICS}"),
]


@pytest.mark.parametrize(("method", "path", "body", "command"), WRITES, ids=lambda value: str(value)[:40])
async def test_every_write_is_answered_with_the_command_that_does_it(
    declared: Api, method: str, path: str, body: bytes, command: str
) -> None:
    before = await everything(declared)
    headers = [("Upstash-Cron", "* * * * *"), ("Upstash-Schedule-Id", "daily")]
    reply = await declared.request(method, path, *headers, body=body)
    assert reply.status == 409 and reply.error.endswith(f"run: kubectl -n shop {command}"), reply.body
    assert "declared by a resource" in reply.error
    assert await everything(declared) == before


async def test_they_stand_beside_those_of_the_api(declared: Api) -> None:
    cron = [("Upstash-Cron", "* * * * *"), ("Upstash-Schedule-Id", "by-api")]
    await declared.done("POST", f"/v2/schedules/{URL}", *cron)
    await declared.done("POST", "/v2/queues", body={"queueName": "by-api"})
    await declared.done("POST", "/v2/topics/by-api/endpoints", body={"endpoints": [{"url": "https://b.test"}]})
    schedules, queues, topics = await everything(declared)
    assert [shown["scheduleId"] for shown in schedules] == ["by-api", "daily"]
    assert [shown["name"] for shown in queues] == ["by-api", "mail"]
    assert [shown["name"] for shown in topics] == ["by-api", "orders"]


async def test_a_declared_queue(declared: Api) -> None:
    now_ms = int(declared.clock.now().timestamp() * 1000)
    assert await declared.done("GET", "/v2/queues/mail") == {
        "name": "mail",
        "parallelism": 4,
        "createdAt": now_ms,
        "updatedAt": now_ms,
        "lag": 0,
        "paused": True,
    }


async def test_enqueueing_into_a_declared_queue_does_not_change_it(declared: Api) -> None:
    await declared.done("POST", f"/v2/enqueue/mail/{URL}")
    shown = await declared.done("GET", "/v2/queues/mail")
    assert (shown["parallelism"], shown["paused"], shown["lag"]) == (4, True, 1)


@pytest.mark.parametrize(
    ("timing", "cron"),
    [
        (CRON, "CRON_TZ=Europe/Berlin 0 6 * * 1-5"),
        (Timing(every=timedelta(seconds=90), anchor=datetime(2026, 3, 1, tzinfo=UTC)), "@every 90s"),
        (Timing(at=datetime(2026, 12, 24, 18, tzinfo=UTC)), "@at 2026-12-24T18:00:00Z"),
    ],
)
async def test_each_form_of_time_is_shown_as_cron(api: Api, timing: Timing, cron: str) -> None:
    await api.declare(("daily", Schedule(timing, Destination(url=URL))))
    assert (await api.done("GET", "/v2/schedules/daily"))["cron"] == cron


async def test_a_schedule_to_an_endpoint_shows_what_it_resolves_to_now(api: Api) -> None:
    options = DeliveryOptions(method="PUT", retry_limit=5, retry_delay="1000", timeout=timedelta(seconds=30))
    spec = Schedule(
        CRON,
        Destination(endpoint="reports"),
        body=b"{}",
        content_type="application/json",
        options=DeliveryOptions(
            headers=(Header("X-A", "1"), Header("Authorization", secret=KeyRef("auth", "header"))),
            flow_control=FlowControl(rate=10, period=timedelta(minutes=1)),
        ),
        queue="mail",
        callback=Callback(Destination(endpoint="reports")),
    )
    await api.declare(("daily", spec))
    shown = await api.done("GET", "/v2/schedules/daily")
    assert (shown["destination"], shown["callback"]) == ("endpoint:reports", "endpoint:reports")
    assert (shown["method"], shown["retries"]) == ("POST", 3)
    await api.declare(("reports", Endpoint(URL, options)))
    shown = await api.done("GET", "/v2/schedules/daily")
    assert (shown["destination"], shown["callback"], shown["queueName"]) == (URL, URL, "mail")
    assert (shown["method"], shown["retries"], shown["timeout"]) == ("PUT", 5, 30_000)
    assert shown["retryDelayExpression"] == "1000"
    assert shown["header"] == {"Content-Type": ["application/json"], "X-A": ["1"]}
    assert (shown["flowControlKey"], shown["rate"], shown["period"]) == ("schedule/daily", 10, 60)


async def test_members_of_a_topic_are_shown_as_they_resolve_now(api: Api) -> None:
    members = (
        TopicMember("first", endpoint="billing"),
        TopicMember("second", url="https://audit.test"),
        TopicMember("third", endpoint="missing"),
    )
    await api.declare(("billing", Endpoint(URL)), ("orders", Topic(members)))
    assert (await api.done("GET", "/v2/topics/orders"))["endpoints"] == [
        {"name": "first", "url": URL},
        {"name": "second", "url": "https://audit.test"},
        {"name": "missing", "url": "endpoint:missing"},
    ]


async def test_a_resource_that_takes_an_object_over_ends_the_rights_of_the_api(api: Api) -> None:
    await api.done("POST", "/v2/queues", body={"queueName": "mail", "parallelism": 2})
    await api.done("POST", f"/v2/enqueue/mail/{URL}")
    await api.declare(("mail", Queue(3)))
    shown = await api.done("GET", "/v2/queues/mail")
    assert (shown["parallelism"], shown["lag"]) == (3, 1)
    reply = await api.request("POST", "/v2/queues", body=json.dumps({"queueName": "mail"}).encode())
    assert reply.status == 409


async def test_another_tenant_may_have_an_object_of_the_same_name(declared: Api) -> None:
    other = ("Authorization", "Bearer other-tenant-token==")
    await declared.done("POST", "/v2/queues", other, body={"queueName": "mail", "parallelism": 9})
    await declared.done("DELETE", "/v2/schedules/daily", other)
    assert (await declared.done("GET", "/v2/queues/mail", other))["parallelism"] == 9
    assert (await declared.done("GET", "/v2/queues/mail"))["parallelism"] == 4
    assert len(await declared.done("GET", "/v2/schedules")) == 1
