"""The API over the real store, for each test anew."""

import os
from collections.abc import AsyncIterator
from datetime import datetime

import pytest
from tests.support.api import Api, Clock, serving

from angarium.domain.ids import ID_ENTROPY, new_id
from angarium.domain.ports import Limits, Retention, Store
from angarium.store import open_store


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limits() -> Limits:
    return Limits()


@pytest.fixture
async def store(clock: Clock, limits: Limits) -> AsyncIterator[Store]:
    def message_id(now: datetime) -> str:
        return new_id("msg_", int(now.timestamp() * 1000), os.urandom(ID_ENTROPY))

    opened = open_store(None, limits=limits, new_id=message_id, clock=clock, retention=Retention())
    yield opened
    await opened.close()


@pytest.fixture
async def api(store: Store, clock: Clock) -> AsyncIterator[Api]:
    async with serving(store, clock) as served:
        yield served
