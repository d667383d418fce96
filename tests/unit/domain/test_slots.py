from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from angarium.domain import slots, timings
from angarium.domain.declarations import Destination, MissedRunPolicy, Schedule, Timing
from angarium.domain.errors import InvalidInput
from angarium.domain.slots import (
    MAX_FIRED,
    Plan,
    check_timing,
    describe,
    first_sight,
    jitter_of,
    occurrence_after,
    plan,
    wire,
)
from angarium.domain.timings import count_occurrences, from_wire

SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
NOON = datetime(2026, 10, 9, 12, tzinfo=UTC)
LONG_AGO = NOON - timedelta(days=365)
HOURLY = Timing(cron="0 * * * *")
MINUTELY = Timing(cron="* * * * *")


def schedule(timing: Timing, policy: MissedRunPolicy = MissedRunPolicy.RUN_LATEST, **more: object) -> Schedule:
    return replace(Schedule(timing, Destination(url="http://x/"), missed_run_policy=policy), **more)  # type: ignore[arg-type]


def every(length: timedelta, **more: datetime | timedelta) -> Timing:
    return replace(Timing(every=length, anchor=NOON), **more)  # type: ignore[arg-type]


def nominals(planned: Plan) -> list[datetime]:
    return [slot.nominal for slot in planned.fire]


# --- Nominal times


def test_every_counts_from_creation_which_is_no_occurrence() -> None:
    timing = every(90 * SECOND)
    assert occurrence_after(timing, NOON - DAY) == NOON + 90 * SECOND
    assert occurrence_after(timing, NOON) == NOON + 90 * SECOND
    assert occurrence_after(timing, NOON + 90 * SECOND - timedelta.resolution) == NOON + 90 * SECOND
    assert occurrence_after(timing, NOON + 90 * SECOND) == NOON + 180 * SECOND
    assert occurrence_after(timing, NOON + DAY) == NOON + DAY + 90 * SECOND


def test_every_begins_with_start_time() -> None:
    timing = every(HOUR, start=NOON + MINUTE)
    assert occurrence_after(timing, NOON) == NOON + MINUTE
    assert occurrence_after(timing, NOON + MINUTE) == NOON + HOUR + MINUTE


def test_every_ends_with_end_time() -> None:
    timing = every(HOUR, end=NOON + 2 * HOUR)
    assert occurrence_after(timing, NOON + HOUR) == NOON + 2 * HOUR
    assert occurrence_after(timing, NOON + 2 * HOUR) is None


def test_cron_keeps_to_its_window_both_ends_included() -> None:
    timing = replace(HOURLY, start=NOON, end=NOON + 2 * HOUR)
    assert occurrence_after(timing, NOON - 10 * DAY) == NOON
    assert occurrence_after(timing, NOON) == NOON + HOUR
    assert occurrence_after(timing, NOON + HOUR) == NOON + 2 * HOUR
    assert occurrence_after(timing, NOON + 2 * HOUR) is None


@pytest.mark.parametrize(
    "timing",
    [
        Timing(cron="0 * * * *", start=NOON, end=NOON + 2 * HOUR),
        Timing(cron="*/30 */1 * * *", start=NOON, end=NOON + 2 * HOUR),
        Timing(every=HOUR, start=NOON, end=NOON + 2 * HOUR),
    ],
)
def test_both_edges_of_the_window_belong_to_it(timing: Timing) -> None:
    assert occurrence_after(timing, NOON - 9 * DAY) == NOON
    assert occurrence_after(timing, NOON + 2 * HOUR - SECOND) == NOON + 2 * HOUR
    assert occurrence_after(timing, NOON + 2 * HOUR) is None


@pytest.mark.parametrize("edges", [(NOON, None), (None, NOON), (NOON, NOON)])
def test_an_at_on_the_edge_of_its_window_occurs(edges: tuple[datetime | None, datetime | None]) -> None:
    timing = Timing(at=NOON, start=edges[0], end=edges[1])
    check_timing(timing)
    assert occurrence_after(timing, NOON - SECOND) == NOON


