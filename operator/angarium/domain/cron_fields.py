"""Checks the text of a cron expression and spells it in one way, before croniter reads it.

croniter takes more than cron has: seconds, years, random values, steps past the range, `5-5` for "always". What we do
not take is refused here, with a text that says what to write instead. What a field means is left to croniter.
"""

import re
from dataclasses import dataclass

from angarium.domain.counts import counted
from angarium.domain.errors import InvalidInput

MACROS = {
    "@YEARLY": "0 0 1 1 *",
    "@ANNUALLY": "0 0 1 1 *",
    "@MONTHLY": "0 0 1 * *",
    "@WEEKLY": "0 0 * * 0",
    "@DAILY": "0 0 * * *",
    "@MIDNIGHT": "0 0 * * *",
    "@HOURLY": "0 * * * *",
}
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_MAX_CHARACTERS = 256

_VALUE = r"(?:[0-9]{1,4}|[A-Z]{3})"
_RANGE = re.compile(rf"(?:\*|(?P<low>{_VALUE})(?:-(?P<high>{_VALUE}))?)(?:/(?P<step>[0-9]{{1,4}}))?")
_HASHED = re.compile(r"H(?:\((?P<low>[0-9]{1,4})-(?P<high>[0-9]{1,4})\))?(?:/(?P<step>[0-9]{1,4}))?")
_RANDOM = re.compile(r"R(?:\(.*\))?(?:/.*)?")
_NTH_WEEKDAY = re.compile(rf"(?P<day>{_VALUE})#[1-5]|L(?P<last>[0-7])")
_NEAREST_WEEKDAY = re.compile(r"(?P<day>[0-9]{1,2})W")


@dataclass(frozen=True, slots=True)
class _Field:
    """One of the five columns: its name, its lowest and highest value, names for values from `low` on."""

    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()

    def number(self, text: str) -> int | None:
        if text in self.names:
            return self.low + self.names.index(text)
        return int(text) if text.isdigit() else None

    def holds(self, number: int | None) -> bool:
        # 7 is Sunday too, but `*` and open ranges end at Saturday, or Sunday would count twice.
        return number is not None and self.low <= number <= self.high + (self is _WEEKDAY)


_MINUTE = _Field("minute", 0, 59)
_HOUR = _Field("hour", 0, 23)
_DAY = _Field("day of month", 1, 31)
_MONTH = _Field("month", 1, 12, _MONTHS)
_WEEKDAY = _Field("day of week", 0, 6, _DAYS)
_FIELDS = (_MINUTE, _HOUR, _DAY, _MONTH, _WEEKDAY)


def five_fields(expression: str, field: str) -> tuple[str, ...]:
    """The five fields of an expression or macro, in capitals, ready for croniter.

    Raises InvalidInput, naming `field`, for everything that DESIGN 5 "Cron" refuses and for what is not cron at all.
    """
    written = _split(expression, field)
    for part, column in zip(written, _FIELDS, strict=True):
        if problem := _problem(part, column):
            raise InvalidInput(field, f"{column.name} {part!r}: {problem}")
    parts = [_spelled(part, column) for part, column in zip(written, _FIELDS, strict=True)]
    day, weekday = parts[2], parts[4]
    if day != "*" and weekday != "*" and (_NEAREST_WEEKDAY.fullmatch(day) or _NTH_WEEKDAY.match(weekday)):
        problem = "#, L<day> and W cannot be combined with the other day field; use * there, or two Schedules"
        raise InvalidInput(field, f"day of month {written[2]!r} with day of week {written[4]!r}: {problem}")
    return tuple(parts)


def _split(expression: str, field: str) -> list[str]:
    if len(expression) > _MAX_CHARACTERS or not expression.isascii():
        raise InvalidInput(field, f"not a cron expression; use at most {_MAX_CHARACTERS} plain ASCII characters")
    text = expression.upper()
    parts = MACROS.get(text.strip(), text).split()
    if parts and parts[0].startswith("@"):
        raise InvalidInput(field, _unknown_macro(expression.strip()))
    if parts and parts[0].startswith(("TZ=", "CRON_TZ=")):
        raise InvalidInput(field, f"{parts[0].partition('=')[0]}= does not belong here; set the time zone in timeZone")
    if len(parts) != len(_FIELDS):
        shape = "minute, hour, day of month, month, day of week, such as '0 6 * * 1-5'"
        raise InvalidInput(
            field, f"has {counted(len(parts), 'field')}; write exactly five: {shape} (no seconds, no years)"
        )
    return parts


def _unknown_macro(text: str) -> str:
    if text.lower().startswith("@every"):
        return f"{text!r} is not cron; set `every` instead of `cron`"
    return f"{text!r} is not known; write five fields or one of {', '.join(MACROS).lower()}"


