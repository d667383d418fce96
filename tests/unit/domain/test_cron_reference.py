"""Cron against a second, slow reading of it: every minute of UTC is looked at, and what a clock on the wall shows then.

Nothing here is shared with the program: fields are read anew, days are counted, and changes of the clock are found by
looking at every hour of a quarter of a century, in zones where they are odd.
"""

import random
import re
from calendar import monthrange
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from angarium.domain.cron import parse
from angarium.domain.errors import InvalidInput

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
FROM, UNTIL = datetime(2006, 1, 1, tzinfo=UTC), datetime(2031, 1, 1, tzinfo=UTC)
ZONES = [
    "Europe/Berlin",
    "Europe/Dublin",
    "America/New_York",
    "America/Sao_Paulo",
    "America/Santiago",
    "America/Caracas",
    "America/St_Johns",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "Africa/Cairo",
    "Antarctica/Troll",
    "Asia/Beirut",
    "Asia/Kathmandu",
    "Asia/Tehran",
    "Asia/Pyongyang",
    "Pacific/Apia",
]
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


# --- The reading of an expression


@dataclass(frozen=True)
class Reading:
    minutes: frozenset[int]
    hours: frozenset[int]
    days: str
    months: frozenset[int]
    weekdays: str
    interval_like: bool

    def on(self, day: date) -> bool:
        if day.month not in self.months:
            return False
        by_day, by_weekday = _day_matches(self.days, day), _weekday_matches(self.weekdays, day)
        if _is_any(self.days) or _is_any(self.weekdays):
            return by_day and by_weekday
        return by_day or by_weekday

    def at(self, wall: datetime) -> bool:
        return wall.minute in self.minutes and wall.hour in self.hours and self.on(wall.date())


@cache
def read(expression: str) -> Reading:
    minute, hour, day, month, weekday = expression.lower().split()
    return Reading(
        frozenset(_values(minute, 0, 59)),
        frozenset(_values(hour, 0, 23)),
        day,
        frozenset(_values(month, 1, 12, MONTHS)),
        weekday,
        minute.startswith("*") or hour.startswith("*"),
    )


def _values(field: str, low: int, high: int, names: Sequence[str] = ()) -> set[int]:
    found: set[int] = set()
    for item in field.split(","):
        span, _, step = item.partition("/")
        first, dash, last = span.partition("-")
        if span == "*":
            begin, end = low, high
        else:
            begin = _number(first, low, names)
            end = _number(last, low, names) if dash else high if step else begin
        if names is WEEKDAYS and dash and end == 0 < begin:
            end = 7
        found.update(range(begin, end + 1, int(step or 1)))
    return found


def _number(text: str, low: int, names: Sequence[str]) -> int:
    return low + names.index(text) if text in names else int(text)


def _is_any(field: str) -> bool:
    return any(item in ("*", "*/1") for item in field.split(","))


def _day_matches(field: str, day: date) -> bool:
    last = monthrange(day.year, day.month)[1]
    items = field.split(",")
    plain = ",".join(item for item in items if item != "l")
    return ("l" in items and day.day == last) or (plain != "" and day.day in _values(plain, 1, 31))


def _weekday_matches(field: str, day: date) -> bool:
    weekday, last = day.isoweekday() % 7, monthrange(day.year, day.month)[1]
    for item in field.split(","):
        if nth := re.fullmatch(r"(\w+)#(\d)", item):
            if _number(nth[1], 0, WEEKDAYS) % 7 == weekday and (day.day - 1) // 7 + 1 == int(nth[2]):
                return True
        elif final := re.fullmatch(r"l(\d)", item):
            if int(final[1]) % 7 == weekday and day.day > last - 7:
                return True
        elif weekday in {value % 7 for value in _values(item, 0, 6, WEEKDAYS)}:
            return True
    return False


# --- The clock on the wall


@cache
def changes(zone: str) -> tuple[datetime, ...]:
    """About when the zone's clock changes: the hours within which it does, and some day where it never does."""
    info, found, hour = ZoneInfo(zone), [], FROM
    offset = hour.astimezone(info).utcoffset()
    while hour < UNTIL:
        day = hour + DAY
        if day.astimezone(info).utcoffset() != offset:
            while hour.astimezone(info).utcoffset() == offset:
                hour += HOUR
            found.append(hour)
            offset = hour.astimezone(info).utcoffset()
        else:
            hour = day
    return tuple(found) or (datetime(2028, 2, 29, tzinfo=UTC),)


@cache
def walk(zone: str, start: datetime, end: datetime) -> tuple[tuple[datetime, datetime], ...]:
    info, count = ZoneInfo(zone), (end - start) // MINUTE
    instants = (start + MINUTE * number for number in range(count + 1))
    return tuple((instant, instant.astimezone(info).replace(tzinfo=None, fold=0)) for instant in instants)


@cache
def first_sights(zone: str, start: datetime, end: datetime) -> dict[datetime, datetime]:
    """For each wall time the first instant that shows it, or at which the clock has jumped over it."""
    seen: dict[datetime, datetime] = {}
    minutes = walk(zone, start, end)
    before = minutes[0][1] - MINUTE
    for instant, wall in minutes:
        while before + MINUTE < wall:
            before += MINUTE
            seen.setdefault(before, instant)
        seen.setdefault(wall, instant)
        before = wall
    return seen


