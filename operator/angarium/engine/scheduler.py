"""Fires Schedules: asks the store which are due, decides, and has each decision carried out in one transaction.

Keeps no schedule in memory, so a crash between two steps changes nothing: what was not stored is decided again.
"""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from angarium.domain.errors import ReferenceUnavailable, StoreError, StoreFull
from angarium.domain.firing import DueSchedule, Fired, Firing
from angarium.domain.messages import Leased
from angarium.domain.notices import (
    ClockReset,
    MembersMissing,
    Notice,
    Observer,
    RunFailed,
    RunStarted,
    SlotsSkipped,
)
from angarium.domain.ports import Clock, Dispatch, ScheduleStore
from angarium.domain.reasons import SkipReason

from .decisions import Decision, Decisions
from .supervisor import Pulse
from .waking import Waker

MOST_AT_ONCE = 200
"""Schedules decided and fired in one transaction."""

_POLL = timedelta(seconds=5)
_STALL = timedelta(seconds=60)
_REFERENCE_PAUSE = timedelta(seconds=15)
_FAILURE_PAUSE = timedelta(seconds=60)
_PATIENCE_S = 0.1
"""How long those that are decided wait for those that have to read a ConfigMap first, to fire with them."""

_log = logging.getLogger(__name__)


class Scheduler:
    """Implements `domain.ports.Alarm`. `run` is its loop."""

    def __init__(
        self,
        store: ScheduleStore,
        decisions: Decisions,
        dispatch: Dispatch,
        observers: Sequence[Observer],
        clock: Clock,
    ) -> None:
        self._store = store
        self._decisions = decisions
        self._dispatch = dispatch
        self._observers = observers
        self._clock = clock
        self._waker = Waker()
        self._put_off = _PutOff()
        self._deciding: dict[_Key, asyncio.Task[Decision | None]] = {}
        self._alive_since = self._turned = clock.now()
        self._turned_monotonic = clock.monotonic()

    def wake(self) -> None:
        self._waker.wake()

    async def run(self, pulse: Pulse) -> None:
        """The loop; goes on until it is cancelled."""
        self._alive_since = self._turned = self._clock.now()
        self._turned_monotonic = self._clock.monotonic()
        try:
            while True:
                pulse.beat()
                self._notice_stall()
                pause = await self._turn_or_pause()
                if pause > timedelta(0):
                    await self._waker.wait(pause)
        finally:
            for deciding in self._deciding.values():
                deciding.cancel()
            self._deciding.clear()

    async def _turn_or_pause(self) -> timedelta:
        try:
            return await self._turn()
        except StoreError as error:
            _log.warning(
                "schedules could not be fired, that is tried again: %s", error, extra={"action": "schedule.fire"}
            )
            return _POLL

    def _notice_stall(self) -> None:
        """After standing still, or a jump of the clock, what was due meanwhile counts as missed."""
        now, monotonic = self._clock.now(), self._clock.monotonic()
        elapsed = max(now - self._turned, timedelta(seconds=monotonic - self._turned_monotonic))
        if elapsed > _STALL:
            _log.warning(
                "the scheduler stood still for %d s, or the clock jumped",
                elapsed.total_seconds(),
                extra={"action": "scheduler.stall"},
            )
            self._alive_since = now
        # Set back, the clock may stand before the start: what comes due from now on is not missed.
        self._alive_since = min(self._alive_since, now)
        self._turned, self._turned_monotonic = now, monotonic

    async def _turn(self) -> timedelta:
        """Fire what is due, up to one transaction's worth. Returns how long there is nothing more to do."""
        now = self._clock.now()
        self._put_off.expire(self._clock.monotonic())
        due = await self._store.due_schedules(now, MOST_AT_ONCE + len(self._put_off) + len(self._deciding))
        idle = [one for one in due.schedules if one not in self._put_off and _key(one) not in self._deciding]
        ready = idle[:MOST_AT_ONCE]
        decisions = await self._decisions_about(ready, now)
        if decisions:
            await self._fire_each(decisions)
        if ready or decisions:
            return timedelta(0)
        pause = min(_POLL, self._put_off.pause(self._clock.monotonic()))
        return pause if due.next_wake is None else min(pause, max(_AT_LEAST, due.next_wake - self._clock.now()))

    async def _decisions_about(self, ready: Sequence[DueSchedule], now: datetime) -> list[Decision]:
        """Those that can be made now, earlier ones that had to wait included.

        Side by side, and apart from this loop: who has to wait for a ConfigMap holds up no other.
        """
        begun = {_key(due): asyncio.create_task(self._decide(due, now)) for due in ready}
        self._deciding |= begun
        if begun:
            _, waiting = await asyncio.wait(begun.values(), timeout=_PATIENCE_S)
            for task in waiting:
                task.add_done_callback(lambda _: self.wake())
        done = [key for key, task in self._deciding.items() if task.done()]
        decided = [self._deciding.pop(key).result() for key in done]
        return [decision for decision in decided if decision]

    async def _decide(self, due: DueSchedule, now: datetime) -> Decision | None:
        """The decision, or None if there is none now: this Schedule is put off, the others go on."""
        pause = _REFERENCE_PAUSE
        try:
            return await self._decisions.decide(due, now, self._able_since(due, now))
        except ReferenceUnavailable as error:
            _log.warning(
                "%s fires later: %s",
                due.declared.ref,
                error,
                extra={"action": "schedule.postpone", "about": due.declared.ref},
            )
        except Exception:  # noqa: BLE001  one Schedule that cannot be planned must not stop the others
            _log.exception(
                "%s could not be decided on, that is tried again in a minute",
                due.declared.ref,
                extra={"action": "schedule.decide", "about": due.declared.ref},
            )
            pause = _FAILURE_PAUSE
        self._put_off.add(due, self._clock.monotonic() + pause.total_seconds())
        return None

    def _able_since(self, due: DueSchedule, now: datetime) -> datetime:
        """Earlier slots are missed: nothing ran, nobody knew of it, or its body or the store was out of reach."""
        return max(self._alive_since, now - _STALL, due.state.known_since or self._alive_since)

    async def _fire_each(self, decisions: Sequence[Decision]) -> None:
        """Fire them together; if the store cannot, one by one, so that the one at fault is found and put off."""
        try:
            await self._fire(decisions)
        except StoreFull:
            raise
        except StoreError as error:
            if len(decisions) > 1:
                for decision in decisions:
                    await self._fire_each([decision])
                return
            due = decisions[0].firing.due
            _log.warning(
                "%s could not be fired, that is tried again in a minute: %s",
                due.declared.ref,
                error,
                extra={"action": "schedule.fire", "about": due.declared.ref},
            )
            self._put_off.add(due, self._clock.monotonic() + _FAILURE_PAUSE.total_seconds())

    async def _fire(self, decisions: Sequence[Decision]) -> None:
        firings = [decision.firing for decision in decisions]
        rooms = [_room(firing) for firing in firings]
        grant = self._dispatch.grant(sum(count for count, _ in rooms), sum(size for _, size in rooms))
        leased: list[Leased] = []
        try:
            fired = await self._store.fire(firings, grant)
            leased = [one for result in fired for one in result.leased]
        finally:
            self._dispatch.offer(grant, leased)
        self._tell([notice for pair in zip(decisions, fired, strict=True) for notice in self._notices(*pair)])
        if len(leased) < sum(_messages(result) for result in fired):
            self._dispatch.wake()

    def _tell(self, notices: list[Notice]) -> None:
        if notices:
            for observer in self._observers:
                observer.notice(notices)

    def _notices(self, decision: Decision, fired: Fired) -> Iterable[Notice]:
        if fired.stale:
            return
        ref = decision.firing.due.declared.ref
        now = self._clock.now()
        if decision.clock_reset:
            yield ClockReset(ref, decision.firing.due.state.considered_until)
        for result in fired.runs:
            if result.acceptance is not None:
                lag_s = max(0.0, (now - decision.due_at[result.run.id]).total_seconds())
                messages = result.acceptance.messages
                queue = messages[0].queue if messages else None
                yield RunStarted(result.run, tuple(message.id for message in messages), lag_s, queue)
                if result.acceptance.missing:
                    topic = result.acceptance.messages[0].topic or ""
                    yield MembersMissing(ref.namespace, topic, result.acceptance.missing)
            elif result.problem is not None:
                yield RunFailed(result.run, *result.problem)
        forbidden = sum(result.forbidden for result in fired.runs)
        if forbidden:
            yield SlotsSkipped(ref, forbidden, SkipReason.FORBIDDEN)
        if decision.firing.skipped:
            yield SlotsSkipped(ref, decision.firing.skipped, SkipReason.MISSED)


