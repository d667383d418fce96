"""Writes to the catalog on the real store: what is told to whom, and what a list may take away."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from tests.support.fakes import START, Bell, FakeClock, Recorder
from tests.support.resources import declared_of

from angarium.domain.declarations import Declared, Kind, ObjectRef, Topic, TopicMember
from angarium.domain.errors import StoreError
from angarium.domain.notices import CatalogChanged, TakenOver
from angarium.domain.ports import Applied, CatalogStore, Version
from angarium.service import catalog as module
from angarium.service.catalog import Catalog
from angarium.store.sqlite import SqliteStore


@pytest.fixture
def catalog(store: SqliteStore, recorder: Recorder, bell: Bell) -> Catalog:
    return Catalog(store, [recorder], [bell], FakeClock())


def endpoint(name: str, namespace: str = "shop", generation: int = 1) -> Declared:
    return declared_of("Endpoint", name=name, namespace=namespace, uid=f"uid-{name}", generation=generation)


def schedule(name: str, to: str) -> Declared:
    return declared_of("Schedule", {"destination": {"endpointRef": {"name": to}}}, name=name, uid=f"uid-{name}")


def refs(*declared: Declared) -> frozenset[ObjectRef]:
    return frozenset(one.ref for one in declared)


def told(recorder: Recorder) -> list[frozenset[ObjectRef]]:
    return [notice.refs for notice in recorder.notices if isinstance(notice, CatalogChanged)]


async def stored(store: CatalogStore, namespace: str | None = None) -> set[str]:
    return {one.ref.name for one in await store.catalog(Kind.ENDPOINT, namespace)}


async def test_a_change_is_told_with_all_that_refers_to_it(catalog: Catalog, recorder: Recorder, bell: Bell) -> None:
    reports = schedule("daily", "reports")
    assert await catalog.apply([reports]) == refs(reports)
    assert await catalog.apply([endpoint("reports")]) == refs(endpoint("reports"))
    assert told(recorder) == [refs(reports), refs(endpoint("reports"), reports)]
    assert bell.rung == 2


async def test_what_is_known_already_wakes_nobody(catalog: Catalog, recorder: Recorder, bell: Bell) -> None:
    await catalog.apply([endpoint("a")])
    assert await catalog.apply([endpoint("a")]) == frozenset()
    assert await catalog.apply([]) == frozenset()
    assert await catalog.remove([(endpoint("a").ref, "another uid"), (endpoint("b").ref, None)]) == frozenset()
    assert (len(told(recorder)), bell.rung) == (1, 1)


async def test_a_removal_is_told_to_what_refers_to_it(catalog: Catalog, recorder: Recorder, bell: Bell) -> None:
    reports = schedule("daily", "reports")
    await catalog.apply([reports, endpoint("reports")])
    assert await catalog.remove([(endpoint("reports").ref, "uid-reports")]) == refs(endpoint("reports"))
    assert told(recorder)[-1] == refs(endpoint("reports"), reports)
    assert bell.rung == 2


async def test_replace_makes_the_catalog_equal_to_the_list(catalog: Catalog, store: SqliteStore) -> None:
    await catalog.apply([endpoint("same"), endpoint("changed"), endpoint("gone")])
    listed = [endpoint("same"), endpoint("changed", generation=2), endpoint("new")]
    changed, removed = await catalog.replace(Kind.ENDPOINT, None, listed)
    assert changed == refs(endpoint("changed"), endpoint("new"))
    assert removed == refs(endpoint("gone"))
    assert await stored(store) == {"same", "changed", "new"}
    assert await catalog.replace(Kind.ENDPOINT, None, listed) == (frozenset(), frozenset())


async def test_replace_touches_one_kind_and_one_scope_only(catalog: Catalog, store: SqliteStore) -> None:
    await catalog.apply([endpoint("a", "shop"), endpoint("b", "bank"), endpoint("c", "farm"), schedule("daily", "a")])
    changed, removed = await catalog.replace(Kind.ENDPOINT, ["shop", "bank"], [])
    assert (changed, removed) == (frozenset(), refs(endpoint("a", "shop"), endpoint("b", "bank")))
    assert await stored(store) == {"c"}
    assert len(await store.catalog(Kind.SCHEDULE)) == 1
    assert (await catalog.replace(Kind.ENDPOINT, [], [])).removed == frozenset()
    assert await stored(store) == {"c"}


async def test_what_was_made_over_the_api_is_no_part_of_the_list(catalog: Catalog, store: SqliteStore) -> None:
    made = await make_topic(store, "mine")
    assert await catalog.replace(Kind.TOPIC, None, []) == (frozenset(), frozenset())
    assert await catalog.remove([(made.ref, None), (made.ref, made.uid)]) == frozenset()
    assert await store.declared(made.ref) == made


async def test_a_take_over_is_told_once_and_does_not_come_back(
    catalog: Catalog, store: SqliteStore, recorder: Recorder
) -> None:
    made = await make_topic(store, "mine")
    listed = declared_of("Topic", {"selector": {"matchLabels": {"a": "b"}}}, name="mine", uid="uid-mine")
    await catalog.replace(Kind.TOPIC, None, [listed])
    await catalog.replace(Kind.TOPIC, None, [listed])
    assert [notice for notice in recorder.notices if isinstance(notice, TakenOver)] == [TakenOver(made.ref)]
    assert await store.declared(made.ref) == listed
    await catalog.replace(Kind.TOPIC, None, [])
    assert await store.declared(made.ref) is None


async def make_topic(store: SqliteStore, name: str) -> Declared:
    ref = ObjectRef(Kind.TOPIC, "shop", name)
    spec = Topic((TopicMember(None, url="https://a.test/in"),))
    made = await store.edit(ref, lambda _: Declared(ref, "", 0, "", START, spec), START)
    assert made is not None
    return made


async def test_what_the_watch_brought_meanwhile_is_kept(catalog: Catalog, store: SqliteStore) -> None:
    newer = endpoint("edited", generation=5)
    await catalog.apply([newer, endpoint("created")])
    keep = refs(newer, endpoint("created"), endpoint("deleted"))
    listed = [endpoint("edited", generation=4), endpoint("deleted")]
    assert await catalog.replace(Kind.ENDPOINT, None, listed, keep) == (frozenset(), frozenset())
    assert await stored(store) == {"edited", "created"}
    assert await store.declared(newer.ref) == newer


async def test_keep_may_grow_while_the_list_is_written(
    catalog: Catalog, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GROUP_SIZE", 1)
    newer = endpoint("b", generation=5)
    keep: set[ObjectRef] = set()
    apply = store.apply

    async def meanwhile(declared: Sequence[Declared], now: datetime) -> Applied:
        keep.add(newer.ref)  # as the watch does it: first this, then apply
        return await apply(declared, now)

    monkeypatch.setattr(store, "apply", meanwhile)
    replacing = asyncio.create_task(catalog.replace(Kind.ENDPOINT, None, [endpoint("a"), endpoint("b")], keep))
    await catalog.apply([newer])
    changed, _ = await replacing
    assert changed == refs(endpoint("a"))
    assert await store.declared(newer.ref) == newer


async def test_many_objects_go_in_groups(
    catalog: Catalog, store: SqliteStore, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = [endpoint(f"e{number}") for number in range(250)]
    sizes: list[int] = []
    apply, remove = store.apply, store.remove

    async def counted(declared: Sequence[Declared], now: datetime) -> Applied:
        sizes.append(len(declared))
        return await apply(declared, now)

    async def counted_too(gone: Sequence[tuple[ObjectRef, str | None]], now: datetime) -> frozenset[ObjectRef]:
        sizes.append(len(gone))
        return await remove(gone, now)

    monkeypatch.setattr(store, "apply", counted)
    monkeypatch.setattr(store, "remove", counted_too)
    changed, _ = await catalog.replace(Kind.ENDPOINT, None, listed)
    assert (len(changed), sizes) == (250, [100, 100, 50])
    assert frozenset().union(*told(recorder)) == changed
    _, removed = await catalog.replace(Kind.ENDPOINT, None, [])
    assert (removed, sizes[3:]) == (changed, [100, 100, 50])


async def test_nothing_is_removed_when_the_list_could_not_be_written(
    catalog: Catalog, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await catalog.apply([endpoint("old")])
    monkeypatch.setattr(store, "apply", _fail)
    with pytest.raises(StoreError):
        await catalog.replace(Kind.ENDPOINT, None, [endpoint("new")])
    assert await stored(store) == {"old"}


async def test_what_was_written_is_told_even_if_nobody_can_say_who_refers_to_it(
    catalog: Catalog, store: SqliteStore, recorder: Recorder, bell: Bell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "dependents", _fail)
    with pytest.raises(StoreError):
        await catalog.apply([endpoint("a")])
    assert (told(recorder), bell.rung) == ([refs(endpoint("a"))], 1)


async def test_an_object_that_was_replaced_since_it_was_read_is_not_removed(
    catalog: Catalog, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await catalog.apply([endpoint("a")])
    reborn = replace(endpoint("a"), uid="uid-2")
    listing = store.versions

    async def then_reborn(*asked: Any) -> Mapping[ObjectRef, Version]:
        found = await listing(*asked)
        await catalog.apply([reborn])
        return found

    monkeypatch.setattr(store, "versions", then_reborn)
    assert (await catalog.replace(Kind.ENDPOINT, None, [])).removed == frozenset()
    assert await store.declared(reborn.ref) == reborn


async def _fail(*_: object) -> frozenset[ObjectRef]:
    raise StoreError("the disk is gone")
