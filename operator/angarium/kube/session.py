"""The HTTP session that Kopf is given: Kopf's own, but for what no parser could read, which comes cut."""

from collections.abc import AsyncIterator
from typing import Any, cast

import aiohttp
import kopf

from angarium.kube import nesting


class Sessions:
    """Belongs to one run of Kopf, which closes what it is given."""

    def __init__(self) -> None:
        self._info: kopf.ConnectionInfo | None = None
        self._credentials: kopf.AiohttpSession | None = None

    def of(self, info: kopf.ConnectionInfo) -> kopf.AiohttpSession:
        """The same again for the same: so Kopf sees that what was refused is all there is, and ends its run.

        New ones it would try at once, without an end, for as long as the API server refuses the token.
        """
        if self._credentials is None or info != self._info:
            self._info, self._credentials = info, _credentials(info)
        return self._credentials


def _credentials(info: kopf.ConnectionInfo) -> kopf.AiohttpSession:
    connector = aiohttp.TCPConnector(limit=0, ssl=info.as_ssl_context())
    session = aiohttp.ClientSession(connector=connector, headers=info.as_http_headers(), response_class=_Response)
    return kopf.AiohttpSession(server=info.server, aiohttp_session=session)


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
