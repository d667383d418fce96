"""From what the delivery plane tells to what a person sees: which statuses to look at, and which Events to write."""

from collections.abc import Iterable

from angarium.domain.counts import counted
from angarium.domain.declarations import Kind, ObjectRef
from angarium.domain.destinations import without_secrets
from angarium.domain.messages import Outcome, Result
from angarium.domain.notices import (
    Accepted,
    AttemptEnded,
    CatalogChanged,
    ClockReset,
    EndpointOrphansFailed,
    Notice,
    PlaceFreed,
    RunFailed,
    RunsCanceled,
    RunStarted,
    SlotsSkipped,
    TakenOver,
)
from angarium.domain.reasons import EventReason, SkipReason
from angarium.kube.events import Told
from angarium.resources.manifest import RUN_NOW


def touched(notices: Iterable[Notice]) -> set[ObjectRef]:
    """The objects whose status may have changed."""
    refs: set[ObjectRef] = set()
    for notice in notices:
        match notice:
            case Accepted(message):
                refs.update(_queue_of(message.namespace, message.queue))
            case AttemptEnded(outcome):
                message = outcome.leased.message
                refs.update((*_objects_of(outcome), *_queue_of(message.namespace, message.queue)))
            case RunStarted(run):
                refs.update((run.schedule, *_queue_of(run.schedule.namespace, notice.queue)))
            case RunFailed(run):
                refs.add(run.schedule)
            case PlaceFreed(queue):
                refs.add(queue)
            case SlotsSkipped(schedule) | ClockReset(schedule):
                refs.add(schedule)
            case CatalogChanged(changed) | RunsCanceled(changed):
                refs |= changed
    return refs


def bereft(notices: Iterable[Notice]) -> set[str]:
    """Namespaces in which messages were given up with their Endpoint; whose runs they belong to is not told."""
    return {notice.endpoint.namespace for notice in notices if isinstance(notice, EndpointOrphansFailed)}


def told(notices: Iterable[Notice]) -> list[Told]:
    """The Events to write."""
    return [event for notice in notices if (event := _event(notice)) is not None]


def _objects_of(outcome: Outcome) -> list[ObjectRef]:
    """The Schedule whose run a message belongs to, and the Endpoint that it is addressed to."""
    message = outcome.leased.message
    refs = [message.run.schedule] if message.run else []
    if message.endpoint is not None:
        refs.append(ObjectRef(Kind.ENDPOINT, message.namespace, message.endpoint))
    return refs


def _queue_of(namespace: str, queue: str | None) -> list[ObjectRef]:
    return [ObjectRef(Kind.QUEUE, namespace, queue)] if queue is not None else []


def _event(notice: Notice) -> Told | None:
    match notice:
        case AttemptEnded(outcome) if outcome.result is Result.FAILED:
            refs = _objects_of(outcome)
            return Told(refs[0], EventReason.DELIVERY_FAILED, _failure(outcome)) if refs else None
        case RunFailed(run, reason, error):
            return Told(run.schedule, reason, f"the run of {run.slot:%Y-%m-%dT%H:%M:%SZ} could not start: {error}")
        case SlotsSkipped(schedule, count, SkipReason.FORBIDDEN):
            text = (
                f"{counted(count, 'slot')} skipped for good: an earlier run is still active (concurrencyPolicy Forbid)"
            )
            return Told(schedule, EventReason.SLOTS_FORBIDDEN, text, warning=False)
        case SlotsSkipped(schedule, count, _):
            text = (
                f"{counted(count, 'slot')} passed while nothing could fire and will not run (missedRunPolicy, "
                f"startingDeadlineSeconds); to run once now: kubectl -n {schedule.namespace} annotate "
                f"--overwrite schedules.angarium.dev {schedule.name} {RUN_NOW}=<any new text>"
            )
            return Told(schedule, EventReason.SLOTS_MISSED, text)
        case ClockReset(schedule, considered_until):
            text = (
                f"the clock is far behind {considered_until:%Y-%m-%dT%H:%M:%SZ}, up to which slots were decided: "
                "the Schedule starts anew from now; check the clock of the node"
            )
            return Told(schedule, EventReason.CLOCK_RESET, text)
        case TakenOver(ref):
            text = f"replaces the {ref.kind} that had been made over the API; messages already accepted stay"
            return Told(ref, EventReason.TAKEN_OVER, text, warning=False)
        case PlaceFreed(queue, message_id):
            text = (
                f"the callbacks of message {message_id} have not ended within --callback-hold: the queue goes on "
                f"without them; GET /v2/messages/{message_id} names the callback, GET /v2/logs?url=… says why it fails"
            )
            return Told(queue, EventReason.PLACE_FREED, text)
    return None


def _failure(outcome: Outcome) -> str:
    attempt, message_id = outcome.attempt, outcome.leased.message.id
    kept = f"it is in the DLQ: GET /v2/dlq?messageId={message_id}"
    if attempt is None:
        return f"message {message_id} was given up; {kept}"
    got = f"HTTP {attempt.response.status}" if attempt.response else attempt.error
    tries = "1 attempt, which got" if attempt.number == 1 else f"{attempt.number} attempts, the last of which got"
    return f"message {message_id} to {without_secrets(attempt.url)} was given up after {tries} {got}; {kept}"
