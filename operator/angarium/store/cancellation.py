"""Cancels messages that have not ended, in flight or not (contract 8.3, 21). No callback tells of it."""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from string import Template

from angarium.domain.declarations import Kind, ObjectRef
from angarium.domain.fanout import url_now
from angarium.domain.instants import to_ms
from angarium.domain.messages import Canceled, LogState, MessageState
from angarium.domain.views import HistoryFilter
from angarium.store.endings import end
from angarium.store.history import values_of
from angarium.store.intake import SQL as MESSAGES
from angarium.store.journal import LogRow, log_row
from angarium.store.statements import load
from angarium.store.transaction import Row, Session, Transaction, json_array

SQL = load("cancellation")
ALL = -1
_PLACES = ("waiting", "queued", "delivering")
_STATES = (LogState.CANCEL_REQUESTED, LogState.CANCELED)


def matching(session: Session, where: HistoryFilter, limit: int) -> list[int]:
    """Numbers of at most so many live messages that match: those in lanes, then in queues, then in flight.

    For a reader, not for the writer: a narrow filter may read past all that waits. With `message_ids` nothing else is
    asked (contract 6).
    """
    if where.message_ids:
        rows = session.rows(SQL["live_by_id"], json_array(dict.fromkeys(where.message_ids)))
        return [row["seq"] for row in rows if row["namespace"] == where.namespace][:limit]
    found: list[int] = []
    conditions = values_of(where)
    for place in _PLACES:
        if len(found) < limit:
            rows = session.rows(completed(place), **conditions, limit=limit - len(found))
            found += [row["seq"] for row in rows]
    return found


def cancel(tx: Transaction, namespace: str, seqs: Sequence[int], now: datetime) -> Canceled:
    """Cancel those of these messages that have not ended meanwhile."""
    rows = tx.rows(SQL["live"], namespace=namespace, seqs=json_array(seqs))
    runs = {row["run"] for row in rows} - {None}
    schedules = tx.rows(SQL["schedules_of"], json_array(runs)) if runs else ()
    refs = frozenset(ObjectRef(Kind.SCHEDULE, namespace, row["schedule"]) for row in schedules)
    return Canceled(_cancel(tx, rows, now), refs)


def cancel_run(tx: Transaction, run: int, now: datetime) -> list[str]:
    """Cancel a run's messages that are not terminal, in flight or not. Returns their ids."""
    rows = tx.rows(MESSAGES["live_of_run"], run)
    _cancel(tx, rows, now)
    return [row["id"] for row in rows]


def cancel_queue(tx: Transaction, namespace: str, queue: str, now: datetime, most: int = ALL) -> int:
    """Cancel messages of a queue that have not ended, first those that wait for a place. Returns how many."""
    return _cancel(tx, tx.rows(SQL["live_in_queue"], namespace, queue, most), now)


@cache
def completed(place: str) -> str:
    """The statement that looks for live messages in one of the places, with its conditions filled in."""
    matching = Template(SQL["matching"]).substitute(url=SQL["url"].partition("\n")[2])
    return Template(SQL[place]).substitute(matching=matching)


def _cancel(tx: Transaction, rows: Sequence[Row], now: datetime) -> int:
    now_ms = to_ms(now)

    def entries(row: Row) -> list[LogRow]:
        url = url_now(row["url"], None, row["endpoint"])
        return [log_row(row["namespace"], row["seq"], now_ms, state, url) for state in _STATES]

    end(tx, rows, MessageState.CANCELED, now, entries)
    return len(rows)
