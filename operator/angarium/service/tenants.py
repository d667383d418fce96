"""Removes a tenant for good, as a person asks for it whose namespace is gone and is not watched."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from angarium.domain.counts import counted
from angarium.domain.ports import HousekeepingStore
from angarium.domain.views import Holdings


@dataclass(frozen=True, slots=True)
class Purged:
    """What the tenant had before (None: the database does not know it), whether it went, and who else is there."""

    held: Holdings | None
    removed: bool
    others: Sequence[str]


async def purge(store: HousekeepingStore, namespace: str, agree: Callable[[Holdings], bool], now: datetime) -> Purged:
    """`agree` is shown what there is, and decides whether it goes. Raises StoreError; then some of it may be gone."""
    tenants = await store.tenants()
    others = sorted(tenants.keys() - {namespace})
    if namespace not in tenants:
        return Purged(None, False, others)
    held = await store.holdings(namespace)
    removed = agree(held)
    if removed:
        await store.purge_namespace(namespace, now)
    return Purged(held, removed, others)


def told(held: Holdings) -> list[str]:
    """What a tenant has, one line for each kind of thing that there is."""
    return [
        *(counted(number, kind.value) for kind, number in held.objects.items()),
        *([f"{counted(held.credentials, 'token')} that the API takes"] if held.credentials else []),
        *(["the signing keys"] if held.signing_keys else []),
        *([f"{counted(held.unfinished, 'message')} to be delivered"] if held.unfinished else []),
        *([f"{counted(held.finished, 'message')} delivered, canceled or given up"] if held.finished else []),
        *([counted(held.dead_letters, "dead letter")] if held.dead_letters else []),
        *([f"{counted(held.log, 'line')} of the log"] if held.log else []),
    ]
