"""From a publication to its messages: which members a Topic has, and which options a message gets.

Runs inside the transaction that accepts the messages, on what is declared at that instant. Precedence of each leaf
field: request or Schedule > Endpoint > default; the API has put a Topic's default headers under those of the request.
The Endpoint's headers are left out here: they are bound late.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Protocol
from urllib.parse import urlsplit

from angarium.domain.declarations import (
    CONTENT_TYPE,
    Declared,
    DeliveryOptions,
    Endpoint,
    FlowControl,
    Header,
    Topic,
    TopicMember,
    has_content_type,
)
from angarium.domain.errors import NotFound
from angarium.domain.messages import (
    DEFAULT_METHOD,
    DEFAULT_TIMEOUT,
    Acceptance,
    Message,
    Publication,
)

FLOW_PREFIX_ENDPOINT = "endpoint/"
FLOW_PREFIX_SCHEDULE = "schedule/"
"""Flow-control keys that begin so are implied by an object; publishers may not choose them."""


class Catalog(Protocol):
    """The declared objects of one namespace, as they are at this instant."""

    def endpoint(self, name: str) -> Declared | None: ...

    def topic(self, name: str) -> Declared | None: ...

    def endpoints_matching(self, labels: dict[str, str]) -> Sequence[Declared]:
        """Endpoints that carry all these labels, by name."""
        ...


_NOTHING = DeliveryOptions()


@dataclass(frozen=True, slots=True)
class Member:
    """Where one message of a publication goes: exactly one of a URL and the name of an Endpoint.

    `spec` is what is declared of the Endpoint; None for a URL, and if it was rejected or is not there.
    """

    name: str | None
    url: str | None = None
    endpoint: str | None = None
    spec: Endpoint | None = None


def members_of(topic: Topic, catalog: Catalog) -> tuple[list[Member], list[str]]:
    """The members of a Topic now, and the names of listed Endpoints that do not exist.

    List order, then selector members by name; an Endpoint matched twice counts once, under the list's name.
    """
    members: list[Member] = []
    missing: list[str] = []
    for listed in topic.members:
        member = _listed(listed, catalog)
        if member is None:
            missing.append(listed.endpoint or listed.name or "")
        else:
            members.append(member)
    taken = {member.endpoint for member in members}
    if topic.match_labels is not None:
        selected = catalog.endpoints_matching(topic.match_labels)
        members += [_declared(e, e.ref.name) for e in selected if e.ref.name not in taken]
    return members, missing


def _listed(listed: TopicMember, catalog: Catalog) -> Member | None:
    if listed.endpoint is None:
        return Member(listed.name, url=listed.url)
    endpoint = catalog.endpoint(listed.endpoint)
    return _declared(endpoint, listed.name) if endpoint else None


def _declared(endpoint: Declared, name: str | None) -> Member:
    spec = endpoint.spec if isinstance(endpoint.spec, Endpoint) else None
    return Member(name, endpoint=endpoint.ref.name, spec=spec)


def expand(publication: Publication, catalog: Catalog, new_id: Callable[[datetime], str]) -> Acceptance:
    """The messages of a publication.

    Raises NotFound if its Endpoint or Topic does not exist, or if the Topic has no member.
    """
    members, missing = _members(publication, catalog)
    messages = tuple(_message(publication, member, new_id(publication.created_at)) for member in members)
    urls = tuple(url_now(one.url, member.spec, one.endpoint) for one, member in zip(messages, members, strict=True))
    return Acceptance(messages, urls, tuple(missing))


def undeliverable(publication: Publication, new_id: Callable[[datetime], str]) -> Message:
    """The message of a publication to an Endpoint that does not exist."""
    member = Member(None, endpoint=publication.destination.endpoint)
    return _message(publication, member, new_id(publication.created_at))


def url_now(url: str | None, endpoint: Endpoint | None, name: str | None) -> str:
    """The URL that a message resolves to: its own, the Endpoint's, or `endpoint:<name>` when that cannot be told."""
    return endpoint.url if endpoint else url or f"endpoint:{name}"


