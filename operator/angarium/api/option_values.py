"""How the value of each option is written (contract 4.3–4.10): one reader per grammar.

Every reader gets the text, how the option is shown to its sender, and the rules of the request; it raises InvalidInput
(AboveMaximum for what is only too large) naming the option. No reader keeps anything.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from angarium.api.destination import check_destination_url
from angarium.api.errors import AboveMaximum
from angarium.domain import retry_expression
from angarium.domain.addresses import AddressPolicy
from angarium.domain.declarations import FlowControl, Redaction
from angarium.domain.durations import format_duration, parse_wire
from angarium.domain.errors import InvalidInput
from angarium.domain.fanout import FLOW_PREFIX_ENDPOINT, FLOW_PREFIX_SCHEDULE
from angarium.domain.flow_control import DEFAULT_PERIOD, MAX_PERIOD
from angarium.domain.headers import valid_name
from angarium.domain.messages import MAX_RETRY_LIMIT, MAX_TIMEOUT
from angarium.domain.names import check_name, check_opaque, parse_labels

METHODS = ("DELETE", "GET", "PATCH", "POST", "PUT")
MIN_TIMEOUT = timedelta(milliseconds=1)
MIN_PERIOD = timedelta(seconds=1)
MAX_FLOW_LIMIT = 1_000_000_000
MAX_REDACTED_HEADERS = 100

_FLOW_NAMES = {"parallelism": "parallelism", "rate": "rate", "ratePerSecond": "rate", "period": "period"}
_REDACTED_HEADER = re.compile(r"headers?\[([^\]]*)\]", re.IGNORECASE)
_TRUE, _FALSE = ("true", "1"), ("false", "0")


@dataclass(frozen=True, slots=True)
class OptionLimits:
    """What a publisher may ask for: more is answered 412 (contract 3.4). `policy`: where callbacks may lead.

    `body` is the size in bytes of a message's body, `batch` that of a whole batch.
    """

    retries: int = MAX_RETRY_LIMIT
    timeout: timedelta = MAX_TIMEOUT
    delay: timedelta = timedelta(days=366)
    body: int = 2**20
    batch: int = 100 * 2**20
    policy: AddressPolicy = AddressPolicy()


@dataclass(frozen=True, slots=True)
class Rules:
    """What values are judged by: the instant of the request and the limits of this installation."""

    now: datetime
    limits: OptionLimits


def method(text: str, shown: str, _: Rules) -> str:
    """One of METHODS, in any case."""
    upper = text.strip().upper()
    if upper not in METHODS:
        raise InvalidInput(shown, f"{text[:40]!r} is not a method; use one of {', '.join(METHODS)}")
    return upper


def timeout(text: str, shown: str, rules: Rules) -> timedelta:
    """A duration of a millisecond up to the limit."""
    duration = _at_most(rules.limits.timeout, text, shown)
    if duration < MIN_TIMEOUT:
        raise InvalidInput(shown, f"{text[:40]!r} is too short; the shortest timeout is a millisecond")
    return duration


def retries(text: str, shown: str, rules: Rules) -> int:
    """How often to try again: 0 up to the limit."""
    count = whole_number(text, shown)
    if count > rules.limits.retries:
        raise AboveMaximum(shown, f"{text[:40]} is above the maximum, {rules.limits.retries}")
    return count


def retry_delay(text: str, shown: str, _: Rules) -> str:
    """An expression of contract 4.6, kept verbatim."""
    retry_expression.parse(text, shown)
    return text


def labels(text: str, shown: str, _: Rules) -> tuple[str, ...]:
    """Texts, separated by commas."""
    return parse_labels(text, shown)


def delay(text: str, shown: str, rules: Rules) -> timedelta:
    """A duration up to the limit."""
    return _at_most(rules.limits.delay, text, shown)


def not_before(text: str, shown: str, rules: Rules) -> datetime:
    """Unix seconds; what has passed is taken."""
    seconds = whole_number(text, shown)
    if seconds > int((rules.now + rules.limits.delay).timestamp()):
        longest = format_duration(rules.limits.delay)
        raise AboveMaximum(shown, f"{text[:40]} is more than {longest} ahead; the unit is Unix seconds")
    return datetime.fromtimestamp(seconds, UTC)


def boolean(text: str, shown: str, _: Rules) -> bool:
    """`true` or `false` in any case (contract 29, 18)."""
    word = text.strip().lower()
    if word not in (*_TRUE, *_FALSE):
        raise InvalidInput(shown, f"{text[:40]!r} is neither true nor false")
    return word in _TRUE


def url(text: str, shown: str, rules: Rules) -> str:
    """Where a callback goes: what a destination may be, kept byte for byte."""
    address = text.strip(" \t")
    check_destination_url(address, shown, rules.limits.policy)
    return address


def name(text: str, shown: str, _: Rules) -> str:
    """A name of contract 4.9."""
    trimmed = text.strip(" \t")
    check_name(trimmed, shown)
    return trimmed


def opaque(text: str, shown: str, _: Rules) -> str:
    """Any text of 1 … 512 bytes."""
    check_opaque(text, shown)
    return text


def cron(text: str, shown: str, _: Rules) -> str:
    """The text, trimmed; what it means is the Schedule's business (contract 4.11)."""
    trimmed = text.strip(" \t")
    if not trimmed:
        raise InvalidInput(shown, "is empty; write for example '0 4 * * *'")
    return trimmed


