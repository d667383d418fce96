"""What must have come of everything, however often the operator was killed. Each function names what is wrong."""

import base64
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support import shapes
from tests.support.cluster import Object, find
from tests.support.ledger import TERMINAL, Ledger, Run, instant
from tests.support.receiver import Receiver
from tests.support.shapes import SHAPES, Shape
from tests.support.stage import Stage

EVENT_WINDOW_S = 300.0
KINDS = ("Endpoint", "Topic", "Schedule", "Queue", "Token")
CONDITIONS = ("Ready", "Accepted", "ResolvedRefs")


def expected(stage: Stage, until: datetime) -> Mapping[Shape, Collection[datetime]]:
    """The slots that have to have fired by now."""
    return {
        shape: frozenset(shape.slots(shapes.created(stage, shape.name), until - timedelta(seconds=shape.jitter_s)))
        for shape in SHAPES
    }


def missing(expected: Mapping[Shape, Collection[datetime]], found: Ledger, receiver: Receiver) -> list[str]:
    """Slots that have not arrived at each of their paths yet."""
    left = []
    for shape, slots in expected.items():
        slot_of = {message.id: run.slot for run in found.of(shape.name) for message in run.messages}
        for path in shape.paths:
            arrived = {slot_of.get(id_) for id_ in _ids(receiver, path)}
            left += [f"{shape.name} {path} {slot:%H:%M:%S}" for slot in sorted(set(slots) - arrived)]
    return left


def of_gaps(stage: Stage, found: Ledger) -> Iterator[str]:
    """The slots that fired are those that there are, none left out: in the database, and counted by arrivals alone."""
    for shape in SHAPES:
        runs = found.of(shape.name)
        fired = [run.slot for run in runs]
        created = shapes.created(stage, shape.name)
        # The rounds may be over before the first minute is.
        slots = list(shape.slots(created, max(fired, default=created)))
        if sorted(fired) != slots:
            yield f"{shape.name} fired {sorted(set(fired) ^ set(slots))} otherwise than expected"
        for path in shape.paths:
            arrived = len(set(_ids(stage.receiver, path)))
            if arrived != len(slots):
                yield f"{arrived} messages came at {path} for {len(slots)} slots"
        callbacks = len(set(_ids(stage.receiver, "/told")))
        if shape.name == "reporting" and callbacks != len(slots):
            yield f"{callbacks} callbacks came for {len(slots)} slots"


def of_arrivals(receiver: Receiver, runs: Mapping[str, tuple[str, str]]) -> Iterator[str]:
    """Nothing came that is not in the database, and one slot brought no member two messages."""
    of_slot: defaultdict[tuple[tuple[str, str], str], set[str]] = defaultdict(set)
    for request in receiver.received():
        id_ = request.header("Upstash-Message-Id") or ""
        if request.target == "/told":
            continue
        if id_ not in runs:
            yield f"{request.target} got message {id_}, which no run has"
            continue
        of_slot[runs[id_], request.target].add(id_)
    for (run, path), ids in of_slot.items():
        if len(ids) > 1:
            yield f"{path} got several messages of run {run}: {ids}"


def of_values(found: Ledger, values: Sequence[str]) -> Iterator[str]:
    """Each value of run-now was obeyed once."""
    obeyed = [str(run.asked) for run in found.of("asked")]
    if sorted(obeyed) != sorted(values):
        yield f"run-now was given {values}, and {obeyed} were obeyed"


def of_onces(found: Ledger, receiver: Receiver, names: Collection[str]) -> Iterator[str]:
    for name in names:
        runs, arrived = found.of(name), set(_ids(receiver, f"/{name}"))
        if len(runs) != 1 or len(arrived) != 1:
            yield f"{name} fired {len(runs)} times, {len(arrived)} messages came"


def of_deletions(found: Ledger, ready_at: Mapping[str, datetime]) -> Iterator[str]:
    """What is deleted fires no more, once the deletion must be known."""
    for run in found.runs:
        if run.uid in ready_at and run.made > ready_at[run.uid]:
            yield f"{run.key} fired at {run.made}, deleted before {ready_at[run.uid]}"


