"""The contract holds for every implementation of the Store port: add one to `IMPLEMENTATIONS`."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.fakes import FakeClock
from tests.support.stores import ids

from angarium.domain.ports import Limits, Retention, Store
from angarium.store import open_store


def _sqlite_file(folder: Path, **given: Any) -> Store:
    return open_store(folder / "angarium.db", **given)


def _sqlite_temporary(folder: Path, **given: Any) -> Store:
    return open_store(None, **given)


IMPLEMENTATIONS = {"file": _sqlite_file, "temporary": _sqlite_temporary}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def limits() -> Limits:
    return Limits()


@pytest.fixture(params=IMPLEMENTATIONS.values(), ids=IMPLEMENTATIONS.keys())
async def store(
    request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock, limits: Limits
) -> AsyncIterator[Store]:
    implementation: Callable[..., Store] = request.param
    opened = implementation(tmp_path, limits=limits, new_id=ids(), clock=clock, retention=Retention())
    yield opened
    await opened.close()
