"""A database that cannot write is seen in the store's figures, and so is its recovery."""

import pytest
from tests.support.fakes import FakeClock
from tests.support.stores import accepted, ids, publication

from angarium.domain.errors import StoreFull
from angarium.domain.ports import Limits, Retention
from angarium.store import open_store


async def test_what_the_database_cannot_write_is_counted_as_a_failure() -> None:
    store = open_store(None, limits=Limits(), new_id=ids(), clock=FakeClock(), retention=Retention())
    await accepted(store, publication())
    store._connection.execute("PRAGMA query_only = 1")  # what a volume that turned read-only does to the writer
    with pytest.raises(StoreFull):
        await accepted(store, publication())
    assert store.figures().writer.failures == 1
    store._connection.execute("PRAGMA query_only = 0")
    await accepted(store, publication())
    assert store.figures().writer.failures == 1
    assert (await store.backlog()).waiting == 2
    await store.close()
