"""Token: access to the HTTP API, handed out in a Secret. Neither the text nor its hash ever stands in a status."""

from datetime import datetime
from typing import Any

from angarium.domain.credentials import SigningKeys
from angarium.domain.declarations import Access, Declared, Token
from angarium.domain.reasons import StateReason
from angarium.domain.views import TokenView
from angarium.resources import conditions
from angarium.resources.conditions import Previous, Problem
from angarium.resources.fields import Fields
from angarium.resources.times import format_time

URL, TOKEN, CURRENT, NEXT = "QSTASH_URL", "QSTASH_TOKEN", "QSTASH_CURRENT_SIGNING_KEY", "QSTASH_NEXT_SIGNING_KEY"

_READY = (StateReason.READY, "The Secret holds a token that the API accepts.")
_NOT_SEEN = "The Secret was not looked at yet; if this stays, the operator cannot reach the API server."
_WAITING = Problem(StateReason.PENDING, _NOT_SEEN, retry=True)


def decode(spec: Fields, name: str) -> Token:
    """`name` is the object's. Raises InvalidInput for what breaks a rule."""
    given = spec.get("secretName") is not None
    return Token(
        secret_name=spec.object_name("secretName") if given else f"{name}-qstash",
        access=spec.choice("access", Access) or Access.READ_WRITE,
    )


def handed_out(token: Token, url: str, text: str, keys: SigningKeys) -> dict[str, str]:
    """What a publisher gets, by variable: where and with what to publish, and the keys unless it may only read."""
    values = {URL: url, TOKEN: text}
    return values if token.access is Access.READ_ONLY else values | {CURRENT: keys.current, NEXT: keys.next}


def status(
    declared: Declared, view: TokenView | None, problems: tuple[Problem, ...], previous: Previous, now: datetime
) -> dict[str, Any]:
    """The whole status. `view` is None until the Secret was looked at: then the conditions stay as they are."""
    found = problems or (() if view else (_WAITING,))
    wanted = conditions.judge(declared.spec, declared.generation, found, previous, _READY)
    written: dict[str, Any] = {
        "observedGeneration": declared.generation,
        "conditions": conditions.merge(previous, wanted, declared.generation, now),
    }
    if isinstance(declared.spec, Token):
        written["secretName"] = declared.spec.secret_name
    if view:
        written["adopted"] = view.adopted
        if view.rotated_at:
            written["lastRotationTime"] = format_time(view.rotated_at)
    return written
