"""The dead letter queue (contract 9, 15.3)."""

from angarium.api import wire
from angarium.api.context import Context
from angarium.api.exchange import Answer, Call
from angarium.api.history import dead_letter_filter
from angarium.api.options import read_options
from angarium.api.routes import Need, Route
from angarium.api.selection import parameters_of, selects_nothing
from angarium.domain.errors import Conflict, NotFound
from angarium.domain.messages import Overrides
from angarium.domain.views import HistoryFilter

_IDS = "dlqIds"


class DeadLetterHandlers:
    """Reading, deleting and retrying what was given up."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("GET", "/v2/dlq", Need.READ, self.dead_letters),
            Route("GET", "/v2/dlq/{dlqId}", Need.READ, self.dead_letter),
            Route("DELETE", "/v2/dlq/{dlqId}", Need.WRITE, self.delete),
            Route("DELETE", "/v2/dlq", Need.WRITE, self.delete_many),
            # No slash: an id that is empty by mistake would retry everything.
            Route("POST", "/v2/dlq/retry", Need.WRITE, self.retry_many, slash=False),
            Route("POST", "/v2/dlq/retry/{dlqId}", Need.WRITE, self.retry),
        )

    async def dead_letters(self, call: Call) -> Answer:
        """Contract 9.1."""
        page = await self._context.store.dead_letters(dead_letter_filter(call.namespace, call.target.filters()))
        return Answer({"messages": [wire.dead_letter(letter) for letter in page.items], **wire.cursor(page.cursor)})

    async def dead_letter(self, call: Call) -> Answer:
        """Contract 9.2."""
        page = await self._context.store.dead_letters(_only(call))
        if not page.items:
            raise _unknown(call)
        return Answer(wire.dead_letter(page.items[0]))

    async def delete(self, call: Call) -> Answer:
        """Contract 9.3."""
        deleted = await self._context.dead_letters.delete(_only(call))
        if not deleted.count:
            raise _unknown(call)
        return Answer({"deleted": 1})

    async def delete_many(self, call: Call) -> Answer:
        """Contract 9.4: listed letters, or a page of those that match."""
        given = parameters_of(call)
        if selects_nothing(given, _IDS):
            return Answer({"deleted": 0})
        deleted = await self._context.dead_letters.delete(dead_letter_filter(call.namespace, given))
        return Answer({"deleted": deleted.count, **wire.cursor(deleted.cursor)})

    async def retry(self, call: Call) -> Answer:
        """Contract 9.5, one letter."""
        retried = await self._context.dead_letters.retry(_only(call), self._overrides(call))
        if retried.messages:
            return Answer({"messageId": retried.messages[0].id}, 201)
        if not retried.matched:
            raise _unknown(call)
        raise Conflict("the Endpoint of this message does not exist any more: declare it again, then retry")

    async def retry_many(self, call: Call) -> Answer:
        """Contract 9.5: listed letters, or a page of those that match."""
        given, overrides = parameters_of(call), self._overrides(call)
        if selects_nothing(given, _IDS):
            return Answer({"responses": []}, 201)
        where = dead_letter_filter(call.namespace, given)
        retried = await self._context.dead_letters.retry(where, overrides)
        if where.dlq_ids and not retried.matched:
            raise NotFound("none of these dead letters exists: unknown, or deleted or retried already")
        responses = [{"messageId": message.id} for message in retried.messages]
        return Answer({"responses": responses, **wire.cursor(retried.cursor)}, 201)

    def _overrides(self, call: Call) -> Overrides:
        context = self._context
        return read_options(call.headers, call.target.options(), context.clock.now(), context.limits).overrides()


def _only(call: Call) -> HistoryFilter:
    return HistoryFilter(call.namespace, dlq_ids=(call.parameter("dlqId"),), count=1)


def _unknown(call: Call) -> NotFound:
    dlq_id = call.parameter("dlqId")
    return NotFound(f"there is no dead letter {dlq_id[:100]!r}: unknown, or deleted or retried already")
