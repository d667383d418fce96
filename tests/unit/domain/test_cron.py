from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.support.cron_cases import OCCURRENCES, REFUSED, REFUSED_ZONES

from angarium.domain.cron import Cron, _finder, parse
from angarium.domain.errors import InvalidInput

MINUTE = timedelta(minutes=1)
CHANGES = [
    ("Europe/Berlin", "2026-03-29T01:00"),
    ("Europe/Berlin", "2026-10-25T01:00"),
    ("America/New_York", "2026-03-08T07:00"),
    ("America/New_York", "2026-11-01T06:00"),
    ("Australia/Lord_Howe", "2026-04-04T15:00"),
    ("Australia/Lord_Howe", "2026-10-03T15:30"),
    ("Africa/Casablanca", "2025-02-23T02:00"),
    ("Africa/Casablanca", "2025-04-06T02:00"),
    ("Pacific/Apia", "2011-12-30T10:00"),
    ("America/Caracas", "2007-12-09T07:00"),
    ("America/Caracas", "2016-05-01T07:00"),
    ("Antarctica/Troll", "2026-03-29T01:00"),
    ("Antarctica/Troll", "2026-10-25T01:00"),
    ("America/Santiago", "2024-04-07T03:00"),
    ("America/Santiago", "2024-09-08T04:00"),
]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def several(text: str) -> list[datetime]:
    found: list[datetime] = []
    for word in text.split():
        found.append(at(word if "T" in word else f"{found[-1].date()}T{word}"))
    return found


def following(cron: Cron, instant: datetime, count: int) -> list[datetime | None]:
    found: list[datetime | None] = []
    following: datetime | None = instant
    for _ in range(count):
        following = cron.next_after(following) if following else None
        found.append(following)
    return found


@pytest.mark.parametrize(("zone", "expression", "after", "expected"), OCCURRENCES)
def test_occurrences(zone: str, expression: str, after: str, expected: str) -> None:
    wanted = several(expected)
    assert following(parse(expression, zone), at(after), len(wanted)) == wanted


