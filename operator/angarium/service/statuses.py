"""What the status of declared objects should be: gathers what the store and the Secrets say, a few reads for many.

Problems are named by what is missing, objects by kind and name before keys in the order of the spec. What was made over
the API has no status.
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from angarium.domain.declarations import (
    Declared,
    Endpoint,
    Header,
    KeyRef,
    Kind,
    ObjectRef,
    Origin,
    Rejection,
    Schedule,
)
from angarium.domain.errors import ReferenceMissing, ReferenceUnavailable
from angarium.domain.ports import CatalogStore, Clock, HistoryStore, References
from angarium.domain.reasons import ReferenceReason
from angarium.domain.views import EndpointView, QueueView, ScheduleView, TopicView
from angarium.resources.conditions import Problem
from angarium.resources.manifest import View

READS_AT_ONCE = 8

UNREADABLE = "the API server is away or fails; it is tried again every 15 s"

StoreView = EndpointView | TopicView | ScheduleView | QueueView
"""What the store knows of an object's progress."""


class StatusStore(CatalogStore, HistoryStore, Protocol):
    """What of the store is read here."""


@dataclass(frozen=True, slots=True)
class StatusInput:
    """All that an object's status is made of, but for the conditions that stand there: see `manifest.status`.

    `recheck`: a Secret or ConfigMap is missing or unreadable, or messages wait in a Queue, for their time, an Endpoint,
    a callback. Nobody tells by object when that changes: ask again in 15 s.
    """

    declared: Declared
    view: View
    problems: tuple[Problem, ...] = ()
    recheck: bool = False


@dataclass(frozen=True, slots=True)
class _Source:
    """A key that a spec refers to: of a Secret, or of a ConfigMap."""

    namespace: str
    ref: KeyRef
    config_map: bool = False


class Statuses:
    """May be asked from any loop. Who keeps the Secrets of Tokens adds their views and problems to what comes back."""

    def __init__(self, store: StatusStore, references: References, clock: Clock) -> None:
        self._store = store
        self._references = references
        self._clock = clock

    async def desired(self, refs: Collection[ObjectRef]) -> dict[ObjectRef, StatusInput]:
        """What the status of each object is made of; what no resource declares is left out."""
        found = await self._store.declared_many(list(refs), bodies=False)
        declared = {ref: one for ref, one in found.items() if one.origin is Origin.RESOURCE}
        views = await self._views(declared.keys())
        named = _destinations(declared.values())
        destinations = await self._store.declared_many(sorted(named), bodies=False) if named else {}
        missing = await self._missing_sources(declared.values())
        return {ref: self._input(one, views.get(ref), destinations, missing) for ref, one in declared.items()}

    async def _views(self, refs: Iterable[ObjectRef]) -> dict[ObjectRef, StoreView]:
        of_kind: dict[Kind, list[ObjectRef]] = {kind: [] for kind in Kind}
        for ref in refs:
            of_kind[ref.kind].append(ref)
        views: dict[ObjectRef, StoreView] = {}
        if endpoints := of_kind[Kind.ENDPOINT]:
            views.update(await self._store.endpoint_views(endpoints))
        if topics := of_kind[Kind.TOPIC]:
            views.update(await self._store.topic_views(topics))
        if schedules := of_kind[Kind.SCHEDULE]:
            views.update(await self._store.schedule_views(schedules))
        if queues := of_kind[Kind.QUEUE]:
            views.update(await self._store.queue_views(queues, self._clock.now()))
        return views

    async def _missing_sources(self, declared: Iterable[Declared]) -> dict[_Source, Problem]:
        """The keys that do not exist or cannot be read now; each is read once, however many refer to it."""
        sources = list(dict.fromkeys(source for one in declared for source in _sources(one)))
        turns = asyncio.Semaphore(READS_AT_ONCE)

        async def problem(source: _Source) -> Problem | None:
            async with turns:
                return await self._read(source)

        problems = await asyncio.gather(*map(problem, sources))
        return {source: problem for source, problem in zip(sources, problems, strict=True) if problem}

    async def _read(self, source: _Source) -> Problem | None:
        read = self._references.config_map if source.config_map else self._references.secret
        try:
            await read(source.namespace, source.ref)
        except ReferenceMissing as error:
            return Problem(error.reason, str(error))
        except ReferenceUnavailable as error:
            # Its text may differ with every try, and a status is to stand still while nothing happens.
            named = f"{'ConfigMap' if source.config_map else 'Secret'} {source.ref.name!r}"
            if error.forbidden:
                plural = "configmaps" if source.config_map else "secrets"
                missing = f"the operator may not read it; its Role in this namespace has to grant get on {plural}"
                return Problem(ReferenceReason.REFERENCE_FORBIDDEN, f"{named} cannot be read: {missing}")
            message = f"{named} cannot be read just now: {UNREADABLE}"
            return Problem(ReferenceReason.REFERENCE_UNAVAILABLE, message, retry=True)
        return None

    def _input(
        self,
        declared: Declared,
        view: StoreView | None,
        destinations: Mapping[ObjectRef, Declared],
        missing: Mapping[_Source, Problem],
    ) -> StatusInput:
        if declared.ref.kind is Kind.TOKEN:
            return StatusInput(declared, None)
        sources = [missing[source] for source in _sources(declared) if source in missing]
        problems = [*_unresolved(declared, view, destinations), *sources]
        return StatusInput(declared, view, tuple(dict.fromkeys(problems)), recheck=bool(sources) or _waits(view))


