"""Filters of the log and of the dead letters (contract 6), from query parameters to a HistoryFilter.

A filter that names a feature which does not exist yet is refused by name, never dropped: dropping it would answer a
wider question than was asked.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from angarium.domain.errors import InvalidInput
from angarium.domain.messages import LogState
from angarium.domain.views import HistoryFilter

DEFAULT_COUNT = 100
MAX_LOG_COUNT = 1000
MAX_DLQ_COUNT = 100

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UTF8 = re.compile(r"[^\ud800-\udfff]*")
_LAST_MS = 253_402_300_799_999  # the end of the year 9999
_SHARED = {
    "messageId": "message_ids",
    "url": "urls",
    "topicName": "topics",
    "scheduleId": "schedules",
    "label": "labels",
    "callerIp": "caller_ips",
    "callerIP": "caller_ips",
}
_LOG = {**_SHARED, "messageIds": "message_ids", "host": "hosts", "path": "paths", "state": "states"}
_DLQ = {**_SHARED, "dlqIds": "dlq_ids", "responseStatus": "response_statuses"}
_PAGING = ("fromDate", "toDate", "count", "cursor", "order")
_NOT_YET = ("queueName", "flowControlKey")
_WITH_COMMAS = ("url", "path")
_STATES: Mapping[str, tuple[LogState, ...]] = {
    **{state.value: (state,) for state in LogState},
    "CANCELLED": (LogState.CANCELED,),
    "IN_PROGRESS": (LogState.ACTIVE, LogState.RETRY, LogState.ERROR),
}


def log_filter(namespace: str, query: Iterable[tuple[str, str]]) -> HistoryFilter:
    """The filter of `GET /v2/logs`; unknown names are ignored. Raises InvalidInput naming the parameter."""
    return _Parameters(query, _LOG).filter(namespace, "messageIds", MAX_LOG_COUNT)


def dead_letter_filter(namespace: str, query: Iterable[tuple[str, str]]) -> HistoryFilter:
    """The filter of `GET /v2/dlq`; an unknown name is refused, since the same names select what to delete."""
    query = list(query)
    for name, _ in query:
        if name not in _DLQ and name not in _PAGING and name not in _NOT_YET:
            known = ", ".join(sorted((*_DLQ, *_PAGING)))
            raise InvalidInput(name[:80], f"is not a filter of the dead letter queue; there are {known}")
    return _Parameters(query, _DLQ).filter(namespace, "dlqIds", MAX_DLQ_COUNT)


class _Parameters:
    """Query parameters by name, and the table of those that are conditions."""

    def __init__(self, query: Iterable[tuple[str, str]], fields: Mapping[str, str]) -> None:
        self._fields = fields
        known = (*fields, *_PAGING)
        self._given: dict[str, list[str]] = {}
        for name, value in query:
            if name in _NOT_YET:
                raise InvalidInput(name, "is not supported by this version of Angarium; leave it out")
            if name in known and not _UTF8.fullmatch(value):
                raise InvalidInput(name, "is not valid UTF-8")
            self._given.setdefault(name, []).append(value)

    def filter(self, namespace: str, ids: str, max_count: int) -> HistoryFilter:
        # A list of ids wins over all other filters (contract 6); the single `messageId` is a filter like others.
        only_ids = ids in self._given
        return HistoryFilter(
            namespace,
            since=None if only_ids else self._time("fromDate"),
            until=None if only_ids else self._time("toDate"),
            newest_first=self._newest_first(),
            count=self._count(max_count),
            cursor=self._last("cursor") or None,
            **self._conditions([ids] if only_ids else self._fields),
        )

    def _conditions(self, names: Iterable[str]) -> dict[str, Any]:
        conditions: dict[str, tuple[object, ...]] = {}
        for name in names:
            if name in self._given:
                field = self._fields[name]
                conditions[field] = conditions.get(field, ()) + self._converted(name)
        return conditions

    def _converted(self, name: str) -> tuple[object, ...]:
        values = self._values(name)
        if name == "state":
            return tuple(state for value in values for state in _states(value))
        if name == "responseStatus":
            return tuple(_number(value, name, 0, 999) for value in values)
        return values

    def _values(self, name: str) -> tuple[str, ...]:
        values: list[str] = []
        for given in self._given[name]:
            pieces = given.split(",")
            if len(pieces) > 1 and name in _WITH_COMMAS:
                values.append(given)
            values += [piece for piece in pieces if piece]
        if not values:
            raise InvalidInput(name, "is empty; leave it out, or give a value")
        return tuple(values)

    def _last(self, name: str) -> str | None:
        return self._given[name][-1] if name in self._given else None

    def _count(self, most: int) -> int:
        text = self._last("count")
        return DEFAULT_COUNT if text is None else _number(text, "count", 1, most)

    def _time(self, name: str) -> datetime | None:
        text = self._last(name)
        return None if text is None else _EPOCH + timedelta(milliseconds=_number(text, name, 0, _LAST_MS))

    def _newest_first(self) -> bool:
        order = self._last("order")
        if order not in (None, "earliestFirst", "latestFirst"):
            raise InvalidInput("order", f"{order[:40]!r} is not an order; use earliestFirst or latestFirst")
        return order != "earliestFirst"


def _states(value: str) -> tuple[LogState, ...]:
    states = _STATES.get(value)
    if states is None:
        raise InvalidInput("state", f"{value[:40]!r} is not a state; use one of {', '.join(sorted(_STATES))}")
    return states


def _number(text: str, name: str, least: int, most: int) -> int:
    digits = text.strip()
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 20 and least <= int(digits) <= most):
        raise InvalidInput(name, f"{text[:40]!r} is not a whole number from {least} to {most}")
    return int(digits)
