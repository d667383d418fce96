"""Schedule: when, what, where."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from angarium.domain import slots
from angarium.domain.declarations import (
    DEFAULT_HISTORY,
    ConcurrencyPolicy,
    Declared,
    MissedRunPolicy,
    ObjectRef,
    Schedule,
    Timing,
)
from angarium.domain.names import MAX_LABELS, check_opaque
from angarium.domain.reasons import StateReason
from angarium.domain.views import ScheduleView
from angarium.resources import body, callback, conditions, destination, flow_control, options, redaction, runs
from angarium.resources.attempts import clip
from angarium.resources.conditions import Previous, Problem
from angarium.resources.fields import Fields
from angarium.resources.times import format_slot, format_time

MAX_HISTORY = 50
MAX_WHEN = 384

_LONGEST_DEADLINE_S = 366 * 86_400
_SUSPENDED = (StateReason.SUSPENDED, "Suspended by spec.suspend: slots pass without a run, and are not made up for.")
_COMPLETED = (StateReason.COMPLETED, "No slot is left: spec.at, or the last slot up to spec.endTime, has passed.")


def decode(spec: Fields, ref: ObjectRef, created_at: datetime) -> Schedule:
    """`every` counts from startTime, else from `created_at`. Raises InvalidInput for what breaks a rule."""
    timing = _timing(spec, ref, created_at)
    slots.check_timing(timing)
    sent = body.decode(spec)
    deadline_s = spec.integer("startingDeadlineSeconds", 1, _LONGEST_DEADLINE_S)
    history_limit = spec.integer("historyLimit", 0, MAX_HISTORY)
    return Schedule(
        timing=timing,
        destination=destination.decode(spec.require("destination"), "url", "endpointRef", "topicRef"),
        options=replace(options.decode(spec), flow_control=flow_control.keyed(spec, ref.name)),
        body=sent.content,
        body_from=sent.source,
        content_type=sent.content_type,
        content_type_is_default=bool(sent.content_type) and not sent.type_is_given,
        labels=_labels(spec),
        suspend=spec.flag("suspend"),
        starting_deadline=None if deadline_s is None else timedelta(seconds=deadline_s),
        missed_run_policy=spec.choice("missedRunPolicy", MissedRunPolicy) or MissedRunPolicy.RUN_LATEST,
        concurrency_policy=spec.choice("concurrencyPolicy", ConcurrencyPolicy) or ConcurrencyPolicy.ALLOW,
        history_limit=DEFAULT_HISTORY if history_limit is None else history_limit,
        queue=spec.reference("queueRef"),
        callback=callback.decode(spec, "callback"),
        failure_callback=callback.decode(spec, "failureCallback"),
        redaction=redaction.decode(spec),
    )


def status(
    declared: Declared, view: ScheduleView, problems: tuple[Problem, ...], previous: Previous, now: datetime
) -> dict[str, Any]:
    """The whole status, at most 32 KiB of compact JSON: the oldest runs give way."""
    spec = declared.spec if isinstance(declared.spec, Schedule) else None
    when_ready = _SUSPENDED if spec and spec.suspend else _COMPLETED if view.completed else conditions.READY
    wanted = conditions.judge(declared.spec, declared.generation, problems, previous, when_ready)
    written: dict[str, Any] = {
        "observedGeneration": declared.generation,
        "conditions": conditions.merge(previous, wanted, declared.generation, now),
        **(_rule(spec, view) if spec else {}),
        **_times(view),
        "skippedSlots": view.skipped,
    }
    if view.runs:
        written["lastResult"] = runs.state_of(view.runs[0]).value
    limit = spec.history_limit if spec else DEFAULT_HISTORY
    return runs.with_recent(written, view.runs[: min(limit, MAX_HISTORY)])


def _timing(spec: Fields, ref: ObjectRef, created_at: datetime) -> Timing:
    spec.one_of("cron", "every", "at")
    start = spec.time("startTime")
    return Timing(
        cron=spec.text("cron"),
        cron_seed=f"{ref.namespace}/{ref.name}",
        time_zone=spec.text("timeZone") or "UTC",
        every=spec.duration("every"),
        at=spec.time("at"),
        anchor=start or created_at,
        start=start,
        end=spec.time("endTime"),
        jitter=spec.duration("jitter") or timedelta(0),
    )


def _labels(spec: Fields) -> tuple[str, ...]:
    labels = spec.texts("labels")
    if len(labels) > MAX_LABELS:
        raise spec.refuse("labels", f"has {len(labels)} labels; at most {MAX_LABELS} are allowed")
    for place, label in enumerate(labels):
        check_opaque(label, f"{spec.at('labels')}[{place}]")
    return labels


def _rule(spec: Schedule, view: ScheduleView) -> dict[str, Any]:
    rule = {"when": clip(slots.describe(spec.timing), MAX_WHEN), "destination": str(spec.destination)}
    if view.next_slot and not spec.suspend:
        rule["nextSlotTime"] = format_slot(view.next_slot)
    return rule


def _times(view: ScheduleView) -> dict[str, Any]:
    slot = {"lastSlotTime": format_slot(view.last_slot)} if view.last_slot else {}
    ends = {"lastSuccessTime": view.last_success, "lastFailureTime": view.last_failure}
    return slot | {name: format_time(instant) for name, instant in ends.items() if instant}
