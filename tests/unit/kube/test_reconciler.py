"""Events into the catalog, and the retries of what fails; resyncs that may not take silence for deletion."""

import asyncio
import tracemalloc
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import replace
from typing import Any

import pytest
from tests.support.resources import manifest_of

from angarium.domain.declarations import Declared, Kind, ObjectRef, Rejection
from angarium.domain.errors import StoreError
from angarium.domain.ports import Version
from angarium.kube.client import PLURALS, KubeError, Manifest
from angarium.kube.reconciler import LAST_RETRY_S, Reconciler, version
from angarium.kube.resync import Resync
from angarium.kube.status import Standing

EMPTY = Rejection("Empty", "not kept")


class FakeCatalog:
    """A catalog and the store below it: what is declared, and how often it was written. `failures` come first."""

    def __init__(self) -> None:
        self.declared: dict[ObjectRef, Declared] = {}
        self.applied: list[float] = []
        self.failures = 0

    async def known(self, ref: ObjectRef) -> Version | None:
        found = self.declared.get(ref)
        return version(found) if found else None

    async def versions(
        self, kind: Kind, namespace: str | None = None, origin: object = None
    ) -> dict[ObjectRef, Version]:
        found = {ref: version(one) for ref, one in self.declared.items() if ref.kind is kind}
        return {ref: one for ref, one in found.items() if namespace in (None, ref.namespace)}

    async def apply(
        self, declared: Sequence[Declared], keep: Collection[ObjectRef] = frozenset()
    ) -> frozenset[ObjectRef]:
        if not declared:
            return frozenset()
        self.applied.append(asyncio.get_running_loop().time())
        if self.failures:
            self.failures -= 1
            raise StoreError("the disk is full")
        changed = {one.ref: one for one in declared if one.ref not in keep and self.declared.get(one.ref) != one}
        self.declared |= changed
        return frozenset(changed)

    async def remove(self, refs: Sequence[tuple[ObjectRef, str | None]]) -> frozenset[ObjectRef]:
        gone = [ref for ref, uid in refs if ref in self.declared and uid in (None, self.declared[ref].uid)]
        for ref in gone:
            del self.declared[ref]
        return frozenset(gone)

    async def retain(
        self,
        kind: Kind,
        namespace: str | None,
        present: Collection[ObjectRef],
        keep: Collection[ObjectRef] = frozenset(),
    ) -> frozenset[ObjectRef]:
        stored = await self.versions(kind, namespace)
        return await self.remove(
            [(ref, one.uid) for ref, one in stored.items() if ref not in present and ref not in keep]
        )


class Observed:
    """What the status writer is told: each object as often as that, and its resource version."""

    def __init__(self) -> None:
        self.seen: list[ObjectRef] = []
        self.versions: dict[ObjectRef, str] = {}

    def observed(self, ref: ObjectRef, standing: Standing, resource_version: str) -> None:
        self.seen.append(ref)
        self.versions[ref] = resource_version

    def settled(self, ref: ObjectRef) -> str | None:
        return self.versions.get(ref)


@pytest.fixture
def catalog() -> FakeCatalog:
    return FakeCatalog()


@pytest.fixture
def observed() -> Observed:
    return Observed()


@pytest.fixture
async def reconciler(catalog: FakeCatalog, observed: Observed) -> AsyncIterator[Reconciler]:
    reconciler = Reconciler(catalog, catalog, observed)  # type: ignore[arg-type]
    yield reconciler
    await reconciler.close()


def endpoint(name: str = "billing", **metadata: Any) -> Manifest:
    return manifest_of("Endpoint", name=name, **metadata)


def ref(name: str = "billing", kind: Kind = Kind.ENDPOINT) -> ObjectRef:
    return ObjectRef(kind, "shop", name)


async def test_an_event_is_stored_then_observed(
    reconciler: Reconciler, catalog: FakeCatalog, observed: Observed
) -> None:
    await reconciler.event(False, endpoint())
    assert catalog.declared.keys() == {ref()}
    assert observed.seen == [ref()]


async def test_what_is_known_already_is_not_written_again(
    reconciler: Reconciler, catalog: FakeCatalog, observed: Observed
) -> None:
    for number in range(3):
        await reconciler.event(False, endpoint(resourceVersion=str(number)))
    assert len(catalog.applied) == 1
    assert observed.seen == [ref()] * 3, "its status may have changed all the same"


async def test_an_object_of_the_same_resource_version_is_not_looked_at_again(
    reconciler: Reconciler, catalog: FakeCatalog, observed: Observed
) -> None:
    for _ in range(2):
        await reconciler.event(False, endpoint(resourceVersion="7"))
        await resync_of(FakeLists(Endpoint=[endpoint(resourceVersion="7")]), reconciler, catalog).run(watched=True)
    assert observed.seen == [ref()]
    assert catalog.declared.keys() == {ref()}
    await reconciler.event(True, endpoint(resourceVersion="7"))
    assert catalog.declared == {}, "a deletion counts, whatever the version"


