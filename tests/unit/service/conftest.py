"""Services are tried on the real store, in memory mode."""

from collections.abc import AsyncIterator

import pytest
from tests.support.fakes import Bell, FakeClock, Recorder

from angarium.domain.ids import new_id
from angarium.domain.ports import Limits, Retention
from angarium.store.sqlite import SqliteStore, open_store


@pytest.fixture
async def store() -> AsyncIterator[SqliteStore]:
    opened = open_store(
        None,
        limits=Limits(),
        new_id=lambda now: new_id("msg_", int(now.timestamp() * 1000), bytes(10)),
        clock=FakeClock(),
        retention=Retention(),
    )
    yield opened
    await opened.close()


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def bell() -> Bell:
    return Bell()
