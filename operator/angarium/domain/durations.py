"""Durations as people write them: in manifests (whole numbers, always a unit) and on the wire (more lenient).

Both parsers refuse what is too long to be meant, so that no arithmetic on a result can overflow.
"""

import re
from datetime import timedelta

from .errors import InvalidInput

LONGEST = timedelta(days=36_500)
"""The longest duration that any parser here returns; the bounds of a single field are its owner's business."""

_MAX_CHARACTERS = 64
_SECONDS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_DECLARED = re.compile(r"(?:[0-9]{1,6}[dhms])+")
_WIRE = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?[dhms])+")
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_PART = re.compile(r"([0-9.]+)([dhms])")


def parse_declared(text: str, field: str) -> timedelta:
    """Read a duration of a manifest: `^([0-9]{1,6}(d|h|m|s))+$`, the parts summed (DESIGN 5).

    Raises InvalidInput for anything else, and for more than `LONGEST`.
    """
    if len(text) > _MAX_CHARACTERS or not _DECLARED.fullmatch(text):
        raise InvalidInput(field, f"{_shown(text)} is not a duration; write for example 90s, 15m or 1d10h30m")
    return _total(text, field)


def parse_wire(text: str, field: str) -> timedelta:
    """Read a duration of a header or query parameter (contract 4.5).

    Decimals are taken, a bare number means seconds, surrounding blanks are trimmed. Resolution: microseconds.
    Raises InvalidInput for anything else (a sign included), and for more than `LONGEST`.
    """
    trimmed = text.strip(" \t")
    if len(trimmed) <= _MAX_CHARACTERS:
        if _NUMBER.fullmatch(trimmed):
            return _total(trimmed + "s", field)
        if _WIRE.fullmatch(trimmed):
            return _total(trimmed, field)
    raise InvalidInput(field, f"{_shown(text)} is not a duration; write for example 10s, 1.5s, 7d or 1d10h30m")


def format_duration(duration: timedelta) -> str:
    """Write a duration in its largest units: `1d10h30m`, `1m30s`, `0s`; parts of a second as `1.5s`."""
    if duration < timedelta(0):
        return "-" + format_duration(-duration)
    seconds = duration.days * 86_400 + duration.seconds
    parts = []
    for unit in ("d", "h", "m"):
        count, seconds = divmod(seconds, _SECONDS[unit])
        if count:
            parts.append(f"{count}{unit}")
    if duration.microseconds:
        fraction = f"{duration.microseconds:06}".rstrip("0")
        parts.append(f"{seconds}.{fraction}s")
    elif seconds or not parts:
        parts.append(f"{seconds}s")
    return "".join(parts)


def _total(text: str, field: str) -> timedelta:
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))
    if seconds > LONGEST.total_seconds():
        raise InvalidInput(field, f"{_shown(text)} is too long; the longest duration is {format_duration(LONGEST)}")
    return timedelta(seconds=seconds)


def _shown(text: str) -> str:
    return repr(text if len(text) <= _MAX_CHARACTERS else text[:_MAX_CHARACTERS] + "…")
