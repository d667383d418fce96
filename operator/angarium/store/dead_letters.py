"""Dead letters that leave: deleted, or published anew (contract 9). They are looked for by a reader before."""

from collections.abc import Sequence
from datetime import datetime

from angarium.domain.errors import LimitExceeded, QuotaReached
from angarium.domain.ids import dlq_id
from angarium.domain.messages import LeaseGrant, Message, Overrides
from angarium.domain.ports import Retried
from angarium.domain.repeats import repeated
from angarium.domain.views import HistoryFilter, Page
from angarium.store.catalog import NamespaceCatalog
from angarium.store.history import MOST_BYTES, cursor_after
from angarium.store.intake import Intake, Terms
from angarium.store.letters import SQL, remove
from angarium.store.portions import fitting
from angarium.store.rows import message_of
from angarium.store.transaction import Row, Transaction, json_array

_AT_ONCE = 500
"""Listed letters that are deleted in one transaction."""


def delete(tx: Transaction, where: HistoryFilter, found: Sequence[Row]) -> Page[str]:
    """`found` are the letters that a reader found. Nothing but numbers and lengths is read of what goes.

    The page ends early when it is long or its bodies are large, listed letters or not: the writer has others to serve.
    """
    page = fitting(found[:_AT_ONCE] if _listed(where) else found[: where.count], MOST_BYTES, "weight")
    left = _left(tx, page)
    remove(tx, left)
    return Page(tuple(map(_id, left)), _cursor(found, page))


def retry(
    tx: Transaction,
    where: HistoryFilter,
    found: Sequence[Row],
    overrides: Overrides,
    grant: LeaseGrant | None,
    now: datetime,
    terms: Terms,
) -> Retried:
    """As `delete`. Raises LimitExceeded or QuotaReached; then nothing has changed: a page is retried as a whole."""
    page = fitting(found if _listed(where) else found[: where.count], MOST_BYTES, "weight")
    left = _left(tx, page)
    rows = {row["seq"]: row for row in tx.rows(SQL["messages"], json_array(row["message"] for row in left))}
    catalog = NamespaceCatalog(tx, where.namespace)
    old = {row["seq"]: message_of(rows[row["message"]]) for row in _in_order(left, where)}
    deliverable = {seq: message for seq, message in old.items() if _has_destination(message, catalog)}
    # The letters go first: a body that nothing else needs then makes room for its successor.
    remove(tx, [row for row in left if row["seq"] in deliverable])
    intake = Intake(tx, terms, grant)
    new = [repeated(message, overrides, terms.new_id(now), now) for message in deliverable.values()]
    urls = tuple(_taken(intake, message) for message in new)
    intake.store()
    return Retried(tuple(new), urls, tuple(intake.leased), len(left), _cursor(found, page))


def _left(tx: Transaction, page: Sequence[Row]) -> list[Row]:
    """Of these letters, those that nobody has taken out of the queue since they were found."""
    left = {row["seq"] for row in tx.rows(SQL["left"], json_array(row["seq"] for row in page))}
    return [row for row in page if row["seq"] in left]


def _listed(where: HistoryFilter) -> bool:
    """All of them are meant, however many."""
    return bool(where.dlq_ids or where.message_ids)


def _id(row: Row) -> str:
    return dlq_id(row["time_ms"], row["seq"])


def _cursor(found: Sequence[Row], page: Sequence[Row]) -> str | None:
    """The position after the page, if more match. It names no row, so it outlives those before it."""
    return cursor_after(page[-1]["time_ms"], page[-1]["seq"]) if len(page) < len(found) else None


def _in_order(page: Sequence[Row], where: HistoryFilter) -> Sequence[Row]:
    """Listed letters as they were listed; else the oldest first, for this is how they join their queues."""
    if where.dlq_ids:
        places = {text: place for place, text in enumerate(dict.fromkeys(where.dlq_ids))}
        return sorted(page, key=lambda row: places[_id(row)])
    return page[::-1] if where.newest_first else page


def _has_destination(message: Message, catalog: NamespaceCatalog) -> bool:
    return message.endpoint is None or catalog.endpoint(message.endpoint) is not None


def _taken(intake: Intake, message: Message) -> str:
    url = intake.take_message(message)
    if isinstance(url, LimitExceeded | QuotaReached):
        raise url
    return url
