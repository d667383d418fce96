"""The fields that Endpoint and Schedule share and that are inherited: method, headers, timeout, retry.

Absent stays absent: the default is applied last, in `domain.fanout`.
"""

from datetime import timedelta
from enum import StrEnum

from angarium.domain import headers, retry_expression
from angarium.domain.declarations import DeliveryOptions, Header
from angarium.domain.messages import MAX_RETRY_LIMIT, MAX_TIMEOUT
from angarium.resources.fields import Fields

MIN_TIMEOUT = timedelta(seconds=1)


class _Method(StrEnum):
    GET = "GET"
    POST = "POST"
    PUT = "PUT"
    PATCH = "PATCH"
    DELETE = "DELETE"


def decode(spec: Fields) -> DeliveryOptions:
    """Raises InvalidInput for what breaks a rule."""
    retry = spec.child("retry")
    delay = retry.text("delay") if retry else None
    if retry and delay is not None:
        retry_expression.parse(delay, retry.at("delay"))
    return DeliveryOptions(
        method=spec.choice("method", _Method),
        headers=tuple(_header(item) for item in spec.items("headers", fold_case=True)),
        timeout=spec.duration_within("timeout", MIN_TIMEOUT, MAX_TIMEOUT),
        retry_limit=retry.integer("limit", 0, MAX_RETRY_LIMIT) if retry else None,
        retry_delay=delay,
    )


def _header(item: Fields) -> Header:
    name = item.require_text("name")
    if not headers.valid_name(name):
        raise item.refuse("name", "is not an HTTP header name; use letters, digits and '-'")
    if not headers.is_forwardable(name):
        raise item.refuse("name", "is set by Angarium itself or belongs to the connection; remove this header")
    if item.one_of("value", "valueFrom") == "valueFrom":
        return Header(name, secret=item.require("valueFrom").key_reference("secretKeyRef"))
    value = item.text("value")
    if not headers.valid_value(value or ""):
        raise item.refuse("value", "has a line break or another control character; remove it")
    return Header(name, value)