@pytest.mark.parametrize(("expression", "problem"), REFUSED)
def test_refused_expressions(expression: str, problem: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse(expression, "UTC", "ns/name")
    assert caught.value.field == "spec.cron"
    assert problem in caught.value.problem


@pytest.mark.parametrize(("zone", "problem"), REFUSED_ZONES)
def test_refused_zones(zone: str, problem: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse("0 6 * * *", zone)
    assert caught.value.field == "spec.timeZone"
    assert problem in caught.value.problem


def test_refusals_name_the_field_of_the_caller() -> None:
    with pytest.raises(InvalidInput) as caught:
        parse("6", "UTC", cron_field="Upstash-Cron")
    assert caught.value.field == "Upstash-Cron"
    with pytest.raises(InvalidInput) as caught:
        parse("0 6 * * *", "Nowhere", zone_field="Upstash-Cron")
    assert caught.value.field == "Upstash-Cron"


def test_h_is_stable_for_one_seed_and_differs_between_seeds() -> None:
    start = at("2026-10-09T00:00")
    first = [parse("H H * * *", "UTC", f"ns/report-{number}").next_after(start) for number in range(50)]
    again = [parse("H H * * *", "UTC", f"ns/report-{number}").next_after(start) for number in range(50)]
    assert first == again
    assert len(set(first)) > 25


def test_h_keeps_to_its_range_and_step() -> None:
    start = at("2026-10-09T00:00")
    for number in range(50):
        found = parse("H(10-19) H(3-4) * * *", "UTC", f"ns/{number}").next_after(start)
        assert found is not None
        assert 10 <= found.minute <= 19
        assert 3 <= found.hour <= 4
        quarters = following(parse("H/15 * * * *", "UTC", f"ns/{number}"), start - MINUTE, 5)
        assert quarters[0] is not None
        assert quarters == [quarters[0] + timedelta(minutes=15 * count) for count in range(5)]
        assert quarters[0] < start + timedelta(minutes=15)


def test_h_as_day_of_month_comes_every_month() -> None:
    for number in range(60):
        days = following(parse("0 0 H * *", "UTC", f"ns/{number}"), at("2027-01-01T00:00") - MINUTE, 12)
        assert [day and day.month for day in days] == list(range(1, 13))


def test_a_seed_changes_nothing_without_an_h() -> None:
    assert parse("@daily", "UTC", "a/b") is parse("@daily", "UTC", "c/d")
    assert parse("@daily", "UTC", "a/b").next_after(at("2026-10-09T12:00")) == at("2026-10-10T00:00")


@pytest.mark.parametrize(
    ("expression", "shortest"),
    [
        ("* * * * *", timedelta(minutes=1)),
        ("*/7 * * * *", timedelta(minutes=4)),
        ("0 6 * * *", timedelta(days=1)),
        ("0 6 * * 1-5", timedelta(days=1)),
        ("0 6 * * 1", timedelta(days=7)),
        ("0 6,22 * * *", timedelta(hours=8)),
        ("0 0 1 * *", timedelta(days=28)),
        ("0 0 1 1 *", timedelta(days=365)),
        ("0 0 29 2 *", timedelta(days=1461)),
        ("0 0 1,29 2,3 *", timedelta(days=1)),
    ],
)
def test_shortest_interval(expression: str, shortest: timedelta) -> None:
    assert parse(expression, "Europe/Berlin").shortest_interval() == shortest


def test_other_offsets_are_understood_and_answers_are_utc() -> None:
    asked = datetime.fromisoformat("2026-10-09T05:59:59+02:00")
    found = parse("0 4 * * *", "UTC").next_after(asked)
    assert found == at("2026-10-09T04:00")
    assert found is not None
    assert found.tzinfo is UTC


def test_the_end_of_the_calendar_is_the_end() -> None:
    assert parse("* * * * *", "Pacific/Apia").next_after(datetime.max.replace(tzinfo=UTC)) is None


def test_counting_does_not_walk_through_the_occurrences(monkeypatch: pytest.MonkeyPatch) -> None:
    cron, steps = parse("* * * * *", "Europe/Berlin"), []
    real = Cron.next_after

    def counted(self: Cron, instant: datetime) -> datetime | None:
        steps.append(instant)
        return real(self, instant)

    monkeypatch.setattr(Cron, "next_after", counted)
    assert cron.count(at("2026-01-01T00:00"), at("2027-01-01T00:00")) == 365 * 24 * 60
    assert len(steps) < 1_000


def test_asking_leaves_no_trace_in_what_threads_share() -> None:
    cron = parse("30 4 * * 5#2", "Europe/Berlin")
    shared = _finder(cron._days)
    before = dict(vars(shared))
    assert cron.next_after(at("2031-05-05T00:00")) == at("2031-05-09T02:30")
    assert vars(shared) == before


# --- Against references that walk through the minutes of UTC and look at the clock on the wall.


@st.composite
def columns(draw: st.DrawFn, low: int, high: int) -> tuple[str, set[int]]:
    """A field and the values it stands for."""
    everything = range(low, high + 1)
    match draw(st.sampled_from(["star", "step", "range", "list", "list"])):
        case "star":
            return "*", set(everything)
        case "step":
            step = draw(st.integers(2, high - low))
            return f"*/{step}", set(everything[::step])
        case "range":
            first = draw(st.integers(low, high - 1))
            last = draw(st.integers(first + 1, high))
            step = draw(st.integers(1, last - first))
            return f"{first}-{last}/{step}", set(range(first, last + 1, step))
        case _:
            values = draw(st.sets(st.integers(low, high), min_size=1, max_size=4))
            return ",".join(map(str, values)), values


def walk(zone: str, start: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
    """Every minute of UTC with what the wall shows."""
    info, count = ZoneInfo(zone), (end - start) // MINUTE
    instants = [start + MINUTE * number for number in range(count + 1)]
    return [(instant, instant.astimezone(info).replace(tzinfo=None, fold=0)) for instant in instants]


def first_sights(minutes: list[tuple[datetime, datetime]]) -> dict[datetime, datetime]:
    """For each wall time the first instant that shows it, or the instant at which the clock has jumped over it."""
    seen: dict[datetime, datetime] = {}
    previous = minutes[0][1]
    for instant, wall in minutes:
        while previous + MINUTE < wall:
            previous += MINUTE
            seen.setdefault(previous, instant)
        seen.setdefault(wall, instant)
        previous = wall
    return seen


@given(
    st.sampled_from(CHANGES),
    columns(0, 59),
    columns(0, 23),
    columns(0, 6),
    st.integers(-2_000, 200),
)
@settings(max_examples=120, deadline=None)
def test_against_a_walk_through_the_minutes(
    change: tuple[str, str],
    minute: tuple[str, set[int]],
    hour: tuple[str, set[int]],
    weekday: tuple[str, set[int]],
    offset: int,
) -> None:
    zone, instant = change[0], at(change[1])
    start, end = instant + MINUTE * offset, instant + timedelta(days=2)

    def matches(wall: datetime) -> bool:
        return wall.hour in hour[1] and wall.minute in minute[1] and wall.isoweekday() % 7 in weekday[1]

    minutes = walk(zone, instant - timedelta(days=3), end)
    if minute[0].startswith("*") or hour[0].startswith("*"):
        expected = {moment for moment, wall in minutes if matches(wall)}
    else:
        expected = {moment for wall, moment in first_sights(minutes).items() if matches(wall)}
    cron, found, last = parse(f"{minute[0]} {hour[0]} * * {weekday[0]}", zone), [], start
    while (following := cron.next_after(last)) is not None and following <= end:
        found.append(following)
        last = following
    assert found == sorted(moment for moment in expected if start < moment <= end)
    assert cron.count(start, end) == len(found)
    until = start + (end - start) / 3
    assert cron.count(start, until) == sum(moment <= until for moment in found)


@given(columns(1, 31), columns(1, 12), columns(0, 6), st.dates(date(2020, 1, 1), date(2035, 1, 1)))
@example(("*/2", set(range(1, 32, 2))), ("*", set(range(1, 13))), ("0-6/1", set(range(7))), date(2020, 1, 1))
@example(("1-31", set(range(1, 32))), ("*", set(range(1, 13))), ("*/7", {0}), date(2020, 1, 1))
@settings(max_examples=120, deadline=None)
def test_days_against_a_walk_through_the_calendar(
    day: tuple[str, set[int]], month: tuple[str, set[int]], weekday: tuple[str, set[int]], after: date
) -> None:
    start = at(f"{after}T00:00")

    def matches(midnight: datetime) -> bool:
        by_day, by_weekday = midnight.day in day[1], midnight.isoweekday() % 7 in weekday[1]
        both = day[0] != "*" and weekday[0] != "*"
        return midnight.month in month[1] and (by_day or by_weekday if both else by_day and by_weekday)

    expected = (start + timedelta(days=number) for number in range(1, 366 * 8))
    wanted = next((midnight for midnight in expected if matches(midnight)), None)
    try:
        cron = parse(f"0 0 {day[0]} {month[0]} {weekday[0]}", "UTC")
    except InvalidInput:
        assert wanted is None
    else:
        assert cron.next_after(start) == wanted
