"""Takes publications in: messages, bodies, first log entries, and leases for what can go out at once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from angarium.domain.declarations import Endpoint
from angarium.domain.errors import AngariumError, LimitExceeded, NotFound
from angarium.domain.fanout import expand, lane_of
from angarium.domain.messages import (
    Acceptance,
    Leased,
    LeaseGrant,
    LogState,
    Message,
    MessageState,
    Publication,
)
from angarium.domain.ports import Limits
from angarium.store.catalog import NamespaceCatalog, is_held
from angarium.store.journal import LogRow, log_row
from angarium.store.room import Room
from angarium.store.rows import message_row
from angarium.store.statements import load
from angarium.store.times import due_to_ms, to_ms
from angarium.store.transaction import Transaction

SQL = load("messages")


@dataclass(frozen=True, slots=True)
class Terms:
    """What every acceptance obeys."""

    limits: Limits
    new_id: Callable[[datetime], str]
    dedup_window: timedelta


class Intake:
    """Collects the rows of many publications; `store` writes them with a few statements."""

    def __init__(self, tx: Transaction, terms: Terms, grant: LeaseGrant | None) -> None:
        self.leased: list[Leased] = []
        self._tx = tx
        self._terms = terms
        self._room = Room(grant)
        self._catalogs: dict[str, NamespaceCatalog] = {}
        self._held: dict[str, tuple[int, int]] = {}
        self._seq = self._newest()
        self._messages: list[list[Any]] = []
        self._bodies: list[tuple[int, bytes]] = []
        self._log: list[LogRow] = []

    def take(self, publication: Publication, run: int | None = None) -> Acceptance | NotFound | LimitExceeded:
        """What became of one publication; an error leaves nothing behind. `run` is the row of its run."""
        try:
            acceptance = expand(publication, self._catalog(publication.namespace), self._terms.new_id)
            self._charge(publication, len(acceptance.messages))
        except (NotFound, LimitExceeded) as error:
            return error
        for message, url in zip(acceptance.messages, acceptance.urls, strict=True):
            self._add(message, url, run)
        return acceptance

    def store(self) -> None:
        self._tx.insert(SQL["insert"], self._messages)
        self._tx.insert(SQL["insert_body"], self._bodies)
        self._tx.insert(SQL["insert_log"], self._log)
        self._messages, self._bodies, self._log = [], [], []

    def _newest(self) -> int:
        row = self._tx.row(SQL["newest"])
        return int(row["seq"]) if row else 0

    def _catalog(self, namespace: str) -> NamespaceCatalog:
        if namespace not in self._catalogs:
            self._catalogs[namespace] = NamespaceCatalog(self._tx, namespace)
        return self._catalogs[namespace]

    def _charge(self, publication: Publication, count: int) -> None:
        """Raises LimitExceeded if the tenant would then hold more than it may."""
        namespace, limits = publication.namespace, self._terms.limits
        if namespace not in self._held:
            self._held[namespace] = self._tx.charged(namespace)
        waiting, stored = self._held[namespace]
        waiting, stored = waiting + count, stored + count * len(publication.body)
        if waiting > limits.waiting:
            text = f"namespace {namespace!r} has reached its limit of {limits.waiting} waiting messages"
            raise LimitExceeded(text, limits.waiting)
        if stored > limits.stored_bytes:
            text = f"namespace {namespace!r} has reached its limit of {limits.stored_bytes} stored bytes"
            raise LimitExceeded(text, limits.stored_bytes)
        self._held[namespace] = waiting, stored
        self._tx.charge(namespace, waiting=count, stored_bytes=count * len(publication.body))

    def _add(self, message: Message, url: str, run: int | None) -> None:
        self._seq += 1
        lane = f"{message.namespace}/{lane_of(message.url, message.endpoint)}"
        created_ms = to_ms(message.created_at)
        delayed = message.not_before > message.created_at
        due_ms = due_to_ms(message.not_before) if delayed else created_ms
        self._log.append(
            log_row(message.namespace, self._seq, created_ms, LogState.CREATED, url, due_ms if delayed else None)
        )
        if message.body:
            self._bodies.append((self._seq, message.body))
        row = message_row(self._seq, message, lane, run)
        if delayed or not self._lease(message, lane):
            self._tx.touch_lane(lane)
            self._messages.append([*row, MessageState.WAITING.value, 0, due_ms, 0, None, None, 0, None])
            return
        grant = self._room.grant
        assert grant is not None
        self._messages.append([*row, MessageState.DELIVERING.value, 0, due_ms, 1, grant.owner, grant.until, 0, None])
        self._log.append(log_row(message.namespace, self._seq, created_ms, LogState.ACTIVE, url))

    def _lease(self, message: Message, lane: str) -> bool:
        endpoint = None
        if message.endpoint is not None:
            declared = self._catalog(message.namespace).endpoint(message.endpoint)
            if is_held(declared):
                return False
            endpoint = declared.spec if declared and isinstance(declared.spec, Endpoint) else None
        if not self._room.take(lane, len(message.body)):
            return False
        self.leased.append(Leased(message, 0, 1, lane, endpoint))
        return True


def accept(
    tx: Transaction, publications: Sequence[Publication], grant: LeaseGrant | None, terms: Terms
) -> tuple[list[Acceptance | AngariumError], list[Leased]]:
    intake = Intake(tx, terms, grant)
    answers: list[Acceptance | AngariumError] = [intake.take(publication) for publication in publications]
    intake.store()
    return answers, intake.leased
