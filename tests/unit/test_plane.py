"""How the delivery plane ends when the store is in trouble; everything else of it is tested with real processes."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import timedelta

import pytest
from tests.support.stores import ids, publication
from tests.support.waiting import until

from angarium.domain.addresses import AddressPolicy
from angarium.domain.errors import StoreFull
from angarium.domain.messages import Leased, Response
from angarium.domain.ports import Limits, Retention
from angarium.domain.requests import OutgoingRequest
from angarium.engine.clock import SystemClock
from angarium.files.references import FileReferences
from angarium.plane import Audience, DeliveryPlane, Foundation
from angarium.service.keys import Keys
from angarium.settings import Settings
from angarium.store import open_store
from angarium.telemetry import Metrics


class Silent:
    """A destination that never answers."""

    def __init__(self) -> None:
        self.asked = 0

    async def send(self, request: OutgoingRequest) -> Response:
        self.asked += 1
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    async def close(self) -> None:
        """Nothing is open."""


async def test_a_full_disk_does_not_keep_it_from_ending(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock, sender, stop = SystemClock(), Silent(), asyncio.Event()
    store = open_store(None, limits=Limits(), new_id=ids(), clock=clock, retention=Retention())
    settings = Settings(host="127.0.0.1", port=0, drain=timedelta(0))
    base = Foundation(settings, clock, store, Keys(store, bytes), Audience(), Metrics())
    plane = DeliveryPlane(base, FileReferences(), AddressPolicy(), sender)
    await store.accept([publication(created_at=clock.now())], None)

    async def full(leased: Sequence[Leased]) -> None:
        raise StoreFull("the disk is full")

    monkeypatch.setattr(store, "release", full)
    await plane.start()
    running = asyncio.create_task(plane.run(stop))
    await until(lambda: sender.asked == 1)
    with caplog.at_level(logging.WARNING, "angarium"):
        stop.set()
        await running
    (record,) = caplog.records
    assert "next start" in record.getMessage()
    assert "the disk is full" in record.getMessage()
    await store.close()
