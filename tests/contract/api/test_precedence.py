"""Defaults and precedence (DESIGN 5): each leaf field, each pair of levels, each way in.

Over the HTTP API into the real store, out of it by the real dispatcher, scheduler and sender, to a real receiver.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from ipaddress import ip_network
from typing import Any
from urllib.parse import urlencode

import pytest
from tests.support.api import NAMESPACE, Api, Reply, serving
from tests.support.fakes import FakeReferences, WallClock
from tests.support.precedence import (
    LEAVES,
    SECRET,
    SECRET_VALUE,
    Level,
    Row,
    lines,
    options,
    rows,
    without_number,
)
from tests.support.receiver import Answer, Received, Receiver

from angarium.api.options import OptionLimits
from angarium.domain.addresses import AddressPolicy
from angarium.domain.declarations import (
    Callback,
    DeliveryOptions,
    Destination,
    Endpoint,
    FlowControl,
    Header,
    Schedule,
    Timing,
    Topic,
    TopicMember,
)
from angarium.domain.ids import ID_ENTROPY, new_id
from angarium.domain.ports import Limits, Retention, Store
from angarium.engine.attempt import Attempts
from angarium.engine.decisions import Decisions
from angarium.engine.dispatcher import Dispatcher, DispatchSettings
from angarium.engine.outcomes import Outcomes
from angarium.engine.scheduler import Scheduler
from angarium.engine.sender import AiohttpSender
from angarium.engine.supervisor import Loop, Supervisor
from angarium.service.keys import Keys
from angarium.store import open_store

SECRETS = {(NAMESPACE, SECRET.name, SECRET.key): SECRET_VALUE.encode()}
LOOPBACK = AddressPolicy(allow=(ip_network("127.0.0.1/32"),))
EVERY = timedelta(seconds=1)
GIVEN_UP = Answer(489, (("Upstash-NonRetryable-Error", "true"),))
ALL = frozenset(Level)
WITHOUT_TOPIC = ALL - {Level.TOPIC}
WITHOUT_ENDPOINT = ALL - {Level.ENDPOINT}


@dataclass
class Stage:
    api: Api
    receiver: Receiver
    dispatcher: Dispatcher
    scheduler: Scheduler

    async def schedule(self, name: str, spec: Schedule) -> None:
        await self.api.declare((name, spec))
        self.scheduler.wake()

    async def declare(self, name: str, row: Row, number: int) -> None:
        """An Endpoint, and a Topic of it alone, both of which say what the row has them say."""
        spec = Endpoint(self.receiver.url(f"/{name}"), options(row, Level.ENDPOINT, number))
        given = tuple(Header(line, value) for line, value in lines(row, Level.TOPIC, number))
        topic = Topic((TopicMember(name, endpoint=name),), headers=given)
        await self.api.declare((name, spec), (name, topic))

    async def request(self, method: str, target: str, *sent: tuple[str, str], body: bytes = b"") -> Reply:
        reply = await self.api.request(method, target, *sent, body=body)
        assert reply.status == 200, (target, sent, reply.body)
        self.dispatcher.wake()
        self.scheduler.wake()
        return reply

    async def arrived(self, path: str) -> Received:
        return (await self.receiver.arrived(1, path, within_s=80))[0]

    async def seen(self, path: str, endpoint: str) -> dict[str, object]:
        """Each leaf field as the receiver or, of what it cannot see, the log shows it."""
        request = await self.arrived(path)
        query = urlencode({"messageId": request.header("Upstash-Message-Id"), "state": "CREATED"})
        (entry,) = (await self.api.request("GET", f"/v2/logs?{query}")).json["logs"]
        flow = entry.get("flowControlKey")
        return {
            "method": request.method,
            "header": request.header("X-Team"),
            "Content-Type": request.header("Content-Type"),
            "timeout": entry["timeout"] // 1000,
            "retry.limit": entry["maxRetries"],
            "retry.delay": entry.get("retryDelayExpression"),
            "flowControl.key": without_number(flow, endpoint),
            "flowControl.rate": entry.get("rate"),
            "flowControl.period": entry["period"] if flow else None,
            "flowControl.parallelism": entry.get("parallelism"),
        }


class BeforeTheMinute(WallClock):
    """A minute begins some seconds after the start, so that what cron fires comes soon."""

    def __init__(self) -> None:
        self._ahead = timedelta(seconds=56 - super().now().second)

    def now(self) -> datetime:
        return super().now() + self._ahead


@pytest.fixture
async def stage(receiver: Receiver) -> AsyncIterator[Stage]:
    clock = BeforeTheMinute()

    def message_id(now: Any) -> str:
        return new_id("msg_", int(now.timestamp() * 1000), os.urandom(ID_ENTROPY))

    store = open_store(None, limits=Limits(), new_id=message_id, clock=clock, retention=Retention())
    limits = OptionLimits(policy=LOOPBACK)
    async with serving(store, clock, option_limits=limits) as api, engine(store, clock) as (dispatcher, scheduler):  # type: ignore[arg-type]
        yield Stage(api, receiver, dispatcher, scheduler)
    await store.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as started:
        yield started


@asynccontextmanager
async def engine(store: Store, clock: WallClock) -> AsyncIterator[tuple[Dispatcher, Scheduler]]:
    references = FakeReferences(SECRETS)
    sender = AiohttpSender(LOOPBACK)
    attempts = Attempts(sender, references, Keys(store, os.urandom), clock)
    settings = DispatchSettings(poll=timedelta(milliseconds=200), heartbeat=timedelta(milliseconds=200))
    dispatcher = Dispatcher("me", store, attempts.perform, Outcomes(store, [], clock), clock, settings)
    scheduler = Scheduler(store, Decisions(references), dispatcher, [], clock)
    loops = [("dispatcher", dispatcher.claim), ("heartbeat", dispatcher.heartbeat), ("scheduler", scheduler.run)]
    running = asyncio.create_task(Supervisor([Loop(name, loop) for name, loop in loops]).run())
    try:
        yield dispatcher, scheduler
    finally:
        await dispatcher.drain(timedelta(seconds=5))
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await sender.close()


Channel = Callable[[Stage, str, Row, int], Coroutine[Any, Any, str]]
"""Publishes to the Topic or Endpoint of this name; returns the path on which the receiver sees what it is about."""


async def by_header(stage: Stage, name: str, row: Row, number: int) -> str:
    await stage.request("POST", f"/v2/publish/{name}", *lines(row, Level.OWN, number))
    return f"/{name}"


async def by_query(stage: Stage, name: str, row: Row, number: int) -> str:
    await stage.request("POST", f"/v2/publish/{name}?{urlencode(lines(row, Level.OWN, number))}")
    return f"/{name}"


async def by_batch(stage: Stage, name: str, row: Row, number: int) -> str:
    element = {"destination": name, "headers": dict(lines(row, Level.OWN, number))}
    await stage.request("POST", "/v2/batch", body=json.dumps([element]).encode())
    return f"/{name}"


async def by_enqueue(stage: Stage, name: str, row: Row, number: int) -> str:
    await stage.request("POST", f"/v2/enqueue/{name}/{name}", *lines(row, Level.OWN, number))
    return f"/{name}"


async def by_schedule_of_the_api(stage: Stage, name: str, row: Row, number: int) -> str:
    own = lines(row, Level.OWN, number)
    await stage.request("POST", f"/v2/schedules/{name}", ("Upstash-Cron", "* * * * *"), *own)
    return f"/{name}"


async def by_declared_schedule(stage: Stage, name: str, row: Row, number: int) -> str:
    spec = Schedule(timing(stage), Destination(endpoint=name), options(row, Level.OWN, number))
    await stage.schedule(name, spec)
    return f"/{name}"


async def by_callback(stage: Stage, name: str, row: Row, number: int) -> str:
    return await told(stage, name, row, number, "Upstash-Callback")


async def by_failure_callback(stage: Stage, name: str, row: Row, number: int) -> str:
    stage.receiver.answer(f"/{name}", GIVEN_UP)
    return await told(stage, name, row, number, "Upstash-Failure-Callback")


async def told(stage: Stage, name: str, row: Row, number: int, option: str) -> str:
    """The Topic's default headers say where the callback goes, and may say how."""
    path = f"/{name}-told"
    said = [(option, stage.receiver.url(path)), *lines(row, Level.TOPIC, number, f"{option}-")]
    topic = Topic((TopicMember(name, endpoint=name),), headers=tuple(Header(*line) for line in said))
    await stage.api.declare((name, Endpoint(stage.receiver.url(f"/{name}"))), (name, topic))
    await stage.request("POST", f"/v2/publish/{name}", *lines(row, Level.OWN, number, f"{option}-"))
    return path


