"""Publishing messages (contract 8.1)."""

from angarium.api import wire
from angarium.api.context import Context
from angarium.api.destination import parse_destination
from angarium.api.exchange import Answer, Call
from angarium.api.options import read_options
from angarium.api.routes import Need, Route
from angarium.domain.messages import Publication


class PublishingHandlers:
    """The ways into the queue."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> tuple[Route, ...]:
        return (Route("POST", "/v2/publish/{destination...}", Need.PUBLISH, self.publish),)

    async def publish(self, call: Call) -> Answer:
        """Contract 8.1."""
        context = self._context
        now = context.clock.now()
        destination = parse_destination(call.parameters["destination"], call.target, context.policy)
        options = read_options(call.headers, call.target.options(), now, context.limits)
        publication = Publication(
            namespace=call.namespace,
            destination=destination,
            created_at=now,
            body=call.body,
            options=options.delivery,
            labels=options.labels,
            not_before=options.not_before,
            caller_ip=call.caller_ip,
        )
        return Answer(wire.acceptance(await context.publishing.publish(publication)))
