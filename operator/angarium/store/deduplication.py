"""Deduplication: for a while a key stands for the first message that was accepted under it (contract 22.1)."""

from dataclasses import replace
from datetime import datetime, timedelta

from angarium.domain.deduplication import key_of_member
from angarium.domain.messages import Acceptance, Duplicate, Message, Publication
from angarium.store.statements import load
from angarium.store.times import due_to_ms, to_ms
from angarium.store.transaction import Transaction

SQL = load("deduplication")


class Deduplication:
    """Of one publication. Within a group every member has a key of its own."""

    def __init__(self, tx: Transaction, publication: Publication, window: timedelta) -> None:
        self._tx = tx
        self._publication = publication
        self._window = window

    def without_duplicates(self, acceptance: Acceptance) -> Acceptance:
        """The messages that are new, and which ones the others repeat; a group may repeat one of its own members."""
        if self._publication.dedup_key is None:
            return acceptance
        found: dict[bytes, tuple[str, str]] = {}
        fresh: list[tuple[Message, str]] = []
        duplicates = []
        for place, (message, url) in enumerate(zip(acceptance.messages, acceptance.urls, strict=True)):
            key = self._key(message)
            first = found.get(key) or self._first(key)
            if first is None:
                found[key] = message.id, url
                fresh.append((message, url))
            else:
                duplicates.append(Duplicate(place, *first, message.endpoint_name))
        return replace(
            acceptance,
            messages=tuple(message for message, _ in fresh),
            urls=tuple(url for _, url in fresh),
            duplicates=tuple(duplicates),
        )

    def remember(self, acceptance: Acceptance) -> None:
        """Keep the keys of the messages that are accepted. The unique constraint has the last word."""
        if self._publication.dedup_key is None:
            return
        now = self._publication.created_at
        expires_ms = due_to_ms(now + self._window)
        for message, url in zip(acceptance.messages, acceptance.urls, strict=True):
            row = (message.namespace, self._key(message), message.id, url, expires_ms)
            self._tx.run(SQL["forget"], *row[:2], to_ms(now))
            self._tx.run(SQL["insert"], *row)

    def _first(self, key: bytes) -> tuple[str, str] | None:
        """The message that the key stands for, and the URL that it resolved to."""
        publication = self._publication
        row = self._tx.row(SQL["first"], publication.namespace, key, to_ms(publication.created_at))
        return (row["message_id"], row["url"]) if row else None

    def _key(self, message: Message) -> bytes:
        key = self._publication.dedup_key
        assert key is not None
        return key if message.topic is None else key_of_member(key, message.url, message.endpoint)


def purge(tx: Transaction, now: datetime, limit: int) -> int:
    """Forget keys whose window is over. Returns how many."""
    return tx.run(SQL["purge"], now=to_ms(now), limit=limit)
