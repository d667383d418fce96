"""Every field that the API can emit is described, and every field that is described is emitted.

One tenant does everything there is to do, with all options set; each answer has to be exactly as described, and at the
end nothing may be described that was never seen.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from tests.contract.openapi.conftest import Checked
from tests.contract.openapi.description import Description
from tests.support.api import Api, attempt, orders
from tests.support.waiting import until

from angarium.domain.declarations import Endpoint
from angarium.domain.messages import Response
from angarium.engine.decisions import Decisions
from angarium.engine.scheduler import Scheduler
from angarium.engine.supervisor import Pulse

Headers = Sequence[tuple[str, str]]

LIMITS: Headers = (
    ("Upstash-Flow-Control-Key", "a/key"),
    ("Upstash-Flow-Control-Value", "parallelism=3, rate=4, period=1m"),
)
CALLBACKS: Headers = (
    ("Upstash-Callback", "https://back.test/any"),
    ("Upstash-Callback-Forward-X-Any", "1"),
    ("Upstash-Failure-Callback", "https://back.test/failed"),
    ("Upstash-Failure-Callback-Forward-X-Failed", "2"),
)
SHARED: Headers = (
    *LIMITS,
    *CALLBACKS,
    ("Content-Type", "text/plain"),
    ("Upstash-Forward-X-Hidden", "secret"),
    ("Upstash-Method", "PUT"),
    ("Upstash-Timeout", "30s"),
    ("Upstash-Retries", "1"),
    ("Upstash-Retry-Delay", "1000 * (1 + retried)"),
    ("Upstash-Label", "one, two"),
    ("Upstash-Redact-Fields", "header[X-Hidden]"),
)
ONCE: Headers = (("Upstash-Deduplication-Id", "once"),)
JSON = ("Content-Type", "application/json")
BINARY = b"\xff\x00"
TEXT_ANSWER = Response(500, (("X-Answer", "a"), ("Content-Type", "text/plain")), b"no")
BINARY_ANSWER = Response(502, (("X-Answer", "b"),), BINARY)


def in_json(value: object) -> bytes:
    return json.dumps(value).encode()


class References:
    """No Schedule here takes its body from a ConfigMap."""

    async def body_of(self, *_: object) -> bytes:
        raise AssertionError("no reference was expected")


@asynccontextmanager
async def firing(api: Api) -> AsyncIterator[Scheduler]:
    scheduler = Scheduler(api.store, Decisions(References()), api.dispatch, [], api.clock)  # type: ignore[arg-type]
    loop = asyncio.create_task(scheduler.run(Pulse(api.clock.monotonic)))
    yield scheduler
    loop.cancel()
    await asyncio.wait([loop])


async def test_what_is_emitted_is_described_and_the_other_way_round(
    api: Api, checked: Checked, description: Description
) -> None:
    await declared_objects(api, checked)
    await objects(checked)
    await messages(api, checked)
    await schedules(api, checked)
    await log(checked)
    await dead_letters(api, checked)
    await flow_control(checked)
    await ends(checked)
    never = sorted(description.fields - description.seen)
    assert not never, f"described, but never emitted: {never}"


async def declared_objects(api: Api, checked: Checked) -> None:
    """What resources declare is read like all else, and answers 409 to whoever wants to change it."""
    await api.declare(("billing", Endpoint("https://billing.test/in")), ("orders", orders()))
    assert (await checked("DELETE", "/v2/topics/orders")).status == 409
    assert (await checked("PATCH", "/v2/topics/orders", JSON, body=b'{"headers": {"X-A": "1"}}')).status == 409


async def objects(checked: Checked) -> None:
    members = in_json({"endpoints": [{"url": "https://one.test/in", "name": "one"}, {"url": "https://two.test/in"}]})
    await checked("POST", "/v2/topics/group/endpoints", JSON, body=members)
    await checked("PATCH", "/v2/topics/group", JSON, body=in_json({"headers": {"X-Team": ["pay", "ops"]}}))
    await checked("GET", "/v2/topics")
    await checked("GET", "/v2/topics/group")
    await checked("POST", "/v2/queues", JSON, body=in_json({"queueName": "line", "parallelism": 2, "paused": False}))
    for target in (
        "/v2/queues/line/pause",
        "/v2/queues/line/resume",
        "/v2/flowControl/a/key/pause",
        "/v2/flowControl/a/key/resume",
    ):
        await checked("POST", target)


async def messages(api: Api, checked: Checked) -> None:
    """Each kind of body and destination, a duplicate, a batch that is half good."""
    first = await checked("POST", "/v2/publish/https://e.test/a", *SHARED, *ONCE, body=b"text")
    again = await checked("POST", "/v2/publish/https://e.test/a", *SHARED, *ONCE, body=b"text")
    assert (again.status, again.json["deduplicated"]) == (202, True)
    await checked("GET", f"/v2/messages/{first.json['messageId']}")
    for target, body in (("/v2/enqueue/line/https://e.test/b", BINARY), ("/v2/publish/group", b"")):
        published = (await checked("POST", target, *SHARED, body=body)).json
        for one in published if isinstance(published, list) else [published]:
            await checked("GET", f"/v2/messages/{one['messageId']}")
    elements: list[Any] = [{"destination": "https://e.test/c"}, {"destination": "group"}, {"destination": "nobody"}]
    batch = await checked("POST", "/v2/batch", JSON, body=in_json(elements))
    assert [type(item) for item in batch.json] == [dict, list, dict] and "error" in batch.json[2]
    await checked("GET", "/v2/queues")
    await checked("GET", "/v2/queues/line")
    later = await checked("POST", "/v2/publish/https://e.test/later", ("Upstash-Delay", "1h"))
    assert (await checked("DELETE", f"/v2/messages/{later.json['messageId']}")).json == {"cancelled": 1}
    assert (await checked("DELETE", "/v2/messages?label=nobody")).json == {"cancelled": 0}


async def schedules(api: Api, checked: Checked) -> None:
    """One that fires to a URL with everything set, one whose group is gone when its time comes."""
    every = ("Upstash-Cron", "* * * * *")
    full = (*SHARED, every, ("Upstash-Schedule-Id", "full"), ("Upstash-Delay", "5s"), ("Upstash-Queue-Name", "line"))
    await checked("POST", "/v2/schedules/https://e.test/s", *full, body=b"tick")
    await checked("POST", "/v2/publish/https://e.test/b", every, ("Upstash-Schedule-Id", "binary"), body=BINARY)
    lost = in_json({"endpoints": [{"url": "https://lost.test"}]})
    await checked("POST", "/v2/topics/lost/endpoints", JSON, body=lost)
    await checked("POST", "/v2/schedules/lost", every, ("Upstash-Schedule-Id", "lost"))
    await checked("DELETE", "/v2/topics/lost")
    async with firing(api) as scheduler:
        api.clock.time += timedelta(minutes=1)
        scheduler.wake()
        await until(lambda: fired(checked))
    for method in ("PATCH", "POST"):
        for verb in ("pause", "resume"):
            await checked(method, f"/v2/schedules/full/{verb}")
    await checked("GET", "/v2/schedules/full")


async def fired(checked: Checked) -> bool:
    shown = (await checked("GET", "/v2/schedules")).json
    return all("lastScheduleStates" in one or "error" in one for one in shown)


async def log(checked: Checked) -> None:
    for name in ("events", "logs"):
        page = await checked("GET", f"/v2/{name}?count=1")
        await checked("GET", f"/v2/{name}?cursor={page.json['cursor']}")


async def dead_letters(api: Api, checked: Checked) -> None:
    """All that waits fails: once with a retry, then for good, with text, with bytes and with no answer at all."""
    await attempt(api, TEXT_ANSWER, more=True)
    await checked("GET", "/v2/logs?state=RETRY")
    for answer, error in ((TEXT_ANSWER, ""), (BINARY_ANSWER, ""), (None, "Timeout: no answer in 30s")):
        api.clock.time += timedelta(minutes=2)
        await checked("POST", "/v2/publish/https://e.test/more", *SHARED, body=BINARY)
        await attempt(api, answer, error=error)
    await checked("GET", "/v2/logs?count=1000")
    await checked("GET", "/v2/logs?state=ERROR")
    page = (await checked("GET", "/v2/dlq?count=1")).json
    (letter,) = page["messages"]
    await checked("GET", f"/v2/dlq?cursor={page['cursor']}")
    await checked("GET", f"/v2/dlq/{letter['dlqId']}")
    await checked("POST", f"/v2/dlq/retry/{letter['dlqId']}", ("Upstash-Retries", "0"))
    assert "cursor" in (await checked("POST", "/v2/dlq/retry?count=1")).json
    assert "cursor" in (await checked("DELETE", "/v2/dlq?count=1")).json
    left = (await checked("GET", "/v2/dlq?count=1")).json["messages"][0]["dlqId"]
    await checked("DELETE", f"/v2/dlq/{left}")
    await checked("DELETE", f"/v2/dlq/{left}")


async def flow_control(checked: Checked) -> None:
    key = "/v2/flowControl/a/key"
    for target in (
        f"{key}/pin?parallelism=2&rate=3&period=60",
        f"{key}/unpin?rate=true",
        f"{key}/resetRate",
        f"{key}/reset",
    ):
        assert (await checked("POST", target)).status == 200
    await checked("GET", "/v2/flowControl?search=a")
    await checked("GET", key)
    await checked("GET", "/v2/globalParallelism")


async def ends(checked: Checked) -> None:
    await checked("GET", "/v2/keys")
    await checked("POST", "/v2/keys/rotate")
    await checked("DELETE", "/v2/topics/group/endpoints", JSON, body=in_json({"endpoints": [{"name": "one"}]}))
    await checked("DELETE", "/v2/schedules/full")
    await checked("DELETE", "/v2/queues/line")
    await checked("DELETE", "/v2/messages")
