"""Errors as HTTP answers: a status of contract 3.2 and `{"error": "…"}`, never a stack trace.

Any other exception is a defect: the connection logs it and answers 500.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from angarium.api.exchange import Answer
from angarium.domain.errors import (
    AngariumError,
    Conflict,
    InvalidInput,
    LimitExceeded,
    NotFound,
    QuotaReached,
    StoreError,
)
from angarium.service.admission import Overloaded
from angarium.service.publishing import Draining

LIMIT_RETRY_AFTER = timedelta(seconds=30)
STORE_RETRY_AFTER = timedelta(seconds=10)
DRAIN_RETRY_AFTER = timedelta(seconds=5)


class AboveMaximum(InvalidInput):
    """A well-formed value above what this server allows (412 in contract 3.2)."""


class Refusal(AngariumError):
    """An answer that only HTTP knows, with its own status; `close` also ends the connection."""

    def __init__(self, status: int, text: str, headers: Mapping[str, str] | None = None, *, close: bool = False):
        super().__init__(text)
        self.status = status
        self.headers = headers or {}
        self.close = close


def answer_of(error: AngariumError, now: datetime) -> Answer:
    """The answer that an error of ours becomes. An error that no request should meet is raised again: a defect."""
    text = _printable(str(error))
    match error:
        case Refusal():
            return Answer({"error": text}, error.status, error.headers, error.close)
        case AboveMaximum():
            return Answer({"error": text}, 412)
        case InvalidInput():
            return Answer({"error": text}, 400)
        case NotFound():
            return Answer({"error": text}, 404)
        case QuotaReached():
            return Answer({"error": text}, 412)
        case Conflict():
            return Answer({"error": text}, 409)
        case LimitExceeded(limit=limit):
            return Answer({"error": text}, 429, _limit_headers(limit, now))
        case Draining():
            return draining()
        case StoreError() | Overloaded():
            return Answer({"error": text}, 503, _retry_after(STORE_RETRY_AFTER))
        case _:
            raise error


def draining() -> Answer:
    """The answer while the program ends: another replica, or the next start, will take the request."""
    text = "Angarium is shutting down; try again in a few seconds"
    return Answer({"error": text}, 503, _retry_after(DRAIN_RETRY_AFTER), close=True)


def _retry_after(wait: timedelta) -> dict[str, str]:
    return {"Retry-After": str(int(wait.total_seconds()))}


def _limit_headers(limit: int, now: datetime) -> dict[str, str]:
    # The burst family: with RateLimit-Limit both SDKs would report the daily quota instead (contract 3.3).
    reset = int((now + LIMIT_RETRY_AFTER).timestamp())
    burst = {"Burst-RateLimit-Limit": str(limit), "Burst-RateLimit-Remaining": "0", "Burst-RateLimit-Reset": str(reset)}
    return {**_retry_after(LIMIT_RETRY_AFTER), **burst}


def _printable(text: str) -> str:
    # Bytes that were not UTF-8 arrive as surrogates, which JSON cannot carry.
    return text.encode(errors="backslashreplace").decode()
