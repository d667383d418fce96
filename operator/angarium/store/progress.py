"""What the statuses of Schedules, Endpoints, Topics and Queues show, read for many objects with a few statements."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from angarium.domain.declarations import DEFAULT_HISTORY, Kind, ObjectRef, Schedule, Topic
from angarium.domain.fanout import Member, members_of
from angarium.domain.instants import from_ms, optional_time, to_ms
from angarium.domain.messages import MessageState
from angarium.domain.reasons import BlockReason
from angarium.domain.slots import occurrence_after
from angarium.domain.views import (
    FAILING_FIRST,
    SHOWN_ATTEMPTS,
    SHOWN_MEMBERS,
    AttemptView,
    Backlog,
    Block,
    EndpointView,
    MemberView,
    QueueView,
    RunView,
    ScheduleView,
    TopicView,
)
from angarium.store.catalog import NamespaceCatalog, many
from angarium.store.rows import names, run_of
from angarium.store.statements import load
from angarium.store.transaction import Row, Session, json_array

SQL = load("views")
_MOST_SHOWN = 450
"""Messages and attempts of one Schedule: the JSON of one has 80 bytes or more, and 32 KiB are a status's limit."""
_MOST_STATES = 100
_ORDER = " ".join(FAILING_FIRST)


def schedule_views(session: Session, refs: Sequence[ObjectRef]) -> Mapping[ObjectRef, ScheduleView]:
    """With the runs that a status may show, and no more of them than any status has room for."""
    rows = session.rows(SQL["schedules"], json_array(names(refs)))
    specs = _specs(session, refs)
    runs = _runs(session, [(row["uid"], row["runs"] - _limit(specs[row["uid"]])) for row in rows])
    return _schedule_views(rows, specs, runs)


def last_runs(session: Session, refs: Sequence[ObjectRef]) -> Mapping[ObjectRef, ScheduleView]:
    """With the newest run only, the states of its messages, and no attempts."""
    rows = session.rows(SQL["schedules"], json_array(names(refs)))
    specs = _specs(session, refs)
    newest = session.rows(SQL["runs"], json_array((row["uid"], row["runs"] - 1) for row in rows))
    members = _members(session, [row["seq"] for row in newest], _MOST_STATES)
    runs = {
        row["schedule_uid"]: [_run_view(row, [_member(one, ()) for one in members.get(row["seq"], ())])]
        for row in newest
    }
    return _schedule_views(rows, specs, runs)


def _specs(session: Session, refs: Sequence[ObjectRef]) -> Mapping[str, object]:
    """By uid, without large bodies."""
    return {one.uid: one.spec for one in many(session, refs, bodies=False).values()}


def _limit(spec: object) -> int:
    return max(1, spec.history_limit if isinstance(spec, Schedule) else DEFAULT_HISTORY)


def _schedule_views(
    rows: Sequence[Row], specs: Mapping[str, object], runs: Mapping[str, Sequence[RunView]]
) -> Mapping[ObjectRef, ScheduleView]:
    return {
        ObjectRef(Kind.SCHEDULE, row["namespace"], row["name"]): _schedule_view(
            row, specs[row["uid"]], runs.get(row["uid"], ())
        )
        for row in rows
    }


def _schedule_view(row: Row, spec: object, runs: Sequence[RunView]) -> ScheduleView:
    next_slot = None
    if isinstance(spec, Schedule) and not spec.suspend and not row["completed"]:
        next_slot = occurrence_after(spec.timing, from_ms(row["considered_ms"]))
    return ScheduleView(
        next_slot=next_slot,
        last_slot=optional_time(row["last_slot_ms"]),
        last_success=optional_time(row["last_success_ms"]),
        last_failure=optional_time(row["last_failure_ms"]),
        skipped=row["skipped"],
        completed=bool(row["completed"]),
        runs=tuple(runs),
    )


