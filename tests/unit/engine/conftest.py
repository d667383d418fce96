"""The real store under the engine's loops."""

from collections.abc import AsyncIterator

import pytest
from tests.support.fakes import WallClock
from tests.support.stores import ids

from angarium.domain.ports import Limits, Retention, Store
from angarium.store import open_store


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    opened = open_store(None, limits=Limits(), new_id=ids(), clock=WallClock(), retention=Retention())
    yield opened
    await opened.close()
