"""The delivery plane, put together: what it takes to accept, send and fire, on one event loop."""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from angarium.api.connection import ConnectionLimits
from angarium.api.context import Context
from angarium.api.options import OptionLimits
from angarium.api.server import ApiServer
from angarium.domain.addresses import AddressPolicy
from angarium.domain.declarations import Kind, ObjectRef
from angarium.domain.errors import StoreError
from angarium.domain.notices import Notice, Observer
from angarium.domain.ports import Alarm, Clock, References, Retention, Sender, Store
from angarium.engine.attempt import Attempts
from angarium.engine.courier_sender import CourierSender
from angarium.engine.decisions import Decisions
from angarium.engine.dispatcher import Dispatcher, DispatchSettings
from angarium.engine.janitor import HousekeepingSettings, Janitor
from angarium.engine.loops import settle_memory
from angarium.engine.outcomes import Outcomes
from angarium.engine.scheduler import Scheduler
from angarium.engine.supervisor import Loop, Supervisor
from angarium.service.admission import Admission
from angarium.service.dead_letters import DeadLetters
from angarium.service.flow_control import FlowControls
from angarium.service.keys import Keys
from angarium.service.messages import Messages
from angarium.service.objects import Objects, Quotas
from angarium.service.publishing import Publishing
from angarium.settings import Settings
from angarium.telemetry import Metrics, sources

logger = logging.getLogger(__name__)

STORE_LIMIT_S = 60.0


