"""Topic: a named set of endpoints."""

from datetime import datetime
from typing import Any

from angarium.domain.declarations import Declared, Topic, TopicMember
from angarium.domain.destinations import check_url
from angarium.domain.reasons import StateReason
from angarium.domain.views import TopicView
from angarium.resources import conditions
from angarium.resources.conditions import Previous, Problem
from angarium.resources.fields import Fields

MAX_MISSING = 100

_NOBODY = "Accepted, but it has no member now: publishing to it answers 404, and a Schedule's slot fails."
_EMPTY = (StateReason.READY, _NOBODY)


def decode(spec: Fields) -> Topic:
    """Raises InvalidInput for what breaks a rule."""
    selector = spec.child("selector")
    return Topic(
        members=tuple(_member(item) for item in spec.items("endpoints")),
        match_labels=selector.pairs("matchLabels") if selector else None,
    )


def status(
    declared: Declared, view: TopicView, problems: tuple[Problem, ...], previous: Previous, now: datetime
) -> dict[str, Any]:
    """The whole status. A member that is missing makes ResolvedRefs False; the others still get their messages."""
    when_ready = conditions.READY if view.members else _EMPTY
    wanted = conditions.judge(declared.spec, declared.generation, problems, previous, when_ready)
    written: dict[str, Any] = {
        "observedGeneration": declared.generation,
        "conditions": conditions.merge(previous, wanted, declared.generation, now),
        "endpoints": len(view.members),
    }
    if view.missing:
        written["missingEndpoints"] = list(view.missing[:MAX_MISSING])
    return written


def _member(item: Fields) -> TopicMember:
    name = item.require_text("name")
    if item.one_of("endpointRef", "url") == "endpointRef":
        return TopicMember(name, endpoint=item.reference("endpointRef"))
    url = item.require_text("url")
    check_url(url, item.at("url"))
    return TopicMember(name, url=url)
