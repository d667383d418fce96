"""`callback` and `failureCallback` of a Schedule: where what became of its messages is reported to (contract 20)."""

from angarium.domain.declarations import Callback, has_content_type
from angarium.resources import destination, options
from angarium.resources.fields import Fields


def decode(spec: Fields, name: str) -> Callback | None:
    """Read the callback `name`. Raises InvalidInput for what breaks a rule."""
    given = spec.child(name)
    if given is None:
        return None
    decoded = options.decode(given)
    if has_content_type(decoded.headers):
        raise given.refuse("headers", "must not hold Content-Type; a report is always application/json")
    return Callback(destination.decode(given, "url", "endpointRef"), decoded)
