"""Reads the fields of a manifest by name and type, so that every refusal names the path of what is wrong.

The CRD's schema has judged a manifest before, but perhaps an older schema: nothing here trusts a type. A null counts
as absent, as it does for the API server.
"""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeVar

from angarium.domain.declarations import KeyRef
from angarium.domain.durations import format_duration, parse_declared
from angarium.domain.errors import InvalidInput
from angarium.domain.reasons import SpecReason
from angarium.resources.times import parse_time

Choice = TypeVar("Choice", bound=StrEnum)

_BRACKETS = re.compile(r"\[[^\]]*\]")
_OBJECT_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
_DATA_KEY = re.compile(r"[-._a-zA-Z0-9]+")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_MAX_NAME = 253

_REASONS = {
    "url": SpecReason.INVALID_URL,
    "method": SpecReason.INVALID_METHOD,
    "headers": SpecReason.INVALID_HEADER,
    "timeout": SpecReason.INVALID_DURATION,
    "limit": SpecReason.INVALID_RETRY_LIMIT,
    "delay": SpecReason.INVALID_RETRY_DELAY,
    "cron": SpecReason.INVALID_CRON,
    "timeZone": SpecReason.INVALID_TIME_ZONE,
    "every": SpecReason.INVALID_INTERVAL,
    "at": SpecReason.INVALID_TIME,
    "startTime": SpecReason.INVALID_TIME,
    "endTime": SpecReason.INVALID_TIME,
    "jitter": SpecReason.INVALID_JITTER,
    "body": SpecReason.INVALID_BODY,
    "contentType": SpecReason.INVALID_CONTENT_TYPE,
    "labels": SpecReason.INVALID_LABEL,
    "flowControl": SpecReason.INVALID_FLOW_CONTROL,
    "parallelism": SpecReason.INVALID_PARALLELISM,
    "callback": SpecReason.INVALID_CALLBACK,
    "failureCallback": SpecReason.INVALID_CALLBACK,
    "redact": SpecReason.INVALID_REDACTION,
}


def reason_of(field: str) -> SpecReason:
    """The reason of the `Accepted` condition for a refusal of this field: stable, by the innermost name known here.

    What `redact` has inside is named after what it hides.
    """
    names = _BRACKETS.sub("", field).split(".")
    if "redact" in names:
        return SpecReason.INVALID_REDACTION
    return next((_REASONS[name] for name in reversed(names) if name in _REASONS), SpecReason.INVALID_SPEC)


