"""Queues: who may take a place, and who gives one back (contract 22)."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from angarium.domain.declarations import ObjectRef
from angarium.store.transaction import Transaction


def free_places(
    tx: Transaction, ended_before: datetime, now: datetime, limit: int
) -> Mapping[ObjectRef, Sequence[str]]:
    raise NotImplementedError