def flow_key(text: str, shown: str, _: Rules) -> str:
    """A key that a publisher may choose: those that an object implies are not."""
    check_opaque(text, shown)
    for prefix in (FLOW_PREFIX_ENDPOINT, FLOW_PREFIX_SCHEDULE):
        if text.startswith(prefix):
            raise InvalidInput(shown, f"keys that begin with {prefix!r} belong to Angarium; choose another key")
    return text


@lru_cache(maxsize=256)
def _flow_value(text: str, shown: str) -> FlowControl:
    given: dict[str, str] = {}
    for part in text.split(","):
        word, equals, value = (piece.strip() for piece in part.partition("="))
        known = _FLOW_NAMES.get(word)
        if not equals or known is None:
            problem = f"{part.strip()[:40]!r} is not one of parallelism=…, rate=… and period=…, separated by commas"
            raise InvalidInput(shown, problem)
        if known in given:
            raise InvalidInput(shown, f"{known} is given twice")
        given[known] = value
    if "parallelism" not in given and "rate" not in given:
        raise InvalidInput(shown, "has neither parallelism nor rate; give at least one of them")
    return FlowControl(
        parallelism=_flow_limit(given.get("parallelism"), shown, "parallelism"),
        rate=_flow_limit(given.get("rate"), shown, "rate"),
        period=_period(given["period"], shown) if "period" in given else DEFAULT_PERIOD,
    )


def flow_value(text: str, shown: str, _: Rules) -> FlowControl:
    """Limits of contract 4.7, without their key."""
    return _flow_value(text, shown)


def redaction(text: str, shown: str, _: Rules) -> Redaction | None:
    """What views leave out (contract 4.10), in every documented spelling; None: nothing."""
    body = all_headers = False
    names: list[str] = []
    for item in filter(None, (part.strip() for part in text.split(","))):
        word = item.lower()
        header = _REDACTED_HEADER.fullmatch(item)
        if word == "body":
            body = True
        elif word in ("header", "headers"):
            all_headers = True
        elif header and valid_name(header[1].strip()):
            names.append(header[1].strip().lower())
        else:
            raise InvalidInput(shown, f"{item[:60]!r} is not one of body, header and header[<name>]")
    if len(names) > MAX_REDACTED_HEADERS:
        raise InvalidInput(shown, f"names {len(names)} headers; at most {MAX_REDACTED_HEADERS} are allowed")
    return Redaction(body, all_headers, tuple(dict.fromkeys(names))) if body or all_headers or names else None


def whole_number(text: str, shown: str) -> int:
    """A number without a sign, in ASCII digits."""
    digits = text.strip()
    if not (digits.isascii() and digits.isdigit()):
        raise InvalidInput(shown, f"{text[:40]!r} is not a whole number, 0 or more")
    # Beyond 18 digits it is above every maximum, however many there are.
    return int(digits.lstrip("0")[:19] or "0")


def _at_most(longest: timedelta, text: str, shown: str) -> timedelta:
    duration = parse_wire(text, shown)
    if duration > longest:
        raise AboveMaximum(shown, f"{text[:40]!r} is longer than the maximum, {format_duration(longest)}")
    return duration


def _flow_limit(text: str | None, shown: str, word: str) -> int | None:
    if text is None:
        return None
    limit = whole_number(text, f"{shown}: {word}")
    if limit < 1:
        raise InvalidInput(shown, f"{word} is 0; the least is 1 (to hold messages back, pause the key)")
    if limit > MAX_FLOW_LIMIT:
        raise AboveMaximum(shown, f"{word} is above the maximum, {MAX_FLOW_LIMIT}")
    return limit


def _period(text: str, shown: str) -> timedelta:
    period = _at_most(MAX_PERIOD, text, f"{shown}: period")
    if period < MIN_PERIOD:
        raise InvalidInput(shown, f"the period {text[:40]!r} is too short; the shortest is 1s")
    return period
