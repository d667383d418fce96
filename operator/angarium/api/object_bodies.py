"""JSON bodies of the routes that make and change queues and URL groups (contract 10, 12). Unknown fields are ignored.

Every reader raises InvalidInput (AboveMaximum for what is only too large) naming the field.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from angarium.api.destination import check_destination_url
from angarium.api.errors import AboveMaximum
from angarium.api.options import OptionLimits, read_options
from angarium.domain.declarations import Header, TopicMember
from angarium.domain.edits import MAX_ENDPOINTS, MemberKey
from angarium.domain.errors import InvalidInput
from angarium.domain.headers import canonical, valid_name, valid_value
from angarium.domain.names import check_name, check_opaque

MAX_PARALLELISM = 1_000
MAX_HEADERS = 100

_ANY_TIME = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class QueueBody:
    """What a queue is to be."""

    name: str
    parallelism: int
    paused: bool


def queue_body(body: bytes) -> QueueBody:
    """`{"queueName": …, "parallelism": 1 … 1000, "paused": …}`; the latter two may be left out, or null."""
    fields = _object(body)
    name = fields.get("queueName")
    if not isinstance(name, str):
        raise InvalidInput("queueName", f"is {_shown(name)}; write the queue's name")
    check_name(name, "queueName")
    return QueueBody(name, _parallelism(fields.get("parallelism")), _flag(fields.get("paused"), "paused"))


def members_body(body: bytes, limits: OptionLimits) -> list[TopicMember]:
    """`{"endpoints": [{"url": …, "name": …}]}`; a name may be left out, or null."""
    members = []
    for field, item in _endpoints(body):
        url = item.get("url")
        if not isinstance(url, str):
            raise InvalidInput(f"{field}.url", f"is {_shown(url)}; write the URL to deliver to")
        check_destination_url(url, f"{field}.url", limits.policy)
        members.append(TopicMember(_name(item, field), url=url))
    return members


def member_keys_body(body: bytes) -> list[MemberKey]:
    """The same with at least one of `url` and `name`."""
    keys = []
    for field, item in _endpoints(body):
        url = item.get("url")
        if url is not None and not isinstance(url, str):
            raise InvalidInput(f"{field}.url", f"is {_shown(url)}; write the URL of an endpoint of the group")
        key = MemberKey(url, _name(item, field))
        if key == MemberKey():
            raise InvalidInput(field, "has neither url nor name; write at least one of them")
        keys.append(key)
    return keys


def headers_body(body: bytes, limits: OptionLimits) -> tuple[Header, ...]:
    """`{"headers": {"<name>": "value" or ["value", …]}}`: default publish headers, one entry per line.

    What is an option has to be a good one, so that a publish never fails for a header that its publisher did not send.
    """
    given = _object(body).get("headers")
    if not isinstance(given, dict):
        raise InvalidInput("headers", f"is {_shown(given)}; write an object of header names and values")
    lines = [(name, value) for name in given for value in _values(name, given[name])]
    if len(lines) > MAX_HEADERS:
        raise InvalidInput("headers", f"has {len(lines)} lines; at most {MAX_HEADERS} are allowed")
    read_options((), (), _ANY_TIME, limits, defaults=lines)
    return tuple(Header(canonical(name), value) for name, value in lines)


def _object(body: bytes) -> Mapping[str, object]:
    try:
        decoded = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise InvalidInput("body", f"is not JSON ({error})") from None
    if not isinstance(decoded, dict):
        raise InvalidInput("body", f"is {_shown(decoded)}; write a JSON object")
    return decoded


def _endpoints(body: bytes) -> list[tuple[str, Mapping[str, object]]]:
    given = _object(body).get("endpoints")
    if not isinstance(given, list) or not given:
        raise InvalidInput("endpoints", f"is {_shown(given)}; write an array of at least one endpoint")
    if len(given) > MAX_ENDPOINTS:
        raise InvalidInput("endpoints", f"has {len(given)} elements; at most {MAX_ENDPOINTS} are allowed")
    for place, item in enumerate(given):
        if not isinstance(item, dict):
            raise InvalidInput(f"endpoints[{place}]", f"is {_shown(item)}; write an object with url and name")
    return [(f"endpoints[{place}]", item) for place, item in enumerate(given)]


def _name(item: Mapping[str, object], field: str) -> str | None:
    # The SDKs send an empty text for a name that was not given.
    name = item.get("name")
    if name is None or name == "":
        return None
    if not isinstance(name, str):
        raise InvalidInput(f"{field}.name", f"is {_shown(name)}; write a text, or leave it out")
    check_opaque(name, f"{field}.name")
    return name


def _parallelism(value: object) -> int:
    if value is None:
        return 1
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidInput("parallelism", f"is {_shown(value)}; write a whole number from 1 to {MAX_PARALLELISM}")
    if value > MAX_PARALLELISM:
        raise AboveMaximum("parallelism", f"is {_shown(value)}, above the maximum, {MAX_PARALLELISM}")
    return value


def _flag(value: object, field: str) -> bool:
    if value is not None and not isinstance(value, bool):
        raise InvalidInput(field, f"is {_shown(value)}; write true or false")
    return bool(value)


def _values(name: str, given: object) -> Sequence[str]:
    field = f"headers[{name[:80]}]"
    if not valid_name(name):
        raise InvalidInput(field, "is not a header name")
    values: list[str] = []
    for value in given if isinstance(given, list) else [given]:
        if not isinstance(value, str) or not valid_value(value):
            problem = f"is {_shown(value)}; write a text without control characters, or an array of them"
            raise InvalidInput(field, problem)
        values.append(value)
    return values


def _shown(value: object) -> str:
    if value is None:
        return "missing"
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 60 else f"{text[:60]}…"
