"""Objects as the API server (or a YAML file) gives them, to declarations; and a declaration's whole status.

A manifest is a plain dict that the CRD's schema accepted. Whatever dict comes: only InvalidInput is ever raised, and
only if it does not even say which object it is; a spec that breaks a rule becomes a Rejection.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from angarium.domain.declarations import Declared, Kind, ObjectRef, Rejection, Spec
from angarium.domain.errors import InvalidInput
from angarium.domain.views import EndpointView, QueueView, ScheduleView, TokenView, TopicView
from angarium.resources import endpoint, queue, schedule, token, topic
from angarium.resources.conditions import Previous, Problem
from angarium.resources.fields import Fields, reason_of
from angarium.resources.times import parse_time

GROUP = "angarium.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
ANNOTATION_PREFIX = f"{GROUP}/"
RUN_NOW = f"{GROUP}/run-now"

View = EndpointView | TopicView | ScheduleView | QueueView | TokenView | None

_NEVER_FIRED = ScheduleView(None, None, None, None, 0, False)
_ALL_DEFAULTS = frozenset((Kind.QUEUE, Kind.TOKEN))  # nothing in their specs is required
_MAX_GENERATION = 2**63 - 1


def decode(manifest: Mapping[str, Any]) -> Declared:
    """Read an object. Raises InvalidInput if its kind or metadata (name, namespace, uid, generation …) cannot be read.

    A file has no uid, generation and creationTimestamp: whoever reads it adds them.
    """
    whole = Fields(manifest, "")
    if whole.text("apiVersion") not in (None, API_VERSION):
        raise InvalidInput("apiVersion", f"is not {API_VERSION}")
    metadata = whole.require("metadata")
    kind = whole.choice("kind", Kind)
    if kind is None:
        raise InvalidInput("kind", f"is missing; write one of {', '.join(Kind)}")
    ref = ObjectRef(kind, metadata.require_text("namespace"), metadata.require_text("name"))
    created_at = parse_time(metadata.require_text("creationTimestamp"), metadata.at("creationTimestamp"))
    generation = metadata.integer("generation", 0, _MAX_GENERATION)
    if generation is None:
        raise metadata.refuse("generation", "is missing")
    labels, annotations = metadata.pairs("labels"), metadata.pairs("annotations")
    spec = _spec(whole, ref, created_at)
    return Declared(
        ref=ref,
        uid=metadata.require_text("uid"),
        generation=generation,
        fingerprint=_fingerprint(generation, labels, annotations, spec),
        created_at=created_at,
        spec=spec,
        labels=labels,
        run_now=annotations.get(RUN_NOW),
        last_slot=_last_slot(manifest),
    )


def status(
    declared: Declared, view: View, problems: tuple[Problem, ...], previous: Previous, now: datetime
) -> dict[str, Any]:
    """The whole status as JSON. The same arguments give the same status; `now` shows only where a condition flips."""
    match declared.ref.kind:
        case Kind.ENDPOINT:
            seen = view if isinstance(view, EndpointView) else EndpointView()
            return endpoint.status(declared, seen, problems, previous, now)
        case Kind.TOPIC:
            members = view if isinstance(view, TopicView) else TopicView()
            return topic.status(declared, members, problems, previous, now)
        case Kind.SCHEDULE:
            fired = view if isinstance(view, ScheduleView) else _NEVER_FIRED
            return schedule.status(declared, fired, problems, previous, now)
        case Kind.QUEUE:
            line = view if isinstance(view, QueueView) else QueueView()
            return queue.status(declared, line, problems, previous, now)
        case Kind.TOKEN:
            secret = view if isinstance(view, TokenView) else None
            return token.status(declared, secret, problems, previous, now)


def _spec(whole: Fields, ref: ObjectRef, created_at: datetime) -> Spec | Rejection:
    try:
        spec = whole.child("spec") or Fields({}, "spec") if ref.kind in _ALL_DEFAULTS else whole.require("spec")
        match ref.kind:
            case Kind.ENDPOINT:
                return endpoint.decode(spec)
            case Kind.TOPIC:
                return topic.decode(spec)
            case Kind.SCHEDULE:
                return schedule.decode(spec, ref, created_at)
            case Kind.QUEUE:
                return queue.decode(spec)
            case Kind.TOKEN:
                return token.decode(spec, ref.name)
    except InvalidInput as error:
        return Rejection(reason_of(error.field), str(error))


def _fingerprint(
    generation: int, labels: Mapping[str, str], annotations: Mapping[str, str], spec: Spec | Rejection
) -> str:
    ours = {name: text for name, text in annotations.items() if name.startswith(ANNOTATION_PREFIX)}
    # With the rejection in it, a program that knows more (a new time zone) takes another look at an old spec.
    refused = [spec.reason, spec.message] if isinstance(spec, Rejection) else None
    text = json.dumps([generation, labels, ours, refused], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _last_slot(manifest: Mapping[str, Any]) -> datetime | None:
    """A status that somebody else broke tells nothing, but it must not keep the spec from being read."""
    try:
        written = Fields(manifest, "").child("status")
        return written.time("lastSlotTime") if written else None
    except InvalidInput:
        return None
