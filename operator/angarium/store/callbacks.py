"""Callbacks come to be in the operation that writes the outcome they tell (contract 20)."""

from datetime import datetime

from angarium.domain.callbacks import Report, callbacks_of
from angarium.domain.errors import NotFound
from angarium.domain.fanout import undeliverable
from angarium.domain.messages import Publication
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
            message = undeliverable(publication, self._terms.new_id)
            self._intake.take_message(message, forced=True)
            self._undeliverable.append(message.id)
