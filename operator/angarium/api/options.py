"""Options of a publication: one table for header and query form (contract 4.1–4.8).

A value given twice: the first header line wins, then the first query parameter. An option whose behaviour does not
exist in this version is refused by name; any other unknown `Upstash-…` is ignored and goes nowhere.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from angarium.api.errors import AboveMaximum
from angarium.api.exchange import OPTION_PREFIX
from angarium.domain import retry_expression
from angarium.domain.declarations import DeliveryOptions, Header
from angarium.domain.durations import format_duration, parse_wire
from angarium.domain.errors import InvalidInput
from angarium.domain.headers import canonical, valid_name, valid_value
from angarium.domain.messages import MAX_RETRY_LIMIT, MAX_TIMEOUT
from angarium.domain.names import parse_labels

FORWARD_PREFIX = "upstash-forward-"
METHODS = ("DELETE", "GET", "PATCH", "POST", "PUT")
MIN_TIMEOUT = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class OptionLimits:
    """The largest values a publisher may ask for; more is answered 412 (contract 3.4)."""

    retries: int = MAX_RETRY_LIMIT
    timeout: timedelta = MAX_TIMEOUT
    delay: timedelta = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class Options:
    """What a publisher asked for. `not_before` is None for "at once"."""

    delivery: DeliveryOptions
    labels: tuple[str, ...]
    not_before: datetime | None


def read_options(
    headers: Iterable[tuple[str, str]], query: Iterable[tuple[str, str]], now: datetime, limits: OptionLimits
) -> Options:
    """Read the options from header lines and from the `upstash-…` query parameters.

    Raises InvalidInput (AboveMaximum for what is only too large) naming the header or parameter.
    """
    draft = _Draft(now, limits)
    content_type: str | None = None
    for name, value in headers:
        lower = name.lower()
        if lower.startswith(OPTION_PREFIX):
            draft.take(lower, canonical(lower), value)
        elif lower == "content-type" and content_type is None:
            content_type = value
    from_headers = frozenset(draft.forwarded)
    for name, value in query:
        if name.lower().removeprefix(FORWARD_PREFIX) not in from_headers:
            draft.take(name.lower(), name, value)
    if content_type is not None and "content-type" not in draft.forwarded:
        draft.forward("content-type", "Content-Type", content_type)
    return draft.finish()


@dataclass(slots=True)
class _Draft:
    now: datetime
    limits: OptionLimits
    seen: set[str] = field(default_factory=set)
    forwarded: dict[str, list[Header]] = field(default_factory=dict)
    method: str | None = None
    timeout: timedelta | None = None
    retries: int | None = None
    retry_delay: str | None = None
    labels: tuple[str, ...] = ()
    delay: timedelta | None = None
    not_before: datetime | None = None

    def take(self, lower: str, shown: str, value: str) -> None:
        if lower.startswith(FORWARD_PREFIX):
            self.forward(lower[len(FORWARD_PREFIX) :], shown, value)
            return
        if lower in self.seen:
            return
        self.seen.add(lower)
        setter = _OPTIONS.get(lower)
        if setter is not None:
            setter(self, shown, value)
        elif lower in _OPTIONS or _is_callback_option(lower):
            raise InvalidInput(shown, "is not supported by this version of Angarium; leave it out")

    def forward(self, name: str, shown: str, value: str) -> None:
        if not valid_name(name):
            raise InvalidInput(shown, f"{name!r} is not a header name to forward")
        if not valid_value(value):
            raise InvalidInput(shown, "the value has a control character, or bytes that are not UTF-8")
        # One entry per line: a value is never split at commas (contract 4.2).
        self.forwarded.setdefault(name, []).append(Header(canonical(name), value))

    def finish(self) -> Options:
        headers = tuple(line for lines in self.forwarded.values() for line in lines)
        delivery = DeliveryOptions(self.method, headers, self.timeout, self.retries, self.retry_delay)
        not_before = self.not_before
        if not_before is None and self.delay is not None:
            not_before = self.now + self.delay
        return Options(delivery, self.labels, not_before)


def _method(draft: _Draft, shown: str, text: str) -> None:
    method = text.strip().upper()
    if method not in METHODS:
        raise InvalidInput(shown, f"{text[:40]!r} is not a method; use one of {', '.join(METHODS)}")
    draft.method = method


def _timeout(draft: _Draft, shown: str, text: str) -> None:
    timeout = parse_wire(text, shown)
    if timeout < MIN_TIMEOUT:
        raise InvalidInput(shown, f"{text[:40]!r} is too short; the shortest timeout is a millisecond")
    if timeout > draft.limits.timeout:
        raise AboveMaximum(shown, f"{text[:40]!r} is longer than the maximum, {format_duration(draft.limits.timeout)}")
    draft.timeout = timeout


def _retries(draft: _Draft, shown: str, text: str) -> None:
    retries = _whole_number(text, shown)
    if retries > draft.limits.retries:
        raise AboveMaximum(shown, f"{text[:40]} is above the maximum, {draft.limits.retries}")
    draft.retries = retries


def _retry_delay(draft: _Draft, shown: str, text: str) -> None:
    retry_expression.parse(text, shown)
    draft.retry_delay = text


def _labels(draft: _Draft, shown: str, text: str) -> None:
    draft.labels = parse_labels(text, shown)


def _delay(draft: _Draft, shown: str, text: str) -> None:
    delay = parse_wire(text, shown)
    if delay > draft.limits.delay:
        raise AboveMaximum(shown, f"{text[:40]!r} is longer than the maximum, {format_duration(draft.limits.delay)}")
    draft.delay = delay


def _not_before(draft: _Draft, shown: str, text: str) -> None:
    seconds = _whole_number(text, shown)
    if seconds > int((draft.now + draft.limits.delay).timestamp()):
        longest = format_duration(draft.limits.delay)
        raise AboveMaximum(shown, f"{text[:40]} is more than {longest} ahead; the unit is Unix seconds")
    draft.not_before = datetime.fromtimestamp(seconds, UTC)


def _whole_number(text: str, shown: str) -> int:
    digits = text.strip()
    if not (digits.isascii() and digits.isdigit()):
        raise InvalidInput(shown, f"{text[:40]!r} is not a whole number, 0 or more")
    # Beyond 18 digits it is above every maximum, however many there are.
    return int(digits.lstrip("0")[:19] or "0")


_OPTIONS: Mapping[str, Callable[[_Draft, str, str], None] | None] = {
    "upstash-method": _method,
    "upstash-timeout": _timeout,
    "upstash-retries": _retries,
    "upstash-retry-delay": _retry_delay,
    "upstash-label": _labels,
    "upstash-delay": _delay,
    "upstash-not-before": _not_before,
    "upstash-callback": None,
    "upstash-failure-callback": None,
    "upstash-flow-control-key": None,
    "upstash-flow-control-value": None,
    "upstash-deduplication-id": None,
    "upstash-content-based-deduplication": None,
    "upstash-redact-fields": None,
    "upstash-header-forward": None,
    "upstash-cron": None,
    "upstash-schedule-id": None,
    "upstash-queue-name": None,
}
"""Every option of contract 4.3, by lower-case name; None: known, but its behaviour does not exist yet."""


def _is_callback_option(lower: str) -> bool:
    # An Upstash-Callback-<Name> that is no option is ignored: workflow clients send some (contract 4.1).
    for prefix in ("upstash-failure-callback-", "upstash-callback-"):
        if lower.startswith(prefix):
            option = OPTION_PREFIX + lower[len(prefix) :]
            return option in _OPTIONS or option.startswith(FORWARD_PREFIX)
    return False
