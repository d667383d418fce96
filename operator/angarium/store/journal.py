"""Rows of the log: one per step of a message's life (contract 21)."""

from typing import Any

from angarium.domain.messages import LogState, Response
from angarium.store.rows import response_row

LogRow = tuple[Any, ...]
_NO_RESPONSE = (None, None, None)


def log_row(namespace: str, seq: int, time_ms: int, state: LogState, url: str, next_ms: int | None = None) -> LogRow:
    """An entry that only says that a state was reached."""
    return (namespace, time_ms, state.value, seq, url, "", next_ms, *_NO_RESPONSE)


def error_row(
    namespace: str, seq: int, time_ms: int, state: LogState, url: str, error: str, response: Response | None = None
) -> LogRow:
    """An entry that says what went wrong."""
    return (namespace, time_ms, state.value, seq, url, error, None, *response_row(response))
