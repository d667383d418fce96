"""Queues made over the API (contract 10, 15.5, 22)."""

import json
from datetime import timedelta
from typing import Any

import pytest
from tests.support.api import OTHER_TOKEN, PUBLISH_ONLY_TOKEN, Api, Clock, attempt, serving

from angarium.domain.declarations import Kind, Queue
from angarium.domain.messages import Response
from angarium.domain.ports import Limits, Store
from angarium.service.objects import Quotas

URL = "https://e.test/in"


async def upsert(api: Api, name: str = "mail", **settings: object) -> None:
    await api.done("POST", "/v2/queues", body={"queueName": name, **settings})


async def enqueue(api: Api, queue: str = "mail") -> Any:
    return await api.done("POST", f"/v2/enqueue/{queue}/{URL}")


async def test_a_queue_is_made_and_changed_both_ways(api: Api) -> None:
    assert await api.done("GET", "/v2/queues") == []
    await upsert(api)
    now_ms = int(api.clock.now().timestamp() * 1000)
    times = {"createdAt": now_ms, "updatedAt": now_ms}
    assert await api.done("GET", "/v2/queues/mail") == {
        "name": "mail",
        "parallelism": 1,
        **times,
        "lag": 0,
        "paused": False,
    }
    api.clock.time += timedelta(seconds=5)
    await upsert(api, parallelism=3, paused=True)
    changed = {"name": "mail", "parallelism": 3, **times, "updatedAt": now_ms + 5000, "lag": 0, "paused": True}
    assert await api.done("GET", "/v2/queues") == [changed]
    await upsert(api, parallelism=2, paused=False)
    assert (await api.done("GET", "/v2/queues/mail"))["paused"] is False


@pytest.mark.parametrize("action", ["pause", "resume"])
async def test_pause_and_resume_are_idempotent_and_need_a_queue(api: Api, action: str) -> None:
    reply = await api.request("POST", f"/v2/queues/mail/{action}")
    assert reply.status == 404 and "'mail'" in reply.error
    await upsert(api, parallelism=4)
    for _ in range(2):
        await api.done("POST", f"/v2/queues/mail/{action}")
        queue = await api.done("GET", "/v2/queues/mail")
        assert (queue["paused"], queue["parallelism"]) == (action == "pause", 4)


async def test_deleting_is_idempotent(api: Api) -> None:
    await api.done("DELETE", "/v2/queues/mail")
    await upsert(api)
    await api.done("DELETE", "/v2/queues/mail")
    assert (await api.request("GET", "/v2/queues/mail")).status == 404
    await api.done("DELETE", "/v2/queues/mail")
    assert await api.done("GET", "/v2/queues") == []


async def test_enqueue_makes_a_missing_queue_and_leaves_one_as_it_is(api: Api) -> None:
    await upsert(api, "known", parallelism=5, paused=True)
    for queue in ("known", "new"):
        await enqueue(api, queue)
        await enqueue(api, queue)
    shown = {queue["name"]: queue for queue in await api.done("GET", "/v2/queues")}
    assert [(shown[name]["parallelism"], shown[name]["paused"]) for name in ("known", "new")] == [(5, True), (1, False)]
    assert [shown[name]["lag"] for name in ("known", "new")] == [2, 2]


async def test_deleting_a_queue_cancels_its_messages_in_flight_or_not(api: Api) -> None:
    api.dispatch.room = 1
    first, second = [await enqueue(api) for _ in range(2)]
    other = await api.publish(URL)
    await api.done("DELETE", "/v2/queues/mail")
    assert await api.done("GET", "/v2/queues") == []
    for message in (first, second):
        events = (await api.done("GET", f"/v2/events?messageId={message['messageId']}"))["events"]
        assert events[0]["state"] == "CANCELED"
        assert (await api.request("DELETE", f"/v2/messages/{message['messageId']}")).status == 404
    assert (await api.done("DELETE", f"/v2/messages/{other['messageId']}")) == {"cancelled": 1}


async def test_a_queue_made_again_begins_empty_and_delivers(api: Api) -> None:
    await enqueue(api)
    await enqueue(api)
    await api.done("DELETE", "/v2/queues/mail")
    published = await enqueue(api)
    assert (await api.done("GET", "/v2/queues/mail"))["lag"] == 1
    await attempt(api, Response(200))
    events = (await api.done("GET", f"/v2/events?messageId={published['messageId']}"))["events"]
    assert events[0]["state"] == "DELIVERED"
    assert (await api.done("GET", "/v2/queues/mail"))["lag"] == 0


