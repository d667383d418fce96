"""The engine in one piece: real store, real sockets, and the official SDK's Receiver at the other end."""

import asyncio
import os
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

from qstash import Receiver as SdkReceiver
from tests.support.fakes import FakeReferences, Recorder, WallClock
from tests.support.receiver import Answer, Receiver
from tests.support.stores import accepted, publication
from tests.support.waiting import until

from angarium.domain.addresses import AddressPolicy
from angarium.domain.declarations import DeliveryOptions, Header
from angarium.domain.messages import MessageState
from angarium.domain.notices import AttemptEnded
from angarium.domain.ports import Store
from angarium.engine.attempt import Attempts
from angarium.engine.dispatcher import Dispatcher
from angarium.engine.outcomes import Outcomes
from angarium.engine.sender import AiohttpSender
from angarium.engine.supervisor import Loop, Supervisor
from angarium.service.keys import Keys


async def test_a_message_is_retried_signed_and_delivered(store: Store) -> None:
    clock, told, keys = WallClock(), Recorder(), Keys(store, os.urandom)
    sender = AiohttpSender(AddressPolicy(allow=(ip_network("127.0.0.1/32"),)))
    attempts = Attempts(sender, FakeReferences(), keys, clock)
    dispatcher = Dispatcher("me", store, attempts.perform, Outcomes(store, [told], clock), clock)
    supervisor = Supervisor([Loop("dispatcher", dispatcher.claim), Loop("heartbeat", dispatcher.heartbeat)])
    options = DeliveryOptions(headers=(Header("Content-Type", "application/json"), Header("X-Team", "pay")))
    with Receiver() as receiver:
        receiver.answer("/hook", Answer(500), Answer(503, (("Retry-After", "0.3"),)), Answer(200))
        url = receiver.url("/hook?a=%2f&b")
        options = DeliveryOptions(headers=options.headers, retry_delay="100")
        given = publication(url, body=b'{"n":1}', options=options, created_at=datetime.now(UTC), caller_ip="10.1.2.3")
        (message,) = await accepted(store, given)
        running = asyncio.create_task(supervisor.run())
        await until(lambda: len(told.of(AttemptEnded)) == 3)
        await dispatcher.drain(timedelta(seconds=5))
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await sender.close()
        first, second, third = receiver.received()
    assert [r.header("Upstash-Retried") for r in (first, second, third)] == ["0", "1", "2"]
    assert second.at - first.at >= 0.095 and third.at - second.at >= 0.295
    pair = await keys.signing_keys("shop")
    for received in (first, second, third):
        assert received.target == "/hook?a=%2f&b"
        signature = received.header("Upstash-Signature")
        SdkReceiver(pair.current, pair.next).verify(signature=signature, body=received.body.decode(), url=url)  # type: ignore[arg-type]
    assert third.headers == (
        ("Host", f"127.0.0.1:{receiver.port}"),
        ("User-Agent", "Upstash-QStash"),
        ("Content-Type", "application/json"),
        ("X-Team", "pay"),
        ("Upstash-Message-Id", message.id),
        ("Upstash-Retried", "2"),
        ("Upstash-Caller-Ip", "10.1.2.3"),
        ("Upstash-Signature", third.header("Upstash-Signature")),
        ("Content-Length", "7"),
    )
    view = await store.message("shop", message.id, clock.now())
    assert view is not None and view.state is MessageState.DELIVERED
