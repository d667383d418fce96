"""Flow-control keys as the store keeps them: read for the API, changed by people and Endpoints (contract 13)."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from angarium.domain.declarations import Declared, Endpoint
from angarium.domain.errors import QuotaReached
from angarium.domain.fanout import flow_key_of
from angarium.domain.flow_control import FlowChange, Pause, Pin
from angarium.domain.instants import to_ms
from angarium.domain.views import FlowControlView
from angarium.store.starts import SQL, state_of
from angarium.store.transaction import Row, Session, Transaction, json_array


def flow_controls(session: Session, namespace: str, search: str, now: datetime) -> Sequence[FlowControlView]:
    return [_view(session, row, now) for row in session.rows(SQL["keys"], namespace=namespace, search=search)]


def flow_control(session: Session, namespace: str, key: str, now: datetime) -> FlowControlView | None:
    row = session.row(SQL["key"], namespace, key)
    return _view(session, row, now) if row else None


def change(tx: Transaction, namespace: str, key: str, change: FlowChange, now: datetime, most: int) -> None:
    """Keys that people fixed are never forgotten, so a tenant has at most so many of them."""
    if isinstance(change, Pin) or change == Pause(paused=True):
        row = tx.row(SQL["fixed"], namespace, key)
        if row and row["count"] >= most:
            text = f"namespace {namespace!r} has reached its limit of {most} paused or pinned flow-control keys"
            raise QuotaReached(f"{text}; resume or unpin one")
    tx.starts.change(namespace, key, change, now)


def adjust(tx: Transaction, declared: Declared, now: datetime) -> None:
    """An Endpoint was declared or changed: its key `endpoint/<name>` has its limits from now on."""
    namespace, key = declared.ref.namespace, flow_key_of(declared.ref.name)
    limits = declared.spec.options.flow_control if isinstance(declared.spec, Endpoint) else None
    if limits is not None:
        tx.starts.declare(namespace, replace(limits, key=key), now)
    elif isinstance(declared.spec, Endpoint):
        tx.starts.lift(namespace, key, now)


def delivering(session: Session, namespace: str) -> int:
    row = session.row(SQL["delivering"], namespace)
    return int(row["delivering"]) if row else 0


def purge(tx: Transaction, before: datetime, now: datetime, limit: int) -> int:
    """Forget keys that were last used before this and that nothing needs. Returns how many were looked at.

    What is kept is not looked at again before it has been unused for as long once more.
    """
    rows = tx.rows(SQL["longest_unused"], before=to_ms(before), now=to_ms(now), limit=limit)
    tx.run(SQL["forget"], json_array((row["namespace"], row["key"]) for row in rows if row["idle"]))
    tx.run(SQL["keep"], keys=json_array((row["namespace"], row["key"]) for row in rows), now=to_ms(now))
    return len(rows)


def _view(session: Session, row: Row, now: datetime) -> FlowControlView:
    state = state_of(row)
    waiting = session.row(SQL["waiting"], namespace=row["namespace"], key=row["key"], now=to_ms(now))
    return FlowControlView(
        key=row["key"],
        waiting=int(waiting["waiting"]) if waiting else 0,
        parallelism=state.parallelism,
        active=state.active,
        rate=state.rate,
        started=state.started_at(now),
        period=state.period,
        period_start=state.window_start,
        paused=state.paused,
        pinned_parallelism=state.pinned_parallelism,
        pinned_rate=state.pinned_rate,
    )
