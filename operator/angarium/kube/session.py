"""The HTTP session that Kopf is given: Kopf's own, but for what no parser could read, which comes cut."""

from collections.abc import AsyncIterator
from typing import Any, cast

import aiohttp
import kopf

from angarium.kube import nesting


def session(info: kopf.ConnectionInfo) -> aiohttp.ClientSession:
    """As Kopf would make it of this. Whoever is given it closes it."""
    connector = aiohttp.TCPConnector(limit=0, ssl=info.as_ssl_context())
    return aiohttp.ClientSession(connector=connector, headers=info.as_http_headers(), response_class=_Response)


class _Response(aiohttp.ClientResponse):
    async def start(self, connection: Any) -> aiohttp.ClientResponse:
        await super().start(connection)
        self.content = cast(aiohttp.StreamReader, _Lines(self.content))
        return self

    async def json(self, **_: Any) -> Any:
        return nesting.loads(await self.read())


class _Lines:
    """A stream that is read as it comes, except in pieces: then whole lines come, one document of a watch each."""

    def __init__(self, stream: aiohttp.StreamReader) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    async def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        begun = b""
        async for piece in self._stream.iter_chunked(size):
            *lines, begun = (begun + piece).split(b"\n")
            for line in lines:
                yield nesting.shallow(line) + b"\n"
        if begun:
            yield nesting.shallow(begun)
