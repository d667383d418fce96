"""The only composition root: puts the parts together, starts them, and ends them in order."""

import asyncio
import logging
import os
import secrets
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import version
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from angarium.api.connection import ConnectionLimits
from angarium.api.context import Context
from angarium.api.health import HealthServer
from angarium.api.options import OptionLimits
from angarium.api.server import ApiServer
from angarium.domain.addresses import AddressPolicy
from angarium.domain.declarations import Kind
from angarium.domain.entropy import Entropy
from angarium.domain.errors import SettingsError, StoreError
from angarium.domain.figures import Turn
from angarium.domain.ids import ID_ENTROPY, new_id
from angarium.domain.instants import to_ms
from angarium.domain.notices import Notice, Observer
from angarium.domain.ports import Alarm, Clock, Limits, References, Retention, Sender, Store
from angarium.engine.attempt import Attempts
from angarium.engine.clock import SystemClock
from angarium.engine.courier_sender import CourierSender
from angarium.engine.decisions import Decisions
from angarium.engine.dispatcher import Dispatcher, DispatchSettings
from angarium.engine.janitor import HousekeepingSettings, Janitor
from angarium.engine.loops import settle_memory
from angarium.engine.outcomes import Outcomes
from angarium.engine.scheduler import Scheduler
from angarium.engine.supervisor import Loop, Supervisor
from angarium.service.admission import Admission
from angarium.service.catalog import Catalog
from angarium.service.dead_letters import DeadLetters
from angarium.service.flow_control import FlowControls
from angarium.service.keys import Keys
from angarium.service.messages import Messages
from angarium.service.objects import Objects, Quotas
from angarium.service.publishing import Publishing
from angarium.settings import Networks, Settings
from angarium.store import back_up, open_store
from angarium.telemetry import AttemptLog, Metrics, set_up_logging, sources

logger = logging.getLogger(__name__)

STORE_LIMIT_S = 60.0
STORE_ANSWER_S = 5.0
OPERATOR_STOP_S = 15.0
LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


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
        self, base: Foundation, references: References, policy: AddressPolicy, sender: Sender | None = None
    ) -> None:
        settings, clock, store, observers = base.settings, base.clock, base.store, [base.audience]
        self._base = base
        self._owner = secrets.token_hex(8)
        courier = CourierSender(policy, settings.max_response)
        self._sender = sender or courier
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
                per_lane=settings.in_flight_per_host,
            ),
        )
        self.scheduler = Scheduler(
            store, Decisions(references), self.dispatcher, self.dispatcher.bindings, observers, clock
        )
        housekeeping = HousekeepingSettings(orphan_grace=settings.orphan_grace, callback_hold=settings.callback_hold)
        janitor = Janitor(store, retention_of(settings), observers, self.dispatcher, clock, housekeeping)
        admission = Admission(clock)
        base.audience.add(admission)
        self._publishing = Publishing(store, self.dispatcher, observers, admission)
        context = Context(
            publishing=self._publishing,
            messages=Messages(store, [self.dispatcher.bindings, self.dispatcher], clock),
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
        )
        self._api = ApiServer(context, ConnectionLimits(body=settings.max_body))
        self._supervisor = Supervisor(
            [
                Loop("scheduler", self.scheduler.run),
                Loop("dispatcher", self.dispatcher.claim),
                Loop("leases", self.dispatcher.heartbeat),
                Loop("janitor", janitor.run, timedelta(minutes=5)),
                Loop("admission", admission.run),
                *([] if sender else [Loop("courier", courier.run)]),
            ],
            clock.monotonic,
        )
        base.metrics.watch(self._supervisor.turns)
        base.metrics.add(lambda: sources.load_families(self._load()))
        base.metrics.add(lambda: sources.refusal_family(self._api.refusals.counts))

    @property
    def alarms(self) -> list[Alarm]:
        """Who is to be woken when declared objects change."""
        return [self.scheduler, self.dispatcher, self.dispatcher.bindings]

    async def start(self) -> int:
        """Takes over what an earlier process left, then listens. Returns the API's port."""
        freed = await self._base.store.void_leases(self._owner)
        if freed:
            logger.info(
                "%d messages that were on their way at the last end are due again",
                freed,
                extra={"action": "lease.void"},
            )
        return await self._api.start(self._base.settings.host, self._base.settings.port)

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


