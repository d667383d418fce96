"""Filters of the log, of the dead letters and of messages to cancel (contract 6), from parameters to a HistoryFilter.

Where they select what is changed, an unknown one is refused by name, never dropped: that would change more than was
asked for.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from angarium.domain.errors import InvalidInput
from angarium.domain.instants import from_ms
from angarium.domain.messages import LogState
from angarium.domain.views import HistoryFilter

DEFAULT_COUNT = 100
MAX_LOG_COUNT = 1000
MAX_DLQ_COUNT = 100
MAX_CANCEL_COUNT = 500

Parameter = tuple[str, str]
"""Name and value."""

_UTF8 = re.compile(r"[^\ud800-\udfff]*")
_LAST_MS = 253_402_300_799_999  # the end of the year 9999
_SHARED = {
    "url": "urls",
    "topicName": "topics",
    "scheduleId": "schedules",
    "queueName": "queues",
    "flowControlKey": "flow_keys",
    "label": "labels",
    "callerIp": "caller_ips",
    "callerIP": "caller_ips",
}
_LIVE = {**_SHARED, "messageIds": "message_ids", "host": "hosts", "path": "paths"}
_LOG = {**_LIVE, "messageId": "message_ids", "state": "states"}
_DLQ = {**_SHARED, "messageId": "message_ids", "dlqIds": "dlq_ids", "responseStatus": "response_statuses"}
_PAGING = ("fromDate", "toDate", "count", "cursor")
_ORDERED = (*_PAGING, "order")
_WITH_COMMAS = ("url", "path", "flowControlKey")
_STATES: Mapping[str, tuple[LogState, ...]] = {
    **{state.value: (state,) for state in LogState},
    "CANCELLED": (LogState.CANCELED,),
    "IN_PROGRESS": (LogState.ACTIVE, LogState.RETRY, LogState.ERROR),
}


def log_filter(namespace: str, given: Iterable[Parameter]) -> HistoryFilter:
    """The filter of `GET /v2/logs`; unknown names are ignored. Raises InvalidInput naming the parameter."""
    return _Parameters(given, _LOG, _ORDERED).filter(namespace, "messageIds", MAX_LOG_COUNT)


def dead_letter_filter(namespace: str, given: Iterable[Parameter]) -> HistoryFilter:
    """The filter of the routes of the DLQ. Raises InvalidInput naming the parameter."""
    parameters = _Parameters(given, _DLQ, _ORDERED)
    parameters.refuse_others("the dead letter queue")
    return parameters.filter(namespace, "dlqIds", MAX_DLQ_COUNT)


def cancel_filter(namespace: str, given: Iterable[Parameter]) -> tuple[HistoryFilter, int | None]:
    """Which messages to cancel, and at most how many (None: all of them). Raises InvalidInput naming the parameter.

    A cursor is accepted and means nothing: what was canceled does not match again (contract 6).
    """
    parameters = _Parameters(given, _LIVE, _PAGING)
    parameters.refuse_others("messages to cancel")
    where = parameters.filter(namespace, "messageIds", MAX_CANCEL_COUNT)
    limited = parameters.has("count") and not where.message_ids
    return replace(where, cursor=None), where.count if limited else None


class _Parameters:
    """Parameters by name, and the tables of those that are conditions and those that turn pages."""

    def __init__(self, given: Iterable[Parameter], fields: Mapping[str, str], paging: Sequence[str]) -> None:
        self._fields = fields
        self._known = (*fields, *paging)
        self._given: dict[str, list[str]] = {}
        for name, value in given:
            if name in self._known and not _UTF8.fullmatch(value):
                raise InvalidInput(name, "is not valid UTF-8")
            self._given.setdefault(name, []).append(value)

    def has(self, name: str) -> bool:
        return name in self._given

    def refuse_others(self, of: str) -> None:
        for name in self._given:
            if name not in self._known:
                raise InvalidInput(name[:80], f"is not a filter of {of}; there are {', '.join(sorted(self._known))}")

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
            return tuple(bounded_number(value, name, 0, 999) for value in values)
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
        return DEFAULT_COUNT if text is None else bounded_number(text, "count", 1, most)

    def _time(self, name: str) -> datetime | None:
        text = self._last(name)
        return None if text is None else from_ms(bounded_number(text, name, 0, _LAST_MS))

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


def bounded_number(text: str, name: str, least: int, most: int) -> int:
    """A whole number in ASCII digits. Raises InvalidInput naming the parameter."""
    digits = text.strip()
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 20 and least <= int(digits) <= most):
        raise InvalidInput(name, f"{text[:40]!r} is not a whole number from {least} to {most}")
    return int(digits)