_ROOM_PER_RUN = 4  # most runs have one message; what a larger Topic needs is claimed
_AT_LEAST = timedelta(milliseconds=1)


_Key = tuple[str, str]
"""A Schedule as it is declared now: one that changes is looked at again."""


def _key(due: DueSchedule) -> _Key:
    return due.declared.uid, due.declared.fingerprint


class _PutOff:
    """Schedules that cannot be decided on now, until when (monotonic seconds)."""

    def __init__(self) -> None:
        self._until: dict[_Key, float] = {}

    def __len__(self) -> int:
        return len(self._until)

    def __contains__(self, due: DueSchedule) -> bool:
        return _key(due) in self._until

    def add(self, due: DueSchedule, until: float) -> None:
        self._until[_key(due)] = until

    def expire(self, now: float) -> None:
        self._until = {key: until for key, until in self._until.items() if until > now}

    def pause(self, now: float) -> timedelta:
        """Until the first of them is due again; at most a day."""
        return timedelta(seconds=max(0.0, min(self._until.values(), default=now + 86_400) - now))


def _room(firing: Firing) -> tuple[int, int]:
    """(messages, bytes of their bodies) to lease with it."""
    messages = _ROOM_PER_RUN * len(firing.runs)
    return messages, messages * len(firing.publication.body if firing.publication else b"")


def _messages(fired: Fired) -> int:
    return sum(len(result.acceptance.messages) for result in fired.runs if result.acceptance)
