"""Writes how attempts ended: states, attempts, log, dead letters, callbacks and what an Endpoint's status tells."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from angarium.domain.callbacks import Report
from angarium.domain.instants import due_to_ms, to_ms
from angarium.domain.messages import Attempt, LogState, MessageState, Outcome, Result
from angarium.store.callbacks import Callbacks
from angarium.store.intake import SQL, Terms
from angarium.store.journal import LogRow, error_row, log_row, write_log
from angarium.store.leases import fence_of, fenced
from angarium.store.letters import Letters
from angarium.store.rows import attempt_row
from angarium.store.transaction import Row, Transaction, json_array

_ENDS = {Result.DELIVERED: MessageState.DELIVERED, Result.FAILED: MessageState.FAILED}


def record(tx: Transaction, outcomes: Sequence[Outcome], now: datetime, terms: Terms) -> list[bool]:
    held = fenced(tx, (outcome.leased for outcome in outcomes))
    ledger = _Ledger(tx, now, terms)
    written = []
    for outcome in outcomes:
        row = held.pop(fence_of(outcome.leased), None)
        written.append(row is not None)
        if row is not None:
            ledger.enter(outcome, row)
    ledger.store()
    return written


class _Ledger:
    """Collects the rows of many outcomes; `store` writes them with a few statements."""

    def __init__(self, tx: Transaction, now: datetime, terms: Terms) -> None:
        self._tx = tx
        self._now = now
        self._now_ms = to_ms(now)
        self._changes: list[list[Any]] = []
        self._attempts: list[tuple[Any, ...]] = []
        self._log: list[LogRow] = []
        self._letters = Letters(tx, now)
        self._callbacks = Callbacks(tx, terms, now)
        self._postponed: list[int] = []
        self._deliveries: dict[tuple[str, str, str], dict[str, Any]] = {}

    def enter(self, outcome: Outcome, row: Row) -> None:
        if outcome.attempt is not None:
            self._enter_attempt(outcome, outcome.attempt, row["seq"])
        end = _ENDS.get(outcome.result)
        if end is not None:
            self._changes.append([row["seq"], end.value, outcome.leased.retried, None, self._now_ms])
            self._tx.end(row, end, self._now)
            return
        self._tx.end_lease(row)
        retried = outcome.leased.retried + (outcome.result is Result.RETRY)
        state = MessageState.RETRYING if retried else MessageState.WAITING
        due_ms = due_to_ms(outcome.next_at) if outcome.next_at else self._now_ms
        self._changes.append([row["seq"], state.value, retried, due_ms, None])
        if outcome.result is Result.POSTPONED:
            self._postponed.append(row["seq"])

    def store(self) -> None:
        tx = self._tx
        if self._postponed:
            tx.run(SQL["forget_activity"], json_array(self._postponed))
        tx.run(SQL["change"], json_array(self._changes))
        tx.insert(SQL["insert_attempt"], self._attempts)
        write_log(tx, self._log)
        self._letters.store()
        for delivery in self._deliveries.values():
            tx.run(SQL["note_delivery"], **delivery)
        self._callbacks.store()

    def _enter_attempt(self, outcome: Outcome, attempt: Attempt, seq: int) -> None:
        message = outcome.leased.message
        self._attempts.append((seq, *attempt_row(attempt)))
        self._log += self._entries(outcome, attempt, seq)
        if attempt.response and outcome.result is not Result.DELIVERED:
            self._tx.charge(message.namespace, stored_bytes=len(attempt.response.body))
        letter = None
        if outcome.result is Result.FAILED:
            letter = self._letters.add(message.namespace, seq, attempt.url, attempt.error, attempt.response)
        if message.callback or message.failure_callback:
            self._callbacks.tell(Report(message, attempt.url, outcome.leased.retried, attempt.response, letter))
        if message.endpoint is not None:
            self._note(message.namespace, message.endpoint, outcome, attempt)

    def _entries(self, outcome: Outcome, attempt: Attempt, seq: int) -> list[LogRow]:
        namespace, now_ms, url = outcome.leased.message.namespace, self._now_ms, attempt.url
        if outcome.result is Result.DELIVERED:
            return [log_row(namespace, seq, now_ms, LogState.DELIVERED, url)]
        reason = _reason(attempt)
        error = error_row(namespace, seq, now_ms, LogState.ERROR, url, reason, attempt.response)
        if outcome.result is Result.FAILED:
            return [error, error_row(namespace, seq, now_ms, LogState.FAILED, url, reason)]
        next_ms = due_to_ms(outcome.next_at) if outcome.next_at else None
        return [error, log_row(namespace, seq, now_ms, LogState.RETRY, url, next_ms)]

    def _note(self, namespace: str, name: str, outcome: Outcome, attempt: Attempt) -> None:
        """Sum up per Endpoint and URL: the last attempt, and failures since the last 2xx."""
        key = (namespace, name, attempt.url)
        before = self._deliveries.get(key, {"failures": 0, "delivered": False})
        delivered = outcome.result is Result.DELIVERED
        number, time_ms, duration_us, status, error = attempt_row(attempt)
        self._deliveries[key] = {
            "namespace": namespace,
            "name": name,
            "url": attempt.url,
            "delivered": delivered or before["delivered"],
            "failures": 0 if delivered else before["failures"] + 1,
            "message_id": outcome.leased.message.id,
            "number": number,
            "time_ms": time_ms,
            "duration_us": duration_us,
            "status": status,
            "error": error,
        }


def _reason(failed: Attempt) -> str:
    """What the log tells of an attempt that failed, with a response too (contract 15.2)."""
    if failed.error or failed.response is None:
        return failed.error
    return f"the destination answered with status {failed.response.status}"
