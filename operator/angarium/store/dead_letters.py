"""Dead letters that leave: deleted, or published anew (contract 9)."""

from datetime import datetime

from angarium.domain.messages import LeaseGrant, Overrides
from angarium.domain.ports import Retried
from angarium.domain.views import HistoryFilter, Page
from angarium.store.intake import Terms
from angarium.store.transaction import Transaction


def delete(tx: Transaction, where: HistoryFilter) -> Page[str]:
    raise NotImplementedError


def retry(
    tx: Transaction,
    where: HistoryFilter,
    overrides: Overrides,
    grant: LeaseGrant | None,
    now: datetime,
    terms: Terms,
) -> Retried:
    raise NotImplementedError
