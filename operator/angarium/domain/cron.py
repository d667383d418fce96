"""Cron in a time zone: when an expression occurs next (DESIGN 5 "Cron").

croniter reads the fields and finds the days, on wall time without a zone; the step from wall time to instants, where
the clock jumps or repeats itself, is made here. Reads no clock: the same question always has the same answer.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from importlib import resources
from itertools import pairwise
from zoneinfo import ZoneInfo

from croniter import CroniterBadDateError, CroniterError, croniter

from angarium.domain.cron_fields import five_fields
from angarium.domain.errors import InvalidInput

YEARS_AHEAD = 8
"""How far an occurrence is looked for: 29 February can be eight years away (2096 to 2104)."""

_MINUTE = timedelta(minutes=1)
_SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)
_LAST_YEAR = 9_980  # Past it, looking ahead would leave the range of datetime.
_FIRST_DAY = datetime(2024, 1, 1)  # noqa: DTZ001 - wall time, where samples begin: a leap year
_SAMPLES = 200

_Days = tuple[str, bytes | None]
"""The three day fields, and what an H in them is hashed on (None: there is none)."""


@dataclass(frozen=True, slots=True, eq=False)
class Cron:
    """A checked expression in a time zone; made by `parse`, safe to share between threads.

    `interval_like` (minute or hour begins with `*`): it occurs at every instant whose wall time matches, so in both
    passes of a repeated hour and not at all in a gap. Otherwise fixed-time: once in a repeated hour, in the first pass,
    and all times inside a gap become one occurrence at the gap's end.
    """

    expression: str
    zone: ZoneInfo
    interval_like: bool
    _times: tuple[timedelta, ...]
    _days: _Days

    def next_after(self, instant: datetime) -> datetime | None:
        """The first occurrence strictly after an aware instant, in UTC; None if there is none for eight years."""
        if instant.year > _LAST_YEAR:
            return None
        instant = instant.astimezone(UTC)
        return self._next_by_interval(instant) if self.interval_like else self._next_by_fixed_time(instant)

    def count(self, after: datetime, until: datetime) -> int:
        """How many occurrences lie in (after, until]; it takes a step per day, not per occurrence."""
        total = 0
        while (found := self.next_after(after)) is not None and found <= until:
            after, times = self._same_day(found, until)
            total += times
        return total

    def _same_day(self, first: datetime, until: datetime) -> tuple[datetime, int]:
        """The last occurrence up to `until` of the day on which `first` is one, and the number of them with `first`.

        Just `first`, if the clock changes before the day's last one.
        """
        wall = self._wall_of(first)
        time = wall - wall.replace(hour=0, minute=0)
        index = bisect_left(self._times, time)
        last = first + self._times[-1] - time
        if time not in self._times[index : index + 1] or self._offset(first) != self._offset(last):
            return first, 1
        end = bisect_right(self._times, time + (until - first))
        return first + self._times[end - 1] - time, end - index

    def _offset(self, instant: datetime) -> timedelta | None:
        return instant.astimezone(self.zone).utcoffset()

    def shortest_interval(self) -> timedelta | None:
        """The shortest time between 200 occurrences on wall time, from a leap year on; None if it occurs only once.

        A sample: the rare expression that has a shorter interval later is not seen through.
        """
        walls: list[datetime] = []
        wall = self._wall_after(_FIRST_DAY - _MINUTE)
        while wall is not None and len(walls) < _SAMPLES:
            walls.append(wall)
            wall = self._wall_after(wall)
        return min((later - earlier for earlier, later in pairwise(walls)), default=None)

    def _next_by_fixed_time(self, instant: datetime) -> datetime | None:
        wall = self._wall_of(instant)
        while (following := self._wall_after(wall)) is not None:
            wall = following
            passes = self._passes(wall)
            found = passes[0] if passes else self._gap_end(wall)
            if found > instant:
                return found
        return None

    def _next_by_interval(self, instant: datetime) -> datetime | None:
        wall = self._wall_of(instant)
        found = self._match_after(wall, instant)
        passes = self._passes(wall)
        if len(passes) < 2 or instant >= passes[1]:
            return found
        # The first pass of a repeated hour: what lies behind on the wall may come again before `found`.
        repeat = _offset_change(self.zone, passes[0], passes[1])
        if found is not None and found < repeat:
            return found
        return self._match_after(self._wall_of(repeat) - _MINUTE, repeat - _SECOND)

    def _match_after(self, wall: datetime, instant: datetime) -> datetime | None:
        """The first instant after `instant` that shows a matching wall time later than `wall`."""
        while (following := self._wall_after(wall)) is not None:
            wall = following
            passes = self._passes(wall)
            if not passes:
                wall = max(wall, self._wall_of(self._gap_end(wall)) - _MINUTE)
            for found in passes:
                if found > instant:
                    return found
        return None

    def _wall_after(self, wall: datetime) -> datetime | None:
        """The first matching wall time after `wall`, whether it exists in the zone or not."""
        midnight = wall.replace(hour=0, minute=0, second=0)
        day = _matching_day(self._days, midnight)
        if day == midnight:
            index = bisect_right(self._times, wall - midnight)
            if index < len(self._times):
                return midnight + self._times[index]
            day = _matching_day(self._days, midnight + _DAY)
        return None if day is None else day + self._times[0]

    def _wall_of(self, instant: datetime) -> datetime:
        """What a clock on the wall shows, cut to the minute."""
        return instant.astimezone(self.zone).replace(second=0, microsecond=0, tzinfo=None, fold=0)

    def _passes(self, wall: datetime) -> tuple[datetime, ...]:
        """The instants that show this wall time, in order: one, two if it is repeated, none if it is in a gap."""
        first, second = self._by_fold(wall)
        if first == second:
            return (first,)
        return (first, second) if first < second else ()

    def _by_fold(self, wall: datetime) -> tuple[datetime, datetime]:
        # PEP 495: in a gap, fold 0 gives an instant after the jump and fold 1 one before it.
        aware = wall.replace(tzinfo=self.zone)
        return aware.astimezone(UTC), aware.replace(fold=1).astimezone(UTC)

    def _gap_end(self, wall: datetime) -> datetime:
        late, early = self._by_fold(wall)
        return _offset_change(self.zone, early, late)


def parse(
    expression: str,
    time_zone: str,
    seed: str = "",
    cron_field: str = "spec.cron",
    zone_field: str = "spec.timeZone",
) -> Cron:
    """Check an expression and make it ready; `seed` ("namespace/name") decides what `H` means.

    Raises InvalidInput, naming the field: for what `five_fields` refuses, for an unknown zone, and for an expression
    that does not keep coming: no second time within eight years of a first one (`0 0 30 2 *`).
    """
    # Without an H all seeds mean the same, so that many schedules share what is parsed.
    return _parse(expression, time_zone, seed if "h" in expression.lower() else "", cron_field, zone_field)


@lru_cache(maxsize=8_192)
def _parse(expression: str, time_zone: str, seed: str, cron_field: str, zone_field: str) -> Cron:
    zone = _zone(time_zone, zone_field)
    fields = five_fields(expression, cron_field)
    days = (" ".join(fields[2:]), _seed_for(fields[2:], seed))
    try:
        columns = croniter.expand(" ".join(fields), hash_id=_seed_for(fields, seed))[0]
        first = _matching_day(days, _FIRST_DAY)
    except CroniterError as error:
        raise InvalidInput(cron_field, f"{expression!r} is not a cron expression: {error}") from error
    if first is None or _matching_day(days, first + _DAY) is None:
        problem = f"has no next time within {YEARS_AHEAD} years; check that such a day exists"
        raise InvalidInput(cron_field, f"{expression!r} {problem}")
    return Cron(
        expression=" ".join(fields),
        zone=zone,
        interval_like=fields[0].startswith("*") or fields[1].startswith("*"),
        _times=_times_of_day(_numbers(columns[0], 60), _numbers(columns[1], 24)),
        _days=days,
    )


def _seed_for(fields: Sequence[str], seed: str) -> bytes | None:
    # Only if an H occurs: with a seed, croniter reads other things differently too.
    return seed.encode() if any(field.startswith("H") for field in fields) else None


def _numbers(column: Sequence[int | str], count: int) -> tuple[int, ...]:
    """What croniter made of a minute or hour field; it spells "all" as a star."""
    return tuple(range(count)) if "*" in column else tuple(int(number) for number in column)


@lru_cache(maxsize=1_024)
def _times_of_day(minutes: tuple[int, ...], hours: tuple[int, ...]) -> tuple[timedelta, ...]:
    """Every time of a matching day, in order. Shared, as thousands of schedules have few different patterns."""
    return tuple(timedelta(hours=hour, minutes=minute) for hour in sorted(hours) for minute in sorted(minutes))


@lru_cache(maxsize=8_192)
def _matching_day(days: _Days, midnight: datetime) -> datetime | None:
    """The first day from `midnight` on that matches the three day fields; None if there is none for eight years."""
    if days[0] == "* * *":
        return midnight
    finder = copy(_finder(days))  # croniter keeps its place in itself, and threads share the original.
    try:
        return finder.get_next(datetime, start_time=midnight - _MINUTE)
    except CroniterBadDateError:
        return None


@lru_cache(maxsize=1_024)
def _finder(days: _Days) -> "croniter[datetime]":
    fields, seed = days
    return croniter(f"0 0 {fields}", _FIRST_DAY, datetime, max_years_between_matches=YEARS_AHEAD, hash_id=seed)


def _offset_change(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """The instant in (before, after] at which the zone's offset changes; zoneinfo tells no transitions, so bisect."""
    offset = before.astimezone(zone).utcoffset()
    while after - before > _SECOND:
        middle = before + _SECOND * ((after - before) // _SECOND // 2)
        if middle.astimezone(zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after


def _zone(key: str, field: str) -> ZoneInfo:
    # The list decides, not the file system: that one may ignore case, and knows "localtime" and "right/UTC".
    if key not in _zone_names():
        found = next((name for name in _zone_names() if name.lower() == key.strip().lower()), None)
        instead = f"did you mean {found}?" if found else "write an IANA name such as Europe/Berlin or UTC"
        raise InvalidInput(field, f"{key!r} is not a known time zone; {instead}")
    return ZoneInfo(key)


@lru_cache(maxsize=1)
def _zone_names() -> frozenset[str]:
    """Every IANA name, as listed in the tzdata package."""
    listed = (resources.files("tzdata") / "zones").read_text(encoding="ascii").split()
    return frozenset(listed) - {"Factory"}
