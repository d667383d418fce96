"""Which slots of a Schedule fire now, which are given up, and when to look again (DESIGN 5 "Schedule").

A slot is decided once: everything up to `considered_until` is behind us. Reads no clock and stores nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from itertools import takewhile

from angarium.domain.declarations import MissedRunPolicy, Schedule, Timing
from angarium.domain.instants import MILLISECOND
from angarium.domain.timings import (
    check_timing,
    count_occurrences,
    describe,
    occurrence_after,
    wire,
)

__all__ = [
    "MAX_FIRED",
    "Plan",
    "Slot",
    "check_timing",
    "describe",
    "edited",
    "first_sight",
    "jitter_of",
    "occurrence_after",
    "plan",
    "wire",
]

MAX_FIRED = 100
"""How many slots one plan fires at most, missed ones included."""

CLOCK_TOLERANCE = timedelta(minutes=5)
"""How far the clock may be behind `considered_until` before it is believed, and the Schedule starts anew."""

_FIRST_LOOK_BACK = timedelta(minutes=1)
_KEPT = {MissedRunPolicy.RUN_LATEST: 1, MissedRunPolicy.RUN_ALL: MAX_FIRED, MissedRunPolicy.SKIP: 0}


@dataclass(frozen=True, slots=True)
class Slot:
    """One time of a Schedule: what it is called (`nominal`) and when it fires (`due`: with its jitter)."""

    nominal: datetime
    due: datetime


@dataclass(frozen=True, slots=True)
class Plan:
    """What is decided at one instant: the slots to fire, oldest first, and where the Schedule stands afterwards.

    `skipped` counts missed slots that do not fire. `wake_at` is when the next slot is due (None: suspended or
    completed). `completed`: no slot is left after `considered_until`. `clock_reset`: the clock was so far behind that
    the Schedule starts anew from now.
    """

    fire: tuple[Slot, ...]
    skipped: int
    considered_until: datetime
    wake_at: datetime | None
    completed: bool
    clock_reset: bool


def jitter_of(uid: str, slot: datetime, jitter: timedelta) -> timedelta:
    """How much later than its nominal time a slot fires: always the same for one slot, evenly spread over [0, jitter).

    Whole milliseconds, as the store keeps times.
    """
    if not jitter:
        return timedelta(0)
    digest = blake2b(f"{uid} {slot.timestamp():.3f}".encode(), digest_size=8).digest()
    return MILLISECOND * (int.from_bytes(digest) * (jitter // MILLISECOND) >> 64)


def first_sight(
    *, last_slot: datetime | None, starting_deadline: timedelta | None, created_at: datetime, now: datetime
) -> datetime:
    """`considered_until` of a uid that the store does not know, so that a reinstall or restore never bursts.

    The latest of the last slot that its status tells, now minus the deadline (if set), and its creation; with neither
    a last slot nor a deadline: now.
    """
    if starting_deadline is not None:
        return max(now - starting_deadline, created_at, last_slot or created_at)
    return now if last_slot is None else max(last_slot, created_at)


def edited(old: Schedule, new: Schedule, considered_until: datetime, now: datetime) -> datetime:
    """`considered_until` after a change of spec: editing never fires a past slot, and suspended slots are not missed.

    Other changes (a body, a destination) leave it alone, so that slots missed before them still count.
    """
    if old.timing == new.timing and not old.suspend:
        return considered_until
    return max(considered_until, now)


def plan(schedule: Schedule, uid: str, considered_until: datetime, now: datetime, alive_since: datetime) -> Plan:
    """Decide about the slots after `considered_until` that have come due, in bounded time however many they are.

    A slot due before `alive_since` (since when the scheduler has been running) is missed: the policy says which of
    those fire, among the ones whose nominal time is inside the starting deadline. RunLatest fires the newest, RunAll
    the newest 100, oldest first; the rest is skipped for good. All others are on time and fire, oldest first. More
    than 100 in all are left for the next plan, which is due at once. A suspended Schedule decides nothing.
    """
    if schedule.suspend:
        return Plan((), 0, considered_until, None, completed=False, clock_reset=False)
    clock_reset = now < considered_until - CLOCK_TOLERANCE
    if clock_reset:
        considered_until = now
    missed, skipped, decided = _missed(schedule, uid, considered_until, now, min(alive_since, now))
    fire = list(missed)
    following = None
    for slot in _slots_after(schedule.timing, uid, decided):
        if slot.due > now or len(fire) == MAX_FIRED:
            following = slot
            break
        fire.append(slot)
        decided = slot.nominal
    if following is None or following.nominal > now:
        decided = max(decided, now)
    wake_at = None if following is None else max(following.due, now)
    return Plan(tuple(fire), skipped, decided, wake_at, completed=following is None, clock_reset=clock_reset)


def _missed(
    schedule: Schedule, uid: str, after: datetime, now: datetime, alive_since: datetime
) -> tuple[list[Slot], int, datetime]:
    """Of the slots after `after` that are due before `alive_since`: which fire, how many do not, the newest's time."""
    kept = _KEPT[schedule.missed_run_policy]
    newest = _newest(schedule.timing, uid, after, alive_since, max(kept, 1))
    if not newest:
        return [], 0, after
    until = newest[-1].nominal
    oldest = None if schedule.starting_deadline is None else now - schedule.starting_deadline
    fire = [slot for slot in newest if oldest is None or slot.nominal >= oldest] if kept else []
    total = count_occurrences(schedule.timing, after, until)
    return fire, max(0, total - len(fire)), until


def _newest(timing: Timing, uid: str, after: datetime, before: datetime, count: int) -> list[Slot]:
    """The last `count` slots after `after` that are due before `before`.

    Looks back further and further, so that a long time of many slots is never walked through from its start.
    """
    span = _FIRST_LOOK_BACK + timing.jitter
    while True:
        start = before - span if span < before - after else after
        found = list(takewhile(lambda slot: slot.due < before, _slots_after(timing, uid, start)))
        if len(found) >= count or start == after:
            return found[-count:]
        span *= 4


def _slots_after(timing: Timing, uid: str, instant: datetime) -> Iterator[Slot]:
    while (nominal := occurrence_after(timing, instant)) is not None:
        yield Slot(nominal, nominal + jitter_of(uid, nominal, timing.jitter))
        instant = nominal
