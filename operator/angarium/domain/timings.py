"""When a Schedule occurs, whichever of cron, every and at it uses: the nominal times, and how they are written.

Nominal times only: jitter, missed slots and what is due belong to `slots`. Reads no clock.
"""

from datetime import UTC, datetime, timedelta

from angarium.domain import cron
from angarium.domain.declarations import Timing
from angarium.domain.durations import format_duration
from angarium.domain.errors import InvalidInput

SHORTEST_EVERY = timedelta(seconds=1)
LONGEST_EVERY = timedelta(days=365)

_ZONE_PREFIX = "CRON_TZ="
_TICK = timedelta(microseconds=1)
_TOO_LATE = datetime(9000, 1, 1, tzinfo=UTC)  # Leaves room to add a jitter or an interval.


def check_timing(timing: Timing) -> None:
    """Refuse what the schema cannot see. Raises InvalidInput, naming the field of the manifest (`spec.every`)."""
    if [timing.cron, timing.every, timing.at].count(None) != 2:
        raise InvalidInput("spec", "set exactly one of cron, every and at")
    if timing.cron is not None:
        cron.parse(timing.cron, timing.time_zone, timing.cron_seed)
    if timing.every is not None and not SHORTEST_EVERY <= timing.every <= LONGEST_EVERY:
        bounds = f"{format_duration(SHORTEST_EVERY)} to {format_duration(LONGEST_EVERY)}"
        raise InvalidInput("spec.every", f"{format_duration(timing.every)} is out of bounds; use {bounds}")
    _check_window(timing)
    _check_jitter(timing)


def occurrence_after(timing: Timing, instant: datetime) -> datetime | None:
    """The first nominal time strictly after `instant`, inside startTime…endTime (both inclusive); None: there is none.

    `every` counts from startTime, which is its first occurrence; without one, from creation, which is none yet.
    """
    if timing.at is not None:
        found: datetime | None = timing.at if timing.at > instant else None
    elif timing.every is not None:
        found = _multiple_after(timing, timing.every, instant)
    else:
        found = _cron(timing).next_after(_within(timing, instant))
    return found if found is not None and _in_window(timing, found) else None


def count_occurrences(timing: Timing, after: datetime, until: datetime) -> int:
    """How many nominal times lie in (after, until], found without walking through them."""
    if timing.end is not None:
        until = min(until, timing.end)
    if timing.cron is not None:
        return _cron(timing).count(_within(timing, after), until)
    first = occurrence_after(timing, after)
    if first is None or first > until:
        return 0
    return 1 if timing.every is None else (until - first) // timing.every + 1


def describe(timing: Timing) -> str:
    """For a column that a person reads: `0 6 * * 1-5 Europe/Berlin`, `every 1m30s`, `at 2026-12-24T18:00:00Z`."""
    if timing.at is not None:
        return f"at {_rfc3339(timing.at)}"
    if timing.every is not None:
        return f"every {format_duration(timing.every)}"
    return f"{_cron_text(timing)} {timing.time_zone}"


def wire(timing: Timing) -> str:
    """For `cron` in the HTTP API (DESIGN 5 "On the wire"): `CRON_TZ=<zone> <cron>`, `@every 90s`, `@at <RFC 3339>`."""
    if timing.at is not None:
        return f"@at {_rfc3339(timing.at)}"
    if timing.every is not None:
        return f"@every {timing.every // timedelta(seconds=1)}s"
    return f"CRON_TZ={timing.time_zone} {_cron_text(timing)}"


def from_wire(text: str, seed: str, field: str) -> Timing:
    """Read cron of the HTTP API: five fields after an optional `CRON_TZ=<IANA zone>` and a blank (contract 4.11).

    `seed` ("namespace/name") decides what `H` means. Raises InvalidInput, naming `field`.
    """
    zone, expression = "UTC", text
    if text.startswith(_ZONE_PREFIX):
        zone, _, expression = text.removeprefix(_ZONE_PREFIX).partition(" ")
    if text.startswith(("TZ=", "@every", "@at")):
        problem = "is not cron here; write 'CRON_TZ=<zone> <five fields>', or declare a Schedule resource"
        raise InvalidInput(field, f"{text[:80]!r} {problem}")
    timing = Timing(cron=expression.strip(), cron_seed=seed, time_zone=zone)
    cron.parse(timing.cron or "", zone, seed, field, field)
    return timing


def _check_window(timing: Timing) -> None:
    for field, moment in (("spec.at", timing.at), ("spec.startTime", timing.start)):
        if moment is not None and moment >= _TOO_LATE:
            raise InvalidInput(field, f"{_rfc3339(moment)} is too far away; it must be before {_rfc3339(_TOO_LATE)}")
    if timing.start is not None and timing.end is not None and timing.end < timing.start:
        raise InvalidInput("spec.endTime", f"{_rfc3339(timing.end)} is before startTime {_rfc3339(timing.start)}")
    if timing.at is not None and not _in_window(timing, timing.at):
        raise InvalidInput("spec.at", f"{_rfc3339(timing.at)} is outside startTime and endTime, so it would never run")


def _check_jitter(timing: Timing) -> None:
    if timing.jitter < timedelta(0):
        raise InvalidInput("spec.jitter", "must not be negative")
    if not timing.jitter:
        return
    longest = _shortest_interval(timing) / 2
    if timing.jitter > longest:
        found = f"{format_duration(timing.jitter)} is more than half the shortest interval"
        raise InvalidInput("spec.jitter", f"{found}; use at most {format_duration(longest)}")


def _shortest_interval(timing: Timing) -> timedelta:
    # What occurs only once counts as if it came again after the longest interval that `every` may have.
    found = timing.every if timing.cron is None else _cron(timing).shortest_interval()
    return LONGEST_EVERY if found is None else min(found, LONGEST_EVERY)


def _cron(timing: Timing) -> cron.Cron:
    if timing.cron is None:
        raise InvalidInput("spec", "set exactly one of cron, every and at")
    return cron.parse(timing.cron, timing.time_zone, timing.cron_seed)


def _within(timing: Timing, instant: datetime) -> datetime:
    return instant if timing.start is None or instant >= timing.start else timing.start - _TICK


def _in_window(timing: Timing, moment: datetime) -> bool:
    return (timing.start is None or timing.start <= moment) and (timing.end is None or moment <= timing.end)


def _multiple_after(timing: Timing, every: timedelta, instant: datetime) -> datetime:
    base = timing.start or timing.anchor
    if base is None:
        raise InvalidInput("spec.every", "has nothing to count from: neither startTime nor creation is known")
    first = 0 if timing.start else 1
    return base + max((instant - base) // every + 1, first) * every


def _cron_text(timing: Timing) -> str:
    return " ".join((timing.cron or "").split())


def _rfc3339(moment: datetime) -> str:
    # As in every status: milliseconds, and only where there are some.
    precision = "milliseconds" if moment.microsecond else "seconds"
    return moment.astimezone(UTC).isoformat(timespec=precision).replace("+00:00", "Z")
