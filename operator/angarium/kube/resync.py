"""Lists every kind and makes the catalog equal to it: watches lose deletes, and Kopf tells nobody when it is done.

Nothing is removed unless the list of that kind in that scope was complete. A resync also judges the watch: what it
finds different, and the watch does not bring within a grace, the watch has missed.
"""

import asyncio
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass

from angarium.domain.declarations import Kind, ObjectRef, Origin
from angarium.domain.ports import CatalogStore, Version
from angarium.kube.client import KubeClient, KubeError, collection_path
from angarium.kube.reconciler import Reconciler, Seen, version
from angarium.service.catalog import Catalog

# Tokens first: keys and credentials must be known before anything is delivered with them. What refers comes last.
ORDER = (Kind.TOKEN, Kind.ENDPOINT, Kind.TOPIC, Kind.QUEUE, Kind.SCHEDULE)
WATCH_GRACE_S = 5.0


@dataclass(frozen=True, slots=True)
class Findings:
    """What one resync found: objects that the watch should have brought, and what could not be listed."""

    missed: frozenset[ObjectRef]
    problems: tuple[str, ...]


class Resync:
    """One pass over all kinds; `namespaces` None means the whole cluster."""

    def __init__(
        self,
        client: KubeClient,
        reconciler: Reconciler,
        catalog: Catalog,
        store: CatalogStore,
        namespaces: Sequence[str] | None,
    ) -> None:
        self._client = client
        self._reconciler = reconciler
        self._catalog = catalog
        self._store = store
        self._namespaces = namespaces

    async def run(self, *, watched: bool, leave_out: Container[str] = ()) -> Findings:
        """Raises KubeError if the API server does not answer. `watched`: a watch should have brought it before;
        `leave_out`: these namespaces stay in the catalog as they are."""
        touched = self._reconciler.start_touched()
        missed: set[ObjectRef] = set()
        problems: list[str] = []
        for kind in ORDER:
            for namespace in self._namespaces if self._namespaces is not None else [None]:
                if namespace in leave_out:
                    continue
                try:
                    missed |= await self._make_equal(kind, namespace, touched, _Grace(watched))
                except KubeError as error:
                    if error.unreachable:
                        raise
                    problems.append(f"{kind}s cannot be listed, so none of them is taken for deleted: {error}")
        return Findings(frozenset(missed) if watched else frozenset(), tuple(problems))

    async def _make_equal(
        self, kind: Kind, namespace: str | None, touched: set[ObjectRef], grace: "_Grace"
    ) -> frozenset[ObjectRef]:
        """What was different. Page by page: all bodies of a large cluster would not fit into memory."""
        stored = await self._store.versions(kind, namespace, Origin.RESOURCE)
        present: set[ObjectRef] = set()
        different: frozenset[ObjectRef] = frozenset()
        async for page in self._client.pages(collection_path(kind, namespace)):
            unsettled: list[Seen] = []
            for manifest in page:
                manifest["kind"] = kind.value
                settled = self._reconciler.settled(manifest)
                if settled is not None and settled in stored:
                    present.add(settled)
                elif (seen := self._reconciler.read(manifest)) is not None and not seen.deleted:
                    present.add(seen.ref)
                    unsettled.append(seen)
            different |= await self._settle(unsettled, stored, touched, grace)
        if any(ref not in present and ref not in touched for ref in stored):
            await grace.wait()
        return different | await self._catalog.retain(kind, namespace, present, keep=touched)

    async def _settle(
        self, page: Sequence[Seen], stored: Mapping[ObjectRef, Version], touched: set[ObjectRef], grace: "_Grace"
    ) -> frozenset[ObjectRef]:
        fresh = [seen for seen in page if stored.get(seen.ref) != version(seen.declared)]
        if any(seen.ref not in touched for seen in fresh):
            await grace.wait()
        changed = await self._catalog.apply([seen.declared for seen in fresh], keep=touched)
        for seen in page:
            if seen.ref not in touched:
                self._reconciler.listed(seen)
        return changed


class _Grace:
    """Time for the watch to bring what a list has. All of a list is of the instant of its first page: once will do."""

    def __init__(self, watched: bool) -> None:
        self._pending = watched

    async def wait(self) -> None:
        if self._pending:
            self._pending = False
            await asyncio.sleep(WATCH_GRACE_S)