async def test_a_resync_brings_back_what_the_store_has_lost_since_it_was_seen(
    reconciler: Reconciler, catalog: FakeCatalog
) -> None:
    await reconciler.event(False, endpoint(resourceVersion="7"))
    catalog.declared.clear()
    await resync_of(FakeLists(Endpoint=[endpoint(resourceVersion="7")]), reconciler, catalog).run(watched=False)
    assert catalog.declared.keys() == {ref()}


async def test_what_could_not_be_stored_is_no_known_version(reconciler: Reconciler, catalog: FakeCatalog) -> None:
    catalog.failures = 1
    await reconciler.event(False, endpoint(resourceVersion="7"))
    await resync_of(FakeLists(Endpoint=[endpoint(resourceVersion="7")]), reconciler, catalog).run(watched=False)
    assert catalog.declared.keys() == {ref()}


async def test_a_deletion_counts_for_the_object_that_was_deleted_only(
    reconciler: Reconciler, catalog: FakeCatalog
) -> None:
    await reconciler.event(False, endpoint(uid="new"))
    await reconciler.event(True, endpoint(uid="old"))
    assert catalog.declared.keys() == {ref()}
    await reconciler.event(True, endpoint(uid="new"))
    assert catalog.declared == {}


LEAVING: dict[str, Any] = {"deletionTimestamp": "2026-03-01T12:00:00Z", "finalizers": ["example.com/foreign"]}


async def test_what_only_a_foreign_finalizer_holds_is_deleted(
    reconciler: Reconciler, catalog: FakeCatalog, observed: Observed
) -> None:
    await reconciler.event(False, endpoint())
    await reconciler.event(False, endpoint(**LEAVING))
    assert catalog.declared == {}
    assert observed.seen == [ref()], "nobody writes its status any more"


async def test_a_resync_does_not_bring_back_what_a_foreign_finalizer_holds(
    reconciler: Reconciler, catalog: FakeCatalog, observed: Observed
) -> None:
    lists = FakeLists(Endpoint=[endpoint("stays"), endpoint("leaving", **LEAVING)])
    await resync_of(lists, reconciler, catalog).run(watched=False)
    assert catalog.declared.keys() == {ref("stays")}
    assert observed.seen == [ref("stays")]


async def test_what_is_no_object_of_ours_is_logged_and_left(
    reconciler: Reconciler, caplog: pytest.LogCaptureFixture
) -> None:
    await reconciler.event(False, {"kind": "Endpoint", "metadata": {"name": "x"}})
    assert "cannot be read" in caplog.text


@pytest.mark.looptime
async def test_what_fails_is_tried_again_later_and_later(
    reconciler: Reconciler, catalog: FakeCatalog, observed: Observed
) -> None:
    catalog.failures = 12
    await reconciler.event(False, endpoint())
    assert observed.seen == []
    await asyncio.sleep(2000)
    pauses = [later - earlier for earlier, later in zip(catalog.applied, catalog.applied[1:], strict=False)]
    assert [round(pause) for pause in pauses] == [1, 2, 4, 8, 16, 32, 64, 128, 256, *[round(LAST_RETRY_S)] * 3]
    assert catalog.declared.keys() == {ref()}
    assert observed.seen == [ref()]
    assert reconciler.errors == 12


@pytest.mark.looptime
async def test_a_newer_event_takes_the_place_of_a_retry(reconciler: Reconciler, catalog: FakeCatalog) -> None:
    catalog.failures = 1
    await reconciler.event(False, endpoint(generation=1))
    await reconciler.event(False, endpoint(generation=2))
    await asyncio.sleep(10)
    assert [one.generation for one in catalog.declared.values()] == [2]
    assert len(catalog.applied) == 2


@pytest.mark.looptime
async def test_a_resync_takes_the_place_of_a_retry(reconciler: Reconciler, catalog: FakeCatalog) -> None:
    catalog.failures = 1
    await reconciler.event(False, endpoint(generation=1))
    await resync_of(FakeLists(Endpoint=[endpoint(generation=2)]), reconciler, catalog).run(watched=False)
    await asyncio.sleep(10)
    assert [one.generation for one in catalog.declared.values()] == [2]


