"""More is published than can be delivered: what finds no place is refused, and told when to come again."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest
from tests.support import api as support
from tests.support.api import Api, Clock, serving

from angarium.domain.ports import Store
from angarium.service import admission, publishing
from angarium.service.admission import Admission, Pressure
from angarium.service.publishing import Publishing

PUBLISH = "/v2/publish/https://e.test"


def batch(size: int) -> bytes:
    return json.dumps([{"destination": "https://e.test"}] * size).encode()


def strained() -> Pressure:
    pressure = Pressure()
    pressure.entered(5000)
    for _ in range(20):
        pressure.felt(0.2)
    assert pressure.strained
    return pressure


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "PATIENCE_S", 0.05)


@asynccontextmanager
async def under(pressure: Pressure, store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Api]:
    """The API, with an admission that feels this pressure."""
    monkeypatch.setattr(support, "Publishing", partial(Publishing, admission=Admission(clock, pressure)))
    async with serving(store, clock) as api:
        yield api


async def test_a_publish_is_refused_with_retry_after_and_stores_nothing(
    store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with under(strained(), store, clock, monkeypatch) as api:
        async with api.connect() as wire:
            reply = await wire.request("POST", PUBLISH, body=b"x")
            assert reply.status == 503 and int(reply.headers["retry-after"]) > 0
            assert "more is being published than can be delivered" in reply.error
            assert (await wire.request("GET", "/v2/events")).status == 200, "reading goes on, on the same connection"
        assert (await store.backlog()).waiting == 0


async def test_a_batch_of_which_nothing_is_stored_is_refused_as_a_publish_is(
    store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with under(strained(), store, clock, monkeypatch) as api:
        reply = await api.request("POST", "/v2/batch", body=batch(3))
        assert reply.status == 503 and int(reply.headers["retry-after"]) > 0
        assert "more is being published" in reply.error
        assert (await store.backlog()).waiting == 0


async def test_what_follows_a_refused_part_of_a_batch_is_refused_at_once(
    store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    pressure = strained()
    pressure.left(1)
    monkeypatch.setattr(publishing, "MOST_AT_ONCE", 2)
    taken: list[int] = []

    def take(messages: int) -> bool:
        taken.append(messages)
        return Pressure.take(pressure, messages)

    monkeypatch.setattr(pressure, "take", take)
    async with under(pressure, store, clock, monkeypatch) as api:
        reply = await api.request("POST", "/v2/batch", body=batch(9))
        assert reply.status == 200, "two are stored, so it must not be sent again as a whole"
        assert ["messageId" in element for element in reply.json] == [True, True] + [False] * 7
        assert all("more is being published" in element["error"] for element in reply.json[2:])
        assert (await store.backlog()).waiting == 2
        assert taken == [2, 2]


async def test_deliveries_that_end_let_publishes_in(
    store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    pressure = strained()
    async with under(pressure, store, clock, monkeypatch) as api:
        pressure.left(2)
        statuses = [(await api.request("POST", PUBLISH, body=b"x")).status for _ in range(3)]
        assert statuses == [200, 200, 503]


async def test_messages_that_were_accepted_count_as_waiting_unless_they_are_delayed(
    store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    pressure = Pressure()
    async with under(pressure, store, clock, monkeypatch) as api:
        await api.publish("https://e.test", ("Upstash-Delay", "1h"))
        assert pressure.waiting == 0
        await api.publish("https://e.test")
        assert pressure.waiting == 1
