"""Callbacks come to be in the operation that writes the outcome they tell (contract 20)."""

from collections.abc import Sequence
from datetime import datetime

from angarium.domain.callbacks import Report, callbacks_of
from angarium.domain.declarations import Declared, Kind, ObjectRef, Rejection
from angarium.domain.errors import NotFound
from angarium.domain.fanout import expand
from angarium.domain.messages import Message, Publication
from angarium.store.cancellation import SQL
from angarium.store.endings import give_up
from angarium.store.intake import Intake, Terms
from angarium.store.transaction import Transaction, json_array

_MISSING = "EndpointMissing: the Endpoint of this callback does not exist; declare it, then retry this dead letter"


class Callbacks:
    """Those that one operation causes; `store` writes them, and has to be called before the operation ends.

    They are accepted whatever the tenant's limits are. One to an Endpoint that does not exist becomes a dead letter at
    once: it neither gets lost nor stands in the way of the outcome.
    """

    def __init__(self, tx: Transaction, terms: Terms, now: datetime) -> None:
        self._tx = tx
        self._terms = terms
        self._now = now
        self._intake: Intake | None = None
        self._undeliverable: list[str] = []

    def tell(self, report: Report) -> None:
        for publication in callbacks_of(report, self._now):
            self._take(publication)

    def store(self) -> None:
        if self._intake is None:
            return
        self._intake.store()
        if self._undeliverable:
            namespaced = self._tx.rows(SQL["live_by_id"], json_array(self._undeliverable))
            give_up(self._tx, namespaced, _MISSING, self._now)
            self._undeliverable = []

    def _take(self, publication: Publication) -> None:
        if self._intake is None:
            self._intake = Intake(self._tx, self._terms, None)
        if isinstance(self._intake.take(publication, forced=True), NotFound):
            message = _addressed_anyway(publication, self._terms)
            self._intake.take_message(message, forced=True)
            self._undeliverable.append(message.id)


def _addressed_anyway(publication: Publication, terms: Terms) -> Message:
    return expand(publication, _Unusable(publication), terms.new_id).messages[0]


class _Unusable:
    """A catalog in which every Endpoint is there, but none can be used."""

    def __init__(self, publication: Publication) -> None:
        self._publication = publication

    def endpoint(self, name: str) -> Declared | None:
        ref = ObjectRef(Kind.ENDPOINT, self._publication.namespace, name)
        spec = Rejection("NotFound", f"{ref} does not exist")
        return Declared(ref, "", 0, "", self._publication.created_at, spec)

    def topic(self, name: str) -> Declared | None:
        return None

    def endpoints_matching(self, labels: dict[str, str]) -> Sequence[Declared]:
        return ()
