"""A plain HTTP proxy in front of the API server's TLS port, with a switch for every kind of bad day.

The operator under test talks to the proxy with its own bearer token; tests that look at the outcome go past it.
"""

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
from aiohttp import web
from tests.support.programs import free_port
from yarl import URL

T = TypeVar("T")

# RFC 9110, section 7.6.1; the lengths are set anew because bodies are passed on in pieces.
HOP_BY_HOP = {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "proxy-connection"}
REPLACED = {*HOP_BY_HOP, "host", "content-length"}


class ApiProxy:
    """Runs in a thread of its own; every method may be called from any other thread and returns when it is in effect.

    Starts passing everything. `refuse()`, `answer_503()`, `answer_401()`, `hinder()` and `silence_watches()` last until
    `pass_through()`, a `hold()` until `release()`.
    """

    def __init__(self, upstream: str, ca_file: Path) -> None:
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self._upstream = upstream
        self._tls = ssl.create_default_context(cafile=ca_file)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="api-proxy", daemon=True)
        self._refusal: Refusal | None = None
        self.refused = 0
        """Requests that were answered with a refusal so far."""
        self._only = ""
        self._silent = False
        self._hold: Hold | None = None
        self._late: set[asyncio.Task[web.Response]] = set()
        self._hindered: dict[str, Refusal | None] = {}
        self._watches: list[Watch] = []
        self._runner: web.AppRunner | None = None
        self._site: web.TCPSite | None = None
        self._session: aiohttp.ClientSession | None = None

    def __enter__(self) -> "ApiProxy":
        self._thread.start()
        self._run(self._open())
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    @property
    def open_watches(self) -> int:
        """Watches that are streaming through the proxy now."""
        return len(self._watches)

    def pass_through(self) -> None:
        """Everything as if the proxy were not there."""
        self._run(self._switch(listening=True))

    def refuse(self) -> None:
        """Connections are refused and the open ones cut, as when the API server's machine is gone."""
        self._run(self._switch(listening=False))

    def answer_503(self, only: str = "") -> None:
        """Every request gets a 503 with a Status body, and open watches are cut; or those with `only` in their path."""
        self._run(self._switch(listening=True, refusal=UNAVAILABLE, only=only))
        if not only:
            self.cut_watches()

    def answer_401(self) -> None:
        """Every request is told that its token is no longer good; open watches are cut."""
        self._run(self._switch(listening=True, refusal=UNAUTHORIZED))
        self.cut_watches()

    def hinder(self, words: str, *, by: "Refusal | None" = None) -> None:
        """Requests whose path has these words are refused so, or without it never answered; the others pass."""

        async def add() -> None:
            self._hindered[words] = by

        self._run(add())

    def silence_watches(self) -> None:
        """Watches, open or new, stay open and bring no event; what happens meanwhile is lost to them."""
        self._run(self._switch(listening=True, silent=True))

    def cut_watches(self) -> int:
        """Drop the connection of every open watch; returns how many there were."""
        return self._run(self._cut())

    def hold(self, concerns: Callable[[str, str], bool], *, once: bool = False) -> "Hold":
        """Requests whose (method, path) this concerns are kept until `release()`, and reach the API server then, also
        if whoever made them has gone meanwhile: as what is slow on its way does. `once`: only the first of them."""
        hold = Hold(concerns, once)
        self._run(self._replace_hold(hold))
        return hold

    def release(self) -> None:
        """Returns when the API server has answered all that was held."""
        self._run(self._replace_hold(None))

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _open(self) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._tls, limit=0),
            timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=False,
            trust_env=False,
        )
        app = web.Application(client_max_size=16 * 2**20)
        app.router.add_route("*", "/{path:.*}", self._answer)
        # Without cancellation, a watch whose client has left would stay open upstream until its next event.
        self._runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await self._switch(listening=True)

    async def _replace_hold(self, hold: "Hold | None") -> None:
        old, self._hold = self._hold, hold
        if old is not None:
            old.over.set()
            await asyncio.gather(*self._late, return_exceptions=True)

    async def _close(self) -> None:
        await self._replace_hold(None)
        await self._cut()
        assert self._runner is not None and self._session is not None
        self._abort_connections()  # one whose client reads no more would never be closed
        await self._runner.cleanup()
        await self._session.close()
        for _ in range(3):
            await asyncio.sleep(0)  # what was aborted is closed in a later turn of the loop, which ends after this

    async def _switch(
        self, *, listening: bool, refusal: "Refusal | None" = None, silent: bool = False, only: str = ""
    ) -> None:
        self._refusal, self._silent, self._only = refusal, silent, only
        self._hindered.clear()
        assert self._runner is not None
        if listening and self._site is None:
            self._site = web.TCPSite(self._runner, "127.0.0.1", self._port)
            await self._site.start()
        if not listening and self._site is not None:
            await self._site.stop()
            self._site = None
            self._abort_connections()

    def _abort_connections(self) -> None:
        assert self._runner is not None and self._runner.server is not None
        for connection in self._runner.server.connections:
            if connection.transport is not None:
                connection.transport.abort()

    async def _cut(self) -> int:
        watches = list(self._watches)
        for watch in watches:
            abort(watch.request)
        for watch in watches:
            await watch.ended.wait()
        return len(watches)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if self._refusal is not None and self._only in request.path:
            self.refused += 1
            return self._refusal.answer()
        for words, refusal in self._hindered.items():
            if words in request.path:
                return refusal.answer() if refusal else await asyncio.Future()
        assert self._session is not None
        headers = {name: value for name, value in request.headers.items() if name.lower() not in REPLACED}
        target = URL(self._upstream + request.raw_path, encoded=True)
        body = await request.read()
        if self._hold is not None and self._hold.catches(request):
            late = asyncio.create_task(self._pass_late(self._hold, request.method, target, headers, body))
            self._late.add(late)
            late.add_done_callback(self._late.discard)
            return await asyncio.shield(late)
        try:
            async with self._session.request(
                request.method, target, headers=headers, data=body or None, allow_redirects=False
            ) as answer:
                return await self._pass_on(request, answer)
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError):
            abort(request)  # what a client of the API server itself would see
            return web.Response(status=502)

    async def _pass_late(
        self, hold: "Hold", method: str, target: URL, headers: dict[str, str], body: bytes
    ) -> web.Response:
        hold.caught.set()
        await hold.over.wait()
        assert self._session is not None
        async with self._session.request(method, target, headers=headers, data=body or None) as answer:
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in REPLACED}
            return web.Response(status=answer.status, headers=kept, body=await answer.read())

    async def _pass_on(self, request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
        response = web.StreamResponse(status=answer.status, reason=answer.reason)
        for name, value in answer.headers.items():
            if name.lower() not in HOP_BY_HOP:
                response.headers.add(name, value)
        with self._counted(request):
            await response.prepare(request)
            try:
                async for piece in answer.content.iter_any():
                    if not (self._silent and is_watch(request)):
                        await response.write(piece)
                await response.write_eof()
            finally:
                leave(answer)
        return response

    @contextlib.contextmanager
    def _counted(self, request: web.Request) -> Iterator[None]:
        if not is_watch(request):
            yield
            return
        watch = Watch(request)
        self._watches.append(watch)
        try:
            yield
        finally:
            self._watches.remove(watch)
            watch.ended.set()


@dataclass(frozen=True, slots=True, eq=False)
class Hold:
    """`caught` is set, for any thread, once a request is held."""

    concerns: Callable[[str, str], bool]
    once: bool
    caught: threading.Event = field(default_factory=threading.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def catches(self, request: web.Request) -> bool:
        return not (self.once and self.caught.is_set()) and self.concerns(request.method, request.path)


@dataclass(frozen=True, slots=True, eq=False)
class Watch:
    request: web.Request
    ended: asyncio.Event = field(default_factory=asyncio.Event)


def leave(answer: aiohttp.ClientResponse) -> None:
    """An answer that was not read to its end has its connection ended without a TLS goodbye: nobody waits for it."""
    if answer.connection is not None and answer.connection.transport is not None:
        answer.connection.transport.abort()


def is_watch(request: web.Request) -> bool:
    return request.query.get("watch") in ("1", "true")


def abort(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


@dataclass(frozen=True, slots=True)
class Refusal:
    """What the API server says instead of doing anything."""

    code: int
    reason: str
    message: str

    def answer(self) -> web.Response:
        status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": self.code}
        words = {"reason": self.reason, "message": self.message}
        return web.json_response(status | words, status=self.code)


UNAVAILABLE = Refusal(503, "ServiceUnavailable", "the API server is unavailable (the test says so)")
FORBIDDEN = Refusal(403, "Forbidden", "secrets is forbidden (the test says so)")
UNAUTHORIZED = Refusal(401, "Unauthorized", "Unauthorized (the test says so)")