def test_a_window_that_ends_with_a_gap_has_what_was_put_off_to_its_end() -> None:
    """02:30 does not exist in Berlin on 29 March 2026: it occurs at 03:00, which is 01:00 UTC."""
    gap_end = datetime(2026, 3, 29, 1, tzinfo=UTC)
    timing = Timing(cron="30 2 * * *", time_zone="Europe/Berlin", start=gap_end, end=gap_end)
    assert occurrence_after(timing, gap_end - DAY) == gap_end
    assert occurrence_after(timing, gap_end) is None
    assert occurrence_after(replace(timing, start=None, end=gap_end - SECOND), gap_end - HOUR) is None


@pytest.mark.parametrize(
    ("text", "expression", "zone"),
    [
        ("0 4 * * *", "0 4 * * *", "UTC"),
        ("CRON_TZ=America/New_York 0 4 * * *", "0 4 * * *", "America/New_York"),
        ("CRON_TZ=UTC   @daily", "@daily", "UTC"),
    ],
)
def test_cron_of_the_api_has_its_zone_in_front(text: str, expression: str, zone: str) -> None:
    timing = from_wire(text, "shop/daily", "Upstash-Cron")
    assert timing == Timing(cron=expression, cron_seed="shop/daily", time_zone=zone)
    assert from_wire(wire(timing), "shop/daily", "Upstash-Cron") == timing


@pytest.mark.parametrize("text", ["@every 90s", "@at 2026-12-24T18:00:00Z", "TZ=UTC 0 4 * * *"])
def test_other_forms_over_the_api_are_told_what_to_write(text: str) -> None:
    with pytest.raises(InvalidInput, match="Upstash-Cron: .*CRON_TZ=<zone> <five fields>"):
        from_wire(text, "shop/daily", "Upstash-Cron")


def test_at_occurs_once() -> None:
    timing = Timing(at=NOON)
    assert occurrence_after(timing, NOON - SECOND) == NOON
    assert occurrence_after(timing, NOON) is None


@pytest.mark.parametrize(
    "timing",
    [
        HOURLY,
        Timing(cron="*/7 3 * * 1-5", time_zone="Europe/Berlin"),
        Timing(cron="30 2 * * *", time_zone="Europe/Berlin", start=NOON, end=NOON + 40 * DAY),
        every(7 * HOUR),
        every(7 * HOUR, start=NOON + DAY, end=NOON + 30 * DAY),
        Timing(at=NOON + DAY),
    ],
)
@pytest.mark.parametrize("days", [-3, 0, 1, 20, 50])
def test_counting_agrees_with_walking(timing: Timing, days: int) -> None:
    after, until = NOON - DAY, NOON + days * DAY
    walked, moment = 0, occurrence_after(timing, after)
    while moment is not None and moment <= until:
        walked, moment = walked + 1, occurrence_after(timing, moment)
    assert count_occurrences(timing, after, until) == walked


# --- Jitter


