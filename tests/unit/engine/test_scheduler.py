"""The scheduler over the real store, with a clock that the test turns: slots, missed ones, manual runs, problems."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest
from tests.support.fakes import START, FakeClock, FakeDispatch, FakeReferences, Recorder
from tests.support.stores import NS, URL, changed, endpoint, ids, schedule, topic
from tests.support.waiting import until

from angarium.domain import slots
from angarium.domain.declarations import (
    Callback,
    ConcurrencyPolicy,
    Declared,
    DeliveryOptions,
    Destination,
    Endpoint,
    FlowControl,
    Header,
    KeyRef,
    MissedRunPolicy,
    Redaction,
    Schedule,
    Timing,
)
from angarium.domain.errors import StoreError
from angarium.domain.firing import DueSchedules, Fired, Firing
from angarium.domain.messages import LeaseGrant, Trigger
from angarium.domain.notices import ClockReset, MembersMissing, RunFailed, RunStarted, SlotsSkipped
from angarium.domain.ports import Limits, Retention, Store
from angarium.domain.views import HistoryFilter
from angarium.engine.decisions import Decisions
from angarium.engine.scheduler import Scheduler
from angarium.engine.supervisor import Pulse
from angarium.store import open_store

MINUTE = timedelta(minutes=1)
BODY = KeyRef("reports", "body")


@dataclass
class Stage:
    """A scheduler with its surroundings. `pass_time` lets time pass in steps that are no stall, and turns it."""

    store: Store
    clock: FakeClock = field(default_factory=FakeClock)
    references: FakeReferences = field(default_factory=FakeReferences)
    dispatch: FakeDispatch = field(default_factory=FakeDispatch)
    told: Recorder = field(default_factory=Recorder)

    def __post_init__(self) -> None:
        decisions = Decisions(self.references)
        self.scheduler = Scheduler(self.store, decisions, self.dispatch, [self.told], self.clock)
        self.pulse = Pulse(self.clock.monotonic)

    async def declare(self, *declared: Declared) -> None:
        await self.store.apply(declared, self.clock.now())

    async def turn(self, advance: timedelta = timedelta(0)) -> None:
        """Let this time pass at once, and have the scheduler do all there is to do."""
        self.clock.advance(advance)
        self.scheduler._notice_stall()
        while await self.scheduler._turn() == timedelta(0):
            pass

    async def pass_time(self, time: timedelta) -> None:
        end = self.clock.now() + time
        while self.clock.now() < end:
            await self.turn(min(timedelta(seconds=30), end - self.clock.now()))

    def fired(self) -> list[datetime]:
        return [notice.run.slot for notice in self.told.of(RunStarted)]  # type: ignore[union-attr]


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    clock = FakeClock()
    opened = open_store(None, limits=Limits(), new_id=ids(), clock=clock, retention=Retention())
    yield Stage(opened, clock)
    await opened.close()


def with_spec(declared: Declared, **given: object) -> Declared:
    assert isinstance(declared.spec, Schedule)
    return replace(declared, spec=replace(declared.spec, **given))  # type: ignore[arg-type]


async def test_each_slot_fires_once_on_time(stage: Stage) -> None:
    await stage.declare(schedule())
    await stage.pass_time(3 * MINUTE)
    assert stage.fired() == [START + MINUTE, START + 2 * MINUTE, START + 3 * MINUTE]
    assert [one.message.url for one in stage.dispatch.offered] == [URL] * 3
    assert stage.dispatch.open_grants == 0
    await stage.turn()
    assert len(stage.fired()) == 3


async def test_a_publication_has_headers_content_type_labels_and_the_run(stage: Stage) -> None:
    options = DeliveryOptions("PUT", (Header("X-Team", "pay"),), timedelta(seconds=9), 1, "500")
    spec = {"options": options, "content_type": "application/json", "body": b"{}", "labels": ("daily",)}
    await stage.declare(with_spec(schedule(), **spec))
    await stage.pass_time(MINUTE)
    (one,) = stage.dispatch.offered
    message = one.message
    assert message.headers == (Header("Content-Type", "application/json"), Header("X-Team", "pay"))
    assert (message.method, message.body, message.labels) == ("PUT", b"{}", ("daily",))
    assert (message.timeout, message.max_retries, message.retry_delay) == (timedelta(seconds=9), 1, "500")
    assert message.run is not None and message.run.schedule.name == "report" and message.run.trigger is Trigger.SLOT
    assert message.created_at == START + MINUTE


async def test_a_publication_has_queue_callbacks_delay_redaction_and_flow_control(stage: Stage) -> None:
    callback = Callback(Destination(url="https://c.test"), labels=("told",))
    limits = FlowControl(rate=5, period=MINUTE)
    spec = {
        "options": DeliveryOptions(flow_control=limits),
        "queue": "mail",
        "callback": callback,
        "failure_callback": replace(callback, destination=Destination(url="https://f.test")),
        "redaction": Redaction(body=True),
        "delay": timedelta(seconds=90),
        "caller_ip": "192.0.2.7",
    }
    await stage.declare(with_spec(schedule(), **spec))
    await stage.pass_time(MINUTE)
    (entry,) = (await stage.store.log(HistoryFilter(NS))).items
    message = entry.message
    assert message.not_before == START + MINUTE + timedelta(seconds=90)
    assert (message.queue, message.caller_ip, message.redaction) == ("mail", "192.0.2.7", Redaction(body=True))
    assert (message.callback, message.failure_callback) == (callback, spec["failure_callback"])
    assert message.flow_control == replace(limits, key="schedule/report")


async def test_a_flow_control_key_that_was_given_stays(stage: Stage) -> None:
    limits = FlowControl(key="shared", parallelism=1)
    await stage.declare(with_spec(schedule(), options=DeliveryOptions(flow_control=limits)))
    await stage.pass_time(MINUTE)
    assert (await stage.store.log(HistoryFilter(NS))).items[0].message.flow_control == limits


@pytest.mark.parametrize(
    ("endpoint_says", "expected"), [((), "text/plain"), ((Header("content-TYPE", "text/endpoint"),), None)]
)
async def test_the_form_of_a_body_says_its_type_if_nobody_else_does(
    stage: Stage, endpoint_says: tuple[Header, ...], expected: str | None
) -> None:
    await stage.declare(changed(endpoint(), spec=Endpoint(URL, DeliveryOptions(headers=endpoint_says))))
    to = Destination(endpoint="billing")
    spec = {"destination": to, "content_type": "text/plain", "content_type_is_default": True}
    await stage.declare(with_spec(schedule(), **spec))
    await stage.pass_time(MINUTE)
    own = stage.dispatch.offered[0].message.headers
    assert [header.value for header in own] == ([expected] if expected else [])


async def test_a_declared_content_type_header_stands_alone(stage: Stage) -> None:
    options = DeliveryOptions(headers=(Header("content-type", "text/csv"),))
    await stage.declare(with_spec(schedule(), options=options, content_type="text/plain; charset=utf-8"))
    await stage.pass_time(MINUTE)
    assert stage.dispatch.offered[0].message.headers == options.headers


async def test_the_lag_is_told(stage: Stage) -> None:
    await stage.declare(schedule())
    await stage.pass_time(MINUTE - timedelta(seconds=10))
    await stage.turn(timedelta(seconds=13))
    (started,) = stage.told.of(RunStarted)
    assert started.lag_s == pytest.approx(3)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("policy", "minutes", "skipped"),
    [
        (MissedRunPolicy.RUN_LATEST, [5], 4),
        (MissedRunPolicy.SKIP, [], 5),
        (MissedRunPolicy.RUN_ALL, [1, 2, 3, 4, 5], 0),
    ],
)
async def test_slots_of_a_stall_are_missed(
    stage: Stage, policy: MissedRunPolicy, minutes: list[int], skipped: int
) -> None:
    await stage.declare(with_spec(schedule(), missed_run_policy=policy))
    await stage.turn()
    await stage.turn(5 * MINUTE + timedelta(seconds=20))
    assert stage.fired() == [START + n * MINUTE for n in minutes]
    told = [(notice.count, notice.reason) for notice in stage.told.of(SlotsSkipped)]  # type: ignore[union-attr]
    assert told == ([(skipped, "Missed")] if skipped else [])
    await stage.pass_time(MINUTE)
    assert stage.fired()[-1] == START + 6 * MINUTE


async def test_slots_while_the_program_was_down_are_missed(stage: Stage) -> None:
    await stage.declare(schedule())
    stage.clock.advance(5 * MINUTE + timedelta(seconds=20))
    later = Stage(stage.store, stage.clock)
    await later.turn()
    assert later.fired() == [START + 5 * MINUTE]


async def test_a_clock_far_behind_starts_anew_from_now(stage: Stage) -> None:
    await stage.declare(schedule(timing=Timing(every=MINUTE, anchor=START - timedelta(days=1))))
    await stage.pass_time(MINUTE)
    stage.clock.jump(timedelta(hours=-1))
    await stage.turn()
    (reset,) = stage.told.of(ClockReset)
    assert reset.considered_until == START + MINUTE  # type: ignore[union-attr]
    await stage.pass_time(MINUTE)
    assert stage.fired() == [START + MINUTE, START + 2 * MINUTE - timedelta(hours=1)]
    stage.clock.jump(timedelta(hours=1))
    await stage.turn()
    assert len(stage.fired()) == len(set(stage.fired()))


@pytest.mark.parametrize("policy", MissedRunPolicy)
async def test_a_clock_set_back_to_before_the_start_makes_no_slot_late(stage: Stage, policy: MissedRunPolicy) -> None:
    await stage.declare(with_spec(schedule(timing=Timing(cron="* * * * *")), missed_run_policy=policy))
    await stage.pass_time(2 * MINUTE)
    stage.clock.jump(timedelta(hours=-2))
    before = len(stage.fired())
    for _ in range(20):  # 346 s in steps that hit no minute
        await stage.turn(timedelta(seconds=17.3))
    assert len(stage.fired()) - before == 5
    assert stage.told.of(SlotsSkipped) == []


async def test_a_clock_reset_is_told_with_where_it_stood(stage: Stage) -> None:
    await stage.declare(replace(schedule(), run_now="a"))
    await stage.pass_time(2 * MINUTE)
    stage.clock.jump(timedelta(hours=-1))
    await stage.declare(replace(changed(schedule()), run_now="b"))
    await stage.turn()
    (reset,) = stage.told.of(ClockReset)
    assert reset.considered_until == START + 2 * MINUTE  # type: ignore[union-attr]


async def test_run_now_fires_once_even_when_suspended(stage: Stage) -> None:
    suspended = schedule(suspend=True)
    await stage.declare(suspended)
    await stage.pass_time(2 * MINUTE)
    assert stage.fired() == []
    await stage.declare(replace(suspended, run_now="1", fingerprint="2"))
    await stage.pass_time(2 * MINUTE)
    (started,) = stage.told.of(RunStarted)
    assert started.run.trigger is Trigger.MANUAL  # type: ignore[union-attr]
    await stage.declare(replace(suspended, run_now=None, fingerprint="3"))
    await stage.pass_time(MINUTE)
    assert len(stage.fired()) == 1


async def test_a_run_now_value_already_there_at_first_sight_fires_nothing(stage: Stage) -> None:
    await stage.declare(replace(schedule(suspend=True), run_now="old"))
    await stage.pass_time(MINUTE)
    assert stage.fired() == []


async def test_forbidden_slots_are_told(stage: Stage) -> None:
    await stage.declare(schedule(policy=ConcurrencyPolicy.FORBID))
    await stage.pass_time(3 * MINUTE)
    assert stage.fired() == [START + MINUTE]
    told = [(notice.count, notice.reason) for notice in stage.told.of(SlotsSkipped)]  # type: ignore[union-attr]
    assert told == [(1, "Forbidden"), (1, "Forbidden")]


async def test_room_is_asked_for_with_the_bytes_of_the_bodies(stage: Stage) -> None:
    await stage.declare(with_spec(schedule(), body=b"x" * 50), with_spec(schedule("other"), body=b"x" * 7))
    await stage.pass_time(MINUTE)
    assert stage.dispatch.asked[-1] == (8, 4 * 57)


async def test_a_missing_endpoint_fails_the_run_and_consumes_the_slot(stage: Stage) -> None:
    await stage.declare(schedule(destination=Destination(endpoint="billing")))
    await stage.pass_time(MINUTE)
    (failed,) = stage.told.of(RunFailed)
    assert (failed.reason, failed.run.slot) == ("RefNotFound", START + MINUTE)  # type: ignore[union-attr]
    assert "billing" in failed.error  # type: ignore[union-attr]
    await stage.declare(endpoint())
    await stage.pass_time(MINUTE)
    assert stage.fired() == [START + 2 * MINUTE]


async def test_members_that_do_not_exist_are_told(stage: Stage) -> None:
    to_topic = schedule(destination=Destination(topic="orders"))
    await stage.declare(endpoint(), topic("orders", "billing", "audit"), to_topic)
    await stage.pass_time(MINUTE)
    assert len(stage.told.of(RunStarted)) == 1
    assert stage.told.of(MembersMissing) == [MembersMissing("shop", "orders", ("audit",))]


async def test_a_body_from_a_config_map_is_read_when_the_slot_fires(stage: Stage) -> None:
    await stage.declare(with_spec(schedule(), body_from=BODY))
    for text in (b"one", b"two"):
        stage.references.config_maps["shop", "reports", "body"] = text
        await stage.pass_time(MINUTE)
    assert [one.message.body for one in stage.dispatch.offered] == [b"one", b"two"]


async def test_a_missing_config_map_fails_the_run(stage: Stage) -> None:
    await stage.declare(with_spec(schedule(), body_from=BODY))
    await stage.pass_time(MINUTE)
    (failed,) = stage.told.of(RunFailed)
    assert failed.reason == "RefNotFound" and "reports" in failed.error  # type: ignore[union-attr]


@pytest.mark.parametrize("size, fails", [(256 * 1024, False), (256 * 1024 + 1, True)])
async def test_a_config_map_may_hold_no_more_than_any_other_body(stage: Stage, size: int, fails: bool) -> None:
    stage.references.config_maps["shop", "reports", "body"] = b"x" * size
    await stage.declare(with_spec(schedule(), body_from=BODY))
    await stage.pass_time(MINUTE)
    told = [(one.reason, one.error) for one in stage.told.of(RunFailed)]  # type: ignore[union-attr]
    text = "ConfigMap 'reports' has 262145 bytes in 'body'; at most 262144 bytes are sent"
    assert told == ([("BodyTooLarge", text)] if fails else [])
    assert len(stage.dispatch.offered) == (not fails)


async def test_an_unreadable_config_map_consumes_no_slot_and_holds_up_no_other(stage: Stage) -> None:
    other = with_spec(schedule("other"), timing=Timing(every=MINUTE, anchor=START))
    await stage.declare(with_spec(schedule(), body_from=BODY), other)
    stage.references.unavailable = True
    await stage.pass_time(MINUTE + timedelta(seconds=10))
    assert [notice.run.schedule.name for notice in stage.told.of(RunStarted)] == ["other"]  # type: ignore[union-attr]
    stage.references.unavailable = False
    stage.references.config_maps["shop", "reports", "body"] = b"late"
    await stage.pass_time(timedelta(seconds=15))
    names = [notice.run.schedule.name for notice in stage.told.of(RunStarted)]  # type: ignore[union-attr]
    assert names == ["other", "report"]
    assert stage.fired() == [START + MINUTE] * 2


async def test_config_maps_that_come_late_are_waited_for_together(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    both_asked = asyncio.Barrier(2)

    async def slow(namespace: str, ref: KeyRef, *, anew: bool) -> bytes:
        assert anew
        await both_asked.wait()
        return b"late"

    monkeypatch.setattr(stage.references, "config_map", slow)
    await stage.declare(*(with_spec(schedule(name), body_from=BODY) for name in ("one", "two")))
    async with asyncio.timeout(5):
        await stage.pass_time(MINUTE)
    assert [one.message.body for one in stage.dispatch.offered] == [b"late", b"late"]


async def test_a_config_map_that_takes_its_time_holds_up_no_other(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = asyncio.Event()

    async def slow(namespace: str, ref: KeyRef, *, anew: bool) -> bytes:
        await answered.wait()
        return b"late"

    monkeypatch.setattr(stage.references, "config_map", slow)
    await stage.declare(with_spec(schedule(), body_from=BODY), schedule("other"))
    async with asyncio.timeout(20):
        await stage.pass_time(2 * MINUTE)
    assert [one.message.run.schedule.name for one in stage.dispatch.offered if one.message.run] == ["other"] * 2
    answered.set()
    await until(lambda: all(task.done() for task in stage.scheduler._deciding.values()))
    await stage.turn()
    late = [one.message for one in stage.dispatch.offered if one.message.body == b"late"]
    assert [one.run.slot for one in late if one.run] == [START + MINUTE, START + 2 * MINUTE]


@pytest.mark.parametrize(
    ("policy", "minutes", "skipped"),
    [(MissedRunPolicy.RUN_LATEST, [5], 4), (MissedRunPolicy.SKIP, [], 5), (MissedRunPolicy.RUN_ALL, range(1, 6), 0)],
)
async def test_slots_of_a_config_map_that_cannot_be_read_for_long_are_missed(
    stage: Stage, policy: MissedRunPolicy, minutes: Sequence[int], skipped: int
) -> None:
    """They are put off for a minute; after that, what is missed follows its policy, and no burst comes."""
    stage.references.unavailable = True
    await stage.declare(with_spec(schedule(), body_from=BODY, missed_run_policy=policy))
    await stage.pass_time(6 * MINUTE - timedelta(seconds=1))
    assert (stage.fired(), stage.told.of(RunFailed)) == ([], [])
    stage.references.unavailable = False
    stage.references.config_maps["shop", "reports", "body"] = b"here"
    await stage.turn(timedelta(seconds=30))
    expected = [START + minute * MINUTE for minute in (*minutes, 6)]
    assert stage.fired() == expected
    assert sum(notice.count for notice in stage.told.of(SlotsSkipped)) == skipped  # type: ignore[union-attr]


async def test_a_schedule_that_cannot_be_planned_holds_up_no_other(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broken = [True]

    def plan(spec: Schedule, uid: str, *times: datetime) -> slots.Plan:
        if uid == "uid-report" and broken[0]:
            raise ZeroDivisionError("a bug")
        return slots.plan(spec, uid, *times)

    monkeypatch.setattr("angarium.engine.decisions.plan", plan)
    await stage.declare(schedule(), schedule("other"))
    with caplog.at_level(logging.ERROR):
        await stage.pass_time(MINUTE)
    assert stage.fired() == [START + MINUTE]
    assert "shop/report" in caplog.text and "a bug" in caplog.text
    broken[0] = False
    await stage.pass_time(MINUTE + timedelta(seconds=30))
    assert len(stage.fired()) == 4


async def test_more_schedules_than_one_transaction_takes_all_fire(stage: Stage) -> None:
    await stage.declare(*(schedule(f"s{n:03}") for n in range(450)))
    await stage.pass_time(MINUTE)
    assert len(stage.fired()) == 450
    assert len(stage.dispatch.offered) < 450 and stage.dispatch.woken > 0  # the dispatcher's room is 100 a time


async def test_a_firing_that_the_store_refuses_is_put_off_and_the_others_fire(stage: Stage) -> None:
    fire = stage.store.fire

    async def refuse(firings: Sequence[Firing], grant: LeaseGrant | None) -> Sequence[Fired]:
        if any(firing.runs and firing.due.declared.ref.name == "report" for firing in firings):
            raise StoreError("cannot be bound")
        return await fire(firings, grant)

    stage.store.fire = refuse  # type: ignore[method-assign]
    await stage.declare(schedule(), schedule("other"))
    await stage.pass_time(MINUTE)
    assert [notice.run.schedule.name for notice in stage.told.of(RunStarted)] == ["other"]  # type: ignore[union-attr]
    assert stage.dispatch.open_grants == 0
    stage.store.fire = fire  # type: ignore[method-assign]
    await stage.pass_time(2 * MINUTE)
    assert len(stage.fired()) == 6


@pytest.mark.parametrize(
    ("policy", "tens", "skipped"),
    [(MissedRunPolicy.RUN_LATEST, [5], 4), (MissedRunPolicy.SKIP, [], 5), (MissedRunPolicy.RUN_ALL, range(1, 6), 0)],
)
async def test_slots_before_a_schedule_was_known_are_missed(
    stage: Stage, policy: MissedRunPolicy, tens: Sequence[int], skipped: int
) -> None:
    """After a reinstall the program runs for a while before its first list comes: that is downtime all the same."""
    await stage.turn(timedelta(seconds=55))
    timing = Timing(every=timedelta(seconds=10), anchor=START)
    await stage.declare(with_spec(schedule(timing=timing, last_slot=START), missed_run_policy=policy))
    await stage.turn()
    assert stage.fired() == [START + timedelta(seconds=10) * ten for ten in tens]
    assert sum(notice.count for notice in stage.told.of(SlotsSkipped)) == skipped  # type: ignore[union-attr]
    await stage.turn(timedelta(seconds=10))
    assert stage.fired()[-1] == START + MINUTE


HALF_PAST = Timing(cron="30 * * * *")
OFTEN = Timing(every=timedelta(seconds=20), anchor=START - timedelta(days=1))
LATER = START + timedelta(days=2)
EDITS = {
    "cron to every": (HALF_PAST, OFTEN),
    "every to cron": (OFTEN, Timing(cron="* * * * *")),
    "every to a shorter one": (Timing(every=MINUTE, anchor=START), OFTEN),
    "cron to a past at": (HALF_PAST, Timing(at=START + timedelta(seconds=10))),
    "at to a past at": (Timing(at=LATER), Timing(at=START + timedelta(seconds=10))),
    "at to every": (Timing(at=LATER), OFTEN),
    "every to a coming at": (OFTEN, Timing(at=START + 3 * MINUTE)),
    "another time zone": (
        Timing(cron="*/20 12 * * *", time_zone="Pacific/Apia"),
        Timing(cron="*/20 12 * * *", time_zone="UTC"),
    ),
    "startTime moved into the past": (replace(OFTEN, start=LATER), replace(OFTEN, start=START - MINUTE)),
    "endTime moved into the past": (OFTEN, replace(OFTEN, end=START + timedelta(seconds=30))),
}


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("policy", [MissedRunPolicy.RUN_ALL, MissedRunPolicy.RUN_LATEST])
async def test_an_edit_of_the_rule_of_time_counts_from_the_next_slot(
    stage: Stage, edit: str, policy: MissedRunPolicy
) -> None:
    """With a deadline that would reach back to past slots of the new rule, if they were considered."""
    old, new = EDITS[edit]
    patient = {"missed_run_policy": policy, "starting_deadline": timedelta(hours=1)}
    first = with_spec(schedule(timing=old, created_at=START), **patient)
    await stage.declare(first)
    await stage.pass_time(MINUTE + timedelta(seconds=30))
    before = stage.fired()
    edited = stage.clock.now()
    await stage.declare(with_spec(changed(first), timing=new))
    (view,) = (await stage.store.schedule_views([first.ref])).values()
    expected = slots.occurrence_after(new, edited)
    assert (view.next_slot, view.completed) == (expected, expected is None), "status knows at once"
    await stage.turn()
    assert stage.fired() == before
    await stage.pass_time(2 * MINUTE)
    after = stage.fired()[len(before) :]
    assert all(slot > edited for slot in after)
    assert after[:1] == [slot for slot in [expected] if slot and slot <= edited + 2 * MINUTE]
    assert stage.told.of(SlotsSkipped) == []


async def test_made_anew_under_its_name_a_schedule_fires_no_old_slot(stage: Stage) -> None:
    first = with_spec(schedule(), missed_run_policy=MissedRunPolicy.RUN_ALL)
    await stage.declare(first)
    await stage.pass_time(MINUTE + timedelta(seconds=30))
    again = replace(first, uid="another", created_at=stage.clock.now(), fingerprint="another")
    await stage.declare(with_spec(again, starting_deadline=timedelta(hours=1)))
    await stage.turn()
    assert stage.fired() == [START + MINUTE]
    await stage.pass_time(MINUTE)
    assert stage.fired() == [START + MINUTE, START + 2 * MINUTE]


async def test_labels_and_annotations_change_nothing(stage: Stage) -> None:
    """Nor does an edit of what is sent: that goes with the next slot, and slots that were missed are made up for."""
    first = with_spec(schedule(), missed_run_policy=MissedRunPolicy.RUN_ALL)
    await stage.declare(first)
    await stage.pass_time(MINUTE + timedelta(seconds=30))
    await stage.declare(replace(first, labels={"a": "b"}, fingerprint="labels"))
    await stage.turn()
    assert stage.fired() == [START + MINUTE]
    stage.clock.advance(5 * MINUTE)
    await stage.declare(with_spec(replace(first, generation=2, fingerprint="body"), body=b"new"))
    await stage.turn()
    assert stage.fired() == [START + minute * MINUTE for minute in range(1, 7)]
    assert {one.message.body for one in stage.dispatch.offered[1:]} == {b"new"}


async def test_an_edit_never_fires_a_past_slot(stage: Stage) -> None:
    await stage.declare(schedule())
    await stage.pass_time(MINUTE + timedelta(seconds=30))
    edited = with_spec(changed(schedule()), timing=Timing(every=timedelta(seconds=20), anchor=START))
    await stage.declare(edited)
    await stage.turn()
    assert stage.fired() == [START + MINUTE]
    await stage.turn(timedelta(seconds=15))
    assert stage.fired() == [START + MINUTE, START + timedelta(seconds=100)]


async def test_the_loop_beats_is_woken_and_survives_a_failing_store(stage: Stage) -> None:
    due_schedules, asked = stage.store.due_schedules, 0

    async def fail_first(now: datetime, limit: int) -> DueSchedules:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise StoreError("the disk does not answer")
        return await due_schedules(now, limit)

    stage.store.due_schedules = fail_first  # type: ignore[method-assign]
    await stage.declare(schedule())
    running = asyncio.create_task(stage.scheduler.run(stage.pulse))
    for turn, seconds in enumerate((0, 50, 15)):
        await until(lambda turn=turn: asked > turn)  # type: ignore[misc]
        stage.clock.advance(timedelta(seconds=seconds))
        stage.scheduler.wake()
    await until(lambda: stage.fired() == [START + MINUTE])
    assert stage.pulse.age(stage.clock.monotonic()) == 0
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
