"""Reading a request's body within its limits of size and time, and the rest of one that is refused."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import HttpVersion11, web
from aiohttp.http_exceptions import HttpProcessingError

from angarium.api.connection import ConnectionLimits
from angarium.api.errors import Refusal


class LargeBodies:
    """Room for bodies above the ordinary limit: those in memory at once are together no larger than one may be.

    Whoever finds no room waits in line with the body unread, which holds its sender back.
    """

    def __init__(self, ordinary: int, most: int, wait_s: float) -> None:
        self._ordinary = ordinary
        self._most = most
        self._wait_s = wait_s
        self._taken = 0
        self._line = asyncio.Lock()
        self._freed = asyncio.Event()

    @asynccontextmanager
    async def held(self, size: int | None) -> AsyncIterator[None]:
        """Room for a body of this size (None: not told, so the largest). Raises Refusal (503) if there is none."""
        wanted = self._most if size is None else size
        if wanted <= self._ordinary or wanted > self._most:  # a body that is too large is not read at all
            yield
            return
        try:
            async with asyncio.timeout(self._wait_s), self._line:
                while self._taken + wanted > self._most:
                    self._freed.clear()
                    await self._freed.wait()
                self._taken += wanted
        except TimeoutError:
            text = "too many large requests are on their way; try again in a few seconds, or send smaller ones"
            raise Refusal(503, text, {"Retry-After": "5"}, close=True) from None
        try:
            yield
        finally:
            self._taken -= wanted
            self._freed.set()


async def read_body(request: web.BaseRequest, limits: ConnectionLimits) -> bytes:
    """The whole body. Raises Refusal: 413 above the limit, 408 if it stalls, 400 if it ends too early."""
    if (request.content_length or 0) > limits.body:
        raise _too_large(limits)
    await _continue(request)
    content = request.content
    if content.is_eof():
        # The usual case: the body came with the head, and nothing has to be timed.
        body = content.read_nowait()
        if len(body) > limits.body:
            raise _too_large(limits)
        return body
    try:
        async with asyncio.timeout(limits.body_s):
            return await _collect(request, limits)
    except TimeoutError:
        text = f"the body did not arrive within {limits.body_s:g} s; send it again, in one go"
        raise Refusal(408, text, close=True) from None
    except (OSError, web.RequestPayloadError, HttpProcessingError) as error:
        raise Refusal(400, "the body ended before it was complete", close=True) from error


async def drain(request: web.BaseRequest, limits: ConnectionLimits) -> bool:
    """Read and forget what is left of the body, so that the connection can be used again; False if it cannot."""
    content = request.content
    if content.is_eof():
        return True
    if _expects(request) or (request.content_length or 0) > limits.body + limits.drain:
        return False
    left = limits.drain
    try:
        async with asyncio.timeout(limits.body_s):
            while left > 0 and not content.at_eof():
                left -= len(await content.readany())
    except (TimeoutError, OSError, web.RequestPayloadError, HttpProcessingError):
        return False
    return content.at_eof()


async def _collect(request: web.BaseRequest, limits: ConnectionLimits) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while chunk := await request.content.readany():
        chunks.append(chunk)
        size += len(chunk)
        if size > limits.body:
            raise _too_large(limits)
    return b"".join(chunks)


async def _continue(request: web.BaseRequest) -> None:
    if _expects(request):
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # the answer itself has not begun


def _expects(request: web.BaseRequest) -> bool:
    return request.version == HttpVersion11 and request.headers.get("Expect", "").lower() == "100-continue"


def _too_large(limits: ConnectionLimits) -> Refusal:
    return Refusal(413, f"the body is larger than the maximum, {limits.body} bytes; send a reference to it instead")
