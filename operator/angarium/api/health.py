"""Liveness, readiness and metrics, on a port of their own: never reachable through the API's."""

from collections.abc import Awaitable, Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from angarium.api.connection import ConnectionLimits, Listener

_TEXT = "text/plain; charset=utf-8"


class HealthServer:
    """Answers /livez, /readyz and /metrics.

    `live` and `ready` return what is wrong, one line each; an empty list is "ok". `live` answers at once, `ready` may
    ask the store. `metrics` is Prometheus' text format. They are asked on every request.
    """

    def __init__(
        self,
        live: Callable[[], list[str]],
        ready: Callable[[], Awaitable[list[str]]],
        metrics: Callable[[], Awaitable[bytes]],
    ) -> None:
        self._live = live
        self._ready = ready
        self._metrics = metrics
        self._listener: Listener | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen, and return the port (a free one for 0). Raises SettingsError if that cannot be."""
        self._listener = Listener(self._handle, ConnectionLimits())
        return await self._listener.start(host, port, "--health-host or --health-port")

    async def close(self) -> None:
        """Stop answering."""
        if self._listener:
            await self._listener.close()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.raw_path.partition("?")[0]
        if path not in ("/livez", "/readyz", "/metrics"):
            return _text(404, f"there is nothing at {path[:100]}; there are /livez, /readyz and /metrics")
        if request.method not in ("GET", "HEAD"):
            return _text(405, f"{request.method} is not allowed here; allowed: GET, HEAD", {"Allow": "GET, HEAD"})
        if path == "/metrics":
            return web.Response(body=await self._metrics(), headers={"Content-Type": CONTENT_TYPE_LATEST})
        problems = self._live() if path == "/livez" else await self._ready()
        return _text(503, "\n".join(problems)) if problems else _text(200, "ok")


def _text(status: int, text: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(status=status, text=text + "\n", headers={"Content-Type": _TEXT, **(headers or {})})
