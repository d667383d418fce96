"""`flowControl` of Endpoint and Schedule: how fast messages that share a key may start (contract 23.1)."""

from dataclasses import replace
from datetime import timedelta

from angarium.domain.declarations import FlowControl
from angarium.domain.fanout import FLOW_PREFIX_ENDPOINT, FLOW_PREFIX_SCHEDULE
from angarium.domain.flow_control import DEFAULT_PERIOD, MAX_PERIOD
from angarium.domain.names import check_opaque
from angarium.resources.fields import Fields

MAX_LIMIT = 1_000_000_000
MIN_PERIOD = timedelta(seconds=1)


def limits(spec: Fields) -> FlowControl | None:
    """Of an Endpoint: the key is implied, and stays empty. Raises InvalidInput for what breaks a rule."""
    given = spec.child("flowControl")
    if given is None:
        return None
    rate = given.integer("rate", 1, MAX_LIMIT)
    parallelism = given.integer("parallelism", 1, MAX_LIMIT)
    if rate is None and parallelism is None:
        raise spec.refuse("flowControl", "needs rate, parallelism or both")
    period = given.duration_within("period", MIN_PERIOD, MAX_PERIOD)
    if period is not None and rate is None:
        raise given.refuse("period", "goes with rate only; it is the time in which so many may start")
    return FlowControl(parallelism=parallelism, rate=rate, period=period or DEFAULT_PERIOD)


def keyed(spec: Fields, schedule: str) -> FlowControl | None:
    """Of the Schedule of this name: without `key` it has one of its own. Raises InvalidInput as `limits` does."""
    given, found = spec.child("flowControl"), limits(spec)
    if given is None or found is None:
        return None
    key = given.text("key")
    if key is None:
        return replace(found, key=f"{FLOW_PREFIX_SCHEDULE}{schedule}")
    check_opaque(key, given.at("key"))
    if key.startswith((FLOW_PREFIX_ENDPOINT, FLOW_PREFIX_SCHEDULE)):
        reserved = f"must not begin with {FLOW_PREFIX_ENDPOINT} or {FLOW_PREFIX_SCHEDULE}; choose another name"
        raise given.refuse("key", reserved)
    return replace(found, key=key)