def test_jitter_is_stable_and_evenly_spread() -> None:
    times = [NOON + number * MINUTE for number in range(4_000)]
    found = [jitter_of("uid-1", time, 10 * SECOND) for time in times]
    assert found == [jitter_of("uid-1", time, 10 * SECOND) for time in times]
    assert all(timedelta(0) <= one < 10 * SECOND for one in found)
    per_second = Counter(one // SECOND for one in found)
    assert all(300 < per_second[second] < 500 for second in range(10))


def test_jitter_differs_between_schedules_and_slots() -> None:
    assert len({jitter_of(f"uid-{number}", NOON, HOUR) for number in range(100)}) > 90
    assert jitter_of("uid", NOON, timedelta(0)) == timedelta(0)


def test_jitter_delays_the_due_time_only_and_keeps_the_order() -> None:
    uid, timing = "uid", replace(MINUTELY, jitter=30 * SECOND)
    planned = plan(schedule(timing), uid, NOON, NOON + HOUR + 30 * SECOND, LONG_AGO)
    assert nominals(planned) == [NOON + number * MINUTE for number in range(1, 61)]
    assert [slot.due for slot in planned.fire] == sorted(slot.due for slot in planned.fire)
    assert all(slot.due - slot.nominal == jitter_of(uid, slot.nominal, timing.jitter) for slot in planned.fire)


def test_a_slot_waits_for_its_jitter() -> None:
    timing = replace(HOURLY, jitter=30 * MINUTE)
    due = NOON + HOUR + jitter_of("uid", NOON + HOUR, timing.jitter)
    early = plan(schedule(timing), "uid", NOON, due - SECOND, LONG_AGO)
    assert early == Plan((), 0, NOON, due, completed=False, clock_reset=False)
    on_time = plan(schedule(timing), "uid", early.considered_until, due, LONG_AGO)
    assert nominals(on_time) == [NOON + HOUR]


# --- Slots that come while the scheduler runs


def test_nothing_is_due() -> None:
    planned = plan(schedule(HOURLY), "uid", NOON, NOON + MINUTE, LONG_AGO)
    assert planned == Plan((), 0, NOON + MINUTE, NOON + HOUR, completed=False, clock_reset=False)


def test_a_slot_fires_at_its_time_and_never_again() -> None:
    planned = plan(schedule(HOURLY), "uid", NOON, NOON + HOUR, LONG_AGO)
    assert nominals(planned) == [NOON + HOUR]
    assert planned.wake_at == NOON + 2 * HOUR
    again = plan(schedule(HOURLY), "uid", planned.considered_until, NOON + HOUR, LONG_AGO)
    assert again == Plan((), 0, NOON + HOUR, NOON + 2 * HOUR, completed=False, clock_reset=False)


@pytest.mark.parametrize("policy", list(MissedRunPolicy))
def test_slots_that_are_on_time_fire_whatever_the_policy_and_deadline(policy: MissedRunPolicy) -> None:
    late = schedule(MINUTELY, policy, starting_deadline=SECOND)
    planned = plan(late, "uid", NOON, NOON + 3 * MINUTE + 30 * SECOND, LONG_AGO)
    assert nominals(planned) == [NOON + MINUTE, NOON + 2 * MINUTE, NOON + 3 * MINUTE]
    assert planned.skipped == 0


def test_more_than_a_hundred_are_left_for_the_next_plan() -> None:
    now = NOON + 250 * SECOND
    often = schedule(every(SECOND))
    first = plan(often, "uid", NOON, now, LONG_AGO)
    assert nominals(first) == [NOON + number * SECOND for number in range(1, 101)]
    assert (first.considered_until, first.wake_at, first.skipped) == (NOON + 100 * SECOND, now, 0)
    second = plan(often, "uid", first.considered_until, now, LONG_AGO)
    third = plan(often, "uid", second.considered_until, now, LONG_AGO)
    assert nominals(second) + nominals(third) == [NOON + number * SECOND for number in range(101, 251)]
    assert (third.considered_until, third.wake_at) == (now, now + SECOND)


def test_suspended_decides_nothing() -> None:
    planned = plan(schedule(MINUTELY, suspend=True), "uid", NOON, NOON + HOUR, LONG_AGO)
    assert planned == Plan((), 0, NOON, None, completed=False, clock_reset=False)


def test_an_edit_that_counts_from_now_fires_no_past_slot() -> None:
    later = schedule(Timing(cron="30 11,13 * * *"))
    planned = plan(later, "uid", NOON, NOON, LONG_AGO)
    assert planned == Plan((), 0, NOON, NOON + 90 * MINUTE, completed=False, clock_reset=False)


def test_at_fires_and_completes() -> None:
    once = schedule(Timing(at=NOON))
    before = plan(once, "uid", NOON - DAY, NOON - SECOND, LONG_AGO)
    assert (before.fire, before.wake_at, before.completed) == ((), NOON, False)
    fired = plan(once, "uid", before.considered_until, NOON, LONG_AGO)
    assert (nominals(fired), fired.wake_at, fired.completed) == ([NOON], None, True)


def test_at_in_the_past_is_completed_without_a_run() -> None:
    planned = plan(schedule(Timing(at=NOON - 300 * DAY)), "uid", NOON, NOON, NOON)
    assert planned == Plan((), 0, NOON, None, completed=True, clock_reset=False)


def test_the_last_slot_of_a_window_completes() -> None:
    planned = plan(schedule(replace(HOURLY, end=NOON + HOUR)), "uid", NOON, NOON + HOUR, LONG_AGO)
    assert (nominals(planned), planned.wake_at, planned.completed) == ([NOON + HOUR], None, True)


def test_a_window_that_has_not_begun_waits_for_it() -> None:
    planned = plan(schedule(replace(HOURLY, start=NOON + 30 * DAY)), "uid", NOON, NOON, LONG_AGO)
    assert (planned.fire, planned.wake_at, planned.completed) == ((), NOON + 30 * DAY, False)


# --- Missed slots


def test_run_latest_fires_the_newest() -> None:
    now = NOON + 5 * HOUR + MINUTE
    planned = plan(schedule(HOURLY), "uid", NOON, now, now)
    assert nominals(planned) == [NOON + 5 * HOUR]
    assert (planned.skipped, planned.considered_until, planned.wake_at) == (4, now, NOON + 6 * HOUR)


def test_run_all_fires_each() -> None:
    now = NOON + 5 * HOUR + MINUTE
    planned = plan(schedule(HOURLY, MissedRunPolicy.RUN_ALL), "uid", NOON, now, now)
    assert nominals(planned) == [NOON + number * HOUR for number in range(1, 6)]
    assert planned.skipped == 0


def test_run_all_fires_the_newest_hundred_oldest_first() -> None:
    now = NOON + 250 * MINUTE
    planned = plan(schedule(MINUTELY, MissedRunPolicy.RUN_ALL), "uid", NOON, now, now + SECOND)
    assert nominals(planned) == [NOON + number * MINUTE for number in range(150, 250)]
    assert planned.skipped == 149
    assert (planned.considered_until, planned.wake_at) == (NOON + 249 * MINUTE, now)
    on_time = plan(schedule(MINUTELY, MissedRunPolicy.RUN_ALL), "uid", planned.considered_until, now, now)
    assert nominals(on_time) == [now]


def test_skip_fires_none() -> None:
    now = NOON + 5 * HOUR + MINUTE
    planned = plan(schedule(HOURLY, MissedRunPolicy.SKIP), "uid", NOON, now, now)
    assert (planned.fire, planned.skipped, planned.considered_until) == ((), 5, now)


@pytest.mark.parametrize(
    ("policy", "deadline", "fired", "skipped"),
    [
        (MissedRunPolicy.RUN_ALL, 150 * MINUTE, [3, 4, 5], 2),
        (MissedRunPolicy.RUN_ALL, 3 * HOUR + MINUTE, [2, 3, 4, 5], 1),
        (MissedRunPolicy.RUN_ALL, 10 * HOUR, [1, 2, 3, 4, 5], 0),
        (MissedRunPolicy.RUN_ALL, 30 * SECOND, [], 5),
        (MissedRunPolicy.RUN_LATEST, 150 * MINUTE, [5], 4),
        (MissedRunPolicy.RUN_LATEST, 30 * SECOND, [], 5),
        (MissedRunPolicy.SKIP, 10 * HOUR, [], 5),
    ],
)
def test_the_deadline_covers_some(policy: MissedRunPolicy, deadline: timedelta, fired: list[int], skipped: int) -> None:
    now = NOON + 5 * HOUR + MINUTE
    planned = plan(schedule(HOURLY, policy, starting_deadline=deadline), "uid", NOON, now, now)
    assert nominals(planned) == [NOON + number * HOUR for number in fired]
    assert planned.skipped == skipped


def test_slots_before_the_start_are_missed_those_after_it_are_on_time() -> None:
    started, now = NOON + 150 * SECOND, NOON + 4 * MINUTE
    planned = plan(schedule(MINUTELY, MissedRunPolicy.SKIP), "uid", NOON, now, started)
    assert nominals(planned) == [NOON + 3 * MINUTE, NOON + 4 * MINUTE]
    assert planned.skipped == 2


def test_whether_a_slot_was_missed_is_judged_by_its_jittered_time() -> None:
    timing = replace(HOURLY, jitter=30 * MINUTE)
    due = NOON + HOUR + jitter_of("uid", NOON + HOUR, timing.jitter)
    skip = schedule(timing, MissedRunPolicy.SKIP)
    assert plan(skip, "uid", NOON, due + SECOND, due + SECOND).skipped == 1
    assert nominals(plan(skip, "uid", NOON, due + SECOND, due)) == [NOON + HOUR]


def test_a_missed_at_fires_late_unless_the_deadline_is_over() -> None:
    now = NOON + HOUR
    assert nominals(plan(schedule(Timing(at=NOON)), "uid", NOON - DAY, now, now)) == [NOON]
    late = plan(schedule(Timing(at=NOON), starting_deadline=MINUTE), "uid", NOON - DAY, now, now)
    assert (late.fire, late.skipped, late.completed) == ((), 1, True)


@pytest.mark.parametrize(
    ("timing", "missed"),
    [
        (every(SECOND), 30 * 86_400),
        (every(SECOND, jitter=timedelta(milliseconds=500)), 30 * 86_400),
        (replace(MINUTELY, time_zone="Europe/Berlin"), 30 * 1_440),
        (Timing(cron="*/5 9-17 * * 1-5"), 20 * 9 * 12 + 71),
        (Timing(cron="0 0 1 1 *"), 0),
    ],
)
@pytest.mark.parametrize("policy", list(MissedRunPolicy))
def test_a_month_of_downtime_is_bounded_work(
    timing: Timing, missed: int, policy: MissedRunPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[datetime] = []

    def counted(timing: Timing, instant: datetime) -> datetime | None:
        steps.append(instant)
        return occurrence_after(timing, instant)

    monkeypatch.setattr(slots, "occurrence_after", counted)
    monkeypatch.setattr(timings, "occurrence_after", counted)
    now = NOON + 30 * DAY + timedelta(milliseconds=600)
    planned = plan(schedule(timing, policy), "uid", NOON, now, now)
    fired = {MissedRunPolicy.RUN_LATEST: 1, MissedRunPolicy.RUN_ALL: MAX_FIRED, MissedRunPolicy.SKIP: 0}[policy]
    assert len(planned.fire) == min(fired, missed)
    assert planned.skipped + len(planned.fire) == missed
    assert len(steps) < 1_000


# --- The clock


@pytest.mark.parametrize("back", [SECOND, MINUTE, 5 * MINUTE])
def test_a_clock_a_little_behind_waits(back: timedelta) -> None:
    planned = plan(schedule(MINUTELY), "uid", NOON, NOON - back, LONG_AGO)
    assert planned == Plan((), 0, NOON, NOON + MINUTE, completed=False, clock_reset=False)


@pytest.mark.parametrize("back", [5 * MINUTE + SECOND, 10 * MINUTE, HOUR])
def test_a_clock_far_behind_starts_anew(back: timedelta) -> None:
    now = NOON - back + SECOND
    planned = plan(schedule(MINUTELY), "uid", NOON + SECOND, now, LONG_AGO)
    assert planned.clock_reset
    assert (planned.fire, planned.skipped, planned.considered_until) == ((), 0, now)
    assert planned.wake_at == occurrence_after(MINUTELY, now)


@pytest.mark.parametrize("ahead", [10 * MINUTE, HOUR])
def test_a_clock_that_jumps_ahead_fires_what_it_jumped_over(ahead: timedelta) -> None:
    planned = plan(schedule(MINUTELY), "uid", NOON, NOON + ahead, LONG_AGO)
    assert nominals(planned) == [NOON + number * MINUTE for number in range(1, ahead // MINUTE + 1)]


# --- First sight


@pytest.mark.parametrize(
    ("last_slot", "deadline", "created", "expected"),
    [
        (None, None, NOON - DAY, NOON),
        (NOON - 3 * HOUR, None, NOON - DAY, NOON - 3 * HOUR),
        (NOON - 3 * HOUR, None, NOON - HOUR, NOON - HOUR),
        (None, 2 * HOUR, NOON - DAY, NOON - 2 * HOUR),
        (None, 2 * HOUR, NOON - HOUR, NOON - HOUR),
        (NOON - 3 * HOUR, 2 * HOUR, NOON - DAY, NOON - 2 * HOUR),
        (NOON - MINUTE, 2 * HOUR, NOON - DAY, NOON - MINUTE),
    ],
)
def test_first_sight(
    last_slot: datetime | None, deadline: timedelta | None, created: datetime, expected: datetime
) -> None:
    found = first_sight(last_slot=last_slot, starting_deadline=deadline, created_at=created, now=NOON)
    assert found == expected


# --- Refusals and texts


@pytest.mark.parametrize(
    ("timing", "field", "problem"),
    [
        (Timing(), "spec", "exactly one"),
        (Timing(cron="* * * * *", at=NOON), "spec", "exactly one"),
        (Timing(cron="0 0 30 2 *"), "spec.cron", "no next time"),
        (Timing(cron="* * * * *", time_zone="Mars"), "spec.timeZone", "time zone"),
        (every(timedelta(milliseconds=500)), "spec.every", "1s to 365d"),
        (every(366 * DAY), "spec.every", "1s to 365d"),
        (every(-HOUR), "spec.every", "1s to 365d"),
        (every(MINUTE, jitter=31 * SECOND), "spec.jitter", "at most 30s"),
        (every(MINUTE, jitter=-SECOND), "spec.jitter", "negative"),
        (replace(MINUTELY, jitter=31 * SECOND), "spec.jitter", "at most 30s"),
        (Timing(cron="0,10 6 * * *", jitter=6 * MINUTE), "spec.jitter", "at most 5m"),
        (Timing(at=NOON, jitter=200 * DAY), "spec.jitter", "at most 182d12h"),
        (Timing(cron="0 0 29 2 *", jitter=200 * DAY), "spec.jitter", "at most 182d12h"),
        (replace(HOURLY, start=NOON, end=NOON - SECOND), "spec.endTime", "before startTime"),
        (replace(HOURLY, start=NOON.replace(year=9999)), "spec.startTime", "before 9000-01-01T00:00:00Z"),
        (Timing(at=NOON.replace(year=9999)), "spec.at", "before 9000-01-01T00:00:00Z"),
        (Timing(at=NOON, start=NOON + SECOND), "spec.at", "never run"),
        (Timing(at=NOON, end=NOON - SECOND), "spec.at", "never run"),
    ],
)
def test_timings_that_are_refused(timing: Timing, field: str, problem: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_timing(timing)
    assert caught.value.field == field
    assert problem in caught.value.problem


@pytest.mark.parametrize(
    "timing",
    [
        HOURLY,
        replace(HOURLY, jitter=30 * MINUTE, start=NOON, end=NOON),
        Timing(cron="H H * * *", cron_seed="ns/name", time_zone="Europe/Berlin", jitter=12 * HOUR),
        every(SECOND, jitter=SECOND / 2),
        every(365 * DAY, end=datetime.max.replace(tzinfo=UTC)),
        Timing(at=NOON, start=NOON, end=NOON, jitter=HOUR),
    ],
)
def test_timings_that_are_taken_can_be_planned(timing: Timing) -> None:
    check_timing(timing)
    assert not plan(schedule(timing), "uid", NOON - SECOND, NOON, LONG_AGO).clock_reset


@pytest.mark.parametrize(
    ("timing", "for_people", "on_the_wire"),
    [
        (
            Timing(cron=" 0 6  * * 1-5", time_zone="Europe/Berlin"),
            "0 6 * * 1-5 Europe/Berlin",
            "CRON_TZ=Europe/Berlin 0 6 * * 1-5",
        ),
        (Timing(cron="@daily"), "@daily UTC", "CRON_TZ=UTC @daily"),
        (every(90 * SECOND), "every 1m30s", "@every 90s"),
        (every(365 * DAY), "every 365d", "@every 31536000s"),
        (Timing(at=NOON), "at 2026-10-09T12:00:00Z", "@at 2026-10-09T12:00:00Z"),
        (Timing(at=NOON + timedelta(milliseconds=7)), "at 2026-10-09T12:00:00.007Z", "@at 2026-10-09T12:00:00.007Z"),
    ],
)
def test_texts(timing: Timing, for_people: str, on_the_wire: str) -> None:
    assert describe(timing) == for_people
    assert wire(timing) == on_the_wire


# --- However often and whenever it is asked


@given(
    st.sampled_from(
        [
            every(7 * SECOND),
            every(7 * SECOND, jitter=3 * SECOND),
            replace(MINUTELY, jitter=30 * SECOND),
            Timing(cron="*/5 * * * *", end=NOON + HOUR),
            Timing(at=NOON + HOUR, jitter=HOUR),
        ]
    ),
    st.lists(st.integers(0, 600), min_size=1, max_size=30),
)
@settings(max_examples=60, deadline=None)
def test_every_elapsed_slot_fires_exactly_once_in_order(timing: Timing, pauses: list[int]) -> None:
    now = considered = NOON
    fired: list[datetime] = []
    for pause in pauses:
        now += pause * SECOND
        while True:
            planned = plan(schedule(timing), "uid", considered, now, LONG_AGO)
            considered = planned.considered_until
            fired += nominals(planned)
            if planned.wake_at != now:
                break
    expected, moment = [], occurrence_after(timing, NOON)
    while moment is not None and moment <= now:
        if moment + jitter_of("uid", moment, timing.jitter) <= now:
            expected.append(moment)
        moment = occurrence_after(timing, moment)
    assert fired == expected


@given(st.sampled_from(list(MissedRunPolicy)), st.integers(0, 20_000), st.integers(0, 5_000), st.integers(1, 9_000))
@settings(max_examples=60, deadline=None)
def test_every_elapsed_slot_is_fired_or_counted(
    policy: MissedRunPolicy, down: int, running: int, deadline: int
) -> None:
    timing = every(37 * SECOND, jitter=15 * SECOND)
    started, now = NOON + down * SECOND, NOON + (down + running) * SECOND
    missed_one = schedule(timing, policy, starting_deadline=deadline * SECOND)
    considered, decided = NOON, 0
    while True:
        planned = plan(missed_one, "uid", considered, now, started)
        assert len(planned.fire) <= MAX_FIRED
        considered, decided = planned.considered_until, decided + len(planned.fire) + planned.skipped
        if planned.wake_at != now:
            break
    assert decided == sum(
        moment + jitter_of("uid", moment, timing.jitter) <= now
        for moment in (NOON + number * timing.every for number in range(1, 1_000) if timing.every)
    )
