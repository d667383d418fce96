"""What the scheduler decides about a due Schedule and hands the store to carry out in one transaction."""

from dataclasses import dataclass, replace
from datetime import datetime

from angarium.domain.declarations import Declared, FlowControl, ObjectRef, Schedule
from angarium.domain.fanout import FLOW_PREFIX_SCHEDULE
from angarium.domain.messages import Acceptance, Leased, Publication, Run
from angarium.domain.reasons import RunReason

RunProblem = tuple[RunReason, str]
"""Why a run cannot start: the reason, and what a person has to know."""


@dataclass(frozen=True, slots=True)
class ScheduleState:
    """Where a Schedule stands: slots up to `considered_until` are decided. `run_now_seen`: annotation last obeyed.

    `known_since`: of one without a run, when it was applied. After a reinstall, what its status says may lie before.
    """

    considered_until: datetime
    run_now_seen: str | None
    known_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class DueSchedule:
    """A Schedule whose wake time has come, or whose run-now annotation has a new value."""

    declared: Declared
    state: ScheduleState


@dataclass(frozen=True, slots=True)
class DueSchedules:
    """Schedules to decide on now, and when the next one wakes (None: none does)."""

    schedules: tuple[DueSchedule, ...]
    next_wake: datetime | None


@dataclass(frozen=True, slots=True)
class Firing:
    """The decision. It is void if the Schedule or its state is no longer what `due` says: then nothing is stored.

    `runs` are the slots to fire, oldest first, and the manual run, if any, last. `publication` is what each run
    publishes (its `run` is filled in per run), or None with `problem` = (reason, text) when it cannot be made.
    """

    due: DueSchedule
    runs: tuple[Run, ...]
    publication: Publication | None
    problem: RunProblem | None
    skipped: int
    considered_until: datetime
    wake_at: datetime | None
    completed: bool
    now: datetime


@dataclass(frozen=True, slots=True)
class FiredRun:
    """What became of one run: accepted, or failed with (reason, text), or `forbidden` by the concurrency policy.

    A slot that had been fired before is none of these and is left out of the answer.
    """

    run: Run
    acceptance: Acceptance | None = None
    problem: RunProblem | None = None
    forbidden: bool = False
    canceled_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fired:
    """What the store did with one Firing; `stale` means nothing, because something had changed: decide again."""

    runs: tuple[FiredRun, ...]
    leased: tuple[Leased, ...]
    stale: bool = False


def flow_control_of(ref: ObjectRef, schedule: Schedule) -> FlowControl | None:
    """The flow control of a Schedule's messages; a key that was not given is `schedule/<name>`."""
    given = schedule.options.flow_control
    return replace(given, key=f"{FLOW_PREFIX_SCHEDULE}{ref.name}") if given and not given.key else given