def _destinations(declared: Iterable[Declared]) -> frozenset[ObjectRef]:
    """What Schedules name: destinations, also of callbacks, and queues.

    Members of Topics are left out: the store's view says which of them are missing.
    """
    return frozenset(ref for one in declared if one.ref.kind is Kind.SCHEDULE for ref in one.references())


def _unresolved(
    declared: Declared, view: StoreView | None, destinations: Mapping[ObjectRef, Declared]
) -> list[Problem]:
    if isinstance(view, TopicView):
        return [_not_found(Kind.ENDPOINT, name) for name in view.missing]
    if not isinstance(declared.spec, Schedule):
        return []
    problems = (_problem(ref, destinations.get(ref)) for ref in sorted(declared.references()))
    return [problem for problem in problems if problem]


def _problem(ref: ObjectRef, named: Declared | None) -> Problem | None:
    if ref.kind is Kind.QUEUE and (named is None or named.origin is Origin.API):
        # It is made with the first message; that this happened, and was not declared, changes nothing.
        where = "messages go into a queue of this name that the API owns, made with parallelism 1 if there is none"
        return Problem(ReferenceReason.QUEUE_NOT_FOUND, f"Queue {ref.name!r} does not exist: {where}")
    if named is None:
        return _not_found(ref.kind, ref.name)
    if ref.kind is not Kind.ENDPOINT and isinstance(named.spec, Rejection):
        text = f"{ref.kind} {ref.name!r} is not accepted: correct its spec, its Accepted condition says what is wrong"
        return Problem(ReferenceReason(f"{ref.kind}NotAccepted"), text)
    return None


def _waits(view: StoreView | None) -> bool:
    return isinstance(view, QueueView) and (view.waiting_since or view.blocked_by) is not None


def _not_found(kind: Kind, name: str) -> Problem:
    return Problem(ReferenceReason(f"{kind}NotFound"), f"{kind} {name!r} does not exist")


def _sources(declared: Declared) -> list[_Source]:
    """The Secrets and ConfigMaps that a spec names, in its order."""
    spec, namespace = declared.spec, declared.ref.namespace
    if isinstance(spec, Endpoint):
        return [_Source(namespace, ref) for ref in (*_secrets(spec.options.headers), *_tls_secrets(spec))]
    if isinstance(spec, Schedule):
        reports = [callback.options.headers for callback in (spec.callback, spec.failure_callback) if callback]
        sources = [_Source(namespace, ref) for headers in (spec.options.headers, *reports) for ref in _secrets(headers)]
        return [*sources, _Source(namespace, spec.body_from, config_map=True)] if spec.body_from else sources
    return []


def _secrets(headers: Sequence[Header]) -> list[KeyRef]:
    return [header.secret for header in headers if header.secret]


def _tls_secrets(endpoint: Endpoint) -> list[KeyRef]:
    tls = endpoint.tls
    ca = [KeyRef(tls.ca_secret, "ca.crt")] if tls and tls.ca_secret else []
    client = tls.client_certificate_secret if tls else None
    return ca + ([KeyRef(client, "tls.crt"), KeyRef(client, "tls.key")] if client else [])
