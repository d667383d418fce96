"""Ends messages without an attempt: canceled, or given up."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from angarium.domain.fanout import url_now
from angarium.domain.instants import to_ms
from angarium.domain.messages import LogState, MessageState
from angarium.store.intake import SQL
from angarium.store.journal import LogRow, error_row, write_log
from angarium.store.letters import Letters
from angarium.store.transaction import Row, Transaction, json_array


def end(
    tx: Transaction, rows: Sequence[Row], state: MessageState, now: datetime, entries: Callable[[Row], list[LogRow]]
) -> None:
    """End live messages with these log entries. Of each row: what `Transaction.end` asks for, id and `retried`."""
    now_ms = to_ms(now)
    tx.recall(rows)
    tx.run(SQL["change"], json_array([row["seq"], state.value, row["retried"], None, now_ms] for row in rows))
    write_log(tx, [entry for row in rows for entry in entries(row)])
    for row in rows:
        tx.end(row, state, now)


def give_up(tx: Transaction, rows: Sequence[Row], error: str, now: datetime) -> Mapping[int, str]:
    """Fail messages to an Endpoint that is gone with this error, and without a response.

    Returns the ids of their dead letters by the messages' numbers.
    """
    now_ms = to_ms(now)

    def entries(row: Row) -> list[LogRow]:
        return [error_row(row["namespace"], row["seq"], now_ms, LogState.FAILED, gone(row), error)]

    end(tx, rows, MessageState.FAILED, now, entries)
    letters = Letters(tx, now)
    ids = {row["seq"]: letters.add(row["namespace"], row["seq"], gone(row), error) for row in rows}
    letters.store()
    return ids


def gone(row: Row) -> str:
    """What stands for the URL of a message whose Endpoint is gone."""
    return url_now(None, None, row["endpoint"])