async def by_callback_of_a_schedule(stage: Stage, name: str, row: Row, number: int) -> str:
    callback = Callback(Destination(endpoint=name), options(row, Level.OWN, number))
    to = Destination(url=stage.receiver.url(f"/{name}-source"))
    await stage.schedule(name, Schedule(timing(stage), to, callback=callback))
    return f"/{name}"


async def by_failure_callback_of_a_schedule(stage: Stage, name: str, row: Row, number: int) -> str:
    stage.receiver.answer(f"/{name}-source", GIVEN_UP)
    callback = Callback(Destination(endpoint=name), options(row, Level.OWN, number))
    to = Destination(url=stage.receiver.url(f"/{name}-source"))
    await stage.schedule(name, Schedule(timing(stage), to, failure_callback=callback))
    return f"/{name}"


def timing(stage: Stage) -> Timing:
    return Timing(every=EVERY, anchor=stage.api.clock.now())


CHANNELS: dict[Channel, frozenset[Level]] = {
    by_header: ALL,
    by_query: ALL,
    by_batch: ALL,
    by_enqueue: ALL,
    by_schedule_of_the_api: ALL,
    by_declared_schedule: WITHOUT_TOPIC,  # default headers count where options are read: over the API
    by_callback: WITHOUT_ENDPOINT,  # over the API a callback goes to a URL
    by_failure_callback: WITHOUT_ENDPOINT,
    by_callback_of_a_schedule: WITHOUT_TOPIC,
    by_failure_callback_of_a_schedule: WITHOUT_TOPIC,
}
REPORTS = (by_callback, by_failure_callback, by_callback_of_a_schedule, by_failure_callback_of_a_schedule)
JSON = "application/json"


