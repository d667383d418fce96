"""One HTTP connection and the sockets that bring them, on aiohttp's low-level server.

The low-level server hands over the request target as it arrived; its router would decode and clean it. What is added
here: errors as JSON, and an end to a request head that never completes.
"""

import asyncio
import errno
import logging
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import http_exceptions, web

from angarium.api.exchange import Answer
from angarium.api.wire import encode
from angarium.domain.errors import SettingsError

Handle = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

BACKLOG = 1024
CLOSE_S = 1.0
PARSE_PROBLEM_CHARACTERS = 200

_log = logging.getLogger(__name__)
_JSON = {"Content-Type": "application/json", "Server": "Angarium"}
_OPTIONAL_ERRORS = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What a client may take. Times in seconds, sizes in bytes.

    `head_s`: for a request line and headers to arrive, once begun; `body_s`: for the body after them; `idle_s`:
    between requests, longer than common proxies keep a connection. `drain`: read beyond the limit of a refused body,
    so that the connection stays usable; `linger_s`: how long what still comes is read after a last answer, which a
    reset would otherwise destroy on its way.
    """

    body: int = 2**20
    drain: int = 8 * 2**20
    line: int = 16 * 2**10
    headers: int = 128
    head_s: float = 15.0
    body_s: float = 60.0
    idle_s: float = 75.0
    linger_s: float = 2.0


def respond(answer: Answer) -> web.Response:
    """The HTTP response of an answer."""
    payload = answer.payload
    body = payload if payload is None or isinstance(payload, bytes) else encode(payload)
    response = web.Response(status=answer.status, body=body, headers={**_JSON, **answer.headers})
    if answer.close:
        response.force_close()
    return response


class Connection(web.RequestHandler):
    """aiohttp's connection, with JSON errors and a time limit for the head of a request."""

    __slots__ = ("_head_s", "_head_timer")

    def __init__(self, manager: web.Server, *, loop: asyncio.AbstractEventLoop, limits: ConnectionLimits) -> None:
        super().__init__(
            manager,
            loop=loop,
            keepalive_timeout=limits.idle_s,
            access_log=None,  # type: ignore[arg-type] # documented as "no access log"
            max_line_size=limits.line,
            max_field_size=limits.line,
            max_headers=limits.headers,
            lingering_time=limits.linger_s,
            auto_decompress=False,  # a body is opaque bytes
        )
        self._head_s = limits.head_s
        self._head_timer: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        """Feed the parser, and watch that a head which has begun also ends."""
        before = self._request_count
        super().data_received(data)
        if self._request_count != before or self._request_in_progress:
            self._stop_head_timer()
        elif self._head_timer is None and self.transport is not None:
            self._head_timer = self._loop.call_later(self._head_s, self._end_head)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget the connection."""
        self._stop_head_timer()
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer to what is not HTTP (4xx), or to a defect of ours, whose traceback goes to the log alone."""
        if request.writer.output_size > 0:
            raise ConnectionError("a part of another answer has been sent already")
        if status < 500:
            status, problem = _parse_problem(exc, message)
            return respond(Answer({"error": f"malformed HTTP request: {problem}"}, status, close=True))
        # Only the route: the rest of a target may hold a token or a password.
        route = "/".join(request.raw_path.partition("?")[0].split("/")[:3])
        _log.error("%s %s failed", request.method, route, exc_info=exc, extra={"action": "request.fail"})
        return respond(Answer({"error": "internal error; the log of Angarium says more"}, 500, close=True))

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _end_head(self) -> None:
        self._head_timer = None
        if not self._request_in_progress:
            self.force_close()


class Listener:
    """A listening HTTP server on one port, on one or two addresses."""

    def __init__(self, handle: Handle, limits: ConnectionLimits) -> None:
        self._http = _HttpServer(handle, limits)
        self._sockets: list[asyncio.Server] = []

    async def start(self, host: str, port: int, flags: str) -> int:
        """Listen, and return the port (a free one for 0). Raises SettingsError with one clear line, which names the
        flags by which another place is chosen."""
        for address, optional in _addresses(host):
            try:
                server = await self._http.loop.create_server(self._http, address, port, backlog=BACKLOG)
            except OSError as error:
                if optional and error.errno in _OPTIONAL_ERRORS:
                    continue
                await self.close()
                raise SettingsError(
                    f"cannot listen on {address} port {port}: {_system_text(error)}; choose another one with {flags}"
                ) from error
            self._sockets.append(server)
            port = server.sockets[0].getsockname()[1]
        return port

    def stop_accepting(self) -> None:
        """Take no new connection; those that are open go on."""
        for server in self._sockets:
            server.close()

    async def close(self) -> None:
        """Close idle connections now, and those with a request when its answer is sent or after a second."""
        self.stop_accepting()
        self._http.pre_shutdown()
        await self._http.shutdown(CLOSE_S)
        self._sockets.clear()


class _HttpServer(web.Server):
    def __init__(self, handle: Handle, limits: ConnectionLimits) -> None:
        super().__init__(handle)
        self.loop = asyncio.get_running_loop()
        self._limits = limits

    def __call__(self) -> web.RequestHandler:
        return Connection(self, loop=self.loop, limits=self._limits)


def _addresses(host: str) -> list[tuple[str, bool]]:
    # An IPv4 listener is a must (contract 1, rule 10); IPv6 may be switched off on this machine.
    if host == "localhost":
        return [("127.0.0.1", False), ("::1", True)]
    if host == "::":
        return [("0.0.0.0", False), ("::", True)]
    return [(host, False)]


def _system_text(error: OSError) -> str:
    # asyncio writes the address and its own words into `strerror`; getaddrinfo has numbers of its own, below 0.
    number = error.errno or 0
    return (os.strerror(number) if number > 0 else error.strerror or str(error)).lower()


def _parse_problem(exc: BaseException | None, message: str | None) -> tuple[int, str]:
    # Never the line itself: it may be a header, or a target, with a token.
    if isinstance(exc, http_exceptions.LineTooLong):
        return 431, "the request line or a header is too long"
    if isinstance(exc, http_exceptions.InvalidHeader):
        return 400, "a header is not valid"
    if isinstance(exc, http_exceptions.InvalidURLError):
        return 400, "the request target is not valid"
    text = (message or "").partition("\n")[0].strip(" :")
    return 400, text[:PARSE_PROBLEM_CHARACTERS] or "it could not be parsed"
