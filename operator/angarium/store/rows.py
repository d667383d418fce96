"""Turns rows into domain values and back. Specs and header lists are JSON, by the shape of their dataclasses."""

from collections.abc import Sequence
from datetime import timedelta
from functools import lru_cache
from typing import Any, cast

import msgspec

from angarium.domain.declarations import (
    Callback,
    Declared,
    Endpoint,
    FlowControl,
    Header,
    Kind,
    ObjectRef,
    Origin,
    Queue,
    Redaction,
    Rejection,
    Schedule,
    Spec,
    Token,
    Topic,
)
from angarium.domain.instants import MILLISECOND, from_ms, optional_time, to_ms
from angarium.domain.messages import Attempt, Message, Response, Run, Trigger
from angarium.store.session import Row

_MICROSECOND = timedelta(microseconds=1)
_SPECS = {
    Kind.ENDPOINT: Endpoint,
    Kind.TOPIC: Topic,
    Kind.SCHEDULE: Schedule,
    Kind.QUEUE: Queue,
    Kind.TOKEN: Token,
}
_DECODERS: dict[Kind, msgspec.json.Decoder[Any]] = {kind: msgspec.json.Decoder(spec) for kind, spec in _SPECS.items()}
_REJECTION = msgspec.json.Decoder(Rejection)
_HEADERS = msgspec.json.Decoder(tuple[Header, ...])
_RESPONSE_HEADERS = msgspec.json.Decoder(tuple[tuple[str, str], ...])
_LABELS = msgspec.json.Decoder(dict[str, str])
_TEXTS = msgspec.json.Decoder(tuple[str, ...])
encode = msgspec.json.encode


class _Extras(msgspec.Struct, frozen=True, omit_defaults=True):
    """What few messages have."""

    flow_control: FlowControl | None = None
    callback: Callback | None = None
    failure_callback: Callback | None = None
    redaction: Redaction | None = None


_NO_EXTRAS = _Extras()
_NOTHING = (None, None, None, None)
_PLAIN = (None,) * 9
_EXTRAS = msgspec.json.Decoder(_Extras)


def spec_of(kind: Kind, rejected: bool, spec: bytes) -> Spec | Rejection:
    """Decodes the spec column. Endpoints and Topics, which every message asks for, are kept decoded."""
    if rejected:
        return _REJECTION.decode(spec)
    if kind in (Kind.SCHEDULE, Kind.TOKEN):
        return cast(Spec, _DECODERS[kind].decode(spec))
    return _kept(kind, spec)


@lru_cache(maxsize=512)
def _kept(kind: Kind, spec: bytes) -> Spec:
    return cast(Spec, _DECODERS[kind].decode(spec))


def endpoint_of(row: Row) -> Endpoint | None:
    """The Endpoint that was joined to a message, in `rejected` and `spec`; None: there is none, or none accepted."""
    if row["spec"] is None:
        return None
    spec = spec_of(Kind.ENDPOINT, bool(row["rejected"]), row["spec"])
    return spec if isinstance(spec, Endpoint) else None


def declared_of(row: Row) -> Declared:
    kind = Kind(row["kind"])
    return Declared(
        ref=ObjectRef(kind, row["namespace"], row["name"]),
        uid=row["uid"],
        generation=row["generation"],
        fingerprint=row["fingerprint"],
        created_at=from_ms(row["created_ms"]),
        spec=spec_of(kind, bool(row["rejected"]), row["spec"]),
        labels=_LABELS.decode(row["labels"]),
        run_now=row["run_now"],
        last_slot=optional_time(row["last_slot_ms"]),
        origin=Origin(row["origin"]),
        applied_at=from_ms(row["applied_ms"]),
    )


def message_row(seq: int, message: Message, lane: str, run: int | None) -> list[Any]:
    """The columns of `messages` that are frozen at acceptance, in the order of the insert statement."""
    return [
        seq,
        message.id,
        message.namespace,
        lane,
        message.url,
        message.endpoint,
        message.endpoint_name,
        message.topic,
        message.schedule,
        run,
        encode(message.labels).decode() if message.labels else None,
        message.caller_ip,
        message.method,
        _headers_row(message.headers),
        message.timeout // MILLISECOND,
        message.max_retries,
        message.retry_delay,
        to_ms(message.created_at),
        to_ms(message.not_before),
        message.queue,
        message.flow_control.key if message.flow_control else None,
        message.source,
        _extras_row(message),
    ]


