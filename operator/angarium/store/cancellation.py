"""Ends messages without an attempt: canceled with their run, or given up because their Endpoint is gone."""

from collections.abc import Callable, Sequence
from datetime import datetime

from angarium.domain.fanout import url_now
from angarium.domain.messages import LogState, MessageState
from angarium.domain.views import HistoryFilter
from angarium.store.intake import SQL
from angarium.store.journal import LogRow, error_row, log_row
from angarium.store.times import to_ms
from angarium.store.transaction import Row, Transaction, json_array


def cancel(tx: Transaction, where: HistoryFilter, limit: int, now: datetime) -> int:
    raise NotImplementedError


def cancel_run(tx: Transaction, run: int, now: datetime) -> list[str]:
    """Cancel a run's messages that are not terminal, in flight or not. Returns their ids."""
    rows = tx.rows(SQL["live_of_run"], run)
    now_ms = to_ms(now)

    def entries(row: Row) -> list[LogRow]:
        url = url_now(row["url"], None, row["endpoint"])
        states = (LogState.CANCEL_REQUESTED, LogState.CANCELED)
        return [log_row(row["namespace"], row["seq"], now_ms, state, url) for state in states]

    _end(tx, rows, MessageState.CANCELED, now, entries)
    return [row["id"] for row in rows]


def give_up(tx: Transaction, rows: Sequence[Row], error: str, now: datetime) -> None:
    """Fail messages to an Endpoint that is gone with this error, and without a response."""
    now_ms = to_ms(now)

    def gone(row: Row) -> str:
        return url_now(None, None, row["endpoint"])

    def entries(row: Row) -> list[LogRow]:
        return [error_row(row["namespace"], row["seq"], now_ms, LogState.FAILED, gone(row), error)]

    _end(tx, rows, MessageState.FAILED, now, entries)
    dead = [(row["namespace"], now_ms, row["seq"], gone(row), error, None, None, None) for row in rows]
    tx.insert(SQL["insert_dead_letter"], dead)
    for row in rows:
        tx.charge(row["namespace"], dead_letters=1)


def _end(
    tx: Transaction, rows: Sequence[Row], state: MessageState, now: datetime, entries: Callable[[Row], list[LogRow]]
) -> None:
    now_ms = to_ms(now)
    tx.run(SQL["change"], json_array([row["seq"], state.value, row["retried"], None, now_ms] for row in rows))
    tx.insert(SQL["insert_log"], [entry for row in rows for entry in entries(row)])
    for row in rows:
        tx.end(row, state, now)