def of_tokens(stage: Stage, names: Collection[str]) -> Iterator[str]:
    """The Secret of each Token opens the API."""
    for name in names:
        secret = find(stage.control_plane, "Secret", f"{name}-qstash", stage.namespace)
        if secret is None:
            yield f"Token {name} has no Secret"
            continue
        with stage.angarium.client(base64.b64decode(secret["data"]["QSTASH_TOKEN"]).decode()) as client:
            status = client.get("/v2/queues").status_code
        if status != 200:
            yield f"the Secret of Token {name} is answered with {status}"


def of_events(stage: Stage, took_s: float) -> Iterator[str]:
    """One per object and reason in five minutes, however often the operator is started."""
    most = 2 + took_s // EVENT_WINDOW_S
    counts = Counter(
        (event["involvedObject"]["uid"], event["involvedObject"]["name"], event["reason"])
        for event in stage.list_all("Event")
    )
    for (_, name, reason), count in counts.items():
        if count > most:
            yield f"{name} has {count} Events {reason} after {took_s:.0f} s"


def of_log(text: str) -> Iterator[str]:
    """Nothing went wrong but what the kills did; and nothing was put off, for the API server was always there."""
    for line in text.splitlines():
        failed = '"level": "error"' in line and "the courier loop failed" not in line
        if failed or "not connected" in line:
            yield line


def unsettled(stage: Stage, found: Ledger) -> list[str]:
    """What is still under way, or was not seen yet."""
    left = [f"{message.id} is {message.state}" for message in found.under_way()]
    for kind in KINDS:
        declared = {name: value for (of, name), value in found.declared.items() if of == kind}
        objects = {obj["metadata"]["name"]: obj["metadata"] for obj in stage.list_all(kind)}
        wanted = {name: (metadata["uid"], metadata["generation"]) for name, metadata in objects.items()}
        left += [f"{kind} {name} is not what is declared" for name in wanted if declared.get(name) != wanted[name]]
        left += [f"{kind} {name} is not declared any more" for name in declared.keys() - wanted.keys()]
    onces = [name for name in found.schedules if name.startswith("once-") and not found.of(name)]
    return left + [f"{name} has not fired" for name in onces]


def differences(stage: Stage, found: Ledger) -> list[str]:
    """Where a status in the cluster is not what the database says."""
    left = []
    for kind in KINDS:
        for obj in stage.list_all(kind):
            name, status = obj["metadata"]["name"], obj["status"]
            told = [*_of_conditions(obj), *_OF_KIND[kind](name, status, found)]
            left += [f"{kind} {name}: {what}" for what in told]
    return left


def _ids(receiver: Receiver, path: str) -> list[str]:
    return [request.header("Upstash-Message-Id") or "" for request in receiver.received(path)]


def _of_conditions(obj: Object) -> Iterator[str]:
    generation, status = obj["metadata"]["generation"], obj["status"]
    conditions = {one["type"]: one for one in status["conditions"]}
    if status.get("observedGeneration") != generation:
        yield f"observedGeneration {status.get('observedGeneration')} of {generation}"
    for type_, one in conditions.items():
        if one["observedGeneration"] != generation or one["reason"] == "Pending":
            yield f"{type_} is of generation {one['observedGeneration']}, {one['reason']}"
    lost = obj["metadata"]["name"] == "lost"
    wanted = {type_: "False" if lost and type_ != "Accepted" else "True" for type_ in CONDITIONS}
    standing = {type_: conditions.get(type_, {}).get("status") for type_ in CONDITIONS}
    if standing != wanted:
        yield f"conditions {standing} instead of {wanted}"
    reason = conditions["Ready"]["reason"]
    if lost and reason != shapes.LOST_REFERENCE:
        yield f"Ready is False for {reason}"
    if (
        obj["kind"] == "Schedule"
        and not lost
        and reason != ("Suspended" if obj["spec"].get("suspend") else "Completed")
    ):
        yield f"Ready is True for {reason}"


