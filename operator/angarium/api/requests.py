"""What a request to publish, to enqueue or to schedule asks for: where to, and how."""

from datetime import datetime

from angarium.api.context import Context
from angarium.api.defaults import default_headers
from angarium.api.destination import parse_destination
from angarium.api.exchange import Call
from angarium.api.options import Lines, Options, read_options
from angarium.domain.declarations import Destination


async def read_request(context: Context, call: Call, now: datetime) -> tuple[Destination, Options]:
    """The destination in the path, and the options, with the default headers of a Topic. Raises InvalidInput."""
    destination = parse_destination(call.parameters["destination"], call.target, context.policy)
    defaults: Lines = ()
    if destination.topic is not None:
        found = await default_headers(context.store, call.namespace, [destination])
        defaults = found.get(destination.topic, ())
    options = read_options(
        call.headers,
        call.target.options(),
        now,
        context.limits,
        defaults=defaults,
        forward_authorization=call.target.has_token(),
    )
    return destination, options
