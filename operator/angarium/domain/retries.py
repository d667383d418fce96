"""When a failed message is tried again (contract 19).

The destination's wish comes first, then the message's own expression, then the default backoff.
"""

import math
import re
from datetime import UTC, datetime, timedelta

from . import retry_expression
from .errors import InvalidInput
from .headers import HeaderMap

LONGEST = timedelta(days=1)
"""No delay is longer: the backoff and expressions stop here, a longer wish of a destination is ignored."""

_RETRY_AFTER_HEADERS = (
    "retry-after",
    "x-ratelimit-reset",
    "x-ratelimit-reset-requests",
    "x-ratelimit-reset-tokens",
)
_MAX_CHARACTERS = 64
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:ns|us|µs|μs|ms|s|m|h))+")
_PART = re.compile(r"([0-9.]+)([a-zµμ]+)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}

_TIME = r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
# The three forms of RFC 9110, 5.6.7: the one of today, RFC 850's, asctime's.
_DATES = tuple(
    re.compile(form)
    for form in (
        rf"[A-Za-z]{{3}}, (?P<day>[0-9]{{1,2}}) (?P<month>[A-Za-z]{{3}}) (?P<year>[0-9]{{4}}) {_TIME} (?:GMT|UTC)",
        rf"[A-Za-z]{{6,9}}, (?P<day>[0-9]{{2}})-(?P<month>[A-Za-z]{{3}})-(?P<year>[0-9]{{2}}) {_TIME} GMT",
        rf"[A-Za-z]{{3}} (?P<month>[A-Za-z]{{3}}) (?P<day>[ 0-9][0-9]) {_TIME} (?P<year>[0-9]{{4}})",
    )
)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def default_backoff(n: int) -> timedelta:
    """min(1 day, e^(2.5 n) seconds), in whole milliseconds; n = 1 before the first retry (contract 19)."""
    if n >= 5:  # e^12.5 s is past one day
        return LONGEST
    return timedelta(milliseconds=round(math.exp(2.5 * n) * 1000))


def next_delay(*, retried: int, expression: str | None, response_headers: HeaderMap, now: datetime) -> timedelta:
    """The delay from `now` to the next attempt: Retry-After family, expression, default backoff (contract 19).

    `retried` counts the retries already made: 0 before the first. `response_headers` have lower-case names and are
    empty if there was no response. Never raises.
    """
    wished = retry_after(response_headers, now)
    if wished is not None:
        return wished
    chosen = _evaluate(expression, retried) if expression else None
    return default_backoff(retried + 1) if chosen is None else chosen


def retry_after(headers: HeaderMap, now: datetime) -> timedelta | None:
    """How long the destination asks us to wait, from the first valid header of the family (contract 19).

    `headers` have lower-case names. A value is a number of seconds, an HTTP date (past: now; its weekday is not
    checked) or a duration such as `6m5s`. Negative, unreadable, or more than a day from now: the next one decides.
    """
    for name in _RETRY_AFTER_HEADERS:
        for value in headers.get(name, ()):
            wait = _parse_wait(value.strip(), now)
            if wait is not None:
                return wait
    return None


def _evaluate(expression: str, retried: int) -> timedelta | None:
    try:
        return retry_expression.parse(expression, "").delay(retried)
    except InvalidInput:
        # It was checked when the message was accepted, perhaps by another version: a message must not hang on that.
        return None


def _parse_wait(value: str, now: datetime) -> timedelta | None:
    if len(value) > _MAX_CHARACTERS:
        return None
    if _NUMBER.fullmatch(value):
        return _within_a_day(float(value))
    if _DURATION.fullmatch(value):
        return _within_a_day(sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(value)))
    date = _parse_date(value, now)
    return _within_a_day(max((date - now).total_seconds(), 0.0)) if date else None


def _within_a_day(seconds: float) -> timedelta | None:
    return timedelta(seconds=seconds) if seconds <= LONGEST.total_seconds() else None


def _parse_date(value: str, now: datetime) -> datetime | None:
    found = next((match for form in _DATES if (match := form.fullmatch(value))), None)
    if not found:
        return None
    try:
        return datetime(
            _full_year(found["year"], now),
            _MONTHS.index(found["month"].lower()) + 1,
            int(found["day"]),
            int(found["hour"]),
            int(found["minute"]),
            min(int(found["second"]), 59),  # a leap second is written as 60
            tzinfo=UTC,
        )
    except ValueError:
        return None


def _full_year(digits: str, now: datetime) -> int:
    """Two digits mean the latest such year that is not more than 50 years ahead (RFC 9110, 5.6.7)."""
    if len(digits) == 4:
        return int(digits)
    year = now.year - now.year % 100 + int(digits)
    return year - 100 if year > now.year + 50 else year
