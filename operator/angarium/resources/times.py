"""Instants as manifests and statuses spell them: RFC 3339, always in UTC when we write."""

import re
from datetime import UTC, datetime, timedelta

from angarium.domain.errors import InvalidInput

# Outside of these years, arithmetic on slots could leave what a datetime can hold.
_YEARS = range(1970, 3000)
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_EXAMPLE = "2026-12-24T18:00:00Z"


def parse_time(text: str, field: str) -> datetime:
    """Read an RFC 3339 time into UTC. Raises InvalidInput also outside 1970 … 2999.

    Parts of a millisecond are dropped: the store and statuses do not keep them, and a slot must be equal to itself.
    """
    if len(text) > 64 or not _RFC_3339.fullmatch(text):
        raise InvalidInput(field, f"{text[:64]!r} is not a time in RFC 3339; write for example {_EXAMPLE}")
    try:
        instant = datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidInput(field, f"{text!r} is not a time that exists: {error}") from error
    if instant.year not in _YEARS:
        raise InvalidInput(field, f"{text!r} is too far away; write a time from {_YEARS.start} to {_YEARS.stop - 1}")
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)


def format_time(instant: datetime) -> str:
    """`2026-12-24T18:00:00Z`; parts of a second are dropped."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def format_time_ms(instant: datetime) -> str:
    """`2026-12-24T18:00:00.123Z`; parts of a millisecond are dropped."""
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def format_slot(instant: datetime) -> str:
    """`2026-12-24T18:00:00Z`, with milliseconds only where there are some, so that reading it gives the same slot."""
    return format_time_ms(instant) if instant.microsecond >= 1000 else format_time(instant)


def milliseconds(duration: timedelta) -> int:
    return max(0, duration // timedelta(milliseconds=1))
