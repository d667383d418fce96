"""What the response to an attempt means (contract 18). An attempt without a response never comes here."""

from collections.abc import Sequence
from enum import Enum

from .headers import HeaderMap

_NON_RETRYABLE_STATUS = 489
_NON_RETRYABLE_HEADER = "upstash-nonretryable-error"


class Verdict(Enum):
    """DELIVERED ends a message well, NON_RETRYABLE ends it as failed, RETRYABLE costs it a retry."""

    DELIVERED = "delivered"
    RETRYABLE = "retryable"
    NON_RETRYABLE = "non-retryable"


def classify(status: int, headers: HeaderMap) -> Verdict:
    """Judge a response by its final status and its headers (lower-case names), as in contract 18.

    Status 489 ends the message only together with `Upstash-NonRetryable-Error: true`, in any case.
    """
    if 200 <= status <= 299:
        return Verdict.DELIVERED
    if status == _NON_RETRYABLE_STATUS and _says_true(headers.get(_NON_RETRYABLE_HEADER, ())):
        return Verdict.NON_RETRYABLE
    return Verdict.RETRYABLE


def _says_true(values: Sequence[str]) -> bool:
    return any(value.strip().lower() == "true" for value in values)
