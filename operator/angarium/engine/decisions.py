"""Turns a due Schedule into a Firing: which slots run and what they publish. Stores nothing."""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from angarium.domain.declarations import CONTENT_TYPE, Declared, Header, ObjectRef, Schedule, has_content_type
from angarium.domain.errors import ReferenceMissing
from angarium.domain.firing import DueSchedule, Firing, RunProblem, flow_control_of
from angarium.domain.ids import ID_ENTROPY, new_id
from angarium.domain.instants import to_ms
from angarium.domain.messages import Publication, Run, Trigger
from angarium.domain.ports import References
from angarium.domain.reasons import RunReason
from angarium.domain.slots import Plan, plan
from angarium.resources.body import MAX_BYTES

READS_AT_ONCE = 100
"""ConfigMaps that are read side by side: an API server that hangs must not take all connections there are."""


@dataclass(frozen=True, slots=True)
class Decision:
    """`due_at`: when each run, by id, should have started. `clock_reset`: the clock was found far behind."""

    firing: Firing
    due_at: dict[str, datetime]
    clock_reset: bool


class Decisions:
    """Decides on one due Schedule at a time."""

    def __init__(self, references: References, entropy: Callable[[int], bytes] = os.urandom) -> None:
        self._references = references
        self._entropy = entropy
        self._reads = asyncio.Semaphore(READS_AT_ONCE)

    async def decide(self, due: DueSchedule, now: datetime, alive_since: datetime) -> Decision:
        """What this Schedule does now. Slots that were due before `alive_since` were missed.

        Raises ReferenceUnavailable if it fires and its ConfigMap cannot be read just now: then nothing is decided.
        """
        declared, schedule = due.declared, due.declared.spec
        if not isinstance(schedule, Schedule):
            raise TypeError(f"{declared.ref} has no spec that can fire")
        slots = plan(schedule, declared.uid, due.state.considered_until, now, alive_since)
        due_at = self._due_at(due, slots, now)
        publication, problem = await self._publication(declared, schedule, now) if due_at else (None, None)
        firing = Firing(
            due=due,
            runs=tuple(due_at),
            publication=publication,
            problem=problem,
            skipped=slots.skipped,
            considered_until=slots.considered_until,
            wake_at=slots.wake_at,
            completed=slots.completed,
            now=now,
        )
        return Decision(firing, {run.id: time for run, time in due_at.items()}, slots.clock_reset)

    def _due_at(self, due: DueSchedule, slots: Plan, now: datetime) -> dict[Run, datetime]:
        """The runs to start, each with the time it was due; a manual one, whatever suspend says, comes last."""
        runs = {self._run(due.declared, slot.nominal, Trigger.SLOT, now): slot.due for slot in slots.fire}
        run_now = due.declared.run_now
        if run_now is not None and run_now != due.state.run_now_seen:
            runs[self._run(due.declared, now, Trigger.MANUAL, now)] = now
        return runs

    def _run(self, declared: Declared, slot: datetime, trigger: Trigger, now: datetime) -> Run:
        run_id = new_id("run_", to_ms(now), self._entropy(ID_ENTROPY))
        return Run(run_id, declared.ref, declared.uid, slot, trigger)

    async def _publication(
        self, declared: Declared, schedule: Schedule, now: datetime
    ) -> tuple[Publication | None, RunProblem | None]:
        """What the runs publish, or the problem (reason, text) that makes them fail."""
        namespace = declared.ref.namespace
        body = schedule.body
        if schedule.body_from is not None:
            try:
                async with self._reads:
                    body = await self._references.config_map(namespace, schedule.body_from, anew=True)
            except ReferenceMissing as missing:
                return None, (RunReason.REF_NOT_FOUND, str(missing))
            if len(body) > MAX_BYTES:
                name, key = schedule.body_from.name, schedule.body_from.key
                text = f"ConfigMap {name!r} has {len(body)} bytes in {key!r}; at most {MAX_BYTES} bytes are sent"
                return None, (RunReason.BODY_TOO_LARGE, text)
        return publication_of(declared.ref, schedule, body, now), None


def publication_of(ref: ObjectRef, schedule: Schedule, body: bytes, now: datetime) -> Publication:
    """What a Schedule publishes at this instant; its contentType stands unless a header of that name is declared."""
    options = replace(schedule.options, flow_control=flow_control_of(ref, schedule))
    content_type = None if has_content_type(options.headers) else schedule.content_type
    if content_type and not schedule.content_type_is_default:
        options = replace(options, headers=(Header(CONTENT_TYPE, content_type), *options.headers))
    return Publication(
        namespace=ref.namespace,
        destination=schedule.destination,
        created_at=now,
        body=body,
        options=options,
        labels=schedule.labels,
        not_before=None if schedule.delay is None else now + schedule.delay,
        caller_ip=schedule.caller_ip,
        queue=schedule.queue,
        callback=schedule.callback,
        failure_callback=schedule.failure_callback,
        redaction=schedule.redaction,
        default_content_type=content_type if schedule.content_type_is_default else None,
    )
