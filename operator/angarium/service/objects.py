"""Topics, Schedules and Queues made over the API: changed in the store, and whoever must act is told.

What a resource declares is not changed here; the store refuses that.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from angarium.domain.declarations import Declared, Kind, ObjectRef, Rejection
from angarium.domain.edits import SpecChange
from angarium.domain.ids import ID_ENTROPY, new_id
from angarium.domain.instants import to_ms
from angarium.domain.notices import CatalogChanged, Observer
from angarium.domain.ports import Alarm, CatalogStore, Clock
from angarium.domain.reasons import SpecReason

SCHEDULE_ID_PREFIX = "scd_"


@dataclass(frozen=True, slots=True)
class Quotas:
    """The most objects of a kind that one tenant may make over the API; a kind that is not named has no limit."""

    most: Mapping[Kind, int] = field(default_factory=dict)


class Objects:
    """May be used on any loop. The alarms are woken after each change, before `edit` returns."""

    def __init__(
        self,
        store: CatalogStore,
        observers: Sequence[Observer],
        alarms: Sequence[Alarm],
        clock: Clock,
        quotas: Quotas | None = None,
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._store = store
        self._observers = tuple(observers)
        self._alarms = tuple(alarms)
        self._clock = clock
        self._most = (quotas or Quotas()).most
        self._entropy = entropy

    async def edit(self, ref: ObjectRef, change: SpecChange) -> Declared | None:
        """Make, change or remove one object; returns it as it is then.

        Raises OwnedByResource, QuotaReached (only if it is new), StoreError, and what `change` raises.
        """
        now = self._clock.now()
        edited = _Edit(Declared(ref, "", 0, "", now, Rejection(SpecReason.INVALID_SPEC, "")), change)
        after = await self._store.edit(ref, edited, now, self._most.get(ref.kind))
        if edited.changed:
            await self._tell(ref)
        return after

    def schedule_name(self) -> str:
        """A name that no Schedule has yet: `scd_…` (contract 5)."""
        return new_id(SCHEDULE_ID_PREFIX, to_ms(self._clock.now()), self._entropy(ID_ENTROPY))

    async def _tell(self, ref: ObjectRef) -> None:
        for alarm in self._alarms:
            alarm.wake()
        # The object itself has no status, but those of resources that name it may change.
        affected = await self._store.dependents([ref])
        if affected:
            for observer in self._observers:
                observer.notice([CatalogChanged(affected)])


class _Edit:
    """A change of a spec as the change of an object; remembers whether there was anything to change."""

    def __init__(self, blank: Declared, change: SpecChange) -> None:
        self.changed = False
        self._blank = blank
        self._change = change

    def __call__(self, before: Declared | None) -> Declared | None:
        spec = None if before is None or isinstance(before.spec, Rejection) else before.spec
        wanted = self._change(spec)
        self.changed = wanted != spec
        if not self.changed:
            return before
        return None if wanted is None else replace(before or self._blank, spec=wanted)
