"""Reading back: messages, log entries and dead letters, filtered and page by page (contract 5, 6)."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cache
from itertools import accumulate
from string import Template
from typing import Any, TypeVar

from angarium.domain.errors import InvalidInput
from angarium.domain.fanout import url_now
from angarium.domain.ids import dlq_id
from angarium.domain.instants import from_ms, optional_time, to_ms
from angarium.domain.messages import LogState, MessageState
from angarium.domain.ports import Retention
from angarium.domain.views import DeadLetter, HistoryFilter, LogEntry, MessageView, Page
from angarium.store.rows import endpoint_of, message_of, response_of
from angarium.store.statements import load
from angarium.store.transaction import Row, Session, json_array

T = TypeVar("T")
SQL = load("history")
_LAST = 2**63 - 1
_CURSOR = re.compile(r"(\d{1,18})(?:-(\d{1,18}))?", re.ASCII)
_LOG = {"time": "time_ms", "id": "id"}
_DEAD_LETTERS = {"time": "created_ms", "id": "seq"}
_ALL = -1
_LARGE = ("headers", "body", "response_headers", "response_body")
_WEIGHT = " + ".join(f"coalesce(length({column}), 0)" for column in _LARGE)
_BARE_LETTER = (
    "l.seq, l.created_ms AS time_ms, l.namespace, l.message, coalesce(length(l.response_body), 0) AS size, "
    f"{_WEIGHT} AS weight"
)
MOST_BYTES = 8 * 2**20
"""Of headers and bodies on one page, which may hold fewer items than asked for, but always one."""

_DLQ_ID = re.compile(r"(0|[1-9]\d{0,17})-(0|[1-9]\d{0,17})", re.ASCII)


def message(
    session: Session, namespace: str, message_id: str, now: datetime, retention: Retention
) -> MessageView | None:
    oldest = to_ms(now - retention.messages)
    row = session.row(SQL["message"], id=message_id, namespace=namespace, oldest=oldest)
    if row is None:
        return None
    state = MessageState(row["state"])
    return MessageView(
        message=message_of(row),
        url=url_now(row["url"], endpoint_of(row), row["endpoint"]),
        state=state,
        retried=row["retried"],
        due_at=None if state.terminal else from_ms(row["due_ms"]),
        finished_at=optional_time(row["finished_ms"]),
    )


def log(session: Session, where: HistoryFilter) -> Page[LogEntry]:
    """Asked for messages by id, all that a page can hold is on it, whatever `count` says."""
    conditions = _conditions(where)
    if where.message_ids:
        conditions["messages"] = json_array(set(where.message_ids))
        return _full_page(session, _complete("log_of_messages", _LOG, where), "log_id", _log_entry, conditions)
    return _page(session, _complete("log", _LOG, where), where.count, "log_id", _log_entry, conditions)


def dead_letters(session: Session, where: HistoryFilter) -> Page[DeadLetter]:
    """Asked for ids, all that a page can hold is on it; with `dlq_ids` nothing else is asked (contract 6)."""
    sql, conditions = _of_letters(where)
    if where.dlq_ids or where.message_ids:
        return _full_page(session, sql, "letter", _dead_letter, conditions)
    return _page(session, sql, where.count, "letter", _dead_letter, conditions)


def letters(session: Session, where: HistoryFilter) -> list[Row]:
    """The letters of a page, without reading them: seq, time_ms, namespace, message (number), and the lengths in
    bytes of the response (`size`) and of all that a page counts (`weight`).

    Asked for ids, they are all there; else one more than `count` if more match.
    """
    sql, conditions = _of_letters(where)
    limit = _ALL if where.dlq_ids or where.message_ids else where.count + 1
    return session.rows(_selecting(_BARE_LETTER, sql), **conditions, limit=limit)


def _of_letters(where: HistoryFilter) -> tuple[str, Mapping[str, Any]]:
    """The statement that reads them, and its parameters but for the limit."""
    if where.dlq_ids:
        only = HistoryFilter(where.namespace, newest_first=where.newest_first, cursor=where.cursor)
        keys = json_array(_letter_keys(where.dlq_ids))
        return _complete("dead_letters_by_id", _DEAD_LETTERS, only), {**_conditions(only), "letters": keys}
    if where.message_ids:
        ids = json_array(set(where.message_ids))
        return _complete("dead_letters_of_messages", _DEAD_LETTERS, where), {**_conditions(where), "messages": ids}
    return _complete("dead_letters", _DEAD_LETTERS, where), _conditions(where)


def _letter_keys(ids: Sequence[str]) -> set[tuple[int, int]]:
    """What cannot be an id of ours matches nothing."""
    return {(int(match[1]), int(match[2])) for text in ids if (match := _DLQ_ID.fullmatch(text))}


def _complete(statement: str, columns: Mapping[str, str], where: HistoryFilter) -> str:
    """The statement with its conditions and direction filled in."""
    order, beyond = ("DESC", "<") if where.newest_first else ("ASC", ">")
    return _completed(statement, order, beyond, **columns)


@cache
def _completed(statement: str, order: str, beyond: str, time: str, id: str) -> str:
    conditions = Template(SQL["conditions"]).substitute(order=order, beyond=beyond, time=time, id=id)
    return Template(SQL[statement]).substitute(conditions=conditions)


def values_of(where: HistoryFilter) -> dict[str, Any]:
    """What the messages, or what is told of them, are asked, as parameters; NULL: no condition."""
    return {
        "namespace": where.namespace,
        "since": to_ms(where.since) if where.since else -_LAST,
        "until": to_ms(where.until) if where.until else _LAST,
        "urls": _values(where.urls),
        "hosts": _values([host.lower() for host in where.hosts]),
        "paths": _values(where.paths),
        "topics": _values(where.topics),
        "schedules": _values(where.schedules),
        "queues": _values(where.queues),
        "flow_keys": _values(where.flow_keys),
        "caller_ips": _values(where.caller_ips),
        "labels": _values(where.labels),
    }


def _conditions(where: HistoryFilter) -> dict[str, Any]:
    time_ms, position = _position(where)
    return {
        **values_of(where),
        "time_ms": time_ms,
        "position": position,
        "states": _values(where.states),
        "statuses": _values(where.response_statuses),
    }


def _values(values: Sequence[Any]) -> str | None:
    return json_array(values) if values else None


def _position(where: HistoryFilter) -> tuple[int, int]:
    """Where the page begins. Besides our own, a bare time in milliseconds means "from then on" (contract 5)."""
    if where.cursor is None:
        return (_LAST, _LAST) if where.newest_first else (-_LAST, -1)
    match = _CURSOR.fullmatch(where.cursor)
    if match is None:
        raise InvalidInput("cursor", f"{where.cursor!r} is not a cursor; use the one that came with the last page")
    if match[2] is None:
        return int(match[1]), _LAST if where.newest_first else -1
    return int(match[2]), int(match[1])


def cursor_after(time_ms: int, key: int) -> str:
    """The position after an item. Its key comes first: clients read the leading number as what falls from page to
    page, and several items may share a millisecond."""
    return f"{key}-{time_ms}"


def _full_page(
    session: Session, sql: str, key: str, item: Callable[[Row], T], conditions: Mapping[str, Any]
) -> Page[T]:
    """As many as fit. They are sorted in memory, so their sizes are asked for first: else all bodies were sorted."""
    rows = session.rows(_sizes(sql), limit=_ALL, **conditions)
    fitting = sum(total <= MOST_BYTES for total in accumulate(size for (size,) in rows))
    return _page(session, sql, max(1, fitting), key, item, conditions)


def _sizes(sql: str) -> str:
    """The statement for what `_page` weighs, without reading it."""
    return _selecting(_WEIGHT, sql)


def _selecting(columns: str, sql: str) -> str:
    _, _, sources = sql.partition("\nFROM ")
    return f"SELECT {columns} FROM {sources}"


def _page(
    session: Session, sql: str, count: int, key: str, item: Callable[[Row], T], conditions: Mapping[str, Any]
) -> Page[T]:
    shown: list[T] = []
    cursor, size = "", 0
    for row in session.stream(sql, limit=count + 1, **conditions):
        size += sum(len(row[column] or b"") for column in _LARGE)
        if shown and (len(shown) == count or size > MOST_BYTES):
            return Page(tuple(shown), cursor)
        shown.append(item(row))
        cursor = cursor_after(row["time_ms"], row[key])
    return Page(tuple(shown), None)


def _log_entry(row: Row) -> LogEntry:
    return LogEntry(
        id=row["log_id"],
        time=from_ms(row["time_ms"]),
        state=LogState(row["log_state"]),
        url=row["log_url"],
        message=message_of(row),
        error=row["error"],
        next_delivery=optional_time(row["next_ms"]),
        response=response_of(row),
    )


def _dead_letter(row: Row) -> DeadLetter:
    return DeadLetter(
        id=dlq_id(row["time_ms"], row["letter"]),
        created_at=from_ms(row["time_ms"]),
        message=message_of(row),
        url=row["letter_url"],
        error=row["error"],
        response=response_of(row),
    )