class Audience:
    """Implements `domain.notices.Observer` for all who want to be told; whoever is made late is added late."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = list(observers)

    def add(self, observer: Observer) -> None:
        self._observers.append(observer)

    def notice(self, notices: list[Notice]) -> None:
        for observer in self._observers:
            observer.notice(notices)


@dataclass(frozen=True, slots=True)
class Foundation:
    """What every part stands on."""

    settings: Settings
    clock: Clock
    store: Store
    keys: Keys
    audience: Audience
    metrics: Metrics


class DeliveryPlane:
    """API, scheduler, dispatcher and janitor, on one event loop. `start` once, `run` until told to end, then `stop`."""

    def __init__(
        self,
        base: Foundation,
        references: References,
        policy: AddressPolicy,
        sender: Sender | None = None,
        home: Callable[[ObjectRef], str] | None = None,
    ) -> None:
        """`home`: which file declares an object, where files do (dev mode)."""
        settings, clock, store, observers = base.settings, base.clock, base.store, [base.audience]
        self._base = base
        self._owner = secrets.token_hex(8)
        self._listening = False
        courier = CourierSender(policy, settings.max_response)
        self._sender = sender or courier
        self._courier = None if sender else courier
        self._outcomes = Outcomes(store, observers, clock)
        jitter = settings.retry_jitter / 100
        attempts = Attempts(self._sender, references, base.keys, clock, retry_jitter=jitter)
        self.dispatcher = Dispatcher(
            owner=self._owner,
            store=store,
            perform=attempts.perform,
            outcomes=self._outcomes,
            clock=clock,
            settings=DispatchSettings(
                capacity=settings.in_flight,
                capacity_bytes=settings.in_flight_bytes,
                per_lane=settings.in_flight_per_destination,
                per_host=settings.in_flight_per_host,
            ),
        )
        store.on_recall(self.dispatcher.recall)
        self.scheduler = Scheduler(store, Decisions(references), self.dispatcher, observers, clock)
        housekeeping = HousekeepingSettings(orphan_grace=settings.orphan_grace, callback_hold=settings.callback_hold)
        janitor = Janitor(store, retention_of(settings), observers, self.dispatcher, clock, housekeeping)
        admission = Admission(clock, sending_late=courier.lateness)
        base.audience.add(admission)
        self._publishing = Publishing(store, self.dispatcher, observers, admission)
        context = Context(
            publishing=self._publishing,
            messages=Messages(store, self.dispatcher, observers, clock),
            dead_letters=DeadLetters(store, self.dispatcher, observers, clock),
            flow_controls=FlowControls(store, self.dispatcher, clock),
            objects=Objects(store, observers, self.alarms, clock, quotas_of(settings)),
            store=store,
            keys=base.keys,
            clock=clock,
            limits=OptionLimits(
                delay=settings.max_delay, body=settings.max_body, batch=settings.max_batch, policy=policy
            ),
            policy=policy,
            parallelism=settings.in_flight,
            home=home,
        )
        self._api = ApiServer(context, ConnectionLimits(body=settings.max_body))
        self._supervisor = Supervisor(self._loops(janitor, admission), clock.monotonic)
        base.metrics.watch(self._supervisor.turns)
        base.metrics.add(lambda: sources.load_families(self._load()))
        base.metrics.add(lambda: sources.refusal_family(self._api.refusals.counts))

    def _loops(self, janitor: Janitor, admission: Admission) -> list[Loop]:
        loops = [
            Loop("scheduler", self.scheduler.run),
            Loop("dispatcher", self.dispatcher.claim),
            Loop("leases", self.dispatcher.heartbeat),
            Loop("janitor", janitor.run, timedelta(minutes=5)),
            Loop("admission", admission.run),
        ]
        return [*loops, Loop("courier", self._courier.run)] if self._courier else loops

    @property
    def alarms(self) -> list[Alarm]:
        """Who is to be woken when declared objects change."""
        return [self.scheduler, self.dispatcher, self.dispatcher.bindings]

    @asynccontextmanager
    async def begun(self) -> AsyncIterator[None]:
        """Within it the courier starts already, on a core of its own, while the caller still reads what is declared."""
        if self._courier:
            await self._courier.begin()
        try:
            yield
        finally:
            await self._sender.close()

    async def start(self) -> int:
        """Takes over what an earlier process left, then listens. Returns the API's port."""
        freed = await self._base.store.void_leases(self._owner)
        if freed:
            logger.info(
                "%d messages that were on their way at the last end are due again",
                freed,
                extra={"action": "lease.void"},
            )
        port = await self._api.start(self._base.settings.host, self._base.settings.port)
        self._listening = True
        return port

    async def run(self, stop: asyncio.Event, *beside: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Until `stop` is set, together with `beside`. Raises the error of a loop that cannot be kept alive."""
        stopping = asyncio.create_task(stop.wait())
        loops = [asyncio.create_task(run()) for run in (self._supervisor.run, *beside)]
        settle_memory()
        try:
            await asyncio.wait([*loops, stopping], return_when=asyncio.FIRST_COMPLETED)
            for ended in (task for task in loops if task.done()):
                ended.result()
            await self._drain()
        finally:
            for task in (*loops, stopping):
                task.cancel()
            await asyncio.gather(*loops, stopping, return_exceptions=True)
            await self._sender.close()

    async def _drain(self) -> None:
        """Accept nothing more, let what is on its way arrive, give back the rest: all within one grace period."""
        grace = self._base.settings.drain
        deadline = self._base.clock.monotonic() + grace.total_seconds()
        logger.info(
            "ending: %d messages are on their way and have %s s",
            self.dispatcher.held,
            grace.total_seconds(),
            extra={"action": "program.end"},
        )
        await self._api.drain(grace)
        await self._publishing.close()
        try:
            await self.dispatcher.drain(timedelta(seconds=max(0.0, deadline - self._base.clock.monotonic())))
        except StoreError as error:
            logger.warning(
                "what was on its way is due again at the next start, not before: %s",
                error,
                extra={"action": "lease.release"},
            )
        await self._outcomes.close()
        await self._api.close(timedelta(0))

    def _load(self) -> sources.Load:
        settings, dispatcher = self._base.settings, self.dispatcher
        return sources.Load(dispatcher.held, settings.in_flight, dispatcher.held_bytes, settings.in_flight_bytes)

    def live(self) -> list[str]:
        """What does not turn any more."""
        problems = [f"{name}: the loop does not turn" for name in self._supervisor.stale()]
        age = self._base.store.beat()
        return problems + ([f"store: the writer does not turn for {age:.0f} s"] if age > STORE_LIMIT_S else [])

    def ready(self) -> list[str]:
        """Why nothing that is published now would be delivered at once."""
        problems = self.live()
        if not self._listening:
            problems.append("api: it does not listen yet")
        if self._courier and not self._courier.there:
            problems.append("courier: the process that sends is only starting")
        return problems


def quotas_of(settings: Settings) -> Quotas:
    """What one tenant may make over the API."""
    most = {Kind.QUEUE: settings.max_queues, Kind.SCHEDULE: settings.max_schedules, Kind.TOPIC: settings.max_topics}
    return Quotas(most)


def retention_of(settings: Settings) -> Retention:
    return Retention(settings.keep_messages, settings.keep_log, settings.keep_dead_letters)