async def run_in_cluster(settings: Settings) -> int:
    """`angarium run`. Returns the exit code; raises SettingsError or StoreUnusable if it cannot start."""
    # The operator's libraries cost memory, which dev mode does not need.
    from angarium.kube.client import configuration
    from angarium.kube.operator import Operator
    from angarium.kube.parts import Planes, Scope
    from angarium.kube.references import KubeReferences

    set_up_logging(settings.log_format, settings.log_level)
    config = await configuration(settings.kubeconfig)
    async with foundation(settings, settings.database) as base:
        references = KubeReferences(base.clock)
        policy = AddressPolicy(
            allow=settings.allow_address,
            allow_private=not settings.public_only,
            refuse=await addresses_of(urlsplit(config.host).hostname or ""),
        )
        plane = DeliveryPlane(base, references, policy)
        catalog = Catalog(base.store, [base.audience], plane.alarms, base.clock)
        scope = Scope(settings.namespaces or None, settings.resync, settings.public_url)
        operator = Operator(config, scope, Planes(base.store, catalog, base.keys, references, base.clock))
        base.audience.add(operator)
        base.metrics.add(lambda: sources.operator_families(operator.health.up, operator.figures))
        base.metrics.watch(lambda: {"resync": operator.health.turn})
        async with health(
            base, lambda: plane.live() + operator.health.live(), lambda: plane.live() + operator.health.ready()
        ):
            port = await plane.start()
            logger.info(
                "angarium %s is running at http://%s:%d",
                version("angarium"),
                settings.host,
                port,
                extra={"action": "program.start"},
            )
            operator.start()
            try:
                await plane.run(stop_signal())
            finally:
                await asyncio.to_thread(operator.stop, OPERATOR_STOP_S)
    return 0


async def run_in_dev(settings: Settings, paths: Sequence[Path], *, ephemeral: bool) -> int:
    """`angarium dev`. Returns the exit code; raises SettingsError or StoreUnusable if it cannot start."""
    # What judges manifests is an extra that the cluster does not need.
    from angarium.files.console import Console
    from angarium.files.folder import ManifestFiles
    from angarium.files.references import FileReferences
    from angarium.files.tokens import TokenFiles
    from angarium.files.users import DEFAULT_USER, ensure_users
    from angarium.files.wording import Addresses, sample_destination, start_text

    set_up_logging(settings.log_format, settings.log_level)
    if not ephemeral:
        make_data_folder(settings.database.parent)
    async with foundation(settings, None if ephemeral else settings.database) as base:
        await ensure_users(base.store)
        references = FileReferences()
        policy = AddressPolicy(allow=(*settings.allow_address, *LOOPBACK), allow_private=not settings.public_only)
        plane = DeliveryPlane(base, references, policy)
        catalog = Catalog(base.store, [base.audience], plane.alarms, base.clock)
        with closing(Console(sys.stdout)) as console:
            files = ManifestFiles(
                paths, catalog=catalog, store=base.store, references=references, clock=base.clock, announce=console.say
            )
            # Before anybody can ask: what is not there yet could be made over the API.
            for problem in await files.load():
                console.say(problem)
            async with health(base, plane.live, plane.live) as (_, health_port):
                addresses = Addresses(
                    api=f"http://{shown_host(settings.host)}:{await plane.start()}",
                    health=f"http://{shown_host(settings.health_host)}:{health_port}",
                )
                declared = [one for kind in Kind for one in await base.store.catalog(kind)]
                console.say(start_text(addresses, DEFAULT_USER.token, DEFAULT_USER.keys, sample_destination(declared)))
                base.audience.add(console)
                folder = None if ephemeral else settings.database.parent / "tokens"
                tokens = TokenFiles(folder, store=base.store, keys=base.keys, url=addresses.api, announce=console.say)
                await plane.run(stop_signal(), files.run, tokens.run)
    return 0


