"""Callbacks: which ones an outcome causes, and the message that each of them is (contract 20). Reads no clock.

They tell the original values, whatever views of the message leave out.
"""

import json
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from angarium.domain.declarations import CONTENT_TYPE, Callback, DeliveryOptions, Header, Redaction, has_content_type
from angarium.domain.errors import InvalidInput
from angarium.domain.headers import header_map
from angarium.domain.instants import to_ms
from angarium.domain.messages import Message, Publication, Response

_CONTENT_TYPE = Header(CONTENT_TYPE, "application/json")


@dataclass(frozen=True, slots=True)
class Report:
    """What happened to a message. `url` is where its attempt went; `retried` counts the retries made before it.

    Without a response, `response` is None. `dlq_id` is that of the dead letter if the message was given up now.
    `attempted` is False if it was given up without an attempt.
    """

    message: Message
    url: str
    retried: int
    response: Response | None = None
    dlq_id: str | None = None
    attempted: bool = True


def callbacks_of(report: Report, now: datetime) -> tuple[Publication, ...]:
    """The callback after every attempt, then the failure callback of a message that was given up (contract 20.1).

    A callback has none of its own. Nothing here has a queue or an id of deduplication.
    """
    return tuple(_publication(report, callback, dlq_id, now) for callback, dlq_id in _caused(report))


def refuse_delayed(queue: str, callback: Callback | None, failure_callback: Callback | None) -> None:
    """Raises InvalidInput for a delayed callback of a message in a queue, which would stall (contract 20.4)."""
    for field, given in (("Upstash-Callback-Delay", callback), ("Upstash-Failure-Callback-Delay", failure_callback)):
        if given is not None and given.delay:
            problem = f"a message of a queue cannot have a delayed callback: queue {queue!r} would wait for it"
            raise InvalidInput(field, problem)


def body_of(report: Report, dlq_id: str | None = None) -> bytes:
    """What a callback tells, as compact JSON in UTF-8 (contract 20.3). Only a failure callback has a `dlq_id`.

    `status` is 0, `header` and `body` are empty without a response. Times are Unix milliseconds, bodies base64. A
    header of the message whose value lies in a Secret is left out: it is not known here.
    """
    message, response = report.message, report.response or Response(0)
    known = [(header.name, header.value) for header in message.headers if header.value is not None]
    content = {
        "status": response.status,
        "header": header_map(response.headers),
        "body": _base64(response.body),
        "retried": report.retried,
        "maxRetries": message.max_retries,
        **_some("dlqId", dlq_id),
        "sourceMessageId": message.id,
        **_some("topicName", message.topic),
        **_some("endpointName", message.endpoint_name),
        "url": report.url,
        "method": message.method,
        "sourceHeader": header_map(known),
        "sourceBody": _base64(message.body),
        "notBefore": to_ms(message.not_before),
        "createdAt": to_ms(message.created_at),
        **_some("scheduleId", message.schedule),
        "callerIP": message.caller_ip or "",
    }
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def _caused(report: Report) -> Iterator[tuple[Callback, str | None]]:
    message = report.message
    if message.source is not None:
        return
    if message.callback is not None and report.attempted:
        yield message.callback, None
    if message.failure_callback is not None and report.dlq_id is not None:
        yield message.failure_callback, report.dlq_id


def _publication(report: Report, callback: Callback, dlq_id: str | None, now: datetime) -> Publication:
    message = report.message
    return Publication(
        namespace=message.namespace,
        destination=callback.destination,
        created_at=now,
        body=body_of(report, dlq_id),
        options=_options(callback.options),
        labels=callback.labels,
        not_before=now + callback.delay if callback.delay else None,
        caller_ip=message.caller_ip,
        redaction=_redaction(message.redaction),
        source=message.id,
        default_retries=message.max_retries,
    )


def _redaction(source: Redaction | None) -> Redaction | None:
    """That of the source; hidden headers hide the whole body too, which tells them as `sourceHeader`."""
    if source is None or not (source.all_headers or source.names):
        return source
    return replace(source, body=True)


def _options(given: DeliveryOptions) -> DeliveryOptions:
    """As given, with the content type of what we write unless one is given."""
    named = has_content_type(given.headers)
    return given if named else replace(given, headers=(_CONTENT_TYPE, *given.headers))


def _some(name: str, value: str | None) -> dict[str, str]:
    return {name: value} if value else {}


def _base64(content: bytes) -> str:
    return b64encode(content).decode("ascii")
