"""Starts under flow-control keys inside one operation: who may start now, and what the keys then say.

A lease is a start; it is on its way until the lease ends in any way. `settle` writes changed keys once (contract 23.1).
"""

from dataclasses import dataclass
from datetime import datetime

from angarium.domain.declarations import FlowControl
from angarium.domain.fanout import FLOW_PREFIX_ENDPOINT, flow_key_of
from angarium.domain.flow_control import CLOCK_SKEW, FlowChange, FlowState
from angarium.domain.instants import MILLISECOND, from_ms, optional_ms, optional_time, to_ms
from angarium.store.session import Row, WritingSession
from angarium.store.statements import load

SQL = load("flow_control")
SKEW_MS = CLOCK_SKEW // MILLISECOND
_OPEN_MS = 0


@dataclass(slots=True)
class _Key:
    """A key while an operation works on it. `state` None: nothing is known of it, so it limits nothing."""

    state: FlowState | None
    changed: bool = False


def effective_key(flow: str | None, endpoint: str | None) -> str | None:
    """The key that a message starts under: its own, else its Endpoint's."""
    return flow if flow is not None or endpoint is None else flow_key_of(endpoint)


class Starts:
    """The flow-control keys that one operation works with."""

    def __init__(self, session: WritingSession) -> None:
        self._session = session
        self._keys: dict[tuple[str, str], _Key] = {}
        self._now_ms = 0

    def open(self, namespace: str, key: str | None, now: datetime) -> bool:
        """Whether a message of this key may start now; None: nothing limits it."""
        state = self._key(namespace, key).state if key is not None else None
        return state is None or state.room(_whole_ms(now)) != 0

    def limits(self, namespace: str, key: str | None) -> bool:
        """Whether the key makes anybody wait, ever."""
        state = self._key(namespace, key).state if key is not None else None
        return state is not None and (state.paused or state.parallelism is not None or state.rate is not None)

    def gates(self, namespace: str, key: str | None) -> bool:
        """Whether the end of a message of this key may let another one start."""
        state = self._key(namespace, key).state if key is not None else None
        return state is not None and state.parallelism is not None

    def start(self, namespace: str, key: str | None, now: datetime) -> bool:
        """A message of this key starts. Whether its end may let another one start."""
        kept = self._key(namespace, key) if key is not None else None
        if kept is None or kept.state is None:
            return False
        self._set(kept, kept.state.start(1, _whole_ms(now)), now)
        return kept.state.parallelism is not None

    def end(self, row: Row) -> None:
        """The lease of this message has ended, so it is not on its way any more."""
        key = effective_key(row["flow"], row["endpoint"])
        if key is None:
            return
        kept = self._key(row["namespace"], key)
        if kept.state is not None:
            kept.state = kept.state.end(1)
            kept.changed = True

    def configure(self, namespace: str, limits: FlowControl, now: datetime) -> None:
        """The newest message brings the limits of its key; an Endpoint's come from the Endpoint alone."""
        if not limits.key.startswith(FLOW_PREFIX_ENDPOINT):
            self.declare(namespace, limits, now)

    def declare(self, namespace: str, limits: FlowControl, now: datetime) -> None:
        """Give a key limits; it comes to be if it is new."""
        kept = self._known(namespace, limits.key)
        assert kept.state is not None
        state = kept.state.configured(limits)
        if kept.changed or state != kept.state:
            self._set(kept, state, now)

    def lift(self, namespace: str, key: str, now: datetime) -> None:
        """Nothing is declared of a key any more; what is pinned stays."""
        kept = self._key(namespace, key)
        if kept.state is not None:
            self._set(kept, kept.state.configured(FlowControl(key)), now)

    def change(self, namespace: str, key: str, change: FlowChange, now: datetime) -> None:
        kept = self._known(namespace, key)
        assert kept.state is not None
        self._set(kept, kept.state.changed(change, _whole_ms(now)), now)

    def settle(self) -> None:
        for (namespace, key), kept in self._keys.items():
            if kept.state is not None and kept.changed:
                self._session.run(SQL["write"], **_row_of(namespace, key, kept.state), used_ms=self._now_ms)
        self._keys.clear()

    def _set(self, kept: _Key, state: FlowState, now: datetime) -> None:
        kept.state = state
        kept.changed = True
        self._now_ms = max(self._now_ms, to_ms(now))

    def _key(self, namespace: str, key: str) -> _Key:
        kept = self._keys.get((namespace, key))
        if kept is None:
            row = self._session.row(SQL["key"], namespace, key)
            kept = self._keys[namespace, key] = _Key(state_of(row) if row else None)
        return kept

    def _known(self, namespace: str, key: str) -> _Key:
        """The key, which comes to be if it is new: messages may be on their way under it already."""
        kept = self._key(namespace, key)
        if kept.state is None:
            row = self._session.row(SQL["on_their_way"], namespace=namespace, key=key)
            kept.state = FlowState(active=row["active"] if row else 0)
            kept.changed = True
        return kept


def state_of(row: Row) -> FlowState:
    return FlowState(
        parallelism=row["parallelism"] or None,
        rate=row["rate"] or None,
        period=row["period_ms"] * MILLISECOND,
        paused=bool(row["paused"]),
        pinned_parallelism=bool(row["pinned_parallelism"]),
        pinned_rate=bool(row["pinned_rate"]),
        active=row["active"],
        started=row["started"],
        window_start=optional_time(row["window_ms"]),
    )


def _row_of(namespace: str, key: str, state: FlowState) -> dict[str, object]:
    return {
        "namespace": namespace,
        "key": key,
        "parallelism": state.parallelism or 0,
        "rate": state.rate or 0,
        "period_ms": state.period // MILLISECOND,
        "paused": state.paused,
        "pinned_parallelism": state.pinned_parallelism,
        "pinned_rate": state.pinned_rate,
        "active": state.active,
        "started": state.started,
        "window_ms": optional_ms(state.window_start),
        "opens_ms": _opens_ms(state),
    }


def _opens_ms(state: FlowState) -> int | None:
    """When a message may start, whatever the time is now: 0, the end of the window, or None."""
    begin = state.window_start or from_ms(0)
    opens = state.opens_at(begin)
    if opens is None:
        return None
    return _OPEN_MS if opens == begin else to_ms(opens)


def _whole_ms(now: datetime) -> datetime:
    """As it is stored: a window must begin for everybody at the same instant."""
    return from_ms(to_ms(now))
