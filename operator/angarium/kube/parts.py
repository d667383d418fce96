"""What lives in the operator's loop, wired together: reconciler, resync, statuses, Events, Token Secrets, tenants."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from angarium.domain.declarations import Kind, ObjectRef
from angarium.domain.notices import CatalogChanged, KeysRotated, Notice
from angarium.domain.pod import Pod
from angarium.domain.ports import Clock, Store
from angarium.kube import notices as told_by
from angarium.kube.client import KubeClient
from angarium.kube.desired import DesiredStatuses
from angarium.kube.events import Events
from angarium.kube.pod import PodEvents
from angarium.kube.reconciler import Reconciler
from angarium.kube.references import KubeReferences
from angarium.kube.resync import Resync
from angarium.kube.status import StatusWriter
from angarium.kube.tenants import Tenants
from angarium.kube.tokens import TokenSecrets
from angarium.service.catalog import Catalog
from angarium.service.keys import Keys
from angarium.service.statuses import Statuses


@dataclass(frozen=True, slots=True)
class Scope:
    """What is watched (`namespaces` None: the whole cluster), how often it is listed, our own address and pod."""

    namespaces: Sequence[str] | None
    resync: timedelta
    public_url: str
    pod: Pod | None = None


@dataclass(frozen=True, slots=True)
class Planes:
    """What the operator is given to work on."""

    store: Store
    catalog: Catalog
    keys: Keys
    references: KubeReferences
    clock: Clock


class Parts:
    """Belongs to the operator's loop; `notice` may be called from any thread."""

    def __init__(self, client: KubeClient, scope: Scope, planes: Planes, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.events = Events(client, planes.store, planes.clock, loop)
        self.pod = PodEvents(scope.pod, self.events.tell, planes.clock)
        self.tenants = Tenants(client, planes.store, planes.clock, planes.references.forget_namespace)
        self.tokens = TokenSecrets(
            client, planes.store, planes.keys, scope.public_url, self._tokens_changed, self._tenant_replaced
        )
        statuses = Statuses(planes.store, planes.references, planes.clock)
        desired = DesiredStatuses(statuses, self.tokens, planes.clock, self._look_again)
        self.status = StatusWriter(client, desired.of, planes.clock, loop)
        self.reconciler = Reconciler(planes.catalog, planes.store, self.status)
        self.resync = Resync(client, self.reconciler, planes.catalog, planes.store, scope.namespaces)
        self.again = asyncio.Event()
        self._namespaces = scope.namespaces
        self._tenant_is_new = False
        self._looking_again: set[ObjectRef] = set()

    def loops(self) -> Sequence[tuple[str, Callable[[], Coroutine[Any, Any, None]]]]:
        return [("events", self.events.run), ("tokens", self.tokens.run), ("status", self.status.run)]

    def notice(self, notices: list[Notice]) -> None:
        """From any thread. Raises RuntimeError once the loop is closed."""
        if touched := told_by.touched(notices):
            self.status.touch(touched)
        for namespace in told_by.bereft(notices):
            self._loop.call_soon_threadsafe(self.status.review, namespace)
        for event in told_by.told(notices):
            self.events.tell(event)
        if any(_concerns_tokens(notice) for notice in notices):
            self.wake_tokens()

    def wake_tokens(self) -> None:
        self._loop.call_soon_threadsafe(self.tokens.wake)

    async def replaced(self) -> bool:
        """At a resync: whether it has to bring what no watch could, because a tenant was removed just now."""
        asked, self._tenant_is_new = self._tenant_is_new, False
        if self._namespaces is not None:
            await self.tenants.name_unwatched(self._namespaces)
            return asked
        return await self.tenants.check() or asked

    def asked(self) -> bool:
        """Whether a resync is wanted before its time."""
        return self._tenant_is_new

    async def _tenant_replaced(self) -> bool:
        if self._namespaces is None and not self._tenant_is_new and await self.tenants.check():
            self._tenant_is_new = True
            self.again.set()
        return self._tenant_is_new

    def _tokens_changed(self, refs: list[ObjectRef]) -> None:
        self.status.touch(refs)

    def _look_again(self, refs: Sequence[ObjectRef], delay_s: float) -> None:
        """Once for each object, however often it is asked for before that."""
        fresh = [ref for ref in refs if ref not in self._looking_again]
        if fresh:
            self._looking_again.update(fresh)
            self._loop.call_later(delay_s, self._look, fresh)

    def _look(self, refs: Sequence[ObjectRef]) -> None:
        self._looking_again.difference_update(refs)
        self.status.touch(refs)


def _concerns_tokens(notice: Notice) -> bool:
    """Whether a Secret of a Token may have to be written."""
    if isinstance(notice, CatalogChanged):
        return any(ref.kind is Kind.TOKEN for ref in notice.refs)
    return isinstance(notice, KeysRotated)
