"""Removing a tenant goes on while others publish."""

from functools import partial

from tests.support.fakes import START, FakeClock
from tests.support.stores import accepted, ids, publication

from angarium.domain.ports import Limits, Retention
from angarium.store import open_store, tenants


async def test_a_message_that_took_a_number_of_the_removed_tenant_is_spared() -> None:
    store = open_store(None, limits=Limits(), new_id=ids(), clock=FakeClock(), retention=Retention())
    (other,) = await accepted(store, publication(namespace="other"))
    await store._write(partial(tenants.clear_messages, namespace="shop", messages=[1]))
    assert await store.message("other", other.id, START) is not None
    await store._write(partial(tenants.clear_messages, namespace="other", messages=[1]))
    assert await store.message("other", other.id, START) is None
    await store.close()
