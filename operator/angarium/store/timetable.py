"""Keeps each Schedule's state in step with its declaration: when it is looked at next, and from when on it counts."""

from datetime import datetime

from angarium.domain.declarations import Declared, ObjectRef, Schedule
from angarium.domain.instants import from_ms, optional_ms, to_ms
from angarium.domain.slots import edited, first_sight, occurrence_after
from angarium.store.statements import load
from angarium.store.transaction import Transaction

SQL = load("catalog")


def adjust(tx: Transaction, declared: Declared, before: Declared | None, now: datetime) -> None:
    """After an apply: begin at first sight, or let an edit count from now on."""
    if before and before.uid != declared.uid:
        end(tx, before.ref, before.uid)
    state = tx.row(SQL["schedule"], declared.uid)
    if state is None:
        _begin(tx, declared, now)
        return
    considered = _considered(declared, before, from_ms(state["considered_ms"]), now)
    wake = _wake(declared, state["run_now_seen"], now)
    tx.run(SQL["change_schedule"], to_ms(considered), wake, _completed(declared, considered), declared.uid)


def end(tx: Transaction, ref: ObjectRef, uid: str) -> None:
    """The Schedule is gone: its messages stay, its runs age out."""
    tx.run(SQL["end_schedule"], ref.namespace, ref.name)
    tx.run(SQL["unlist_runs"], uid)


def _begin(tx: Transaction, declared: Declared, now: datetime) -> None:
    deadline = declared.spec.starting_deadline if isinstance(declared.spec, Schedule) else None
    considered = first_sight(
        last_slot=declared.last_slot, starting_deadline=deadline, created_at=declared.created_at, now=now
    )
    tx.run(
        SQL["begin_schedule"],
        uid=declared.uid,
        namespace=declared.ref.namespace,
        name=declared.ref.name,
        considered_ms=to_ms(considered),
        completed=_completed(declared, considered),
        wake_ms=_wake(declared, declared.run_now, now),
        run_now_seen=declared.run_now,
        last_slot_ms=optional_ms(declared.last_slot),
    )


def _wake(declared: Declared, run_now_seen: str | None, now: datetime) -> int | None:
    """Now, so that the scheduler decides; never if rejected; suspended, only for a new run-now annotation."""
    if not isinstance(declared.spec, Schedule):
        return None
    asked = declared.run_now is not None and declared.run_now != run_now_seen
    return None if declared.spec.suspend and not asked else to_ms(now)


def _considered(declared: Declared, before: Declared | None, considered: datetime, now: datetime) -> datetime:
    """While a spec was rejected nothing could fire, so slots of that time are not missed."""
    if before and isinstance(before.spec, Schedule) and isinstance(declared.spec, Schedule):
        return edited(before.spec, declared.spec, considered, now)
    return max(considered, now)


def _completed(declared: Declared, considered: datetime) -> bool:
    """Whether no slot is left: its status says so at once, not when the scheduler has looked at it."""
    return isinstance(declared.spec, Schedule) and occurrence_after(declared.spec.timing, considered) is None
