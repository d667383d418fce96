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

from angarium.domain.addresses import AddressPolicy
from angarium.domain.declarations import Kind
from angarium.domain.entropy import Entropy
from angarium.domain.errors import SettingsError
from angarium.domain.figures import Turn
from angarium.domain.ids import ID_ENTROPY, new_id
from angarium.domain.instants import to_ms
from angarium.domain.ports import Limits, Store
from angarium.domain.views import Holdings
from angarium.engine.clock import SystemClock
from angarium.plane import STORE_LIMIT_S, Audience, DeliveryPlane, Foundation, retention_of
from angarium.probes import Probes, health
from angarium.service.catalog import Catalog
from angarium.service.keys import Keys
from angarium.service.tenants import Purged, purge
from angarium.settings import Networks, Settings
from angarium.store import back_up, check_current, check_exists, open_store, restore
from angarium.telemetry import AttemptLog, Metrics, set_up_logging, sources

if TYPE_CHECKING:
    from angarium.files.homes import Homes
    from angarium.files.references import FileReferences

logger = logging.getLogger(__name__)

OPERATOR_STOP_S = 15.0
LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


async def run_in_cluster(settings: Settings) -> int:
    """`angarium run`. Returns the exit code; raises SettingsError or StoreUnusable if it cannot start."""
    # The operator's libraries cost memory, which dev mode does not need.
    from angarium.kube.access import configuration
    from angarium.kube.operator import Operator
    from angarium.kube.parts import Planes, Scope
    from angarium.kube.references import KubeReferences

    set_up_logging(settings.log_format, settings.log_level)
    config = await configuration(settings.kubeconfig)
    stop, probes = stop_signal(), Probes()
    async with probes.served(settings):
        store = await probes.writable(lambda: store_at(settings, settings.database), stop)
        if store is None:
            return 0
        async with foundation(settings, store) as base:
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
            port = await probes.writable(plane.start, stop)
            if port is None:
                return 0
            probes.show(
                base, lambda: plane.live() + operator.health.live(), lambda: plane.ready() + operator.health.ready()
            )
            told_where(settings, port)
            operator.start()
            try:
                await plane.run(stop)
            finally:
                await asyncio.to_thread(operator.stop, OPERATOR_STOP_S)
    return 0


def told_where(settings: Settings, port: int) -> None:
    logger.info(
        "angarium %s is running at http://%s:%d",
        version("angarium"),
        settings.host,
        port,
        extra={"action": "program.start"},
    )


async def run_in_dev(settings: Settings, paths: Sequence[Path], *, ephemeral: bool) -> int:
    """`angarium dev`. Returns the exit code; raises SettingsError or StoreUnusable if it cannot start."""
    from angarium.files.homes import Homes
    from angarium.files.references import FileReferences

    set_up_logging(settings.log_format, settings.log_level)
    if not ephemeral:
        make_data_folder(settings.database.parent)
    store = await store_at(settings, None if ephemeral else settings.database)
    async with foundation(settings, store) as base:
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


async def purge_tenant(settings: Settings, namespace: str, agree: Callable[[Holdings], bool]) -> Purged:
    """`angarium purge`. Raises StoreUnusable if there is no such database or its schema is an earlier one.

    StoreInUse if a program has it.
    """
    check_exists(settings.database)
    check_current(settings.database)
    store = await store_at(settings, settings.database)
    try:
        return await purge(store, namespace, agree, SystemClock().now())
    finally:
        await store.close()


def back_up_database(settings: Settings, target: Path) -> int:
    """`angarium backup`. Returns the bytes of the copy; raises StoreError."""
    return back_up(settings.database, target)


def restore_database(settings: Settings, source: Path) -> Path | None:
    """`angarium restore`. Returns where the database that was there before is now; raises StoreError."""
    return restore(source, settings.database)


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


async def store_at(settings: Settings, database: Path | None) -> Store:
    """The store of this file (None: in memory). Raises StoreUnusable, and StoreUnwritable."""
    clock, entropy = SystemClock(), Entropy(os.urandom)
    return await asyncio.to_thread(
        open_store,
        database,
        limits=Limits(settings.waiting_limit, settings.bytes_limit, settings.max_queues, settings.max_fixed_keys),
        new_id=lambda at: new_id("msg_", to_ms(at), entropy(ID_ENTROPY)),
        clock=clock,
        retention=retention_of(settings),
    )


@asynccontextmanager
async def foundation(settings: Settings, store: Store) -> AsyncIterator[Foundation]:
    """The store and what needs nothing else; it is closed at the end."""
    try:
        metrics = Metrics()
        metrics.add(lambda: sources.build_family(version("angarium")))
        metrics.add(lambda: sources.store_families(store.figures()))
        metrics.watch(lambda: {"store": Turn(store.beat(), STORE_LIMIT_S)})
        audience = Audience(metrics, AttemptLog())
        yield Foundation(settings, SystemClock(), store, Keys(store, os.urandom, [audience]), audience, metrics)
    finally:
        await store.close()


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