def table(channel: Channel) -> list[Row]:
    """Of a report the content type is never in doubt: that of what Angarium writes stands before an Endpoint's."""
    found = list(rows(CHANNELS[channel]))
    if channel in REPORTS:
        kept = [row for row in found if row.leaf.name != "Content-Type" or Level.ENDPOINT not in row.levels]
        return [with_default(row, JSON) if row.leaf.name == "Content-Type" else row for row in kept]
    return found


def with_default(row: Row, default: object) -> Row:
    return replace(row, leaf=replace(row.leaf, says={**row.leaf.says, Level.DEFAULT: default}))


@pytest.mark.parametrize("channel", CHANNELS, ids=lambda one: one.__name__)
async def test_the_higher_level_wins(stage: Stage, channel: Channel) -> None:
    paths = []
    for number, row in enumerate(found := table(channel)):
        await stage.declare(f"row-{number}", row, number)
        paths.append(await channel(stage, f"row-{number}", row, number))
    wrong = []
    for number, (row, path) in enumerate(zip(found, paths, strict=True)):
        seen = (await stage.seen(path, f"row-{number}"))[row.leaf.name]
        if seen != row.expected:
            wrong.append(f"{row}: {seen!r} instead of {row.expected!r}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("channel", CHANNELS, ids=lambda one: one.__name__)
async def test_where_nobody_says_anything_the_defaults_hold(stage: Stage, channel: Channel) -> None:
    row = next(rows())
    silent = replace(row, winner=Level.DEFAULT, loser=Level.DEFAULT)
    await stage.declare("silent", silent, 0)
    seen = await stage.seen(await channel(stage, "silent", silent, 0), "silent")
    defaults = {leaf.name: leaf.says[Level.DEFAULT] for leaf in LEAVES}
    assert seen == (defaults | {"Content-Type": JSON} if channel in REPORTS else defaults)


def test_the_table_has_every_field_and_every_pair_of_levels() -> None:
    fields = {"method", "header", "Content-Type", "timeout", "retry.limit", "retry.delay"}
    fields |= {f"flowControl.{name}" for name in ("key", "rate", "period", "parallelism")}
    assert {leaf.name for leaf in LEAVES} == fields
    for leaf in LEAVES:
        assert len({str(value) for value in leaf.says.values()}) == len(leaf.says) == len(Level), "told apart"
    for channel, levels in CHANNELS.items():
        pairs = {(row.leaf.name, row.winner, row.loser) for row in table(channel)}
        wanted = {(field, a, b) for field in fields for a in levels for b in levels if a < b}
        if channel in REPORTS:
            wanted -= {pair for pair in wanted if pair[0] == "Content-Type" and Level.ENDPOINT in pair[1:]}
        assert pairs == wanted
    options_of = {field.partition(".")[0] for field in fields} - {"Content-Type"}
    assert {"headers", "retry_limit", "retry_delay", "flow_control"} | options_of >= set(DeliveryOptions.__slots__)


@pytest.mark.parametrize("channel", [by_header, by_query, by_batch, by_enqueue, by_schedule_of_the_api])
async def test_a_header_from_a_secret_is_never_replaced(stage: Stage, channel: Channel) -> None:
    header = next(leaf for leaf in LEAVES if leaf.name == "header")
    row = Row(header, Level.OWN, Level.TOPIC)
    await stage.declare("sealed", row, 0)
    url = stage.receiver.url("/sealed")
    await stage.api.declare(("sealed", Endpoint(url, DeliveryOptions(headers=(Header("x-TEAM", secret=SECRET),)))))
    request = await stage.arrived(await channel(stage, "sealed", row, 0))
    assert [value for name, value in request.headers if name.lower() == "x-team"] == [SECRET_VALUE]


async def test_a_report_tells_its_own_content_type_whatever_the_endpoint_says(stage: Stage) -> None:
    said = DeliveryOptions(headers=(Header("content-type", "text/endpoint"), Header("X-Team", "endpoint")))
    await stage.api.declare(("audit", Endpoint(stage.receiver.url("/audit"), said)))
    callback = Callback(Destination(endpoint="audit"))
    to = Destination(url=stage.receiver.url("/source"))
    await stage.schedule("reported", Schedule(timing(stage), to, callback=callback))
    request = await stage.arrived("/audit")
    assert (request.header("Content-Type"), request.header("X-Team")) == (JSON, "endpoint")


FROZEN = {"body", "method", "header of the message", "timeout", "retry.limit", "retry.delay", "flowControl.key"}
LATE = {"url", "header of the Endpoint", "flowControl.limits", "suspend"}  # and TLS: tests/e2e/test_tls.py


async def test_what_is_frozen_and_what_is_late(stage: Stage) -> None:
    """Everything that an Endpoint says is changed between two attempts."""
    receiver, api = stage.receiver, stage.api
    receiver.answer("/before", 500)
    before = DeliveryOptions(
        "PUT", (Header("X-Team", "before"), Header("X-Own", "before")), timedelta(seconds=9), 7, "300"
    )
    after = DeliveryOptions(
        "PATCH", (Header("X-Team", "after"), Header("X-Own", "after")), timedelta(seconds=8), 1, "1", FlowControl("", 1)
    )
    topic = Topic((TopicMember("it", endpoint="it"),))
    await api.declare(("it", Endpoint(receiver.url("/before"), before)), ("it", topic))
    reply = await stage.request("POST", "/v2/publish/it", ("Upstash-Forward-X-Own", "message"), body=b"frozen")
    first = await stage.arrived("/before")
    await api.declare(("it", Endpoint(receiver.url("/after"), after, suspend=True)), ("it", topic))
    sent = receiver.count()
    await asyncio.sleep(1)  # what must not happen has no event: a retry was due in between
    assert receiver.count() <= sent + 1 and receiver.count("/after") == 0, "suspend is late"
    await api.declare(("it", Endpoint(receiver.url("/after"), after)), ("it", topic))
    stage.dispatcher.bindings.wake()
    stage.dispatcher.wake()
    last = await stage.arrived("/after")
    message_id = reply.json[0]["messageId"]
    frozen = {
        "body": (last.body, b"frozen"),
        "method": (last.method, "PUT"),
        "header of the message": (last.header("X-Own"), "message"),
        **{
            name: ((await stage.seen("/after", "it"))[name], value)
            for name, value in (
                ("timeout", 9), ("retry.limit", 7), ("retry.delay", "300"), ("flowControl.key", None)
            )
        },
    }  # fmt: skip
    late = {
        "url": (last.target, "/after"),
        "header of the Endpoint": ((first.header("X-Team"), last.header("X-Team")), ("before", "after")),
        "flowControl.limits": (await limits_of(api, "endpoint/it"), 1),
        "suspend": (receiver.count("/after"), 1),
    }
    assert set(frozen) == FROZEN and set(late) == LATE
    assert last.header("Upstash-Message-Id") == message_id
    assert not [name for name, (seen, expected) in (frozen | late).items() if seen != expected]


async def limits_of(api: Api, key: str) -> object:
    return (await api.request("GET", f"/v2/flowControl/{key}")).json.get("parallelismMax")