def lane_of(url: str | None, endpoint: str | None) -> str:
    """What shares the attempts at once: an Endpoint, or all URLs of one host and port. It has no '#'."""
    if endpoint is not None:
        return f"endpoint/{endpoint}"
    return urlsplit(url or "").netloc.rpartition("@")[2].lower() or "-"


def lane_under(destination: str, endpoint: str | None, flow: str | None) -> str:
    """What is taken in turn when messages wait: those that share destination (`lane_of`) and flow-control key.

    Messages under the key of their Endpoint share the lane of those without a key of their own.
    """
    if flow is None or (endpoint is not None and flow == flow_key_of(endpoint)):
        return destination
    return f"{destination}#{flow}"


def flow_key_of(endpoint: str) -> str:
    """The flow-control key that every message to an Endpoint without a key of its own has, declared limits or not."""
    return f"{FLOW_PREFIX_ENDPOINT}{endpoint}"


def _members(publication: Publication, catalog: Catalog) -> tuple[list[Member], list[str]]:
    destination = publication.destination
    if destination.url is not None:
        return [_to_url(destination.url)], []
    if destination.endpoint is not None:
        endpoint = catalog.endpoint(destination.endpoint)
        if endpoint is None:
            raise NotFound(f"Endpoint {destination.endpoint!r} does not exist in namespace {publication.namespace!r}")
        return [_declared(endpoint, None)], []
    topic = catalog.topic(destination.topic or "")
    if topic is None or not isinstance(topic.spec, Topic):
        what, where = f"Topic {destination.topic!r}", f"in namespace {publication.namespace!r}"
        refused = f"{what} {where} is not accepted: its conditions say why"
        raise NotFound(refused if topic else f"{what} does not exist {where}")
    members, missing = members_of(topic.spec, catalog)
    if not members:
        raise NotFound(f"Topic {destination.topic!r} in namespace {publication.namespace!r} has no member")
    return members, missing


@lru_cache(maxsize=1024)
def _to_url(url: str) -> Member:
    return Member(None, url=url)


def _message(publication: Publication, member: Member, message_id: str) -> Message:
    endpoint = member.spec.options if member.spec else _NOTHING
    given = publication.options
    limit = given.retry_limit if given.retry_limit is not None else endpoint.retry_limit
    created, not_before = publication.created_at, publication.not_before
    return Message(
        id=message_id,
        namespace=publication.namespace,
        url=member.url,
        endpoint=member.endpoint,
        method=given.method or endpoint.method or DEFAULT_METHOD,
        headers=_typed(publication, endpoint) if publication.default_content_type else given.headers,
        body=publication.body,
        timeout=given.timeout or endpoint.timeout or DEFAULT_TIMEOUT,
        max_retries=publication.default_retries if limit is None else limit,
        retry_delay=given.retry_delay or endpoint.retry_delay,
        created_at=created,
        not_before=created if not_before is None else max(not_before, created),
        labels=publication.labels,
        caller_ip=publication.caller_ip,
        topic=publication.destination.topic,
        endpoint_name=member.name,
        run=publication.run,
        schedule=publication.run.schedule.name if publication.run else None,
        queue=publication.queue,
        flow_control=given.flow_control or _implied(endpoint.flow_control, member.endpoint),
        callback=publication.callback,
        failure_callback=publication.failure_callback,
        redaction=publication.redaction,
        source=publication.source,
    )


def _typed(publication: Publication, endpoint: DeliveryOptions) -> tuple[Header, ...]:
    """Its headers, with the default media type of its body if nobody says another one."""
    given = publication.options.headers
    if has_content_type(given) or has_content_type(endpoint.headers):
        return given
    return (Header(CONTENT_TYPE, publication.default_content_type), *given)


def _implied(declared: FlowControl | None, endpoint: str | None) -> FlowControl | None:
    return replace(declared, key=flow_key_of(endpoint)) if declared and endpoint else None