def back_up_database(settings: Settings, target: Path) -> int:
    """`angarium backup`. Returns the bytes of the copy; raises StoreError."""
    return back_up(settings.database, target)


def quotas_of(settings: Settings) -> Quotas:
    """What one tenant may make over the API."""
    most = {Kind.QUEUE: settings.max_queues, Kind.SCHEDULE: settings.max_schedules, Kind.TOPIC: settings.max_topics}
    return Quotas(most)


def shown_host(host: str) -> str:
    """What a person on this machine can put into a URL to reach what listens there; 127.0.0.1 is what SDKs expect."""
    if host in ("localhost", "0.0.0.0", "::", ""):
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def make_data_folder(folder: Path) -> None:
    """Raises SettingsError if there can be none."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            f"the data folder {folder} cannot be made ({error.strerror}): give --database FILE, or --ephemeral"
        ) from error


@asynccontextmanager
async def foundation(settings: Settings, database: Path | None) -> AsyncIterator[Foundation]:
    """The store (None: in memory) and what needs nothing else, closed at the end."""
    clock = SystemClock()
    entropy = Entropy(os.urandom)
    store: Store = await asyncio.to_thread(
        open_store,
        database,
        limits=Limits(settings.waiting_limit, settings.bytes_limit, settings.max_queues, settings.max_fixed_keys),
        new_id=lambda at: new_id("msg_", to_ms(at), entropy(ID_ENTROPY)),
        clock=clock,
        retention=retention_of(settings),
    )
    try:
        metrics = Metrics()
        metrics.add(lambda: sources.build_family(version("angarium")))
        metrics.add(lambda: sources.store_families(store.figures()))
        metrics.watch(lambda: {"store": Turn(store.beat(), STORE_LIMIT_S)})
        audience = Audience(metrics, AttemptLog())
        yield Foundation(settings, clock, store, Keys(store, os.urandom, [audience]), audience, metrics)
    finally:
        await store.close()


@asynccontextmanager
async def health(
    base: Foundation, live: Callable[[], list[str]], ready: Callable[[], list[str]]
) -> AsyncIterator[tuple[HealthServer, int]]:
    """/livez, /readyz and /metrics on their own port, which is yielded too."""

    async def readiness() -> list[str]:
        return [*ready(), *await store_problems(base)]

    async def exposition() -> bytes:
        for problem in await store_problems(base):
            logger.warning("metrics may show what the store held before: %s", problem, extra={"action": "metrics.read"})
        return await asyncio.to_thread(base.metrics.text)  # it asks the file system

    server = HealthServer(live, readiness, exposition)
    port = await server.start(base.settings.health_host, base.settings.health_port)
    try:
        yield server, port
    finally:
        await server.close()


async def store_problems(base: Foundation) -> list[str]:
    """Whether the store answers and can be written: what it holds is read, for the metrics too."""
    try:
        async with asyncio.timeout(STORE_ANSWER_S):
            base.metrics.show(await base.store.backlog(), base.clock.now())
            await base.store.check()
    except TimeoutError:
        return [f"store: it does not answer within {STORE_ANSWER_S:g} s"]
    except StoreError as error:
        return [f"store: {error}"]
    return []


def stop_signal() -> asyncio.Event:
    """Set by the first SIGTERM or SIGINT; the second one ends the process at once."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def told() -> None:
        if stop.is_set():
            os._exit(128 + signal.SIGINT)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told)
    return stop


async def addresses_of(host: str) -> Networks:
    """The networks of one address each that a host name stands for; none if it cannot be resolved."""
    try:
        return (ip_network(ip_address(host)),)
    except ValueError:
        pass
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return ()
    return tuple({ip_network(ip_address(str(entry[4][0]).partition("%")[0])) for entry in found})


def retention_of(settings: Settings) -> Retention:
    return Retention(settings.keep_messages, settings.keep_log, settings.keep_dead_letters)