class Fields:
    """One mapping of a manifest at `path`. All methods raise InvalidInput with the path of the field; None: absent."""

    __slots__ = ("_values", "path")

    def __init__(self, values: object, path: str) -> None:
        if not isinstance(values, Mapping):
            raise InvalidInput(path, f"is {shown(values)}; write an object with fields")
        self._values = values
        self.path = path

    def at(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name

    def refuse(self, name: str, problem: str) -> InvalidInput:
        return InvalidInput(self.at(name), problem)

    def get(self, name: str) -> object:
        return self._values.get(name)

    def one_of(self, *names: str) -> str:
        """The only one of these fields that is given."""
        given = [name for name in names if self.get(name) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "none"
            raise InvalidInput(self.path, f"has {found} of {', '.join(names)}; write exactly one of them")
        return given[0]

    def child(self, name: str) -> "Fields | None":
        return None if self.get(name) is None else self.require(name)

    def require(self, name: str) -> "Fields":
        return Fields(self._required(name), self.at(name))

    def items(self, name: str, *, fold_case: bool = False) -> list["Fields"]:
        """The members of a list whose members have a unique `name` (`fold_case`: in any case), shown in their paths."""
        values = self._list(name)
        items = [Fields(value, f"{self.at(name)}[{_name_in(value, place)}]") for place, value in enumerate(values)]
        seen: set[str] = set()
        for item in items:
            key = item.require_text("name")
            key = key.lower() if fold_case else key
            if key in seen:
                raise InvalidInput(item.path, "stands there twice; remove one")
            seen.add(key)
        return items

    def texts(self, name: str) -> tuple[str, ...]:
        return tuple(_text(value, f"{self.at(name)}[{place}]") for place, value in enumerate(self._list(name)))

    def pairs(self, name: str) -> dict[str, str]:
        """A mapping of text to text, empty if absent."""
        values = self.get(name)
        if values is None:
            return {}
        if not isinstance(values, Mapping):
            raise self.refuse(name, f"is {shown(values)}; write an object with fields")
        return {_text(key, self.at(name)): _text(value, f"{self.at(name)}[{key}]") for key, value in values.items()}

    def text(self, name: str) -> str | None:
        value = self.get(name)
        return None if value is None else _text(value, self.at(name))

    def require_text(self, name: str) -> str:
        text = _text(self._required(name), self.at(name))
        if not text:
            raise self.refuse(name, "is empty")
        return text

    def flag(self, name: str) -> bool:
        value = self.get(name)
        if value is not None and not isinstance(value, bool):
            raise self.refuse(name, f"is {shown(value)}; write true or false")
        return bool(value)

    def integer(self, name: str, low: int, high: int) -> int | None:
        value = self.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self.refuse(name, f"is {shown(value)}; write a whole number from {low} to {high}")
        return value

    def choice(self, name: str, choices: type[Choice]) -> Choice | None:
        text = self.text(name)
        if text is None:
            return None
        try:
            return choices(text)
        except ValueError:
            raise self.refuse(name, f"is {shown(text)}; write one of {', '.join(choices)}") from None

    def duration(self, name: str) -> timedelta | None:
        text = self.text(name)
        return None if text is None else parse_declared(text, self.at(name))

    def duration_within(self, name: str, low: timedelta, high: timedelta) -> timedelta | None:
        duration = self.duration(name)
        if duration is not None and not low <= duration <= high:
            bounds = f"{format_duration(low)} to {format_duration(high)}"
            raise self.refuse(name, f"is {format_duration(duration)}; write a duration from {bounds}")
        return duration

    def time(self, name: str) -> datetime | None:
        text = self.text(name)
        return None if text is None else parse_time(text, self.at(name))

    def reference(self, name: str) -> str | None:
        """The name of the object that the field `name`, `{name: …}`, refers to."""
        child = self.child(name)
        return None if child is None else child.object_name("name")

    def key_reference(self, name: str) -> KeyRef:
        """The Secret's or ConfigMap's key that the field `name`, `{name: …, key: …}`, refers to."""
        child = self.require(name)
        key = child.require_text("key")
        if len(key) > _MAX_NAME or not _DATA_KEY.fullmatch(key):
            raise child.refuse("key", f"{shown(key)} cannot be a key; use letters, digits, '-', '_' and '.'")
        return KeyRef(child.object_name("name"), key)

    def object_name(self, name: str) -> str:
        # Checked here once more because the name becomes part of a path at the API server.
        text = self.require_text(name)
        if len(text) > _MAX_NAME or not _OBJECT_NAME.fullmatch(text):
            raise self.refuse(name, f"{shown(text)} cannot be a name; use lower-case letters, digits, '-' and '.'")
        return text

    def _required(self, name: str) -> object:
        value = self.get(name)
        if value is None:
            raise self.refuse(name, "is missing")
        return value

    def _list(self, name: str) -> list[object]:
        values = self.get(name)
        if values is None:
            return []
        if not isinstance(values, list):
            raise self.refuse(name, f"is {shown(values)}; write a list")
        return values


def _text(value: object, path: str) -> str:
    if not isinstance(value, str):
        raise InvalidInput(path, f"is {shown(value)}; write a text")
    if _SURROGATE.search(value):
        raise InvalidInput(path, "is not valid Unicode: it has half of a surrogate pair")
    return value


def _name_in(value: object, place: int) -> str:
    name = value.get("name") if isinstance(value, Mapping) else None
    return name[:63] if isinstance(name, str) and name else str(place)


def shown(value: object) -> str:
    """A value as a message quotes it: short, whatever it is."""
    if value is None:
        return "null"
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, str):
        return repr(value if len(value) <= 80 else value[:80] + "…")
    if isinstance(value, bool):
        return str(value).lower()
    # Python refuses to write out numbers of thousands of digits.
    return "a number of many digits" if isinstance(value, int) and abs(value) >= 2**64 else str(value)[:80]
