"""The program: puts its planes together on one store, starts them, and ends them in order."""

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing
from importlib.metadata import version
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from angarium.api.health import HealthServer
from angarium.domain.addresses import AddressPolicy
from angarium.domain.declarations import Kind
from angarium.domain.entropy import Entropy
from angarium.domain.errors import SettingsError, StoreError
from angarium.domain.figures import Turn
from angarium.domain.ids import ID_ENTROPY, new_id
from angarium.domain.instants import to_ms
from angarium.domain.ports import Limits, Store
from angarium.engine.clock import SystemClock
from angarium.plane import STORE_LIMIT_S, Audience, DeliveryPlane, Foundation, retention_of
from angarium.service.catalog import Catalog
from angarium.service.keys import Keys
from angarium.settings import Networks, Settings
from angarium.store import back_up, open_store
from angarium.telemetry import AttemptLog, Metrics, set_up_logging, sources

if TYPE_CHECKING:
    from angarium.files.homes import Homes
    from angarium.files.references import FileReferences

logger = logging.getLogger(__name__)

STORE_ANSWER_S = 5.0
OPERATOR_STOP_S = 15.0
LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


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
        scope = Scope(settings.namespaces or None, settings.resync, settings.public_url, settings.pod)
        operator = Operator(config, scope, Planes(base.store, catalog, base.keys, references, base.clock))
        base.audience.add(operator)
        base.metrics.add(lambda: sources.operator_families(operator.health.up, operator.figures))
        base.metrics.watch(lambda: {"resync": operator.health.turn})
        async with health(
            base, lambda: plane.live() + operator.health.live(), lambda: plane.ready() + operator.health.ready()
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
    from angarium.files.homes import Homes
    from angarium.files.references import FileReferences

    set_up_logging(settings.log_format, settings.log_level)
    if not ephemeral:
        make_data_folder(settings.database.parent)
    async with foundation(settings, None if ephemeral else settings.database) as base:
        references = FileReferences()
        policy = AddressPolicy(allow=(*settings.allow_address, *LOOPBACK), allow_private=not settings.public_only)
        homes = Homes()
        plane = DeliveryPlane(base, references, policy, home=homes.told)
        async with plane.begun():
            tokens = None if ephemeral else settings.database.parent / "tokens"
            await run_files(paths, base, plane, references, homes, tokens)
    return 0


async def run_files(
    paths: Sequence[Path],
    base: Foundation,
    plane: DeliveryPlane,
    references: "FileReferences",
    homes: "Homes",
    token_folder: Path | None,
) -> None:
    """What dev mode has in the place of an operator: manifests, predefined users, a console.

    `references` and `homes` are filled from the files. Without a `token_folder` no token is written to a file.
    """
    # What judges manifests is an extra that the cluster does not need. It takes long, so the courier begins before.
    from angarium.files.console import Console
    from angarium.files.folder import ManifestFiles
    from angarium.files.tokens import TokenFiles
    from angarium.files.users import DEFAULT_USER, ensure_users
    from angarium.files.wording import Addresses, sample_destination, start_text

    settings = base.settings
    await ensure_users(base.store)
    catalog = Catalog(base.store, [base.audience], plane.alarms, base.clock)
    with closing(Console(sys.stdout)) as console:
        files = ManifestFiles(
            paths,
            catalog=catalog,
            store=base.store,
            references=references,
            homes=homes,
            clock=base.clock,
            announce=console.say,
        )
        # Before anybody can ask: what is not there yet could be made over the API.
        for problem in await files.load():
            console.say(problem)
        async with health(base, plane.live, plane.ready) as (_, health_port):
            addresses = Addresses(
                api=f"http://{shown_host(settings.host)}:{await plane.start()}",
                health=f"http://{shown_host(settings.health_host)}:{health_port}",
            )
            declared = [one for kind in Kind for one in await base.store.catalog(kind)]
            console.say(start_text(addresses, DEFAULT_USER.token, DEFAULT_USER.keys, sample_destination(declared)))
            base.audience.add(console)
            tokens = TokenFiles(token_folder, store=base.store, keys=base.keys, url=addresses.api, announce=console.say)
            await plane.run(stop_signal(), files.run, tokens.run)


def back_up_database(settings: Settings, target: Path) -> int:
    """`angarium backup`. Returns the bytes of the copy; raises StoreError."""
    return back_up(settings.database, target)


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
