"""The alternative that ADR 0001 weighs: httpx types over the aiohttp transport, behind the same Sender port."""

import asyncio

import httpx
from httpx_aiohttp import AiohttpTransport

from angarium.domain.errors import SendError
from angarium.domain.messages import Response
from angarium.domain.requests import OutgoingRequest
from angarium.engine.clock import SystemClock
from angarium.engine.signature import signature_line


class HttpxSender:
    """Only what the measurement needs: no address policy, no size limit. So it has less to do than the real one."""

    def __init__(self) -> None:
        self._transport = AiohttpTransport(limits=httpx.Limits(max_connections=None))
        self._clock = SystemClock()
        self._urls: dict[str, httpx.URL] = {}

    async def send(self, request: OutgoingRequest) -> Response:
        url = self._urls.get(request.url) or self._urls.setdefault(request.url, httpx.URL(request.url))
        headers = [*request.headers, *signature_line(request, self._clock)]
        outgoing = httpx.Request(request.method, url, headers=headers, content=request.body)
        try:
            async with asyncio.timeout(request.timeout.total_seconds()):
                answer = await self._transport.handle_async_request(outgoing)
                body = await answer.aread()
        except (httpx.HTTPError, TimeoutError) as error:
            raise SendError("ConnectionError", str(error)) from error
        return Response(answer.status_code, tuple(answer.headers.multi_items()), body)

    async def close(self) -> None:
        await self._transport.aclose()
