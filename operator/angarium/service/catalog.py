"""Declared objects into the store, and the news of it to whoever must act: statuses, scheduler, dispatcher.

Whether an object is newer than what is stored is the caller's to judge; here it is only written.
"""

import asyncio
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple, TypeVar

from angarium.domain.declarations import Declared, Kind, ObjectRef, Origin
from angarium.domain.notices import CatalogChanged, Notice, Observer, TakenOver
from angarium.domain.ports import Alarm, CatalogStore, Clock

T = TypeVar("T")

GROUP_SIZE = 100
"""Objects written in one transaction: others wait for it, so it must take milliseconds only."""


class Replaced(NamedTuple):
    """What `replace` found different from what was stored."""

    changed: frozenset[ObjectRef]
    removed: frozenset[ObjectRef]


class Catalog:
    """Belongs to one loop. One write at a time, so that an older list never overwrites what came while it was written.

    After each group of changes the observers are told CatalogChanged, with all objects that refer to what changed,
    and the alarms are woken. Methods raise StoreError; then what was written before stays, and was told.
    """

    def __init__(
        self, store: CatalogStore, observers: Sequence[Observer], alarms: Sequence[Alarm], clock: Clock
    ) -> None:
        self._store = store
        self._observers = observers
        self._alarms = alarms
        self._clock = clock
        self._writing = asyncio.Lock()

    async def apply(
        self, declared: Sequence[Declared], keep: Collection[ObjectRef] = frozenset()
    ) -> frozenset[ObjectRef]:
        """Insert or update, each object at most once. Returns those that were new or changed.

        Objects in `keep` are left as they are: the watch has brought something newer. It may grow while this runs;
        whoever adds to it does so before applying the object.
        """
        changed: frozenset[ObjectRef] = frozenset()
        for group in _groups(declared):
            async with self._writing:
                changed |= await self._apply([one for one in group if one.ref not in keep])
        return changed

    async def remove(self, refs: Sequence[tuple[ObjectRef, str | None]]) -> frozenset[ObjectRef]:
        """Remove objects, each only if its uid is still this one (None: whatever it is). Returns those removed."""
        async with self._writing:
            return await self._remove(refs)

    async def replace(
        self,
        kind: Kind,
        namespaces: Collection[str] | None,
        listed: Sequence[Declared],
        keep: Collection[ObjectRef] = frozenset(),
    ) -> Replaced:
        """Make the stored objects of a kind in these namespaces (None: in all) equal to a complete list of them.

        Objects made over the API stay, unless one of their name is listed. `keep` as for `apply`, listed or not.
        """
        changed = await self.apply(listed, keep)
        present = {declared.ref for declared in listed}
        removed: frozenset[ObjectRef] = frozenset()
        for namespace in [None] if namespaces is None else sorted(namespaces):
            removed |= await self.retain(kind, namespace, present, keep)
        return Replaced(changed, removed)

    async def retain(
        self,
        kind: Kind,
        namespace: str | None,
        present: Collection[ObjectRef],
        keep: Collection[ObjectRef] = frozenset(),
    ) -> frozenset[ObjectRef]:
        """Remove what resources have declared of a kind (None: in all namespaces) and is not present any more.

        Returns those removed. `keep` as for `apply`.
        """
        stored = await self._store.versions(kind, namespace, Origin.RESOURCE)
        removed: frozenset[ObjectRef] = frozenset()
        for group in _groups([(ref, one.uid) for ref, one in stored.items() if ref not in present]):
            async with self._writing:
                removed |= await self._remove([(ref, uid) for ref, uid in group if ref not in keep])
        return removed

    async def _apply(self, declared: Sequence[Declared]) -> frozenset[ObjectRef]:
        if not declared:
            return frozenset()
        applied = await self._store.apply(declared, self._clock.now())
        await self._tell(applied.changed, [TakenOver(ref) for ref in sorted(applied.taken_over)])
        return applied.changed

    async def _remove(self, refs: Sequence[tuple[ObjectRef, str | None]]) -> frozenset[ObjectRef]:
        if not refs:
            return frozenset()
        removed = await self._store.remove(refs, self._clock.now())
        await self._tell(removed)
        return removed

    async def _tell(self, refs: frozenset[ObjectRef], news: Sequence[Notice] = ()) -> None:
        if not refs:
            return
        for alarm in self._alarms:
            alarm.wake()
        affected = refs
        try:
            affected |= await self._store.dependents(sorted(refs))
        finally:  # what is stored has to be told, even if nobody can say now who refers to it
            for observer in self._observers:
                observer.notice([CatalogChanged(affected), *news])


def _groups(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), GROUP_SIZE):
        yield items[start : start + GROUP_SIZE]