def _problem(part: str, column: _Field) -> str | None:
    """Why croniter must not see this field, or None."""
    if hashed := _HASHED.fullmatch(part):
        return _range_problem(hashed, column)
    items = part.split(",")
    if column is _WEEKDAY and any(_NTH_WEEKDAY.fullmatch(item) for item in items):
        if all(_is_nth_weekday(item) for item in items):
            return None
        return "5#2 (second Friday) and L5 (last Friday) cannot be mixed with plain days; use two Schedules"
    return next(filter(None, (_item_problem(item, column, len(items)) for item in items)), None)


def _is_nth_weekday(item: str) -> bool:
    found = _NTH_WEEKDAY.fullmatch(item)
    return found is not None and _WEEKDAY.holds(_WEEKDAY.number(found["day"] or found["last"]))


def _item_problem(item: str, column: _Field, items: int) -> str | None:
    if column is _DAY and item == "L":
        return None
    if column is _DAY and (nearest := _NEAREST_WEEKDAY.fullmatch(item)):
        # Past 28 it is not agreed on whether a month without that day is left out.
        is_plain = items == 1 and 1 <= int(nearest["day"]) <= 28
        return None if is_plain else "W takes one day from 1 to 28, such as 15W, and nothing beside it"
    if found := _RANGE.fullmatch(item):
        return _range_problem(found, column)
    return _hint(item, column)


def _hint(item: str, column: _Field) -> str:
    if "?" in item:
        return "? is not supported; write *"
    if _RANDOM.fullmatch(item):
        return "R (a random value) is not supported; write H, which is stable for one Schedule"
    if _HASHED.fullmatch(item):
        return "H stands alone in its field, as H, H(0-29) or H/15"
    if column is _WEEKDAY and "#" in item:
        return "write 5#2 for the second Friday: one weekday, # and a number from 1 to 5"
    if column is _WEEKDAY and "L" in item:
        number = column.number(item.strip("L"))
        day = number if number is not None and column.holds(number) else 5
        return f"write L{day} for the last {column.names[day % 7]} of the month"
    if column is _DAY and ("L" in item or "W" in item):
        return (
            "write L for the last day of the month, 15W for the weekday nearest to the 15th, nothing else with L or W"
        )
    return f"not understood; write {_range_of(column)}, *, a list 1,3 a range 1-5 or a step */2"


def _range_problem(found: re.Match[str], column: _Field) -> str | None:
    """Judge `*`, `a`, `a-b`, `H` or `H(a-b)`, each with or without `/step`."""
    low = column.number(found["low"]) if found["low"] else column.low
    high = column.number(found["high"]) if found["high"] else None
    if not column.holds(low) or (found["high"] and not column.holds(high)):
        return f"use {_range_of(column)}"
    assert low is not None
    if column is _WEEKDAY and low == 7 and (high not in (None, 7) or found["step"]):
        return "a range that begins with Sunday begins with 0"
    if high is not None and (problem := _order_problem(low, high, column, found.re is _HASHED)):
        return problem
    if high == 0 < low:
        high = 7
    return _step_problem(found, low, column.high if high is None else high)


def _order_problem(low: int, high: int, column: _Field, hashed: bool) -> str | None:
    if column is _WEEKDAY and high == 0 < low < 7:
        return None
    if low == high:
        return f"H needs a range of two values or more; write {low}" if hashed else None
    if low > high and hashed:
        return "a range cannot run backwards; write the smaller number first"
    if low > high:
        return f"a range cannot run backwards; write {_span(low, column.high)},{_span(column.low, high)}"
    return None


def _span(low: int, high: int) -> str:
    return str(low) if low == high else f"{low}-{high}"


def _step_problem(found: re.Match[str], low: int, high: int) -> str | None:
    if found["step"] is None:
        return None
    count, step = high - low + 1, int(found["step"])
    if step < 1:
        return "a step is at least 1"
    if step > count:
        return f"a step of {step} is larger than its range of {max(count, 1)} values"
    return None


def _without_span_of_one(item: str, column: _Field) -> str:
    """croniter takes 5-5 for the whole range; everybody else takes it for 5."""
    found = _RANGE.fullmatch(item)
    if found is None or not found["high"] or column.number(found["low"]) != column.number(found["high"]):
        return item
    return found["low"]


def _range_of(column: _Field) -> str:
    names = f" or {column.names[0]} to {column.names[-1]}" if column.names else ""
    return f"{column.low} to {column.high}{names}"


def _spelled(part: str, column: _Field) -> str:
    part = ",".join(_without_span_of_one(item, column) for item in part.split(","))
    if part == "*/1" or (column in (_DAY, _WEEKDAY) and not {"*", "*/1"}.isdisjoint(part.split(","))):
        return "*"  # With a day field restricted, croniter would take */1 for a restriction and fire every day.
    if column in (_DAY, _WEEKDAY):
        # Beside a star, even one with a step, croniter takes a range of all days for no restriction.
        part = part.replace("*/", f"{column.low}-{column.high}/")
    if column is _DAY and part.startswith("H") and "(" not in part:
        return part.replace("H", "H(1-28)")  # croniter's H reaches the 31st, which most months do not have.
    return part