def expected(expression: str, zone: str, change: datetime) -> Iterator[datetime]:
    """What occurs in the day before and the day after a change of the clock, in order."""
    reading, start, end = read(expression), change - 2 * DAY, change + DAY
    if reading.interval_like:
        found = {instant for instant, wall in walk(zone, start, end) if reading.at(wall)}
    else:
        found = {instant for wall, instant in first_sights(zone, start, end).items() if reading.at(wall)}
    return (instant for instant in sorted(found) if change - DAY < instant <= end)


def agree(expression: str, zone: str, change: datetime) -> None:
    cron, found, last = parse(expression, zone, "ns/name"), [], change - DAY
    while (following := cron.next_after(last)) is not None and following <= change + DAY:
        found.append(following)
        last = following
    wanted = list(expected(expression, zone, change))
    assert found == wanted, (expression, zone, change)
    assert cron.count(change - DAY, change + DAY) == len(wanted), (expression, zone, change)


# --- Expressions


@st.composite
def items(draw: st.DrawFn, low: int, high: int, names: Sequence[str] = ()) -> str:
    def written(value: int) -> str:
        spelled = [str(value), f"{value:02}"]
        if names and value - low < len(names):
            spelled += [names[value - low], names[value - low].upper(), names[value - low].title()]
        return draw(st.sampled_from(spelled))

    first = draw(st.integers(low, high))
    last = draw(st.integers(first, high))
    match draw(st.sampled_from(["one", "one", "range", "range/step", "one/step", "*/step"])):
        case "one":
            return written(first)
        case "range":
            return f"{written(first)}-{written(last)}"
        case "range/step":
            return f"{written(first)}-{written(last)}/{draw(st.integers(1, last - first + 1))}"
        case "one/step":
            return f"{written(first)}/{draw(st.integers(1, high - first + 1))}"
        case _:
            return f"*/{draw(st.integers(1, high - low + 1))}"


def field(low: int, high: int, names: Sequence[str] = (), *, other: Sequence[str] = ()) -> st.SearchStrategy[str]:
    lists = st.lists(items(low, high, names), min_size=1, max_size=3).map(",".join)
    return st.one_of(st.just("*"), lists, *([st.sampled_from(other)] if other else []))


EXPRESSIONS = st.tuples(
    field(0, 59),
    field(0, 23),
    st.one_of(st.just("*"), field(1, 31, other=["L", "1,L", "L,15"])),
    st.one_of(st.just("*"), st.just("*"), field(1, 12, MONTHS)),
    st.one_of(st.just("*"), field(0, 6, WEEKDAYS, other=["7", "0-7", "5-7", "sat-sun", "1-7/3", "0,7"])),
).map(" ".join)
RARE = ["0 2 * * 0#2", "30 1,2 * * L7", "*/20 * * * sun#1", "15 0-3 * * L0,fri#5", "0 0 L * 0"]
COMMON = [
    "* * * * *",
    "*/7 * * * *",
    "30 * * * *",
    "0 */3 * * *",
    "*/20 1-2 * * *",
    "0 0 * * *",
    "30 0,1,2 * * *",
    "15/30 23 * * *",
    "0-59 2 * * *",
    "5 0-6 * * *",
    "45 1-3/2 * * sun,1",
    *RARE,
]


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_any_expression_around_any_change(data: st.DataObject) -> None:
    zone = data.draw(st.sampled_from(ZONES))
    change = data.draw(st.sampled_from(changes(zone)))
    expression = data.draw(EXPRESSIONS)
    try:
        parse(expression, zone)
    except InvalidInput as error:
        assert "no next time" in error.problem, error
        year = datetime(2024, 1, 1)  # noqa: DTZ001 - a day on the wall
        days = [year + DAY * number for number in range(366 * 8)]
        assert sum(read(expression).on(day.date()) for day in days) < 2
    else:
        agree(expression, zone, change)


@pytest.mark.parametrize("zone", ZONES)
def test_common_expressions_around_the_changes(zone: str) -> None:
    """Around the newest two; the thorough round takes all of a quarter of a century."""
    for change in changes(zone)[-2:]:
        for expression in COMMON:
            agree(expression, zone, change)


@pytest.mark.thorough
@pytest.mark.parametrize("zone", ZONES)
def test_all_changes_of_a_quarter_of_a_century(zone: str) -> None:
    choose = random.Random(zone)
    some = [f"{choose.randrange(60)},{choose.randrange(60)} {choose.randrange(4)}-4 * * *" for _ in range(10)]
    for change in changes(zone):
        for expression in (*COMMON, *some):
            agree(expression, zone, change)


def test_the_zones_are_odd_enough() -> None:
    """The reference finds what makes them odd: half an hour, two hours, a day left out, and none at all."""
    jumps = {zone: {_jump(zone, change) for change in changes(zone)} for zone in ZONES}
    assert jumps["Australia/Lord_Howe"] >= {timedelta(minutes=30), timedelta(minutes=-30)}
    assert jumps["Antarctica/Troll"] >= {2 * HOUR, -2 * HOUR}
    assert DAY in jumps["Pacific/Apia"]
    assert jumps["Asia/Kathmandu"] == {timedelta(0)}
    assert timedelta(minutes=-30) in jumps["Asia/Pyongyang"]


def _jump(zone: str, change: datetime) -> timedelta:
    info = ZoneInfo(zone)
    before, after = (change - 2 * HOUR).astimezone(info), (change + HOUR).astimezone(info)
    offsets = before.utcoffset(), after.utcoffset()
    assert offsets[0] is not None and offsets[1] is not None
    return offsets[1] - offsets[0]
