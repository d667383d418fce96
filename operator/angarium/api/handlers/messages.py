"""Messages by id (contract 8.2, 8.3)."""

from angarium.api import wire
from angarium.api.context import Context
from angarium.api.exchange import Answer, Call
from angarium.api.routes import Need, Route
from angarium.domain.errors import NotFound


class MessageHandlers:
    """Reading and canceling messages."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> tuple[Route, ...]:
        return (Route("GET", "/v2/messages/{id}", Need.READ, self.message),)

    async def message(self, call: Call) -> Answer:
        """Contract 8.2."""
        message_id = call.parameter("id")
        view = await self._context.store.message(call.namespace, message_id, self._context.clock.now())
        if view is None:
            raise NotFound(f"there is no message {message_id[:100]!r}: unknown, or ended longer ago than it is kept")
        return Answer(wire.message(view.message, view.url))