def _runs(session: Session, wanted: Sequence[tuple[str, int]]) -> Mapping[str, Sequence[RunView]]:
    """By uid, newest first: the runs numbered higher than given."""
    rows = session.rows(SQL["runs"], json_array(wanted))
    members = _members(session, [row["seq"] for row in rows], SHOWN_MEMBERS)
    rows = list(_fitting(rows, members))
    shown = [one for row in rows for one in members.get(row["seq"], ())]
    attempts = _attempts(session, [(one["seq"], one["attempts"] - SHOWN_ATTEMPTS) for one in shown])
    counts = _counts(session, [row["seq"] for row in rows if len(members.get(row["seq"], ())) == SHOWN_MEMBERS])
    runs: defaultdict[str, list[RunView]] = defaultdict(list)
    for row in rows:
        views = [_member(one, attempts[one["seq"]]) for one in members.get(row["seq"], ())]
        runs[row["schedule_uid"]].append(_run_view(row, views, counts.get(row["seq"])))
    return runs


def _fitting(runs: Sequence[Row], members: Mapping[int, Sequence[Row]]) -> Iterator[Row]:
    """Without a Schedule's oldest ones that could not be shown in any case. Its newest stays: it can be thinned out."""
    shown: defaultdict[str, int] = defaultdict(int)
    for run in runs:
        uid, of_run = run["schedule_uid"], members.get(run["seq"], ())
        if shown[uid] <= _MOST_SHOWN:
            yield run
            shown[uid] += sum(1 + min(one["attempts"], SHOWN_ATTEMPTS) for one in of_run)


def _run_view(row: Row, members: Sequence[MemberView], counts: Mapping[MessageState, int] | None = None) -> RunView:
    return RunView(run_of(row), tuple(members), row["reason"], row["error"], counts or {})


def _counts(session: Session, runs: Sequence[int]) -> Mapping[int, Mapping[MessageState, int]]:
    """Of runs with more members than are listed, how many are in each state."""
    counts: defaultdict[int, dict[MessageState, int]] = defaultdict(dict)
    for row in session.rows(SQL["counts"], json_array(runs)) if runs else ():
        counts[row["run"]][MessageState(row["state"])] = row["count"]
    return counts


def _members(session: Session, runs: Sequence[int], most: int) -> Mapping[int, Sequence[Row]]:
    members: defaultdict[int, list[Row]] = defaultdict(list)
    for row in session.rows(SQL["members"], runs=json_array(runs), most=most, order=_ORDER):
        members[row["run"]].append(row)
    return members


def _member(row: Row, attempts: Sequence[AttemptView]) -> MemberView:
    state = MessageState(row["state"])
    waits = state in (MessageState.WAITING, MessageState.RETRYING)
    return MemberView(
        name=row["endpoint_name"] or "",
        message_id=row["id"],
        state=state,
        attempts=row["attempts"],
        attempts_allowed=row["max_retries"] + 1,
        next_attempt_at=from_ms(row["due_ms"]) if waits else None,
        finished_at=optional_time(row["finished_ms"]),
        recent_attempts=tuple(attempts),
    )


def _attempts(session: Session, wanted: Sequence[tuple[int, int]]) -> Mapping[int, Sequence[AttemptView]]:
    attempts: defaultdict[int, list[AttemptView]] = defaultdict(list)
    for row in session.stream(SQL["attempts"], json_array(wanted)):
        attempts[row["message"]].append(_attempt(row))
    return attempts


def _attempt(row: Row) -> AttemptView:
    duration = timedelta(microseconds=row["duration_us"])
    return AttemptView(row["number"], from_ms(row["time_ms"]), duration, row["status"], row["error"])


def endpoint_views(session: Session, refs: Sequence[ObjectRef]) -> Mapping[ObjectRef, EndpointView]:
    return {
        ObjectRef(Kind.ENDPOINT, row["namespace"], row["name"]): (
            EndpointView(_attempt(row), row["message_id"], row["failures"]) if row["number"] else EndpointView()
        )
        for row in session.rows(SQL["endpoints"], json_array(names(refs)))
    }


def topic_views(session: Session, refs: Sequence[ObjectRef]) -> Mapping[ObjectRef, TopicView]:
    catalogs: dict[str, NamespaceCatalog] = {}
    views = {}
    for ref, declared in many(session, refs).items():
        if isinstance(declared.spec, Topic):
            catalog = catalogs.setdefault(ref.namespace, NamespaceCatalog(session, ref.namespace))
            members, missing = members_of(declared.spec, catalog)
            views[ref] = TopicView(tuple(map(_place, members)), tuple(missing))
        elif ref.kind is Kind.TOPIC:
            views[ref] = TopicView()
    return views


