"""DNS for deliveries, with the address policy behind it: an attempt connects only to addresses that were judged here.

The check stands after the lookup, so a name cannot be judged by one answer and called by another (DESIGN 6).
"""

import asyncio
import errno
import socket
import threading
from contextlib import suppress
from typing import TypeAlias

from aiohttp.abc import AbstractResolver, ResolveResult

from angarium.domain.addresses import AddressPolicy
from angarium.domain.errors import SendError
from angarium.domain.reasons import FailureReason

_AT_ONCE = 256
"""A lookup that nobody answers blocks its thread for half a minute or so: others need threads beside it."""

_Found: TypeAlias = list[tuple[socket.AddressFamily, int, str]]
"""Family, protocol and address of each answer."""


class CheckedResolver(AbstractResolver):
    """Looks names up and keeps the addresses that the policy allows.

    All who wait for a name share one lookup, and each lookup has a thread of its own: names that nobody answers for
    hold up only those who wait for them. Raises SendError `AddressNotAllowed` if no address is left, OSError if the
    lookup fails.
    """

    def __init__(self, policy: AddressPolicy) -> None:
        self._policy = policy
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._lookups: dict[tuple[str, socket.AddressFamily], asyncio.Task[_Found]] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await asyncio.shield(self._lookup(host, family))
        allowed = [answer for answer in found if self._policy.refusal(answer[2]) is None]
        if found and not allowed:
            raise not_allowed(self._policy, found[0][2], host)
        numeric = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        return [
            ResolveResult(hostname=host, host=address, port=port, family=kind, proto=protocol, flags=numeric)
            for kind, protocol, address in allowed
        ]

    async def close(self) -> None:
        for lookup in self._lookups.values():
            lookup.cancel()
        await asyncio.gather(*self._lookups.values(), return_exceptions=True)

    def _lookup(self, host: str, family: socket.AddressFamily) -> asyncio.Task[_Found]:
        key = (host, family)
        if key not in self._lookups:
            lookup = self._lookups[key] = asyncio.create_task(self._in_turn(host, family))
            lookup.add_done_callback(lambda ended: self._ended(key, ended))
        return self._lookups[key]

    def _ended(self, key: tuple[str, socket.AddressFamily], lookup: asyncio.Task[_Found]) -> None:
        del self._lookups[key]
        if not lookup.cancelled():
            lookup.exception()  # nobody may be waiting for it any more

    async def _in_turn(self, host: str, family: socket.AddressFamily) -> _Found:
        async with self._places:
            return await _in_thread(host, family)


def not_allowed(policy: AddressPolicy, address: str, host: str) -> SendError:
    """The error for a host whose IP address the policy refuses."""
    return SendError(
        FailureReason.ADDRESS_NOT_ALLOWED, policy.explained(address, host) or f"{address} may not be called"
    )


async def _in_thread(host: str, family: socket.AddressFamily) -> _Found:
    """Look up in a daemon thread, which does not keep the program from ending as those of an executor do."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[_Found] = loop.create_future()

    def tell(found: _Found | Exception) -> None:
        if answer.done():
            return
        if isinstance(found, Exception):
            answer.set_exception(found)
        else:
            answer.set_result(found)

    def run() -> None:
        found: _Found | Exception
        try:
            found = _look_up(host, family)
        except (OSError, UnicodeError) as error:
            found = error
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(tell, found)

    try:
        threading.Thread(target=run, name="resolver", daemon=True).start()
    except RuntimeError as error:
        raise OSError(errno.EAGAIN, "no thread is left for the lookup") from error
    return await answer


def _look_up(host: str, family: socket.AddressFamily) -> _Found:
    found = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM, family=family, flags=socket.AI_ADDRCONFIG)
    return [(kind, protocol, str(address[0])) for kind, _, protocol, _, address in found]
