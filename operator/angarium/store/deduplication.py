"""Deduplication: for a while a key stands for the first message that was accepted under it (contract 22.1)."""

from dataclasses import replace
from datetime import datetime, timedelta

from angarium.domain.deduplication import key_of_member
from angarium.domain.flow_control import CLOCK_SKEW
from angarium.domain.instants import due_to_ms, to_ms
from angarium.domain.messages import Acceptance, Duplicate, Message, Publication
from angarium.store.statements import load
from angarium.store.transaction import Transaction

SQL = load("deduplication")


def without_duplicates(
    tx: Transaction, publication: Publication, key: bytes, acceptance: Acceptance, window: timedelta
) -> Acceptance:
    """The messages that are new, and which ones the others repeat; a group may repeat one of its own members."""
    found: dict[bytes, tuple[str, str]] = {}
    fresh: list[tuple[Message, str]] = []
    duplicates = []
    for place, (message, url) in enumerate(zip(acceptance.messages, acceptance.urls, strict=True)):
        own = _key_of(message, key)
        first = found.get(own) or _first(tx, own, publication, window)
        if first is None:
            found[own] = message.id, url
            fresh.append((message, url))
        else:
            duplicates.append(Duplicate(place, *first, message.endpoint_name))
    return replace(
        acceptance,
        messages=tuple(message for message, _ in fresh),
        urls=tuple(url for _, url in fresh),
        duplicates=tuple(duplicates),
    )


def remember(tx: Transaction, publication: Publication, key: bytes, acceptance: Acceptance, window: timedelta) -> None:
    """Keep the keys of the messages that are accepted. The unique constraint has the last word."""
    expires_ms = due_to_ms(publication.created_at + window)
    for message, url in zip(acceptance.messages, acceptance.urls, strict=True):
        own = _key_of(message, key)
        tx.run(SQL["forget"], **_in_force(publication, own, window))
        tx.run(SQL["insert"], message.namespace, own, message.id, url, expires_ms)


def _first(tx: Transaction, key: bytes, publication: Publication, window: timedelta) -> tuple[str, str] | None:
    """The message that the key stands for, and the URL that it resolved to."""
    row = tx.row(SQL["first"], **_in_force(publication, key, window))
    return (row["message_id"], row["url"]) if row else None


def _in_force(publication: Publication, key: bytes, window: timedelta) -> dict[str, object]:
    """Parameters of what asks whether the key stands for a message now."""
    now = publication.created_at
    latest_ms = due_to_ms(now + window + CLOCK_SKEW)
    return {"namespace": publication.namespace, "key": key, "now": to_ms(now), "latest": latest_ms}


def _key_of(message: Message, key: bytes) -> bytes:
    """Within a group every member has a key of its own."""
    return key if message.topic is None else key_of_member(key, message.url, message.endpoint)


def purge(tx: Transaction, now: datetime, limit: int) -> int:
    """Forget keys whose window is over. Returns how many."""
    return tx.run(SQL["purge"], now=to_ms(now), limit=limit)
