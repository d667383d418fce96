"""JSON views of contract 15.1–15.3 and 15.7. What is empty or unset is left out, never null; zeros stay.

A header whose value comes from a Secret never appears: its value is not known here, and its place says too much.
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import timedelta

import msgspec

from angarium.api.redaction import body, body_as, header_map, log_body
from angarium.domain.declarations import Callback, FlowControl, Redaction, Schedule
from angarium.domain.fanout import url_now
from angarium.domain.headers import header_map as response_map
from angarium.domain.instants import MILLISECOND, to_ms
from angarium.domain.messages import Acceptance, Message, Response
from angarium.domain.views import DeadLetter, FlowControlView, LogEntry

Json = dict[str, object]

_encode = msgspec.json.Encoder().encode


def encode(payload: object) -> bytes:
    """Compact JSON in UTF-8."""
    return _encode(payload)


def acceptance(accepted: Acceptance, *, group: bool) -> Json | list[Json]:
    """The answer to a publish: an object for a URL, a bare array for a Topic, its members in order (contract 8.1)."""
    items = [
        _accepted(message.id, url, message.endpoint_name)
        for message, url in zip(accepted.messages, accepted.urls, strict=True)
    ]
    for duplicate in accepted.duplicates:
        item = _accepted(duplicate.message_id, duplicate.url, duplicate.endpoint_name)
        items.insert(duplicate.place, {**item, "deduplicated": True})
    return items if group else items[0]


def message(accepted: Message, url: str) -> Json:
    """A message (contract 15.1). `url` is what it resolves to now."""
    return {
        "messageId": accepted.id,
        "url": url,
        **_origin(accepted),
        "method": accepted.method,
        **_some("header", header_map(accepted.headers, accepted.redaction)),
        **callbacks(accepted, "callbackHeader", "failureCallbackHeader"),
        **body(accepted.body, accepted.redaction),
        "maxRetries": accepted.max_retries,
        **_some("retryDelayExpression", accepted.retry_delay),
        "notBefore": to_ms(accepted.not_before),
        "createdAt": to_ms(accepted.created_at),
        **caller(accepted.caller_ip),
        **labels(accepted.labels),
        **flow_control(accepted.flow_control),
    }


def log_entry(entry: LogEntry) -> Json:
    """A log entry (contract 15.2): bodies in base64, and both spellings where the SDKs and OpenAPI differ."""
    about = entry.message
    return {
        "time": to_ms(entry.time),
        "messageId": about.id,
        "state": entry.state.value,
        "url": entry.url,
        **_origin(about),
        **_some("header", header_map(about.headers, about.redaction)),
        **callbacks(about, "callbackHeaders", "failureCallbackHeaders"),
        **_some("body", log_body(about.body, about.redaction)),
        **_some("error", entry.error),
        **({"nextDeliveryTime": to_ms(entry.next_delivery)} if entry.next_delivery else {}),
        **_logged_response(entry.response),
        "timeout": about.timeout // MILLISECOND,
        "method": about.method,
        "maxRetries": about.max_retries,
        **_some("retryDelayExpr", about.retry_delay),
        **_some("retryDelayExpression", about.retry_delay),
        **caller(about.caller_ip),
        **labels(about.labels),
        **flow_control(about.flow_control),
    }


def dead_letter(letter: DeadLetter) -> Json:
    """A dead letter (contract 15.3). `responseStatus` is 0 when there was no HTTP response."""
    response = letter.response
    return {
        **message(letter.message, letter.url),
        "dlqId": letter.id,
        "responseStatus": response.status if response else 0,
        **_some("responseHeader", response_map(response.headers) if response else None),
        **(body_as("responseBody", "responseBodyBase64", response.body) if response else {}),
        **_some("error", letter.error),
    }


def flow_control_key(view: FlowControlView) -> Json:
    """A flow-control key (contract 15.7). What is unlimited is 0."""
    return {
        "flowControlKey": view.key,
        "waitListSize": view.waiting,
        "parallelismMax": view.parallelism or 0,
        "parallelismCount": view.active,
        "rateMax": view.rate or 0,
        "rateCount": view.started,
        "ratePeriod": _seconds(view.period),
        "ratePeriodStart": to_ms(view.period_start) // 1000 if view.period_start else 0,
        "isPaused": view.paused,
        "isPinnedParallelism": view.pinned_parallelism,
        "isPinnedRate": view.pinned_rate,
    }


def flow_control(limits: FlowControl | None) -> Json:
    """What a message or a Schedule asks for (contract 4.7): the period always, limits only where there are any."""
    if limits is None:
        return {}
    return {
        "flowControlKey": limits.key,
        **({"parallelism": limits.parallelism} if limits.parallelism is not None else {}),
        **({"rate": limits.rate} if limits.rate is not None else {}),
        "period": _seconds(limits.period),
    }


def callbacks(of: Message | Schedule, headers: str, failure_headers: str) -> Json:
    """Both callbacks of a message or a Schedule. The names of their header maps differ between views."""
    return {
        **_callback("callback", headers, of.callback, of.redaction),
        **_callback("failureCallback", failure_headers, of.failure_callback, of.redaction),
    }


def labels(given: Sequence[str]) -> Json:
    """All labels, and the first one under its own name."""
    return {"label": given[0], "labels": list(given)} if given else {}


def caller(ip: str | None) -> Json:
    """Who published. The Python SDK reads the first spelling, the JavaScript SDK the second (contract 15.1)."""
    return {**_some("callerIP", ip), **_some("callerIp", ip)}


def cursor(position: str | None) -> Json:
    """The position after a page. The key is absent after the last one: SDKs tell that from null and "" (contract 5)."""
    return {"cursor": position} if position else {}


def _accepted(message_id: str, url: str, endpoint_name: str | None) -> Json:
    return {"messageId": message_id, "url": url, **_some("endpointName", endpoint_name)}


def _origin(about: Message) -> Json:
    return {
        **_some("topicName", about.topic),
        **_some("endpointName", about.endpoint_name),
        **_some("queueName", about.queue),
        **_some("scheduleId", about.schedule),
    }


def _callback(name: str, headers: str, callback: Callback | None, redaction: Redaction | None) -> Json:
    if callback is None:
        return {}
    to = callback.destination
    return {
        name: url_now(to.url, None, to.endpoint),
        **_some(headers, header_map(callback.options.headers, redaction)),
    }


def _logged_response(response: Response | None) -> Json:
    if response is None:
        return {}
    lines = response_map(response.headers)
    return {
        "responseStatus": response.status,
        **_some("responseBody", _base64(response.body)),
        **_some("responseHeader", lines),
        **_some("responseHeaders", lines),
    }


def _seconds(length: timedelta) -> int:
    return length // timedelta(seconds=1)


def _base64(body: bytes) -> str:
    return b64encode(body).decode("ascii")


def _some(name: str, value: str | Mapping[str, object] | Mapping[str, list[str]] | None) -> Json:
    return {name: value} if value else {}
