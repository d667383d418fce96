"""The HTTP API on its port: every request is routed, authenticated, read within limits and answered in JSON."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from functools import lru_cache, partial
from ipaddress import IPv6Address

from aiohttp import web

from angarium.api.auth import authorize, token_of
from angarium.api.body import LargeBodies, drain, read_body
from angarium.api.connection import ConnectionLimits, Listener, respond
from angarium.api.context import Context
from angarium.api.errors import answer_of, draining
from angarium.api.exchange import Answer, Call, parse_target
from angarium.api.handlers import route_table
from angarium.api.routes import Need, allowed, resolve
from angarium.domain.errors import AngariumError


class ApiServer:
    """Serves the API. Must live on the loop that the context's services belong to."""

    def __init__(
        self,
        context: Context,
        limits: ConnectionLimits | None = None,
    ) -> None:
        self._limits = limits or ConnectionLimits()
        self.routes = route_table(context)
        most = max((route.most_bytes or 0 for route in self.routes), default=0)
        self._large = LargeBodies(self._limits.body, most, self._limits.body_s)
        self._keys = context.keys
        self._clock = context.clock
        self.refusals = context.refusals
        self._listener: Listener | None = None
        self._running = 0
        self._idle = asyncio.Event()
        self._draining = False

    async def start(self, host: str, port: int) -> int:
        """Listen, and return the port (a free one for 0). Raises SettingsError if that cannot be."""
        self._listener = Listener(self._handle, self._limits)
        return await self._listener.start(host, port, "--host or --port")

    async def drain(self, grace: timedelta) -> None:
        """Answer every request with 503 from now on, and finish what runs within the grace period."""
        self._draining = True
        if self._running:
            self._idle.clear()
            try:
                async with asyncio.timeout(grace.total_seconds()):
                    await self._idle.wait()
            except TimeoutError:
                pass

    async def close(self, grace: timedelta) -> None:
        """Listen no more, drain, then end every connection."""
        if self._listener is not None:
            self._listener.stop_accepting()
        await self.drain(grace)
        if self._listener is not None:
            await self._listener.close()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if self._draining:
            self.refusals.note_answer(parse_target(request.raw_path).path, draining().status)
            return respond(draining())
        self._running += 1
        try:
            answer = await self._answer(request)
            complete = answer.close or await drain(request, self._limits)
        finally:
            self._running -= 1
            if not self._running:
                self._idle.set()
        response = respond(answer)
        if self._draining or not complete:
            response.force_close()
        return response

    async def _answer(self, request: web.BaseRequest) -> Answer:
        try:
            return await self._call(request)
        except AngariumError as error:
            answer = answer_of(error, self._clock.now())
            self.refusals.note_answer(parse_target(request.raw_path).path, answer.status)
            return answer

    async def _call(self, request: web.BaseRequest) -> Answer:
        target = parse_target(request.raw_path)
        if request.method == "OPTIONS":
            return Answer(status=204, headers={"Allow": allowed(self.routes, target.path)})
        route, parameters = resolve(self.routes, request.method, target.path)
        credential = None
        if route.need is not Need.NOTHING:
            credential = await authorize(self._keys, token_of(request.headers, target), route.need)
        call = partial(
            Call,
            credential=credential,
            target=target,
            parameters=parameters,
            headers=tuple(request.headers.items()),
            caller_ip=_address(request.remote),
        )
        if route.most_bytes is None:
            body = await read_body(request, self._limits) if route.method != "GET" else b""
            return await route.handler(call(body=body))
        async with self._large.held(request.content_length if request.can_read_body else 0):
            body = await read_body(request, replace(self._limits, body=route.most_bytes))
            return await route.handler(call(body=body))


@lru_cache(maxsize=1024)
def _address(peer: str | None) -> str | None:
    """The peer's address as it is known elsewhere: IPv4-mapped unwrapped, without a zone."""
    if peer is None or ":" not in peer:
        return peer
    address = IPv6Address(peer.partition("%")[0])
    return str(address.ipv4_mapped or address)
