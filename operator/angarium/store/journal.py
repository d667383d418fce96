"""Rows of the log: one per step of a message's life (contract 21)."""

from collections.abc import Sequence
from typing import Any

from angarium.domain.messages import LogState, Response
from angarium.store.rows import response_row
from angarium.store.session import WritingSession
from angarium.store.statements import load

SQL = load("messages")
LogRow = tuple[Any, ...]
_STEP = 5
_NO_MORE = ("", None, None, None, None)


def log_row(namespace: str, seq: int, time_ms: int, state: LogState, url: str, next_ms: int | None = None) -> LogRow:
    """An entry that only says that a state was reached."""
    step = (namespace, time_ms, state.value, seq, url)
    return step if next_ms is None else (*step, "", next_ms, None, None, None)


def error_row(
    namespace: str, seq: int, time_ms: int, state: LogState, url: str, error: str, response: Response | None = None
) -> LogRow:
    """An entry that says what went wrong."""
    return (namespace, time_ms, state.value, seq, url, error, None, *response_row(response))


def write_log(session: WritingSession, rows: Sequence[LogRow]) -> None:
    """Store entries in this order. Most are mere steps, which are cheaper to store among themselves."""
    if all(len(row) == _STEP for row in rows):
        session.insert(SQL["insert_step"], rows)
    else:
        session.insert(SQL["insert_log"], [row if len(row) > _STEP else (*row, *_NO_MORE) for row in rows])
