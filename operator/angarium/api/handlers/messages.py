"""Messages by id, and messages canceled (contract 8.2, 8.3)."""

from angarium.api import wire
from angarium.api.context import Context
from angarium.api.exchange import Answer, Call
from angarium.api.history import cancel_filter
from angarium.api.routes import Need, Route
from angarium.api.selection import parameters_of, selects_nothing
from angarium.domain.errors import NotFound
from angarium.domain.messages import MessageState
from angarium.domain.views import HistoryFilter


class MessageHandlers:
    """Reading and canceling messages."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("GET", "/v2/messages/{id}", Need.READ, self.message),
            Route("DELETE", "/v2/messages/{id}", Need.WRITE, self.cancel),
            Route("DELETE", "/v2/messages", Need.WRITE, self.cancel_many),
        )

    async def message(self, call: Call) -> Answer:
        """Contract 8.2. What was canceled is not found at once: clients of QStash wait for that 404."""
        message_id = call.parameter("id")
        view = await self._context.store.message(call.namespace, message_id, self._context.clock.now())
        if view is None or view.state is MessageState.CANCELED:
            raise NotFound(
                f"there is no message {message_id[:100]!r}: unknown, canceled, or ended longer ago than it is kept"
            )
        return Answer(wire.message(view.message, view.url))

    async def cancel(self, call: Call) -> Answer:
        """Contract 8.3, one message."""
        message_id = call.parameter("id")
        if not await self._context.messages.cancel(HistoryFilter(call.namespace, message_ids=(message_id,))):
            raise NotFound(f"there is no message {message_id[:100]!r} to cancel: unknown, or ended already")
        return Answer({"cancelled": 1})

    async def cancel_many(self, call: Call) -> Answer:
        """Contract 8.3: listed messages, those that match a filter, or all."""
        given = parameters_of(call)
        if selects_nothing(given, "messageIds"):
            return Answer({"cancelled": 0})
        where, most = cancel_filter(call.namespace, given)
        return Answer({"cancelled": await self._context.messages.cancel(where, most)})
