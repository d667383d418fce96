"""Flow-control keys as the store keeps them: read for the API, and changed by people (contract 13)."""

from collections.abc import Sequence
from datetime import datetime

from angarium.domain.flow_control import FlowChange
from angarium.domain.views import FlowControlView
from angarium.store.transaction import Session, Transaction


def flow_controls(session: Session, namespace: str, search: str, now: datetime) -> Sequence[FlowControlView]:
    raise NotImplementedError


def flow_control(session: Session, namespace: str, key: str, now: datetime) -> FlowControlView | None:
    raise NotImplementedError


def change(tx: Transaction, namespace: str, key: str, change: FlowChange, now: datetime) -> None:
    raise NotImplementedError


def delivering(session: Session, namespace: str) -> int:
    raise NotImplementedError
