"""What the watch sees goes into the catalog here; what fails is tried again, 1 s to 5 min later.

Level-triggered: an event only says that an object may differ, its content decides.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from angarium.domain.declarations import Declared, Kind, ObjectRef
from angarium.domain.errors import AngariumError, InvalidInput
from angarium.domain.ports import CatalogStore, Version
from angarium.kube.client import Manifest
from angarium.kube.status import Standing
from angarium.resources.manifest import decode
from angarium.service.catalog import Catalog
from angarium.service.grouping import Group

logger = logging.getLogger(__name__)

FIRST_RETRY_S = 1.0
LAST_RETRY_S = 300.0
GROUP_SIZE = 500


class Standings(Protocol):
    """The status writer: it is told the status of every object seen, once the object is in the store."""

    def observed(self, ref: ObjectRef, standing: Standing, resource_version: str) -> None: ...

    def settled(self, ref: ObjectRef) -> str | None:
        """The resource version that was told last."""
        ...


@dataclass(frozen=True, slots=True)
class Seen:
    """An object as a list or an event brought it; `deleted` as well if only a foreign finalizer still holds it."""

    declared: Declared
    standing: Standing
    resource_version: str
    deleted: bool = False

    @property
    def ref(self) -> ObjectRef:
        return self.declared.ref


class Reconciler:
    """Belongs to the operator's loop."""

    def __init__(self, catalog: Catalog, store: CatalogStore, standings: Standings) -> None:
        self._catalog = catalog
        self._store = store
        self._standings = standings
        self._applying: Group[Declared, None] = Group(self._apply, most=GROUP_SIZE)
        self._retries: dict[ObjectRef, asyncio.Task[None]] = {}
        self._touched: set[ObjectRef] = set()
        self.errors = 0

    async def event(self, deleted: bool, manifest: Manifest) -> None:
        """One event of the watch. Never raises: what fails is tried again."""
        settled = None if deleted else self.settled(manifest)
        if settled is not None:
            self._touched.add(settled)
            return
        seen = self.read(manifest, deleted=deleted)
        if seen is None:
            return
        self._touched.add(seen.ref)
        self._forget_retry(seen.ref)
        try:
            await self._settle(seen)
        except AngariumError as error:
            self._retry_later(seen, FIRST_RETRY_S, error)

    def settled(self, manifest: Manifest) -> ObjectRef | None:
        """The object, if it is in the store and its status is known just as it is here: then nothing is to be done.

        Equal resource versions mean an equal object (Kubernetes API conventions), which need not be decoded to know.
        """
        metadata = manifest.get("metadata") or {}
        try:
            ref = ObjectRef(Kind(manifest["kind"]), metadata["namespace"], metadata["name"])
            return ref if self._standings.settled(ref) == metadata["resourceVersion"] else None
        except (KeyError, ValueError):
            return None

    def read(self, manifest: Manifest, *, deleted: bool = False) -> Seen | None:
        """None, with a log line, for what is no object of ours at all; a spec that breaks a rule is a Rejection."""
        try:
            declared = decode(manifest)
        except InvalidInput as error:
            logger.error(
                "an object that the API server sent cannot be read: %s", error, extra={"action": "object.read"}
            )
            return None
        # No deletion can be taken back: whoever asked for it expects that nothing fires and no token is good any more.
        metadata = manifest["metadata"]
        leaving = metadata.get("deletionTimestamp") is not None
        return Seen(declared, Standing.of(manifest), str(metadata.get("resourceVersion")), deleted or leaving)

    def listed(self, seen: Seen) -> None:
        """A resync has brought this object into the store."""
        self._forget_retry(seen.ref)
        self._observe(seen)

    def start_touched(self) -> set[ObjectRef]:
        """From now on collect what the watch brings, so that an older list does not overwrite it."""
        self._touched = set()
        return self._touched

    async def close(self) -> None:
        for task in list(self._retries.values()):
            task.cancel()
        await asyncio.gather(*self._retries.values(), return_exceptions=True)
        await self._applying.close()

    async def _settle(self, seen: Seen) -> None:
        if seen.deleted:
            await self._catalog.remove([(seen.ref, seen.declared.uid)])
            return
        if await self._store.known(seen.ref) != version(seen.declared):
            await self._applying.put(seen.declared)
        self._observe(seen)

    def _observe(self, seen: Seen) -> None:
        self._standings.observed(seen.ref, seen.standing, seen.resource_version)

    async def _apply(self, declared: Sequence[Declared]) -> Sequence[None]:
        # The same object may come twice in one group: the last one counts.
        await self._catalog.apply(list({one.ref: one for one in declared}.values()))
        return [None] * len(declared)

    def _retry_later(self, seen: Seen, delay_s: float, error: AngariumError) -> None:
        self.errors += 1
        logger.warning(
            "%s could not be reconciled, next try in %.0f s: %s",
            seen.ref,
            delay_s,
            error,
            extra={"action": "object.reconcile", "about": seen.ref},
        )
        self._retries[seen.ref] = asyncio.create_task(self._retry(seen, delay_s))

    async def _retry(self, seen: Seen, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        self._retries.pop(seen.ref, None)
        try:
            await self._settle(seen)
        except AngariumError as error:
            self._retry_later(seen, min(delay_s * 2, LAST_RETRY_S), error)

    def _forget_retry(self, ref: ObjectRef) -> None:
        task = self._retries.pop(ref, None)
        if task is not None:
            task.cancel()


def version(declared: Declared) -> Version:
    return Version(declared.uid, declared.generation, declared.fingerprint)
