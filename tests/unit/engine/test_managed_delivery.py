"""What is asked for over the API while deliveries run: cancel, and other signing keys. Real store, real sockets."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

from qstash import Receiver as SdkReceiver
from tests.support.fakes import FakeReferences, WallClock
from tests.support.receiver import Answer, Receiver
from tests.support.stores import publication
from tests.support.waiting import until

from angarium.domain.addresses import AddressPolicy
from angarium.domain.ports import Store
from angarium.domain.views import HistoryFilter
from angarium.engine.attempt import Attempts
from angarium.engine.dispatcher import Dispatcher, DispatchSettings
from angarium.engine.outcomes import Outcomes
from angarium.engine.sender import AiohttpSender
from angarium.engine.supervisor import Loop, Supervisor
from angarium.service.keys import Keys
from angarium.service.messages import Messages

ONE_AT_ONCE = DispatchSettings(per_lane=1, heartbeat=timedelta(minutes=1))
"""The second message of a host waits in memory, and no heartbeat comes to its rescue."""


@dataclass
class Engine:
    dispatcher: Dispatcher
    keys: Keys
    messages: Messages


@asynccontextmanager
async def running(store: Store) -> AsyncIterator[Engine]:
    clock, keys = WallClock(), Keys(store, os.urandom)
    sender = AiohttpSender(AddressPolicy(allow=(ip_network("127.0.0.1/32"),)))
    attempts = Attempts(sender, FakeReferences(), keys, clock)
    dispatcher = Dispatcher("me", store, attempts.perform, Outcomes(store, [], clock), clock, ONE_AT_ONCE)
    store.on_recall(dispatcher.recall)
    supervisor = Supervisor([Loop("dispatcher", dispatcher.claim), Loop("heartbeat", dispatcher.heartbeat)])
    task = asyncio.create_task(supervisor.run())
    try:
        yield Engine(dispatcher, keys, Messages(store, dispatcher, [], clock))
    finally:
        await dispatcher.drain(timedelta(seconds=5))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await sender.close()


async def publish(store: Store, engine: Engine, url: str) -> str:
    """Straight to the dispatcher, as publishers' messages go."""
    given = publication(url, created_at=datetime.now(UTC))
    grant = engine.dispatcher.grant(1, len(given.body))
    (answer,), leased = await store.accept([given], grant)
    engine.dispatcher.offer(grant, leased)
    assert len(leased) == 1
    return answer.messages[0].id  # type: ignore[union-attr]


async def test_a_canceled_message_that_waits_in_memory_is_never_sent(store: Store) -> None:
    with Receiver() as receiver:
        receiver.answer("/slow", Answer(delay_s=0.5))
        async with running(store) as engine:
            await publish(store, engine, receiver.url("/slow"))
            second = await publish(store, engine, receiver.url("/second"))
            await until(lambda: receiver.count("/slow") == 1)
            assert engine.dispatcher.held == 2
            assert await engine.messages.cancel(HistoryFilter("shop", message_ids=(second,))) == 1
            await until(lambda: engine.dispatcher.held == 1)
            await publish(store, engine, receiver.url("/third"))
            await until(lambda: receiver.count("/third") == 1)
        assert receiver.count("/second") == 0


async def test_an_attempt_under_way_ends_and_writes_nothing_more(store: Store) -> None:
    with Receiver() as receiver:
        receiver.answer("/slow", Answer(delay_s=0.3))
        async with running(store) as engine:
            message_id = await publish(store, engine, receiver.url("/slow"))
            await until(lambda: receiver.count("/slow") == 1)
            assert await engine.messages.cancel(HistoryFilter("shop")) == 1
            await until(lambda: engine.dispatcher.held == 0)
    page = await store.log(HistoryFilter("shop", message_ids=(message_id,), newest_first=False))
    assert [entry.state.value for entry in page.items] == ["CREATED", "ACTIVE", "CANCEL_REQUESTED", "CANCELED"]


async def test_the_next_delivery_is_signed_with_the_new_key(store: Store) -> None:
    with Receiver() as receiver:
        async with running(store) as engine:
            first = await engine.keys.signing_keys("shop")
            await publish(store, engine, receiver.url("/before"))
            await until(lambda: receiver.count("/before") == 1)
            rotated = await engine.keys.rotate("shop")
            await publish(store, engine, receiver.url("/after"))
            await until(lambda: receiver.count("/after") == 1)
        for path, key in (("/before", first.current), ("/after", rotated.current)):
            (received,) = receiver.received(path)
            SdkReceiver(key, "sig_unused").verify(
                signature=received.header("Upstash-Signature") or "",
                body=received.body.decode(),
                url=receiver.url(path),
            )