def _of_schedule(name: str, status: Object, found: Ledger) -> Iterator[str]:
    row, runs = found.schedules[name], found.of(name, found.declared["Schedule", name][0])[::-1]
    shown = [_shown(entry) for entry in status.get("recentRuns", [])]
    wanted = [_wanted(run) for run in runs[: 12 if name in _LONG else 10]]
    if shown != wanted:
        yield f"recentRuns {shown} instead of {wanted}"
    if any(state not in TERMINAL for _, _, state, _ in shown):
        yield f"a run is not over: {shown}"
    if status.get("lastResult") != (runs[0].state if runs else None):
        yield f"lastResult {status.get('lastResult')} instead of {runs[0].state if runs else None}"
    if status["skippedSlots"] != row["skipped"]:
        yield f"skippedSlots {status['skippedSlots']} instead of {row['skipped']}"
    for field, column in _TIMES.items():
        told, stored = status.get(field), row[column]
        exact = None if stored is None else instant(stored if field == "lastSlotTime" else stored // 1000 * 1000)
        if (None if told is None else datetime.fromisoformat(told).astimezone(UTC)) != exact:
            yield f"{field} {told} instead of {exact}"
    latest = max((run.slot for run in runs if run.trigger == "Slot"), default=None)
    stored = row["last_slot_ms"]
    if latest and (stored is None or instant(stored) < latest):  # one that Forbid has skipped has no run
        yield f"the last slot was {latest}, but the database says {stored}"


_TIMES = {
    "lastSlotTime": "last_slot_ms",
    "lastSuccessTime": "last_success_ms",
    "lastFailureTime": "last_failure_ms",
}
_LONG = {shape.name for shape in SHAPES}


def _shown(entry: Object) -> tuple[Any, ...]:
    members = sorted((one["messageId"], one["state"], one["attempts"]) for one in entry.get("members", []))
    return (datetime.fromisoformat(entry["slot"]), entry["trigger"], entry["state"], members)


def _wanted(run: Run) -> tuple[Any, ...]:
    members = sorted((message.id, message.state, message.attempts) for message in run.messages)
    return (run.slot, run.trigger, run.state, members)


def _of_endpoint(name: str, status: Object, found: Ledger) -> Iterator[str]:
    row = found.endpoints.get(name)
    failures = row["failures"] if row else 0
    if status["consecutiveFailures"] != failures:
        yield f"consecutiveFailures {status['consecutiveFailures']} instead of {failures}"
    last = status.get("lastDelivery", {})
    wanted = (row["message_id"], row["status"]) if row else (None, None)
    if (last.get("messageId"), last.get("status")) != wanted:
        yield f"lastDelivery {last} instead of {wanted}"
    reachable = next(one for one in status["conditions"] if one["type"] == "Reachable")["status"]
    if reachable != ("Unknown" if not row else "True" if 200 <= row["status"] < 300 else "False"):
        yield f"Reachable {reachable} after {row['status'] if row else 'nothing'}"
    if name == "failing" and row and failures != len([run for run in found.of("failing") if run.messages]):
        yield f"{failures} failures in a row, of {len(found.of('failing'))} runs"


def _of_topic(name: str, status: Object, found: Ledger) -> Iterator[str]:
    if status["endpoints"] != 3 or "missingEndpoints" in status:
        yield f"members: {status}"


def _of_queue(name: str, status: Object, found: Ledger) -> Iterator[str]:
    for field in ("oldestWaitingSince", "blockedBy"):
        if field in status:
            yield f"{field} {status[field]}, though it is empty"


def _of_token(name: str, status: Object, found: Ledger) -> Iterator[str]:
    yield from ()


_OF_KIND = {
    "Endpoint": _of_endpoint,
    "Topic": _of_topic,
    "Schedule": _of_schedule,
    "Queue": _of_queue,
    "Token": _of_token,
}