def _place(member: Member) -> tuple[str, str]:
    target = member.endpoint or member.url or ""
    return (member.name or target, target)


def queue_views(session: Session, refs: Sequence[ObjectRef], now: datetime) -> Mapping[ObjectRef, QueueView]:
    """A Queue whose messages move on is not blocked, however slow it is."""
    now_ms, wanted = to_ms(now), json_array(names(refs))
    placed, held = defaultdict(list), defaultdict(list)
    for row in session.rows(SQL["places"], refs=wanted, now=now_ms):
        placed[_ref(row, "queue")].append(row)
    for row in session.rows(SQL["held_places"], refs=wanted):
        held[_ref(row, "queue")].append(row)
    views = {}
    for row in session.rows(SQL["queues"], refs=wanted):
        ref = _ref(row, "name")
        waiting_ms = min(_not_started(row, placed[ref], now_ms), default=None)
        blocked = _block(row, placed[ref], held[ref], now_ms)
        views[ref] = QueueView(row["lag"], None if waiting_ms is None else from_ms(waiting_ms), blocked)
    return views


def _ref(row: Row, queue: str) -> ObjectRef:
    return ObjectRef(Kind.QUEUE, row["namespace"], row[queue])


def _not_started(first: Row, placed: Sequence[Row], now_ms: int) -> list[int]:
    """When those joined that have a place and were not tried yet, and the first of those that wait for one."""
    joined = [row["joined_ms"] for row in placed if row["state"] == MessageState.WAITING]
    return [*joined, first["joined_ms"]] if first["id"] is not None and first["joined_ms"] <= now_ms else joined


def _block(first: Row, placed: Sequence[Row], held: Sequence[Row], now_ms: int) -> Block | None:
    """The oldest message that has a place, unless one of them moves; with all places free, a delayed message."""
    blocks = [(row, _standstill(row, now_ms)) for row in placed]
    if any(reason is None for _, reason in blocks):
        return None
    fronts = [(row["joined_ms"], row["seq"], _blocked(row, reason)) for row, reason in blocks if reason]
    fronts += [(row["joined_ms"], row["seq"], _calling_back(row)) for row in held]
    if fronts:
        return min(fronts, key=lambda front: front[:2])[2]
    if first["id"] is not None and first["joined_ms"] > now_ms:
        return Block(first["id"], from_ms(first["created_ms"]), BlockReason.DELAY)
    return None


def _standstill(row: Row, now_ms: int) -> BlockReason | None:
    """Why a message with a place does not move on. What somebody has to change is told before what time will."""
    if row["state"] == MessageState.DELIVERING:
        return None
    if row["held"]:
        return BlockReason.ENDPOINT_SUSPENDED
    if row["due_ms"] > now_ms:
        return BlockReason.RETRY
    return BlockReason.FLOW_CONTROL if row["closed"] else None


def _blocked(row: Row, reason: BlockReason) -> Block:
    since_ms = row["joined_ms"] if row["tried_ms"] is None else row["tried_ms"]
    return Block(row["id"], from_ms(since_ms), reason)


def _calling_back(row: Row) -> Block:
    return Block(row["id"], from_ms(row["finished_ms"]), BlockReason.CALLBACK)


def backlog(session: Session, now: datetime) -> Backlog:
    claimable = session.row(SQL["oldest_claimable"], now=to_ms(now))
    tenants, delivering = session.row(SQL["tenants"]), session.row(SQL["delivering"])
    oldest = session.row(SQL["oldest_due"])
    assert tenants is not None and delivering is not None and oldest is not None
    return Backlog(
        waiting=tenants["waiting"] - delivering["delivering"],
        delivering=delivering["delivering"],
        dead_letters=tenants["dead_letters"],
        oldest_due=optional_time(oldest["due_ms"]),
        oldest_claimable=optional_time(claimable["due_ms"] if claimable else None),
        by_kind={row["kind"]: row["count"] for row in session.rows(SQL["kinds"])},
    )
