"""Queues (contract 10, 15.5)."""

from collections.abc import Sequence

from angarium.api import objects_wire
from angarium.api.context import Context
from angarium.api.exchange import Answer, Call
from angarium.api.object_bodies import queue_body
from angarium.api.ownership import DELETE, change
from angarium.api.routes import Need, Route
from angarium.api.wire import Json
from angarium.domain.declarations import Declared, Kind, ObjectRef, Queue
from angarium.domain.edits import gone, paused, to_be
from angarium.domain.errors import NotFound
from angarium.domain.names import check_name
from angarium.domain.views import QueueView


class QueueHandlers:
    """Reading, making and changing queues."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("POST", "/v2/queues", Need.WRITE, self.upsert),
            Route("GET", "/v2/queues", Need.READ, self.queues),
            Route("GET", "/v2/queues/{queue}", Need.READ, self.queue),
            Route("DELETE", "/v2/queues/{queue}", Need.WRITE, self.delete),
            Route("POST", "/v2/queues/{queue}/pause", Need.WRITE, self.pause),
            Route("POST", "/v2/queues/{queue}/resume", Need.WRITE, self.resume),
        )

    async def upsert(self, call: Call) -> Answer:
        """Make a queue, or set both settings of one."""
        body = queue_body(call.body)
        wanted = to_be(Queue(body.parallelism, body.paused))
        asked = {"parallelism": body.parallelism, "suspend": body.paused}
        await change(self._context, _ref(call, body.name), wanted, asked)
        return Answer()

    async def queues(self, call: Call) -> Answer:
        """All of them, by name."""
        return Answer(await self._views(await self._context.store.catalog(Kind.QUEUE, call.namespace)))

    async def queue(self, call: Call) -> Answer:
        """One of them."""
        name = call.parameter("queue")
        found = await self._context.store.declared(_ref(call, name))
        views = await self._views([found] if found else [])
        if not views:
            raise NotFound(f"there is no queue {name[:100]!r}")
        return Answer(views[0])

    async def delete(self, call: Call) -> Answer:
        """Delete it with the messages that it still holds; there may be no such queue."""
        await change(self._context, _named(call), gone, DELETE)
        return Answer()

    async def pause(self, call: Call) -> Answer:
        """Start no message; running attempts finish."""
        return await self._pause(call, suspend=True)

    async def resume(self, call: Call) -> Answer:
        """Go on with the oldest message."""
        return await self._pause(call, suspend=False)

    async def _pause(self, call: Call, *, suspend: bool) -> Answer:
        ref = _named(call)
        await change(self._context, ref, paused(f"queue {ref.name!r}", suspend), {"suspend": suspend})
        return Answer()

    async def _views(self, declared: Sequence[Declared]) -> list[Json]:
        views = await self._context.store.queue_views([one.ref for one in declared], self._context.clock.now())
        return [
            objects_wire.queue(one, one.spec, views.get(one.ref, QueueView()))
            for one in declared
            if isinstance(one.spec, Queue)
        ]


def _ref(call: Call, name: str) -> ObjectRef:
    return ObjectRef(Kind.QUEUE, call.namespace, name)


def _named(call: Call) -> ObjectRef:
    name = call.parameter("queue")
    check_name(name, "queue")
    return _ref(call, name)
