"""Objects made over the API, on the real store: who is told, and when."""

import pytest
from tests.support.fakes import START, Bell, FakeClock, Recorder
from tests.support.stores import NS, declared, schedule

from angarium.domain.declarations import Destination, Kind, ObjectRef, Origin, Queue, Schedule, Topic, TopicMember
from angarium.domain.edits import gone, paused, to_be, with_members
from angarium.domain.errors import NotFound, OwnedByResource, QuotaReached
from angarium.domain.notices import CatalogChanged
from angarium.service.objects import Objects, Quotas
from angarium.store.sqlite import SqliteStore

QUEUE, TOPIC = ObjectRef(Kind.QUEUE, NS, "mine"), ObjectRef(Kind.TOPIC, NS, "orders")
MEMBERS = (TopicMember(None, url="https://a.test"),)


@pytest.fixture
def objects(store: SqliteStore, recorder: Recorder, bell: Bell) -> Objects:
    return Objects(store, [recorder], [bell], FakeClock(), Quotas({Kind.QUEUE: 2}))


async def test_what_is_made_belongs_to_the_api(objects: Objects, store: SqliteStore, bell: Bell) -> None:
    made = await objects.edit(QUEUE, to_be(Queue(3)))
    assert made is not None and made == await store.declared(QUEUE)
    assert (made.origin, made.created_at, made.generation, made.spec) == (Origin.API, START, 1, Queue(3))
    assert bell.rung == 1


async def test_a_change_keeps_creation_and_uid(objects: Objects, store: SqliteStore, bell: Bell) -> None:
    made = await objects.edit(QUEUE, to_be(Queue(3)))
    objects._clock.advance(START - START.replace(hour=1))  # type: ignore[attr-defined]
    changed = await objects.edit(QUEUE, paused("queue", True))
    assert made is not None and changed is not None
    assert (changed.uid, changed.created_at, changed.generation) == (made.uid, START, 2)
    assert changed.applied_at is not None and changed.applied_at > START
    assert bell.rung == 2


async def test_what_changes_nothing_wakes_nobody(objects: Objects, recorder: Recorder, bell: Bell) -> None:
    await objects.edit(QUEUE, gone)
    await objects.edit(QUEUE, to_be(Queue(3)))
    await objects.edit(QUEUE, to_be(Queue(3)))
    await objects.edit(QUEUE, paused("queue", False))
    assert (bell.rung, recorder.notices) == (1, [])
    with pytest.raises(NotFound):
        await objects.edit(ObjectRef(Kind.QUEUE, NS, "unknown"), paused("queue", True))
    assert bell.rung == 1


async def test_resources_that_name_the_object_are_told(
    objects: Objects, store: SqliteStore, recorder: Recorder
) -> None:
    spec = schedule().spec
    assert isinstance(spec, Schedule)
    named = declared(Kind.SCHEDULE, "daily", Schedule(spec.timing, Destination(topic="orders"), queue="mine"))
    await store.apply([named], START)
    await objects.edit(TOPIC, with_members(MEMBERS))
    await objects.edit(QUEUE, to_be(Queue()))
    await objects.edit(QUEUE, gone)
    assert recorder.notices == [CatalogChanged(frozenset({named.ref}))] * 3


async def test_what_a_resource_declares_is_left_alone(objects: Objects, store: SqliteStore, bell: Bell) -> None:
    owned = declared(Kind.TOPIC, "orders", Topic(MEMBERS))
    await store.apply([owned], START)
    for change in (with_members(MEMBERS), gone):
        with pytest.raises(OwnedByResource):
            await objects.edit(TOPIC, change)
    assert await store.declared(TOPIC) == owned and bell.rung == 0


async def test_quotas_are_by_kind_and_by_tenant(objects: Objects) -> None:
    async def make(name: str, namespace: str = NS) -> None:
        await objects.edit(ObjectRef(Kind.QUEUE, namespace, name), to_be(Queue()))

    await make("a")
    await make("b")
    with pytest.raises(QuotaReached, match="2 Queues"):
        await make("c")
    await make("c", "bank")
    await objects.edit(TOPIC, with_members(MEMBERS))
    await objects.edit(ObjectRef(Kind.QUEUE, NS, "a"), to_be(Queue(5)))
    await objects.edit(ObjectRef(Kind.QUEUE, NS, "a"), gone)
    await make("c")


def test_names_of_schedules_are_new_each_time(objects: Objects) -> None:
    names = {objects.schedule_name() for _ in range(100)}
    assert len(names) == 100 and all(name.startswith("scd_") for name in names)
