"""What the dev console says: one aligned line per attempt and run, and how to begin."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from angarium.domain.counts import counted
from angarium.domain.credentials import SigningKeys
from angarium.domain.declarations import Declared, Kind
from angarium.domain.destinations import without_secrets
from angarium.domain.messages import Message, Outcome, Result, Trigger
from angarium.domain.notices import (
    AttemptEnded,
    ClockReset,
    EndpointOrphansFailed,
    Notice,
    PlaceFreed,
    RunFailed,
    RunStarted,
    SlotsSkipped,
    TakenOver,
)
from angarium.files.declarations import DEFAULT_NAMESPACE

SUBJECT_WIDTH = 34
LATE_S = 1.0

_NEWS = (RunStarted, RunFailed, SlotsSkipped, ClockReset, EndpointOrphansFailed, TakenOver, PlaceFreed)


@dataclass(frozen=True, slots=True)
class Signs:
    """The signs that begin a line or stand in it."""

    delivered: str
    failed: str
    run: str
    to: str
    more: str


SYMBOLS = Signs("✓", "✗", "→", "→", "…")
ASCII = Signs("ok  ", "fail", "run ", "->", "...")


class Wording:
    """Lines for a person, without line breaks, whatever a destination answered."""

    def __init__(self, signs: Signs) -> None:
        self._signs = signs

    def is_worth_a_line(self, notice: Notice) -> bool:
        if isinstance(notice, AttemptEnded):
            return notice.outcome.attempt is not None
        return isinstance(notice, _NEWS)

    def line(self, notice: Notice) -> str:
        """For a notice that is worth one."""
        match notice:
            case AttemptEnded(outcome):
                text = self._attempt(outcome)
            case RunStarted():
                text = self._run(notice)
            case RunFailed(run, reason, error):
                text = self._row(self._signs.failed, str(run.schedule), f"{reason}: {error}")
            case SlotsSkipped(schedule, count, reason):
                text = self._row(self._signs.failed, str(schedule), f"{counted(count, 'slot')} skipped: {reason}")
            case ClockReset(schedule):
                text = self._row(self._signs.run, str(schedule), "the clock was set back; starts anew from now")
            case EndpointOrphansFailed(endpoint, ids):
                given_up = f"{counted(len(ids), 'message')} given up: EndpointDeleted {self._signs.to} DLQ"
                text = self._row(self._signs.failed, str(endpoint), given_up)
            case TakenOver(ref):
                text = self._row(self._signs.run, str(ref), "replaces the one that was made over the API")
            case PlaceFreed(queue, message_id):
                goes_on = f"goes on: the callbacks of {message_id} did not end in time"
                text = self._row(self._signs.failed, str(queue), goes_on)
            case _:
                text = ""
        return "".join(letter if letter.isprintable() else "?" for letter in text)

    def count(self, hidden: int) -> str:
        return f"{self._signs.more} and {hidden} more"

    def _attempt(self, outcome: Outcome) -> str:
        attempt, message = outcome.attempt, outcome.leased.message
        if attempt is None:
            return ""
        ended = attempt.started_at + attempt.duration
        mark = self._signs.delivered if outcome.result is Result.DELIVERED else self._signs.failed
        status = str(attempt.response.status) if attempt.response else attempt.reason
        details = (
            f"{status:<8} attempt {attempt.number} of {message.max_retries + 1}  "
            f"{_milliseconds(attempt.duration):>9}  {self._next(outcome, ended)}"
        )
        return self._row(mark, _destination(message), details, ended)

    def _next(self, outcome: Outcome, ended: datetime) -> str:
        if outcome.result is Result.FAILED:
            return f"{self._signs.to} DLQ"
        if outcome.next_at is None:
            return ""
        wait = max(outcome.next_at - ended, timedelta(0))
        return f"next try in {wait.total_seconds():.1f} s"

    def _run(self, started: RunStarted) -> str:
        by_hand = " by run-now" if started.run.trigger is Trigger.MANUAL else ""
        late = f", {started.lag_s:.0f} s late" if started.lag_s >= LATE_S else ""
        fired = f"fired{by_hand}: {counted(len(started.message_ids), 'message')}{late}"
        return self._row(self._signs.run, str(started.run.schedule), fired)

    def _row(self, mark: str, subject: str, details: str, at: datetime | None = None) -> str:
        local = (at or datetime.now().astimezone()).astimezone()
        subject = subject if len(subject) <= SUBJECT_WIDTH else subject[: SUBJECT_WIDTH - 2] + ".."
        return f"{local:%H:%M:%S} {mark} {subject:<{SUBJECT_WIDTH}} {details}".rstrip()


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the parts of a running program listen, as URLs without a slash at the end."""

    api: str
    health: str


def start_text(addresses: Addresses, token: str, keys: SigningKeys, destination: str) -> str:
    """What a newcomer needs: the four values of the SDKs, a publish that works when pasted, where to look.

    `destination` is a URL or the name of a Topic. The SDKs wait for "running at" on a line (contract 26.4).
    """
    api = addresses.api
    authorization = shlex.quote(f"Authorization: Bearer {token}")
    return f"""\
Angarium is running at {api} (Ctrl-C ends it; health and metrics: {addresses.health}/metrics)

For the QStash SDKs:

  export QSTASH_URL={shlex.quote(api)}
  export QSTASH_TOKEN={shlex.quote(token)}
  export QSTASH_CURRENT_SIGNING_KEY={shlex.quote(keys.current)}
  export QSTASH_NEXT_SIGNING_KEY={shlex.quote(keys.next)}

Publish a message:

  curl -H {authorization} -H 'Content-Type: application/json' \\
    -d '{{"hello": "world"}}' {shlex.quote(f"{api}/v2/publish/{destination}")}

Read the log, and the dead letters:

  curl -H {authorization} {shlex.quote(f"{api}/v2/logs?count=5")}
  curl -H {authorization} {shlex.quote(f"{api}/v2/dlq?count=5")}
"""


def sample_destination(declared: Sequence[Declared]) -> str:
    """Something to publish to in the sample: a Topic of the default tenant if there is one, else some URL."""
    topics = [one.ref for one in declared if one.ref.kind is Kind.TOPIC and one.ref.namespace == DEFAULT_NAMESPACE]
    return min(topics).name if topics else "https://example.com"


def _destination(message: Message) -> str:
    """`endpoint/billing`, `topic/orders billing` or a URL, with the tenant before it if it is not the default one."""
    if message.topic is not None:
        text = f"topic/{message.topic} {message.endpoint_name or ''}".rstrip()
    else:
        text = without_secrets(message.url) if message.url else f"endpoint/{message.endpoint}"
    return text if message.namespace == DEFAULT_NAMESPACE else f"{message.namespace} {text}"


def _milliseconds(duration: timedelta) -> str:
    return f"{duration / timedelta(milliseconds=1):.0f} ms"
