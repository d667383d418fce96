"""JSON views of contract 15.1–15.3. What is empty or unset is left out, never null; zeros stay.

A header whose value comes from a Secret never appears: its value is not known here, and its place says too much.
"""

from base64 import b64encode
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

import msgspec

from angarium.domain.headers import canonical
from angarium.domain.messages import Acceptance, Message, Response
from angarium.domain.views import DeadLetter, LogEntry

Json = dict[str, object]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_encode = msgspec.json.Encoder().encode


def encode(payload: object) -> bytes:
    """Compact JSON in UTF-8."""
    return _encode(payload)


def milliseconds(time: datetime) -> int:
    """Unix time in whole milliseconds."""
    return (time - _EPOCH) // _MILLISECOND


def acceptance(accepted: Acceptance) -> Json | list[Json]:
    """The answer to a publish: an object for a URL, a bare array for a Topic (contract 8.1)."""
    items = [_accepted(message, url) for message, url in zip(accepted.messages, accepted.urls, strict=True)]
    return items if accepted.messages[0].topic is not None else items[0]


def message(accepted: Message, url: str) -> Json:
    """A message (contract 15.1). `url` is what it resolves to now."""
    return {
        "messageId": accepted.id,
        "url": url,
        **_origin(accepted),
        "method": accepted.method,
        **_some("header", _forwarded(accepted)),
        **_body("body", "bodyBase64", accepted.body),
        "maxRetries": accepted.max_retries,
        **_some("retryDelayExpression", accepted.retry_delay),
        "notBefore": milliseconds(accepted.not_before),
        "createdAt": milliseconds(accepted.created_at),
        **_caller(accepted),
        **_labels(accepted),
    }


def log_entry(entry: LogEntry) -> Json:
    """A log entry (contract 15.2): bodies in base64, and both spellings where the SDKs and OpenAPI differ."""
    about = entry.message
    return {
        "time": milliseconds(entry.time),
        "messageId": about.id,
        "state": entry.state.value,
        "url": entry.url,
        **_origin(about),
        **_some("header", _forwarded(about)),
        **_some("body", _base64(about.body)),
        **_some("error", entry.error),
        **({"nextDeliveryTime": milliseconds(entry.next_delivery)} if entry.next_delivery else {}),
        **_logged_response(entry.response),
        "timeout": about.timeout // _MILLISECOND,
        "method": about.method,
        "maxRetries": about.max_retries,
        **_some("retryDelayExpr", about.retry_delay),
        **_some("retryDelayExpression", about.retry_delay),
        **_caller(about),
        **_labels(about),
    }


def dead_letter(letter: DeadLetter) -> Json:
    """A dead letter (contract 15.3). `responseStatus` is 0 when there was no HTTP response."""
    response = letter.response
    return {
        **message(letter.message, letter.url),
        "dlqId": letter.id,
        "responseStatus": response.status if response else 0,
        **_some("responseHeader", _lines(response.headers) if response else None),
        **(_body("responseBody", "responseBodyBase64", response.body) if response else {}),
        **_some("error", letter.error),
    }


def _accepted(accepted: Message, url: str) -> Json:
    return {"messageId": accepted.id, "url": url, **_some("endpointName", accepted.endpoint_name)}


def _origin(about: Message) -> Json:
    return {
        **_some("topicName", about.topic),
        **_some("endpointName", about.endpoint_name),
        **_some("scheduleId", about.run.schedule.name if about.run else None),
    }


def _caller(about: Message) -> Json:
    # The Python SDK reads the first spelling, the JavaScript SDK the second (contract 15.1).
    return {**_some("callerIP", about.caller_ip), **_some("callerIp", about.caller_ip)}


def _labels(about: Message) -> Json:
    return {"label": about.labels[0], "labels": list(about.labels)} if about.labels else {}


def _forwarded(about: Message) -> dict[str, list[str]]:
    return _lines((header.name, header.value) for header in about.headers if header.value is not None)


def _logged_response(response: Response | None) -> Json:
    if response is None:
        return {}
    lines = _lines(response.headers)
    return {
        "responseStatus": response.status,
        **_some("responseBody", _base64(response.body)),
        **_some("responseHeader", lines),
        **_some("responseHeaders", lines),
    }


def _lines(lines: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    header: dict[str, list[str]] = {}
    for name, value in lines:
        header.setdefault(canonical(_text(name)), []).append(_text(value))
    return header


def _text(value: str) -> str:
    # A destination may answer in Latin-1; its bytes arrive as surrogates, which JSON cannot carry.
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-8", "surrogateescape").decode("latin-1")
    return value


def _body(text_name: str, base64_name: str, body: bytes) -> Json:
    if not body:
        return {}
    try:
        return {text_name: body.decode()}
    except UnicodeDecodeError:
        return {base64_name: _base64(body)}


def _base64(body: bytes) -> str:
    return b64encode(body).decode("ascii")


def _some(name: str, value: str | Mapping[str, object] | Mapping[str, list[str]] | None) -> Json:
    return {name: value} if value else {}
