"""Takes publications in: messages, bodies, first log entries, and leases for what can go out at once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from angarium.domain.declarations import Endpoint, Kind
from angarium.domain.errors import AngariumError, LimitExceeded, NotFound, QuotaReached
from angarium.domain.fanout import expand, lane_of, lane_under, url_now
from angarium.domain.instants import due_to_ms, to_ms
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
from angarium.store import deduplication
from angarium.store.catalog import NamespaceCatalog, check_quota, is_held, make_queue
from angarium.store.journal import LogRow, log_row, write_log
from angarium.store.places import NO_QUEUE, Joined
from angarium.store.room import Room
from angarium.store.rows import is_plain, message_row, plain_row
from angarium.store.starts import SQL as FLOW_CONTROL
from angarium.store.starts import effective_key
from angarium.store.statements import load
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
        self._passed: set[tuple[str, str]] = set()  # flow-control keys with messages that could not start
        self._seq = self._newest()
        self._messages: list[tuple[Any, ...]] = []
        self._plain: list[tuple[Any, ...]] = []
        self._bodies: list[tuple[int, bytes]] = []
        self._log: list[LogRow] = []

    def take(
        self, publication: Publication, run: int | None = None, *, forced: bool = False
    ) -> Acceptance | NotFound | LimitExceeded | QuotaReached:
        """What became of one publication; an error leaves nothing behind. `run` is the row of its run.

        `forced`: whatever the tenant's limits are.
        """
        try:
            acceptance = expand(publication, self._catalog(publication.namespace), self._terms.new_id)
            self._check_queue(publication.namespace, publication.queue, publication.created_at)
            if publication.dedup_key is not None:
                key, window = publication.dedup_key, self._terms.dedup_window
                acceptance = deduplication.without_duplicates(self._tx, publication, key, acceptance, window)
            self._charge(publication.namespace, len(acceptance.messages), len(publication.body), forced=forced)
        except (NotFound, LimitExceeded, QuotaReached) as error:
            return error
        if publication.dedup_key is not None:
            window = self._terms.dedup_window
            deduplication.remember(self._tx, publication, publication.dedup_key, acceptance, window)
        for message, url in zip(acceptance.messages, acceptance.urls, strict=True):
            self._add(message, url, run)
        return acceptance

    def take_message(self, message: Message, *, forced: bool = False) -> str | LimitExceeded | QuotaReached:
        """Accept a message as it is. Returns the URL that it resolves to; an error leaves nothing behind."""
        try:
            self._check_queue(message.namespace, message.queue, message.created_at)
            self._charge(message.namespace, 1, len(message.body), forced=forced)
        except (LimitExceeded, QuotaReached) as error:
            return error
        url = url_now(message.url, self._endpoint(message), message.endpoint)
        self._add(message, url, None)
        return url

    def store(self) -> None:
        self._tx.insert(SQL["insert_plain"], self._plain)
        self._tx.insert(SQL["insert"], self._messages)
        self._tx.insert(SQL["insert_body"], self._bodies)
        write_log(self._tx, self._log)
        self._plain, self._messages, self._bodies, self._log = [], [], [], []

    def _newest(self) -> int:
        row = self._tx.row(SQL["newest"])
        return int(row["seq"]) if row else 0

    def _catalog(self, namespace: str) -> NamespaceCatalog:
        if namespace not in self._catalogs:
            self._catalogs[namespace] = NamespaceCatalog(self._tx, namespace)
        return self._catalogs[namespace]

    def _charge(self, namespace: str, count: int, size: int, *, forced: bool = False) -> None:
        """Raises LimitExceeded if the tenant would then hold more than it may."""
        limits = self._terms.limits
        if namespace not in self._held:
            self._held[namespace] = self._tx.charged(namespace)
        waiting, stored = self._held[namespace]
        waiting, stored = waiting + count, stored + count * size
        if waiting > limits.waiting and count and not forced:
            text = f"namespace {namespace!r} has reached its limit of {limits.waiting} waiting messages"
            raise LimitExceeded(text, limits.waiting)
        if stored > limits.stored_bytes and count and not forced:
            text = f"namespace {namespace!r} has reached its limit of {limits.stored_bytes} stored bytes"
            raise LimitExceeded(text, limits.stored_bytes)
        self._held[namespace] = waiting, stored
        self._tx.charge(namespace, waiting=count, stored_bytes=count * size)

    def _add(self, message: Message, url: str, run: int | None) -> None:
        self._seq += 1
        flow = message.flow_control.key if message.flow_control else None
        held: tuple[Any, ...]
        destination = _destination(message.namespace, message.url, message.endpoint)
        lane = lane_under(destination, message.endpoint, flow)
        created_ms = to_ms(message.created_at)
        delayed = message.not_before > message.created_at
        due_ms = due_to_ms(message.not_before) if delayed else created_ms
        self._log.append(
            log_row(message.namespace, self._seq, created_ms, LogState.CREATED, url, due_ms if delayed else None)
        )
        if message.body:
            self._bodies.append((self._seq, message.body))
        if message.flow_control is not None:
            self._tx.starts.configure(message.namespace, message.flow_control, message.created_at)
        joined = NO_QUEUE if message.queue is None else self._join(message, message.queue, delayed)
        if not delayed and joined.alone and (grant := self._lease(message, destination)):
            held = (MessageState.DELIVERING.value, due_ms, 1, grant.owner, grant.until)
            self._log.append(log_row(message.namespace, self._seq, created_ms, LogState.ACTIVE, url))
        else:
            held = (MessageState.WAITING.value, due_ms, 0, None, None)
            if not joined.queued:
                self._tx.touch_lane(lane)
        if run is None and is_plain(message):
            self._plain.append((*plain_row(self._seq, message, lane), *held))
        else:
            place = (joined.queued, joined.joined_ms)
            self._messages.append((*message_row(self._seq, message, lane, run), *held, *place))

    def _check_queue(self, namespace: str, queue: str | None, now: datetime) -> None:
        """Raises QuotaReached if a queue would have to be made, and the tenant has as many as it may make."""
        if queue is not None and not self._tx.places.declared(namespace, queue, now):
            check_quota(self._tx, Kind.QUEUE, namespace, self._terms.limits.queues)

    def _join(self, message: Message, queue: str, delayed: bool) -> Joined:
        """Into its queue, which is made if there is none."""
        namespace, now = message.namespace, message.created_at
        if not self._tx.places.declared(namespace, queue, now):
            make_queue(self._tx, namespace, queue, now)
            self._tx.places.refresh([(namespace, queue)], now)
        return self._tx.places.join(namespace, queue, now, message.not_before if delayed else None)

    def _endpoint(self, message: Message) -> Endpoint | None:
        declared = self._catalog(message.namespace).endpoint(message.endpoint) if message.endpoint else None
        return declared.spec if declared and isinstance(declared.spec, Endpoint) else None

    def _lease(self, message: Message, destination: str) -> LeaseGrant | None:
        """The grant under which it goes out at once, because nothing holds it back and there is room."""
        if message.endpoint is not None and is_held(self._catalog(message.namespace).endpoint(message.endpoint)):
            return None
        flow = effective_key(message.flow_control.key if message.flow_control else None, message.endpoint)
        if flow is not None and not self._may_start(message, flow):
            return None
        if not self._room.take(destination, len(message.body)):
            self._passed.add((message.namespace, flow or ""))
            return None
        gated = flow is not None and self._tx.starts.start(message.namespace, flow, message.created_at)
        self.leased.append(Leased(message, 0, 1, destination, self._endpoint(message), gated))
        return self._room.grant

    def _may_start(self, message: Message, flow: str) -> bool:
        """Whether its flow control lets it start: not before those who wait already."""
        key, starts, now = (message.namespace, flow), self._tx.starts, message.created_at
        if not starts.limits(*key):
            return True
        if key in self._passed or not starts.open(*key, now) or self._somebody_waits(*key, now):
            self._passed.add(key)
            return False
        return True

    def _somebody_waits(self, namespace: str, flow: str, now: datetime) -> bool:
        sql = FLOW_CONTROL["somebody_waits"]
        return self._tx.row(sql, namespace=namespace, key=flow, now=to_ms(now)) is not None


@lru_cache(maxsize=4096)
def _destination(namespace: str, url: str | None, endpoint: str | None) -> str:
    return f"{namespace}/{lane_of(url, endpoint)}"


def accept(
    tx: Transaction, publications: Sequence[Publication], grant: LeaseGrant | None, terms: Terms
) -> tuple[list[Acceptance | AngariumError], list[Leased]]:
    intake = Intake(tx, terms, grant)
    answers: list[Acceptance | AngariumError] = [intake.take(publication) for publication in publications]
    intake.store()
    return answers, intake.leased
