"""URL groups, which are Topics (contract 12, 15.6)."""

from collections.abc import Sequence

from angarium.api import objects_wire
from angarium.api.context import Context
from angarium.api.exchange import Answer, Call
from angarium.api.object_bodies import headers_body, member_keys_body, members_body
from angarium.api.ownership import DELETE, EDIT, change
from angarium.api.routes import Need, Route
from angarium.api.wire import Json
from angarium.domain.declarations import Declared, Kind, ObjectRef, Topic
from angarium.domain.edits import gone, with_headers, with_members, without_members
from angarium.domain.errors import NotFound
from angarium.domain.names import check_name
from angarium.domain.views import TopicView


class TopicHandlers:
    """Reading, making and changing URL groups."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("GET", "/v2/topics", Need.READ, self.topics),
            Route("GET", "/v2/topics/{topic}", Need.READ, self.topic),
            Route("DELETE", "/v2/topics/{topic}", Need.WRITE, self.delete),
            Route("PATCH", "/v2/topics/{topic}", Need.WRITE, self.set_headers),
            Route("POST", "/v2/topics/{topic}/endpoints", Need.WRITE, self.add),
            Route("DELETE", "/v2/topics/{topic}/endpoints", Need.WRITE, self.remove),
        )

    async def topics(self, call: Call) -> Answer:
        """All of them, by name."""
        return Answer(await self._views(await self._context.store.catalog(Kind.TOPIC, call.namespace)))

    async def topic(self, call: Call) -> Answer:
        """One of them."""
        name = call.parameter("topic")
        found = await self._context.store.declared(ObjectRef(Kind.TOPIC, call.namespace, name))
        views = await self._views([found] if found else [])
        if not views:
            raise NotFound(f"there is no URL group {name[:100]!r}")
        return Answer(views[0])

    async def delete(self, call: Call) -> Answer:
        """Messages that were made stay; there may be no such group."""
        await change(self._context, _named(call), gone, DELETE)
        return Answer()

    async def set_headers(self, call: Call) -> Answer:
        """Set the default publish headers, in place of those before."""
        ref = _named(call)
        headers = headers_body(call.body, self._context.limits)
        await change(self._context, ref, with_headers(ref.name, headers), EDIT)
        return Answer()

    async def add(self, call: Call) -> Answer:
        """Add or update endpoints; the first ones make the group."""
        ref = _named(call)
        members = members_body(call.body, self._context.limits)
        await change(self._context, ref, with_members(members), EDIT)
        return Answer()

    async def remove(self, call: Call) -> Answer:
        """Remove endpoints, as far as the group has them; with the last one it is gone."""
        ref = _named(call)
        await change(self._context, ref, without_members(ref.name, member_keys_body(call.body)), EDIT)
        return Answer()

    async def _views(self, declared: Sequence[Declared]) -> list[Json]:
        store = self._context.store
        views = await store.topic_views([one.ref for one in declared])
        referred = {ref for one in declared for ref in objects_wire.referred(one, views.get(one.ref))}
        endpoints = await store.declared_many(sorted(referred)) if referred else {}
        return [
            objects_wire.topic(one, one.spec, views.get(one.ref, TopicView()), endpoints)
            for one in declared
            if isinstance(one.spec, Topic)
        ]


def _named(call: Call) -> ObjectRef:
    name = call.parameter("topic")
    check_name(name, "topic")
    return ObjectRef(Kind.TOPIC, call.namespace, name)
