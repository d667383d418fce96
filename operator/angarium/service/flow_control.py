"""Flow-control keys changed by people (contract 13), and the dispatcher told that something may start."""

from angarium.domain.flow_control import FlowChange
from angarium.domain.ports import Alarm, Clock, FlowControlStore


class FlowControls:
    """Keys of all namespaces."""

    def __init__(self, store: FlowControlStore, dispatch: Alarm, clock: Clock) -> None:
        self._store = store
        self._dispatch = dispatch
        self._clock = clock

    async def change(self, namespace: str, key: str, *changes: FlowChange) -> None:
        """One after the other; the next read shows them. Raises QuotaReached, StoreError."""
        for change in changes:
            await self._store.change_flow_control(namespace, key, change, self._clock.now())
        self._dispatch.wake()
