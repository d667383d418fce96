"""Endpoint: a place to deliver to."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from angarium.domain.declarations import Declared, Endpoint, Tls
from angarium.domain.destinations import check_url
from angarium.domain.reasons import ConditionType, StateReason
from angarium.domain.views import EndpointView
from angarium.resources import attempts, conditions, flow_control, options
from angarium.resources.conditions import Condition, Previous, Problem
from angarium.resources.fields import Fields

_SUSPENDED = (StateReason.SUSPENDED, "Suspended by spec.suspend: messages wait, and nothing fails meanwhile.")


def decode(spec: Fields) -> Endpoint:
    """Raises InvalidInput for what breaks a rule."""
    url = spec.require_text("url")
    check_url(url, spec.at("url"))
    sent = replace(options.decode(spec), flow_control=flow_control.limits(spec))
    return Endpoint(url, sent, _tls(spec.child("tls")), spec.flag("suspend"))


def status(
    declared: Declared, view: EndpointView, problems: tuple[Problem, ...], previous: Previous, now: datetime
) -> dict[str, Any]:
    """The whole status. Nothing in it changes without an attempt, a change of the object or of what it refers to."""
    suspended = isinstance(declared.spec, Endpoint) and declared.spec.suspend
    when_ready = _SUSPENDED if suspended else conditions.READY
    wanted = conditions.judge(declared.spec, declared.generation, problems, previous, when_ready)
    written: dict[str, Any] = {
        "observedGeneration": declared.generation,
        "conditions": conditions.merge(previous, [*wanted, _reachable(view)], declared.generation, now),
        "consecutiveFailures": view.consecutive_failures,
    }
    if view.last_attempt:
        written["lastDelivery"] = attempts.last_delivery(view.last_attempt, view.last_message_id)
    return written


def _tls(tls: Fields | None) -> Tls | None:
    if tls is None:
        return None
    return Tls(
        ca_secret=tls.reference("caSecretRef"),
        client_certificate_secret=tls.reference("clientCertificateSecretRef"),
        server_name=tls.text("serverName") or None,
    )


def _reachable(view: EndpointView) -> Condition:
    attempt = view.last_attempt
    if attempt is None:
        return Condition(
            ConditionType.REACHABLE, "Unknown", StateReason.NO_DELIVERIES, "Nothing was sent to this URL yet."
        )
    if attempts.delivered(attempt):
        return Condition(
            ConditionType.REACHABLE, "True", StateReason.DELIVERED, "The last attempt was answered with success."
        )
    message = f"The last attempt failed: {attempts.error_of(attempt)}"
    return Condition(ConditionType.REACHABLE, "False", attempts.reason_of(attempt), message)
