"""JSON views of queues, schedules and URL groups (contract 15.4–15.6), declared ones and those of the API alike."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from angarium.api.redaction import body, header_map
from angarium.api.wire import Json, callbacks, caller, flow_control, labels
from angarium.domain import timings
from angarium.domain.declarations import (
    CONTENT_TYPE,
    Callback,
    Declared,
    Destination,
    Endpoint,
    Header,
    Kind,
    ObjectRef,
    Origin,
    Queue,
    Schedule,
    Topic,
    TopicMember,
    has_content_type,
)
from angarium.domain.fanout import url_now
from angarium.domain.firing import flow_control_of
from angarium.domain.instants import MILLISECOND, to_ms
from angarium.domain.messages import DEFAULT_METHOD, DEFAULT_RETRY_LIMIT, MessageState
from angarium.domain.views import QueueView, RunView, ScheduleView, TopicView

Endpoints = Mapping[ObjectRef, Declared]
"""The Endpoints that the shown objects refer to, as far as they exist."""

_SECOND = timedelta(seconds=1)
_ENDED = {MessageState.DELIVERED: "SUCCESS", MessageState.FAILED: "FAIL", MessageState.CANCELED: "FAIL"}


def queue(declared: Declared, spec: Queue, view: QueueView) -> Json:
    """Contract 15.5."""
    return {
        "name": declared.ref.name,
        "parallelism": spec.parallelism,
        **_times(declared),
        "lag": view.lag,
        "paused": spec.suspend,
    }


def topic(declared: Declared, spec: Topic, view: TopicView, endpoints: Endpoints) -> Json:
    """Contract 15.6. An endpoint object has a url and, if it was given one, a name: nothing else."""
    members = spec.members if declared.origin is Origin.API else _members(view)
    return {
        "name": declared.ref.name,
        **_times(declared),
        "endpoints": [_member(declared.ref.namespace, member, endpoints) for member in members],
        **({"headers": header_map(spec.headers, None)} if spec.headers else {}),
    }


def schedule(declared: Declared, spec: Schedule, view: ScheduleView | None, endpoints: Endpoints) -> Json:
    """Contract 15.4. `retries` and `method` are effective values; times of slots are nominal."""
    namespace, to = declared.ref.namespace, spec.destination
    endpoint = _endpoint(namespace, to.endpoint, endpoints)
    options, given = endpoint.options if endpoint else None, spec.options
    limits = (given.retry_limit, options.retry_limit if options else None, DEFAULT_RETRY_LIMIT)
    timeout = given.timeout or (options.timeout if options else None)
    retry_delay = given.retry_delay or (options.retry_delay if options else None)
    return {
        "scheduleId": declared.ref.name,
        "cron": spec.cron_text or timings.wire(spec.timing),
        "createdAt": to_ms(declared.created_at),
        "destination": to.topic or url_now(to.url, endpoint, to.endpoint),
        "method": given.method or (options.method if options else None) or DEFAULT_METHOD,
        **_some("header", header_map(_headers(spec), spec.redaction)),
        **callbacks(_resolved(namespace, spec, endpoints), "callbackHeader", "failureCallbackHeader"),
        **body(spec.body, spec.redaction),
        "retries": next(limit for limit in limits if limit is not None),
        **_some("retryDelayExpression", retry_delay),
        **({"delay": spec.delay // _SECOND} if spec.delay is not None else {}),
        **({"timeout": timeout // MILLISECOND} if timeout is not None else {}),
        **_some("queueName", spec.queue),
        **caller(spec.caller_ip),
        **labels(spec.labels),
        **flow_control(flow_control_of(declared.ref, spec)),
        "isPaused": spec.suspend,
        **(_progress(view) if view else {}),
    }


def referred(declared: Declared, view: TopicView | None = None) -> frozenset[ObjectRef]:
    """The Endpoints whose URLs a view shows."""
    names = (_endpoint_name(target) for _, target in view.members) if view else ()
    found = {ObjectRef(Kind.ENDPOINT, declared.ref.namespace, name) for name in names if name}
    return frozenset(found | {ref for ref in declared.references() if ref.kind is Kind.ENDPOINT})


def _progress(view: ScheduleView) -> Json:
    last = view.runs[0] if view.runs else None
    return {
        **_some_time("lastScheduleTime", view.last_slot),
        **_some_time("nextScheduleTime", view.next_slot),
        **(_some("lastScheduleStates", _states(last)) if last else {}),
        **(_some("error", f"{last.reason}: {last.error}") if last and last.reason else {}),
    }


def _states(run: RunView) -> dict[str, str]:
    return {member.message_id: _ENDED.get(member.state, "IN_PROGRESS") for member in run.members}


def _headers(spec: Schedule) -> Iterable[Header]:
    headers = spec.options.headers
    if spec.content_type and not has_content_type(headers):
        return (Header(CONTENT_TYPE, spec.content_type), *headers)
    return headers


def _resolved(namespace: str, spec: Schedule, endpoints: Endpoints) -> Schedule:
    """With the URLs that its callbacks go to now."""

    def now(callback: Callback | None) -> Callback | None:
        found = _endpoint(namespace, callback.destination.endpoint, endpoints) if callback else None
        return replace(callback, destination=Destination(url=found.url)) if callback and found else callback

    return replace(spec, callback=now(spec.callback), failure_callback=now(spec.failure_callback))


def _members(view: TopicView) -> Iterable[TopicMember]:
    """Of a declared Topic: those that a publish reaches now, then those that do not exist."""
    for name, target in view.members:
        endpoint = _endpoint_name(target)
        yield TopicMember(name, endpoint=endpoint, url=None if endpoint else target)
    for name in view.missing:
        yield TopicMember(name, endpoint=name)


def _member(namespace: str, member: TopicMember, endpoints: Endpoints) -> Json:
    endpoint = _endpoint(namespace, member.endpoint, endpoints)
    return {**_some("name", member.name), "url": url_now(member.url, endpoint, member.endpoint)}


def _endpoint_name(target: str) -> str | None:
    # A name of Kubernetes has no slash, and a URL has two.
    return None if "/" in target else target


def _endpoint(namespace: str, name: str | None, endpoints: Endpoints) -> Endpoint | None:
    found = endpoints.get(ObjectRef(Kind.ENDPOINT, namespace, name)) if name else None
    return found.spec if found and isinstance(found.spec, Endpoint) else None


def _times(declared: Declared) -> Json:
    updated = declared.applied_at or declared.created_at
    return {"createdAt": to_ms(declared.created_at), "updatedAt": to_ms(updated)}


def _some(name: str, value: object) -> Json:
    return {name: value} if value else {}


def _some_time(name: str, time: datetime | None) -> Json:
    return {name: to_ms(time)} if time else {}
