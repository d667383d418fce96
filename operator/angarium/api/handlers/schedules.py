"""Schedules (contract 11, 15.4)."""

from collections.abc import Sequence

from angarium.api import objects_wire
from angarium.api.auth import demand
from angarium.api.context import Context
from angarium.api.exchange import Answer, Call
from angarium.api.options import Options
from angarium.api.ownership import DELETE, EDIT, change
from angarium.api.requests import read_request
from angarium.api.routes import Need, Route
from angarium.api.wire import Json
from angarium.domain import timings
from angarium.domain.declarations import Declared, Destination, Kind, ObjectRef, Schedule, Topic
from angarium.domain.edits import gone, paused, to_be
from angarium.domain.errors import InvalidInput, NotFound
from angarium.domain.names import check_name

CRON = "Upstash-Cron"


async def create(context: Context, call: Call, destination: Destination, options: Options) -> Answer:
    """Make a Schedule, or replace all settings of the one with this id; `createdAt` stays, and it is not paused.

    Also for a publish with `Upstash-Cron`, so the token is asked once more. A Topic has to exist, a queue does not.
    """
    demand(call.caller, Need.WRITE)
    name = options.schedule_id or context.objects.schedule_name()
    ref = ObjectRef(Kind.SCHEDULE, call.namespace, name)
    if options.cron is None:
        raise InvalidInput(CRON, "is missing; write for example '0 4 * * *'")
    timing = timings.from_wire(options.cron, f"{ref.namespace}/{name}", CRON)
    await _check_topic(context, call, destination)
    spec = Schedule(
        timing=timing,
        destination=destination,
        options=options.delivery,
        body=call.body,
        labels=options.labels,
        queue=options.queue,
        callback=options.callback,
        failure_callback=options.failure_callback,
        redaction=options.redaction,
        delay=options.delay,
        cron_text=options.cron,
        caller_ip=call.caller_ip,
    )
    await change(context, ref, to_be(spec), EDIT)
    return Answer({"scheduleId": name})


class ScheduleHandlers:
    """Reading, making and changing Schedules."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> tuple[Route, ...]:
        # A name has no slash, so a destination that ends in /pause is never taken for the action (contract 1.1).
        actions = (("pause", self.pause), ("resume", self.resume))
        return (
            *(
                Route(method, f"/v2/schedules/{{schedule}}/{action}", Need.WRITE, handler)
                for action, handler in actions
                for method in ("PATCH", "POST")
            ),
            Route("GET", "/v2/schedules", Need.READ, self.schedules),
            Route("GET", "/v2/schedules/{schedule}", Need.READ, self.schedule),
            Route("DELETE", "/v2/schedules/{schedule}", Need.WRITE, self.delete),
            Route("POST", "/v2/schedules/{destination...}", Need.WRITE, self.create),
        )

    async def create(self, call: Call) -> Answer:
        """Contract 11."""
        context = self._context
        destination, options = await read_request(context, call, context.clock.now())
        return await create(context, call, destination, options)

    async def schedules(self, call: Call) -> Answer:
        """All of them, by name."""
        return Answer(await self._views(await self._context.store.catalog(Kind.SCHEDULE, call.namespace)))

    async def schedule(self, call: Call) -> Answer:
        """One of them."""
        name = call.parameter("schedule")
        found = await self._context.store.declared(ObjectRef(Kind.SCHEDULE, call.namespace, name))
        views = await self._views([found] if found else [])
        if not views:
            raise NotFound(f"there is no schedule {name[:100]!r}")
        return Answer(views[0])

    async def delete(self, call: Call) -> Answer:
        """Messages that were made stay; there may be no such Schedule."""
        await change(self._context, _named(call), gone, DELETE)
        return Answer()

    async def pause(self, call: Call) -> Answer:
        """Let its times pass without messages."""
        return await self._pause(call, suspend=True)

    async def resume(self, call: Call) -> Answer:
        """Go on with the next time; those that passed are not made up for."""
        return await self._pause(call, suspend=False)

    async def _pause(self, call: Call, *, suspend: bool) -> Answer:
        ref = _named(call)
        await change(self._context, ref, paused(f"schedule {ref.name!r}", suspend), {"suspend": suspend})
        return Answer()

    async def _views(self, declared: Sequence[Declared]) -> list[Json]:
        store = self._context.store
        views = await store.last_runs([one.ref for one in declared])
        referred = {ref for one in declared for ref in objects_wire.referred(one)}
        endpoints = await store.declared_many(sorted(referred)) if referred else {}
        return [
            objects_wire.schedule(one, one.spec, views.get(one.ref), endpoints)
            for one in declared
            if isinstance(one.spec, Schedule)
        ]


async def _check_topic(context: Context, call: Call, destination: Destination) -> None:
    if destination.topic is None:
        return
    found = await context.store.declared(ObjectRef(Kind.TOPIC, call.namespace, destination.topic))
    if found is None or not isinstance(found.spec, Topic):
        raise NotFound(f"there is no URL group {destination.topic!r} to send to; make it first, or write a URL")


def _named(call: Call) -> ObjectRef:
    name = call.parameter("schedule")
    check_name(name, "schedule")
    return ObjectRef(Kind.SCHEDULE, call.namespace, name)
