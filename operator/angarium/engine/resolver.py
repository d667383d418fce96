"""DNS for deliveries, with the address policy behind it: an attempt connects only to addresses that were judged here.

The check stands after the lookup, so a name cannot be judged by one answer and called by another (DESIGN 6).
"""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor

from aiohttp.abc import AbstractResolver, ResolveResult

from angarium.domain.addresses import AddressPolicy
from angarium.domain.errors import SendError

_THREADS = 16


class CheckedResolver(AbstractResolver):
    """Looks names up and keeps the addresses that the policy allows.

    Raises SendError `AddressNotAllowed` if none is left, OSError if the lookup fails.
    """

    def __init__(self, policy: AddressPolicy) -> None:
        self._policy = policy
        # Its own threads: lookups that hang must not hold up whatever else uses the loop's.
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="resolver")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._threads, _look_up, host, port, family)
        allowed = [result for result in found if self._policy.refusal(result["host"]) is None]
        if found and not allowed:
            raise not_allowed(self._policy, found[0]["host"], host)
        return allowed

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def not_allowed(policy: AddressPolicy, address: str, host: str) -> SendError:
    """The error for a host whose IP address the policy refuses."""
    return SendError("AddressNotAllowed", policy.explained(address, host) or f"{address} may not be called")


def _look_up(host: str, port: int, family: socket.AddressFamily) -> list[ResolveResult]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, family=family, flags=socket.AI_ADDRCONFIG)
    return [
        ResolveResult(
            hostname=host,
            host=str(address[0]),
            port=port,
            family=kind,
            proto=protocol,
            flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
        )
        for kind, _, protocol, _, address in found
    ]