async def test_a_paused_queue_takes_messages_and_resumes_with_the_oldest(api: Api) -> None:
    await upsert(api, paused=True)
    published = [await enqueue(api) for _ in range(3)]
    await attempt(api, Response(200))
    assert (await api.done("GET", "/v2/queues/mail"))["lag"] == 3
    await api.done("POST", "/v2/queues/mail/resume")
    assert api.dispatch.wakes
    for left in (2, 1, 0):
        await attempt(api, Response(200))
        assert (await api.done("GET", "/v2/queues/mail"))["lag"] == left
    delivered = (await api.done("GET", "/v2/events?state=DELIVERED&order=earliestFirst"))["events"]
    assert [entry["messageId"] for entry in delivered] == [message["messageId"] for message in published]


async def test_more_parallelism_takes_effect_at_once(api: Api) -> None:
    for _ in range(4):
        await enqueue(api)
    await upsert(api, parallelism=3)
    await attempt(api, Response(200))
    assert (await api.done("GET", "/v2/queues/mail"))["lag"] == 1


BAD = [
    (b"", "body", 400),
    (b"nonsense", "body", 400),
    (b'"mail"', "body", 400),
    (b"{}", "queueName", 400),
    (b'{"queueName": null}', "queueName", 400),
    (b'{"queueName": 1}', "queueName", 400),
    (b'{"queueName": ""}', "queueName", 400),
    (b'{"queueName": "a b"}', "queueName", 400),
    (b'{"queueName": "a/b"}', "queueName", 400),
    (b'{"queueName": "mail", "parallelism": 0}', "parallelism", 400),
    (b'{"queueName": "mail", "parallelism": -1}', "parallelism", 400),
    (b'{"queueName": "mail", "parallelism": 1.5}', "parallelism", 400),
    (b'{"queueName": "mail", "parallelism": "2"}', "parallelism", 400),
    (b'{"queueName": "mail", "parallelism": true}', "parallelism", 400),
    (b'{"queueName": "mail", "parallelism": 1001}', "parallelism", 412),
    (b'{"queueName": "mail", "parallelism": 99999999999999999999999999}', "parallelism", 412),
    (b'{"queueName": "mail", "paused": "true"}', "paused", 400),
    (b'{"queueName": "mail", "paused": 1}', "paused", 400),
]


@pytest.mark.parametrize(("body", "field", "status"), BAD)
async def test_bad_settings_are_named_and_nothing_is_made(api: Api, body: bytes, field: str, status: int) -> None:
    reply = await api.request("POST", "/v2/queues", body=body)
    assert (reply.status, reply.error.partition(": ")[0]) == (status, field), reply.body
    assert await api.done("GET", "/v2/queues") == []


async def test_a_full_tenant_still_changes_what_it_has(store: Store, clock: Clock) -> None:
    async with serving(store, clock, quotas=Quotas({Kind.QUEUE: 1})) as api:
        await upsert(api)
        refused = await api.request("POST", "/v2/queues", body=b'{"queueName": "more"}')
        assert refused.status == 412 and "limit of 1" in refused.error
        await upsert(api, parallelism=2)
        assert [queue["parallelism"] for queue in await api.done("GET", "/v2/queues")] == [2]


async def test_trailing_slashes(api: Api) -> None:
    await api.done("POST", "/v2/queues/", body={"queueName": "mail"})
    assert len(await api.done("GET", "/v2/queues/")) == 1
    assert (await api.request("DELETE", "/v2/queues/")).status in (404, 405)
    assert len(await api.done("GET", "/v2/queues")) == 1


async def test_others_see_nothing_and_publishers_change_nothing(api: Api) -> None:
    await upsert(api)
    other, publisher = (("Authorization", f"Bearer {token}") for token in (OTHER_TOKEN, PUBLISH_ONLY_TOKEN))
    assert await api.done("GET", "/v2/queues", other) == []
    await api.done("DELETE", "/v2/queues/mail", other)
    assert (await api.request("POST", "/v2/queues/mail/pause", other)).status == 404
    assert (
        await api.request("POST", "/v2/queues", publisher, body=json.dumps({"queueName": "x"}).encode())
    ).status == 403
    assert len(await api.done("GET", "/v2/queues")) == 1


@pytest.mark.parametrize("limits", [Limits(queues=1)])
async def test_no_message_makes_one_queue_too_many(store: Store, clock: Clock, limits: Limits) -> None:
    async with serving(store, clock) as api:
        await enqueue(api)
        refused = await api.request("POST", f"/v2/enqueue/more/{URL}")
        assert refused.status == 412 and "limit of 1" in refused.error
        await enqueue(api)
        await api.declare(("declared", Queue()))
        await enqueue(api, "declared")
        batch = [{"destination": URL, "queue": queue} for queue in ("more", "mail")]
        first, second = await api.done("POST", "/v2/batch", ("Content-Type", "application/json"), body=batch)
        assert set(first) == {"error"} and set(second) == {"messageId", "url"}
        assert [queue["name"] for queue in await api.done("GET", "/v2/queues")] == ["declared", "mail"]