def is_plain(message: Message) -> bool:
    """Whether it has no more than what every message to a URL has, of a Topic or not: `plain_row` is all of it."""
    return (
        not message.labels
        and (
            message.endpoint,
            message.schedule,
            message.queue,
            message.flow_control,
            message.callback,
            message.failure_callback,
            message.redaction,
            message.source,
            message.retry_delay,
        )
        == _PLAIN
    )


def plain_row(seq: int, message: Message, lane: str) -> tuple[Any, ...]:
    """As `message_row`, for a plain message."""
    return (
        seq,
        message.id,
        message.namespace,
        lane,
        message.url,
        message.endpoint_name,
        message.topic,
        message.caller_ip,
        message.method,
        _headers_row(message.headers),
        message.timeout // MILLISECOND,
        message.max_retries,
        to_ms(message.created_at),
        to_ms(message.not_before),
    )


@lru_cache(maxsize=256)
def _headers_of(row: bytes | str) -> tuple[Header, ...]:
    return _HEADERS.decode(row)


@lru_cache(maxsize=256)
def _headers_row(headers: tuple[Header, ...]) -> bytes:
    return encode(headers)


def _extras_row(message: Message) -> bytes | None:
    given = (message.flow_control, message.callback, message.failure_callback, message.redaction)
    return None if given == _NOTHING else encode(_Extras(*given))


def message_of(row: Row, body: bytes | None = None) -> Message:
    """From a row of the view `message_rows`; with this body, if it was read apart."""
    extras = _EXTRAS.decode(row["extras"]) if row["extras"] else _NO_EXTRAS
    return Message(
        id=row["id"],
        namespace=row["namespace"],
        url=row["url"],
        endpoint=row["endpoint"],
        method=row["method"],
        headers=_headers_of(row["headers"]),
        body=(row["body"] or b"") if body is None else body,
        timeout=timedelta(milliseconds=row["timeout_ms"]),
        max_retries=row["max_retries"],
        retry_delay=row["retry_delay"],
        created_at=from_ms(row["created_ms"]),
        not_before=from_ms(row["not_before_ms"]),
        labels=_TEXTS.decode(row["labels"]) if row["labels"] else (),
        caller_ip=row["caller_ip"],
        topic=row["topic"],
        endpoint_name=row["endpoint_name"],
        run=run_of(row) if row["run_id"] else None,
        schedule=row["schedule"],
        queue=row["queue"],
        flow_control=extras.flow_control,
        callback=extras.callback,
        failure_callback=extras.failure_callback,
        redaction=extras.redaction,
        source=row["source"],
    )


def run_of(row: Row) -> Run:
    return Run(
        id=row["run_id"],
        schedule=ObjectRef(Kind.SCHEDULE, row["namespace"], row["schedule"]),
        schedule_uid=row["schedule_uid"],
        slot=from_ms(row["slot_ms"]),
        trigger=Trigger(row["trigger"]),
    )


def response_row(response: Response | None) -> tuple[Any, ...]:
    """(status, headers, body) as columns."""
    if response is None:
        return (None, None, None)
    return (response.status, encode(response.headers), response.body)


def response_of(row: Row) -> Response | None:
    if row["response_status"] is None:
        return None
    return Response(row["response_status"], _RESPONSE_HEADERS.decode(row["response_headers"]), row["response_body"])


def attempt_row(attempt: Attempt) -> tuple[Any, ...]:
    """(number, time, duration, status, error) as columns."""
    status = attempt.response.status if attempt.response else 0
    duration = attempt.duration // _MICROSECOND
    return (attempt.number, to_ms(attempt.started_at), duration, status, attempt.error)


def names(refs: Sequence[ObjectRef]) -> list[tuple[str, str, str]]:
    """Refs as the rows [kind, namespace, name] of a JSON parameter."""
    return [(ref.kind.value, ref.namespace, ref.name) for ref in refs]
