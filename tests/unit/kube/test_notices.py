"""Which statuses a notice touches, and which Events it becomes."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.support.fakes import START, leased

from angarium.domain.declarations import Kind, ObjectRef
from angarium.domain.messages import Attempt, Outcome, Response, Result, Run, Trigger
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
from angarium.kube.notices import bereft, told, touched

SCHEDULE = ObjectRef(Kind.SCHEDULE, "shop", "nightly")
ENDPOINT = ObjectRef(Kind.ENDPOINT, "shop", "billing")
QUEUE = ObjectRef(Kind.QUEUE, "shop", "line")
RUN = Run("run_1", SCHEDULE, "uid-1", START, Trigger.SLOT)


def ended(
    result: Result, *, run: Run | None = RUN, endpoint: bool = True, attempt: Attempt | None = None
) -> AttemptEnded:
    one = leased()
    message = replace(one.message, run=run, url=None if endpoint else "https://a.test", endpoint=None)
    message = replace(message, endpoint="billing") if endpoint else message
    return AttemptEnded(Outcome(replace(one, message=message), result, attempt))


def queued(notice: AttemptEnded) -> Notice:
    leased = notice.outcome.leased
    return AttemptEnded(replace(notice.outcome, leased=replace(leased, message=replace(leased.message, queue="line"))))


def attempt(response: Response | None = None, error: str = "", url: str = "https://billing.test/in") -> Attempt:
    return Attempt(4, url, START, timedelta(seconds=1), response, "Timeout", error)


@pytest.mark.parametrize(
    "notice, refs",
    [
        (ended(Result.DELIVERED), {SCHEDULE, ENDPOINT}),
        (ended(Result.RETRY, run=None), {ENDPOINT}),
        (ended(Result.FAILED, endpoint=False), {SCHEDULE}),
        (ended(Result.FAILED, endpoint=False, run=None), set()),
        (RunStarted(RUN, ("msg_1",), 0.1), {SCHEDULE}),
        (RunFailed(RUN, "RefNotFound", "gone"), {SCHEDULE}),
        (SlotsSkipped(SCHEDULE, 3, "Missed"), {SCHEDULE}),
        (ClockReset(SCHEDULE, START), {SCHEDULE}),
        (CatalogChanged(frozenset({SCHEDULE, ENDPOINT})), {SCHEDULE, ENDPOINT}),
        (Accepted(leased().message, "https://a.test"), set()),
        (Accepted(replace(leased().message, queue="line"), "https://a.test"), {QUEUE}),
        (queued(ended(Result.RETRY, endpoint=False, run=None)), {QUEUE}),
        (queued(ended(Result.DELIVERED)), {SCHEDULE, ENDPOINT, QUEUE}),
        (RunStarted(RUN, ("msg_1",), 0.1, "line"), {SCHEDULE, QUEUE}),
        (PlaceFreed(QUEUE, "msg_1"), {QUEUE}),
        (RunsCanceled(frozenset({SCHEDULE})), {SCHEDULE}),
    ],
)
def test_the_objects_whose_status_may_have_changed(notice: Notice, refs: set[ObjectRef]) -> None:
    assert touched([notice]) == refs


def test_orphans_tell_of_their_namespace() -> None:
    assert bereft([EndpointOrphansFailed(ENDPOINT, ("msg_1",)), RunStarted(RUN, (), 0)]) == {"shop"}


@pytest.mark.parametrize("result", [Result.DELIVERED, Result.RETRY, Result.POSTPONED])
def test_what_is_not_given_up_is_no_event(result: Result) -> None:
    assert told([ended(result)]) == []


def test_a_message_given_up_is_a_warning_at_its_schedule() -> None:
    (event,) = told([ended(Result.FAILED, attempt=attempt(Response(500)))])
    assert (event.ref, event.reason, event.warning) == (SCHEDULE, "DeliveryFailed", True)
    for word in ("msg_1", "https://billing.test/in", "4 attempts", "HTTP 500", "/v2/dlq?messageId=msg_1"):
        assert word in event.message


def test_a_message_given_up_that_no_schedule_sent_is_a_warning_at_its_endpoint() -> None:
    (event,) = told([ended(Result.FAILED, run=None, attempt=attempt(error="no answer within 30 s"))])
    assert event.ref == ENDPOINT
    assert "no answer within 30 s" in event.message
    assert told([ended(Result.FAILED, run=None, endpoint=False)]) == []


def test_what_becomes_of_slots() -> None:
    events = told(
        [
            RunFailed(RUN, "RefNotFound", "Endpoint 'billing' does not exist"),
            SlotsSkipped(SCHEDULE, 7, "Missed"),
            SlotsSkipped(SCHEDULE, 1, "Forbidden"),
            ClockReset(SCHEDULE, START),
        ]
    )
    assert [event.reason for event in events] == ["RefNotFound", "SlotsMissed", "SlotsForbidden", "ClockReset"]
    assert [event.warning for event in events] == [True, True, False, True]
    assert "2026-03-01T12:00:00Z" in events[0].message
    assert events[1].message.startswith("7 slots passed")
    assert f"annotate --overwrite schedules.angarium.dev {SCHEDULE.name} angarium.dev/run-now=" in events[1].message
    assert events[2].message.startswith("1 slot skipped")


def test_what_was_taken_over_and_what_was_freed_is_told() -> None:
    taken, freed = told([TakenOver(QUEUE), PlaceFreed(QUEUE, "msg_1")])
    assert (taken.ref, taken.reason, taken.warning) == (QUEUE, "TakenOver", False)
    assert (freed.ref, freed.reason, freed.warning) == (QUEUE, "PlaceFreed", True)
    assert "Queue that had been made over the API" in taken.message
    assert "msg_1" in freed.message


def test_an_event_has_no_secret_of_a_url() -> None:
    """Who may see Events is not who may see Endpoints."""
    url = "https://user:word@billing.test/in?token=t0ps3cret"
    (event,) = told([ended(Result.FAILED, attempt=attempt(Response(500), url=url))])
    assert "https://billing.test/in?..." in event.message
    assert "t0ps3cret" not in event.message and "word" not in event.message
