"""`redact` of a Schedule: what views of its messages show as a hash only (contract 24)."""

from angarium.domain import headers
from angarium.domain.declarations import Redaction
from angarium.resources.fields import Fields

MAX_HEADERS = 32

_ALL = "*"


def decode(spec: Fields) -> Redaction | None:
    """None if nothing is hidden. Raises InvalidInput for what breaks a rule."""
    given = spec.child("redact")
    if given is None:
        return None
    names = given.texts("headers")
    if len(names) > MAX_HEADERS:
        raise given.refuse("headers", f"has {len(names)} names; at most {MAX_HEADERS} are allowed, and * hides all")
    for name in names:
        if not headers.valid_name(name):
            raise given.refuse("headers", f"{name[:80]!r} is not an HTTP header name; use letters, digits and '-'")
    body = given.flag("body")
    if not body and not names:
        return None
    listed = tuple(dict.fromkeys(name.lower() for name in names if name != _ALL))
    return Redaction(body=body, all_headers=_ALL in names, names=listed)
