"""Tenants whose namespace is gone, or is another one by uid: in cluster-wide mode they are removed with all they hold.

In namespaced mode nobody can tell whether a namespace is gone: what is not watched is only named.
"""

import logging
from collections.abc import Callable, Collection, Mapping

from angarium.domain.ports import Clock, HousekeepingStore
from angarium.kube.client import KubeClient

logger = logging.getLogger(__name__)

NAMESPACES = "/api/v1/namespaces"


class Tenants:
    """Compares the tenants of the store with the cluster's namespaces; `purged` is told who was removed."""

    def __init__(
        self, client: KubeClient, store: HousekeepingStore, clock: Clock, purged: Callable[[str], None]
    ) -> None:
        self._client = client
        self._store = store
        self._clock = clock
        self._purged = purged
        self._named: frozenset[str] = frozenset()

    async def name_unwatched(self, watched: Collection[str]) -> None:
        """Say, once for each, which tenants are not watched: that is never read as "all of it was deleted"."""
        unwatched = frozenset(await self._store.tenants()) - frozenset(watched) - self._named
        for namespace in sorted(unwatched):
            logger.warning(
                "namespace %s is not watched, but the database has what was declared there: its Schedules and tokens "
                "stay in force as they were; watch it again (--namespaces) to change or delete them, or end Angarium "
                "and remove all of it (angarium purge --namespace %s)",
                namespace,
                namespace,
                extra={"action": "tenant.unwatch", "namespace": namespace},
            )
        self._named |= unwatched

    async def check(self) -> bool:
        """Whether anything was removed; what is declared in a new namespace of that name has to be listed again.

        Raises KubeError if the namespaces cannot be listed: then nothing is removed.
        """
        # The store first: a tenant that is there before the list is made cannot be newer than the list.
        tenants = await self._store.tenants()
        uids = await self._uids() if tenants else {}
        purged = False
        for namespace, uid in tenants.items():
            current = uids.get(namespace)
            if current is None or (uid is not None and uid != current):
                logger.warning(
                    "namespace %s is gone: its tokens, schedules, messages and log are removed",
                    namespace,
                    extra={"action": "tenant.remove", "namespace": namespace},
                )
                await self._store.purge_namespace(namespace, self._clock.now())
                self._purged(namespace)
                purged = True
            elif uid is None:
                await self._store.identify_tenant(namespace, current)
        return purged

    async def _uids(self) -> Mapping[str, str]:
        uids: dict[str, str] = {}
        async for page in self._client.pages(NAMESPACES):
            uids |= {item["metadata"]["name"]: item["metadata"]["uid"] for item in page}
        return uids
