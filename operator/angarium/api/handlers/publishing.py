"""Publish and enqueue (contract 8.1)."""

from angarium.api import wire
from angarium.api.context import Context
from angarium.api.exchange import Answer, Call
from angarium.api.handlers.schedules import create
from angarium.api.publications import publication_of
from angarium.api.requests import read_request
from angarium.api.routes import Need, Route
from angarium.domain.names import check_name


class PublishingHandlers:
    """The ways into the queue for one message, or for one to each member of a Topic."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("POST", "/v2/publish/{destination...}", Need.PUBLISH, self.publish),
            Route("POST", "/v2/enqueue/{queue}/{destination...}", Need.PUBLISH, self.enqueue),
        )

    async def publish(self, call: Call) -> Answer:
        """Contract 8.1."""
        return await self._send(call, None)

    async def enqueue(self, call: Call) -> Answer:
        """The same into a queue, which comes to be if there is none (contract 8.1)."""
        queue = call.parameter("queue")
        check_name(queue, "queue")
        return await self._send(call, queue)

    async def _send(self, call: Call, queue: str | None) -> Answer:
        context = self._context
        now = context.clock.now()
        destination, options = await read_request(context, call, now)
        if queue is not None:
            options = options.into(queue)
        if options.cron is not None:
            return await create(context, call, destination, options)
        accepted = await context.publishing.publish(publication_of(call, destination, options, call.body, now))
        status = 200 if accepted.messages else 202
        return Answer(wire.acceptance(accepted, group=destination.topic is not None), status)
