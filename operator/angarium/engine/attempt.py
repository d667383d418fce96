"""One attempt, from a leased message to its outcome: build the request, send it, judge it, time the retry.

Writes nothing and never raises: whatever happens to one message becomes its outcome.
"""

import logging
import random
from datetime import timedelta

from angarium.domain.classification import Verdict, classify
from angarium.domain.errors import ReferenceMissing, ReferenceUnavailable, SenderLost, SendError
from angarium.domain.messages import Attempt, Leased, Outcome, Response, Result
from angarium.domain.ports import Clock, References, Sender
from angarium.domain.reasons import FailureReason
from angarium.domain.retries import next_delay

from .target import KeyPairs, request_of, url_of

POSTPONEMENT = timedelta(seconds=15)
"""When a Secret that cannot be read now is asked for again (DESIGN 5, Secrets)."""

MOST_LOSSES = 3
"""A message that was on its way so many times in a row when what sends was lost may be the cause of it: then the loss
counts as a failed attempt, so that it ends in the dead letter queue instead of ending the program for ever."""

_MAX_ERROR = 256
_LOST = f"what sends ended {MOST_LOSSES} times in a row while this was on its way; the log says why"
_DEFECT = "the attempt failed inside Angarium; its log says why"
_log = logging.getLogger(__name__)


class Attempts:
    """Carries attempts out, many at once. `retry_jitter` lengthens each retry's delay by a random share up to this."""

    def __init__(
        self,
        sender: Sender,
        references: References,
        keys: KeyPairs,
        clock: Clock,
        *,
        retry_jitter: float = 0.0,
    ) -> None:
        self._sender = sender
        self._references = references
        self._keys = keys
        self._clock = clock
        self._retry_jitter = retry_jitter
        self._losses: dict[str, int] = {}

    async def perform(self, leased: Leased) -> Outcome:
        """The outcome of one attempt, or POSTPONED if none could be made now."""
        if _held(leased):
            return self._postponed(leased, timedelta(0))
        started_at, started = self._clock.now(), self._clock.monotonic()
        response, reason, error = None, None, ""
        try:
            response = await self._send(leased)
        except ReferenceUnavailable as problem:
            _log.warning(
                "message %s waits: %s",
                leased.message.id,
                problem,
                extra={"action": "message.postpone", "about": leased.message},
            )
            return self._postponed(leased, POSTPONEMENT)
        except SenderLost:
            if self._losses_of(leased.message.id) < MOST_LOSSES:
                return self._postponed(leased, timedelta(0))
            reason, error = FailureReason.INTERNAL_ERROR, _LOST
        except (SendError, ReferenceMissing) as problem:
            reason, error = FailureReason(problem.reason), str(problem)
        except Exception:  # noqa: BLE001  one message that cannot be handled must not stop the others
            _log.exception(
                "the attempt to deliver message %s failed for an unforeseen reason",
                leased.message.id,
                extra={"action": "attempt.fail", "about": leased.message},
            )
            reason, error = FailureReason.INTERNAL_ERROR, _DEFECT
        self._losses.pop(leased.message.id, None)
        duration = timedelta(seconds=self._clock.monotonic() - started)
        told = f"{reason}: {error}"[:_MAX_ERROR] if reason else ""
        attempt = Attempt(leased.retried + 1, url_of(leased), started_at, duration, response, reason, told)
        return self._judged(leased, attempt)

    async def _send(self, leased: Leased) -> Response:
        return await self._sender.send(await request_of(leased, self._references, self._keys))

    def _losses_of(self, message_id: str) -> int:
        losses = self._losses[message_id] = self._losses.get(message_id, 0) + 1
        return losses

    def _judged(self, leased: Leased, attempt: Attempt) -> Outcome:
        headers = _header_map(attempt.response)
        verdict = classify(attempt.response.status, headers) if attempt.response else Verdict.RETRYABLE
        if verdict is Verdict.DELIVERED:
            return Outcome(leased, Result.DELIVERED, attempt)
        if verdict is Verdict.NON_RETRYABLE or leased.retried >= leased.message.max_retries:
            return Outcome(leased, Result.FAILED, attempt)
        now = self._clock.now()
        expression = leased.message.retry_delay
        delay = next_delay(retried=leased.retried, expression=expression, response_headers=headers, now=now)
        return Outcome(leased, Result.RETRY, attempt, now + self._jittered(delay))

    def _jittered(self, delay: timedelta) -> timedelta:
        return delay * (1 + self._retry_jitter * random.random()) if self._retry_jitter else delay

    def _postponed(self, leased: Leased, pause: timedelta) -> Outcome:
        return Outcome(leased, Result.POSTPONED, next_at=self._clock.now() + pause)


def _held(leased: Leased) -> bool:
    """Whether the Endpoint is gone or suspended: given back, the message stays in the store until that changes."""
    if leased.message.endpoint is None:
        return False
    return leased.endpoint is None or leased.endpoint.suspend


def _header_map(response: Response | None) -> dict[str, list[str]]:
    headers: dict[str, list[str]] = {}
    for name, value in response.headers if response else ():
        headers.setdefault(name.lower(), []).append(value)
    return headers
