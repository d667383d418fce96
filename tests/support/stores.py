"""Values for tests of the store: publications, declared objects, attempts and decisions, short to write."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from tests.support.fakes import START

from angarium.domain.declarations import (
    ConcurrencyPolicy,
    Declared,
    DeliveryOptions,
    Destination,
    Endpoint,
    Kind,
    ObjectRef,
    Rejection,
    Schedule,
    Spec,
    Timing,
    Topic,
    TopicMember,
)
from angarium.domain.firing import DueSchedule, Firing
from angarium.domain.messages import (
    Acceptance,
    Attempt,
    Leased,
    LeaseGrant,
    Message,
    Outcome,
    Publication,
    Response,
    Result,
    Run,
    Trigger,
)
from angarium.domain.ports import Store

NS = "shop"
URL = "https://billing.test/in?x=1"
OWNER = "this-process"
SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)


def ids(prefix: str = "msg_") -> Callable[[datetime], str]:
    numbers = count(1)
    return lambda _: f"{prefix}{next(numbers):04}"


def publication(url: str | None = None, **given: Any) -> Publication:
    """To a URL unless `endpoint` or `topic` names another destination."""
    target = {"endpoint": given.pop("endpoint", None), "topic": given.pop("topic", None)}
    destination = Destination(url=url or (None if any(target.values()) else URL), **target)
    return Publication(**{"namespace": NS, "destination": destination, "created_at": START, "body": b"{}"} | given)


def grant(room: int = 100, *, lane_room: int = 100, until: float = 1030.0, **given: Any) -> LeaseGrant:
    return LeaseGrant(**{"owner": OWNER, "until": until, "room": room, "lane_room": lane_room} | given)


def declared(kind: Kind, name: str, spec: Spec | Rejection, **given: Any) -> Declared:
    ref = ObjectRef(kind, given.pop("namespace", NS), name)
    values = {"uid": f"uid-{name}", "generation": 1, "fingerprint": "1", "created_at": START - DAY} | given
    return Declared(ref=ref, spec=spec, **values)


def endpoint(name: str = "billing", url: str = "https://billing.test/in", **given: Any) -> Declared:
    spec = Endpoint(url, given.pop("options", DeliveryOptions()), suspend=given.pop("suspend", False))
    return declared(Kind.ENDPOINT, name, given.pop("spec", spec), **given)


def topic(name: str = "orders", *endpoints: str, match: dict[str, str] | None = None, **given: Any) -> Declared:
    members = tuple(TopicMember(f"member-{each}", endpoint=each) for each in endpoints)
    return declared(Kind.TOPIC, name, Topic(members, match), **given)


def schedule(name: str = "report", *, policy: ConcurrencyPolicy = ConcurrencyPolicy.ALLOW, **given: Any) -> Declared:
    spec = Schedule(
        timing=given.pop("timing", Timing(every=timedelta(minutes=1), anchor=START)),
        destination=given.pop("destination", Destination(url=URL)),
        concurrency_policy=policy,
        suspend=given.pop("suspend", False),
        history_limit=given.pop("history_limit", 10),
        starting_deadline=given.pop("starting_deadline", None),
    )
    return declared(Kind.SCHEDULE, name, given.pop("spec", spec), **given)


def changed(declared: Declared, **given: Any) -> Declared:
    """The object after an edit: same uid, next generation."""
    generation = declared.generation + 1
    return replace(declared, **{"generation": generation, "fingerprint": str(generation)} | given)


def attempt(number: int = 1, status: int | None = 200, url: str = URL, **given: Any) -> Attempt:
    """`status` None: there was no response."""
    response = None if status is None else Response(status, (("X-Answer", "yes"),), b"answer")
    problem = {} if status is not None else {"reason": "Timeout", "error": "Timeout: no answer within 30s"}
    return Attempt(number, url, START, timedelta(milliseconds=12), response, **problem | given)


def delivered(leased: Leased, **given: Any) -> Outcome:
    return Outcome(leased, Result.DELIVERED, attempt(leased.retried + 1, **_place(leased) | given))


def failed(leased: Leased, status: int | None = 500, **given: Any) -> Outcome:
    return Outcome(leased, Result.FAILED, attempt(leased.retried + 1, status, **_place(leased) | given))


def retry(leased: Leased, after: timedelta = 10 * SECOND, status: int | None = 500) -> Outcome:
    return Outcome(leased, Result.RETRY, attempt(leased.retried + 1, status, **_place(leased)), START + after)


def _place(leased: Leased) -> dict[str, str]:
    return {"url": leased.endpoint.url} if leased.endpoint else {}


def postponed(leased: Leased, after: timedelta = 15 * SECOND) -> Outcome:
    return Outcome(leased, Result.POSTPONED, next_at=START + after)


def firing(due: DueSchedule, *slots: datetime, manual: bool = False, **given: Any) -> Firing:
    """The decision to fire these slots, and then by hand; considered until the last of them."""
    spec = due.declared.spec
    assert isinstance(spec, Schedule)
    now = given.get("now", START)
    made = tuple(_run(due, slot, Trigger.SLOT) for slot in slots)
    made += (_run(due, now, Trigger.MANUAL),) if manual else ()
    values = {
        "publication": Publication(NS, spec.destination, now, b"report"),
        "problem": None,
        "skipped": 0,
        "considered_until": max(slots, default=due.state.considered_until),
        "wake_at": now + timedelta(minutes=1),
        "completed": False,
        "now": now,
    }
    return Firing(due=due, runs=made, **values | given)


_run_ids = ids("run_")


def _run(due: DueSchedule, slot: datetime, trigger: Trigger) -> Run:
    return Run(_run_ids(slot), due.declared.ref, due.declared.uid, slot, trigger)


async def accepted(store: Store, *publications: Publication, room: int = 0) -> list[Message]:
    """The messages of these publications, all of which have to be accepted."""
    answers, _ = await store.accept(publications, grant(room) if room else None)
    messages: list[Message] = []
    for answer in answers:
        assert isinstance(answer, Acceptance), answer
        messages += answer.messages
    return messages


async def leased(store: Store, *publications: Publication) -> Sequence[Leased]:
    """The publications' messages, leased at once."""
    return (await store.accept(publications, grant(10_000, lane_room=10_000)))[1]