class FakeLists:
    """The `pages` of a KubeClient: objects by kind, one per page; an error among them ends the list."""

    def __init__(self, **objects: Sequence[Manifest | KubeError]) -> None:
        self.objects = objects

    async def pages(self, path: str) -> AsyncIterator[list[Manifest]]:
        kinds = {plural: kind.value for kind, plural in PLURALS.items()}
        for one in self.objects.get(kinds[path.rpartition("/")[2]], ()):
            await asyncio.sleep(0)
            if isinstance(one, KubeError):
                raise one
            yield [{name: value for name, value in one.items() if name != "kind"}]


def resync_of(lists: FakeLists, reconciler: Reconciler, catalog: FakeCatalog) -> Resync:
    return Resync(lists, reconciler, catalog, catalog, ["shop"])  # type: ignore[arg-type]


async def test_a_resync_brings_what_is_there_and_removes_what_is_not(
    reconciler: Reconciler, catalog: FakeCatalog, observed: Observed
) -> None:
    await reconciler.event(False, endpoint("gone"))
    lists = FakeLists(Endpoint=[endpoint("one"), endpoint("two")], Schedule=[manifest_of("Schedule", name="nightly")])
    findings = await resync_of(lists, reconciler, catalog).run(watched=False)
    assert catalog.declared.keys() == {ref("one"), ref("two"), ref("nightly", Kind.SCHEDULE)}
    assert set(observed.seen) > {ref("one"), ref("two"), ref("nightly", Kind.SCHEDULE)}
    assert (findings.missed, findings.problems) == (frozenset(), ())


async def test_a_resync_holds_one_page_at_a_time(
    reconciler: Reconciler, catalog: FakeCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of these bodies would be 40 MiB."""

    class Large(FakeLists):
        async def pages(self, path: str) -> AsyncIterator[list[Manifest]]:
            for number in range(40 if path.endswith("/schedules") else 0):
                body = {"text": f"{number}" + "x" * 2**20}
                yield [manifest_of("Schedule", {"body": body}, name=f"large-{number}", resourceVersion="1")]

    async def forgetting(declared: Sequence[Declared], keep: Collection[ObjectRef] = ()) -> frozenset[ObjectRef]:
        catalog.declared |= {one.ref: replace(one, spec=EMPTY) for one in declared}
        return frozenset(one.ref for one in declared)

    monkeypatch.setattr(catalog, "apply", forgetting)
    resync = resync_of(Large(), reconciler, catalog)
    tracemalloc.start()
    try:
        for _ in range(2):
            await resync.run(watched=False)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(catalog.declared) == 40
    assert peak < 12 * 2**20


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_a_list_that_is_refused_removes_nothing_of_its_kind(
    reconciler: Reconciler, catalog: FakeCatalog, status: int
) -> None:
    await reconciler.event(False, endpoint("kept"))
    await reconciler.event(False, manifest_of("Token", name="gone"))
    lists = FakeLists(Endpoint=[endpoint("listed"), KubeError(status, "forbidden")])
    findings = await resync_of(lists, reconciler, catalog).run(watched=False)
    assert catalog.declared.keys() == {ref("kept"), ref("listed")}, "what came before is brought, nothing is removed"
    (problem,) = findings.problems
    assert "Endpoints cannot be listed" in problem
    assert "forbidden" in problem


@pytest.mark.looptime
@pytest.mark.parametrize("status", [0, 429, 503])
async def test_a_list_that_breaks_off_ends_the_resync_and_removes_nothing(
    reconciler: Reconciler, catalog: FakeCatalog, status: int
) -> None:
    await reconciler.event(False, endpoint("kept"))
    lists = FakeLists(Endpoint=[endpoint("listed"), KubeError(status, "away")])
    with pytest.raises(KubeError, match="away"):
        await resync_of(lists, reconciler, catalog).run(watched=True)
    assert ref("kept") in catalog.declared


@pytest.mark.looptime
async def test_what_the_watch_should_have_brought_is_missed(reconciler: Reconciler, catalog: FakeCatalog) -> None:
    await reconciler.event(False, endpoint("gone"))
    findings = await resync_of(FakeLists(Endpoint=[endpoint("new")]), reconciler, catalog).run(watched=True)
    assert findings.missed == {ref("gone"), ref("new")}


@pytest.mark.looptime
async def test_what_the_watch_brings_a_little_later_is_not_missed(reconciler: Reconciler, catalog: FakeCatalog) -> None:
    await reconciler.event(False, endpoint("gone"))
    resync = resync_of(FakeLists(Endpoint=[endpoint("new")]), reconciler, catalog)
    running = asyncio.create_task(resync.run(watched=True))
    await asyncio.sleep(2)
    await reconciler.event(True, endpoint("gone"))
    await reconciler.event(False, endpoint("new", generation=9))
    findings = await running
    assert findings.missed == frozenset()
    assert [(one.ref.name, one.generation) for one in catalog.declared.values()] == [("new", 9)]
