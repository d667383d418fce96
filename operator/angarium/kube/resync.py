"""Lists every kind and makes the catalog equal to it: watches lose deletes, and Kopf tells nobody when it is done.

Nothing is removed unless the list of that kind in that scope was complete. A resync also judges the watch: what it
finds different, and the watch does not bring within a grace, the watch has missed.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from angarium.domain.declarations import Kind, ObjectRef, Origin
from angarium.domain.ports import CatalogStore
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

    async def run(self, *, watched: bool) -> Findings:
        """Raises KubeError if the API server does not answer. `watched`: a watch should have brought it before."""
        touched = self._reconciler.start_touched()
        missed: set[ObjectRef] = set()
        problems: list[str] = []
        for kind in ORDER:
            for namespace in self._namespaces if self._namespaces is not None else [None]:
                try:
                    listed = await self._list(kind, namespace)
                except KubeError as error:
                    if error.unreachable:
                        raise
                    problems.append(f"{kind}s cannot be listed, so none of them is taken for deleted: {error}")
                    continue
                missed |= await self._settle(kind, namespace, listed, touched, watched=watched)
        return Findings(frozenset(missed) if watched else frozenset(), tuple(problems))

    async def _list(self, kind: Kind, namespace: str | None) -> list[Seen]:
        listed: list[Seen] = []
        async for page in self._client.pages(collection_path(kind, namespace)):
            for manifest in page:
                seen = self._reconciler.read({"kind": kind.value, **manifest})
                if seen is not None and not seen.deleted:
                    listed.append(seen)
        return listed

    async def _settle(
        self, kind: Kind, namespace: str | None, listed: list[Seen], touched: set[ObjectRef], *, watched: bool
    ) -> frozenset[ObjectRef]:
        if watched and await self._differs(kind, namespace, listed, touched):
            await asyncio.sleep(WATCH_GRACE_S)
        fresh = [seen.declared for seen in listed if seen.ref not in touched]
        scope = [namespace] if namespace is not None else None
        changed, removed = await self._catalog.replace(kind, scope, fresh, keep=touched)
        for seen in listed:
            if seen.ref not in touched:
                self._reconciler.listed(seen)
        return changed | removed

    async def _differs(self, kind: Kind, namespace: str | None, listed: list[Seen], touched: set[ObjectRef]) -> bool:
        declared = await self._store.catalog(kind, namespace, Origin.RESOURCE)
        stored = {one.ref: version(one) for one in declared}
        wanted = {seen.ref: version(seen.declared) for seen in listed}
        return any(stored.get(ref) != wanted.get(ref) for ref in stored.keys() | wanted.keys() if ref not in touched)
