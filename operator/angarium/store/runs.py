"""Due Schedules, and carrying out what the scheduler decided: a slot becomes a run at most once, ever."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from angarium.domain.declarations import ConcurrencyPolicy, Schedule
from angarium.domain.errors import NotFound
from angarium.domain.firing import DueSchedule, DueSchedules, Fired, FiredRun, Firing, RunProblem, ScheduleState
from angarium.domain.instants import due_to_ms, from_ms, to_ms
from angarium.domain.messages import Acceptance, LeaseGrant, Run, Trigger
from angarium.domain.reasons import RunReason
from angarium.domain.slots import CLOCK_TOLERANCE
from angarium.store.cancellation import cancel_run
from angarium.store.intake import Intake, Terms
from angarium.store.rows import declared_of
from angarium.store.statements import load
from angarium.store.transaction import Row, Session, Transaction

SQL = load("schedules")
LISTED = 50
"""How many of a Schedule's newest runs its status may show."""


def due_schedules(session: Session, now: datetime, limit: int) -> DueSchedules:
    rows = session.rows(SQL["due"], now=to_ms(now), ahead=to_ms(now + CLOCK_TOLERANCE), limit=limit)
    due = tuple(DueSchedule(declared_of(row), _state(row)) for row in rows)
    following = session.row(SQL["next_wake"], now=to_ms(now))
    return DueSchedules(due, from_ms(following["wake_ms"]) if following else None)


def _state(row: Row) -> ScheduleState:
    known_since = None if row["runs"] else from_ms(row["applied_ms"])
    return ScheduleState(from_ms(row["considered_ms"]), row["run_now_seen"], known_since)


def fire(tx: Transaction, firings: Sequence[Firing], grant: LeaseGrant | None, terms: Terms) -> list[Fired]:
    intake = Intake(tx, terms, grant)
    fired = []
    for firing in firings:
        before = len(intake.leased)
        answer = _Firing(tx, intake, firing).carry_out()
        canceled = {message_id for run in answer.runs for message_id in run.canceled_ids}
        leased = tuple(item for item in intake.leased[before:] if item.message.id not in canceled)
        fired.append(replace(answer, leased=leased))
    intake.store()
    return fired


class _Firing:
    """One decision on its way into the tables."""

    def __init__(self, tx: Transaction, intake: Intake, firing: Firing) -> None:
        self._tx = tx
        self._intake = intake
        self._firing = firing
        self._declared = firing.due.declared
        self._number = 0
        self._forbidden = 0
        self._failed_ms: int | None = None

    def carry_out(self) -> Fired:
        row = self._tx.row(
            SQL["fence"],
            uid=self._declared.uid,
            fingerprint=self._declared.fingerprint,
            considered_ms=to_ms(self._firing.due.state.considered_until),
            run_now_seen=self._firing.due.state.run_now_seen,
        )
        if row is None:
            return Fired((), (), stale=True)
        self._number = row["runs"]
        runs = [fired for run in self._firing.runs if (fired := self._fire(run))]
        self._advance()
        return Fired(tuple(runs), ())

    def _fire(self, run: Run) -> FiredRun | None:
        if self._fired_before(run):
            return None
        policy = self._policy if run.trigger is Trigger.SLOT else ConcurrencyPolicy.ALLOW
        active = [] if policy is ConcurrencyPolicy.ALLOW else self._active()
        if active and policy is ConcurrencyPolicy.FORBID:
            self._forbidden += 1
            return FiredRun(run, forbidden=True)
        outcome = self._start(run)
        if not isinstance(outcome, Acceptance):
            return FiredRun(run, problem=outcome)  # What is active goes on: there is nothing in its place.
        canceled = [message for seq in active for message in cancel_run(self._tx, seq, self._firing.now)]
        return FiredRun(run, acceptance=outcome, canceled_ids=tuple(canceled))

    @property
    def _policy(self) -> ConcurrencyPolicy:
        spec = self._declared.spec
        return spec.concurrency_policy if isinstance(spec, Schedule) else ConcurrencyPolicy.ALLOW

    def _fired_before(self, run: Run) -> bool:
        if run.trigger is Trigger.MANUAL:
            return bool(self._tx.row(SQL["fired_manually"], run.schedule_uid, self._declared.run_now))
        return bool(self._tx.row(SQL["fired_slot"], run.schedule_uid, to_ms(run.slot)))

    def _active(self) -> list[int]:
        """Runs with messages on their way, those of this very operation included."""
        self._intake.store()
        self._tx.settle()
        return [row["seq"] for row in self._tx.rows(SQL["active"], self._declared.uid)]

    def _start(self, run: Run) -> Acceptance | RunProblem:
        """Store the run with its messages, or with (reason, text) of why there are none."""
        seq = self._insert(run)
        publication = self._firing.publication
        problem = self._firing.problem or (RunReason.INTERNAL_ERROR, "nothing was decided for this run")
        if publication is not None:
            answer = self._intake.take(replace(publication, run=run), seq)
            if isinstance(answer, Acceptance):
                self._tx.run(SQL["run_started"], len(answer.messages), seq)
                return answer
            problem = (
                RunReason.REF_NOT_FOUND if isinstance(answer, NotFound) else RunReason.LIMIT_EXCEEDED,
                str(answer),
            )
        self._tx.run(SQL["run_failed"], *problem, seq)
        self._failed_ms = to_ms(self._firing.now)
        return problem

    def _insert(self, run: Run) -> int:
        self._number += 1
        manual = run.trigger is Trigger.MANUAL
        row = self._tx.row(
            SQL["insert_run"],
            run.id,
            run.schedule.namespace,
            run.schedule.name,
            run.schedule_uid,
            self._number,
            to_ms(run.slot),
            run.trigger.value,
            self._declared.run_now if manual else None,
        )
        self._tx.run(SQL["unlist"], run.schedule_uid, self._number - LISTED)
        return int(row["seq"]) if row else 0

    def _advance(self) -> None:
        firing = self._firing
        slots = [to_ms(run.slot) for run in firing.runs if run.trigger is Trigger.SLOT]
        self._tx.run(
            SQL["advance"],
            uid=self._declared.uid,
            considered_ms=to_ms(firing.considered_until),
            wake_ms=due_to_ms(firing.wake_at) if firing.wake_at else None,
            skipped=firing.skipped + self._forbidden,
            completed=firing.completed,
            run_now_seen=self._declared.run_now,
            runs=self._number,
            last_slot_ms=max(slots, default=None),
            failed_ms=self._failed_ms,
        )
