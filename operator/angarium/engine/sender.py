"""One HTTP request over aiohttp's client, and every way in which it can fail, told as a SendError.

Knows nothing of messages: what goes on the wire is exactly what the OutgoingRequest says, plus its signature, Host
and Content-Length. Addresses are judged before anything is sent (DESIGN 6).
"""

import asyncio
import re
import ssl
from base64 import b64encode
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache, partial
from typing import TypeAlias
from urllib.parse import unquote_to_bytes

import aiohttp
from aiohttp import BytesPayload, ClientSession, ClientTimeout, TCPConnector
from aiohttp.client_proto import ResponseHandler
from yarl import URL

from angarium.domain.addresses import AddressPolicy, literal_host
from angarium.domain.destinations import check_url
from angarium.domain.errors import InvalidInput, SendError
from angarium.domain.messages import Response
from angarium.domain.ports import Clock
from angarium.domain.reasons import FailureReason
from angarium.domain.requests import OutgoingRequest, TlsMaterial

from .clock import SystemClock
from .failures import FOREIGN, translated
from .reception import Reception
from .resolver import CheckedResolver, not_allowed
from .signature import signature_line
from .tls import TlsContexts

_URL = re.compile(
    r"(?P<scheme>https?)://(?:(?P<user>[^/?]*)@)?(?P<host>\[[^\]]*\]|[^/?:@]*)(?P<port>:[0-9]+)?(?P<target>.*)",
    re.IGNORECASE,
)
Headers: TypeAlias = tuple[tuple[str, str], ...]
_LONGEST_URL = 1 << 16
_HEADER_LIMIT = 8190
# Most servers keep an idle connection for 5 seconds or more; one that closes just as we write costs an attempt.
KEEP_ALIVE = timedelta(seconds=4)
# What the client sends again by itself when a kept connection turns out to be closed (RFC 9110, 9.2.2).
_RESENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})
_AUTOMATIC = ("Accept", "Accept-Encoding", "User-Agent", "Content-Type")


@dataclass(frozen=True, slots=True)
class _Destination:
    """A URL taken apart: `url` for aiohttp, `label` (host and port) for people, `headers` that follow from the URL."""

    url: URL
    label: str
    headers: Headers


class _Unanswered(Exception):
    """Carries a connection's error past the client, which would send an idempotent request a second time on its own."""

    def __init__(self, error: aiohttp.ClientError) -> None:
        self.error = error


async def _once(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    try:
        return await send(request)
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _Unanswered(error) from error


class AiohttpSender:
    """Implements `domain.ports.Sender`. Connections are kept alive and reused.

    `max_response` is the most of a response body that is read, in bytes. `connect_timeout` bounds one connection's
    making, within the request's own timeout. `pool_limit` is the most connections at once, 0 for no limit.
    """

    def __init__(
        self,
        policy: AddressPolicy,
        max_response: int = 64 << 10,
        *,
        connect_timeout: timedelta = timedelta(seconds=30),
        pool_limit: int = 0,
        clock: Clock | None = None,
    ) -> None:
        self._policy = policy
        self._max_response = max_response
        self._timeout = ClientTimeout(total=None, sock_connect=connect_timeout.total_seconds())
        self._pool_limit = pool_limit
        self._clock = clock or SystemClock()
        self._contexts = TlsContexts()
        self._session: ClientSession | None = None
        self._resolver: CheckedResolver | None = None
        self._destination = lru_cache(maxsize=4096)(self._read_url)

    async def send(self, request: OutgoingRequest) -> Response:
        """The whole response, its body cut at `max_response`. Raises SendError if there is none within the timeout."""
        destination = self._destination(request.url)
        try:
            async with asyncio.timeout(request.timeout.total_seconds()):
                return await self._exchange(request, destination)
        except _Unanswered as unanswered:
            raise translated(unanswered.error, destination.label, request.timeout.total_seconds()) from unanswered
        except FOREIGN as error:
            raise translated(error, destination.label, request.timeout.total_seconds()) from error

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
        if self._resolver is not None:
            await self._resolver.close()

    async def _exchange(self, request: OutgoingRequest, destination: _Destination) -> Response:
        tls = request.tls if destination.url.scheme == "https" else None
        response = await (self._session or self._open()).request(
            request.method,
            destination.url,
            headers=(*_joined(destination.headers, request.headers), *signature_line(request, self._clock)),
            data=BytesPayload(request.body) if request.body else None,
            allow_redirects=False,
            middlewares=(_once,) if request.method in _RESENT else (),
            ssl=await self._context(tls) if tls else True,
            server_hostname=tls.server_name if tls else None,
        )
        try:
            body = await self._read(response)
        except BaseException:
            response.close()
            raise
        return Response(response.status, tuple((_text(n), _text(v)) for n, v in response.raw_headers), body)

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        chunks, size = [], 0
        while chunk := await response.content.readany():
            chunks.append(chunk)
            size += len(chunk)
            if size > self._max_response:
                response.close()
                break
        return b"".join(chunks)[: self._max_response]

    async def _context(self, material: TlsMaterial) -> ssl.SSLContext | bool:
        if material.ca is None and material.client_certificate is None:
            return True
        return await self._contexts.of(material)

    def _open(self) -> ClientSession:
        self._resolver = CheckedResolver(self._policy)
        connector = TCPConnector(
            resolver=self._resolver, limit=self._pool_limit, keepalive_timeout=KEEP_ALIVE.total_seconds()
        )
        # aiohttp has no other way to give connections rules of our own.
        handler: type[ResponseHandler] = Reception
        connector._factory = partial(handler, loop=asyncio.get_running_loop())
        self._session = ClientSession(
            connector=connector,
            timeout=self._timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=_AUTOMATIC,
            auto_decompress=False,
            trust_env=False,
            max_line_size=_HEADER_LIMIT,
            max_field_size=_HEADER_LIMIT,
        )
        return self._session

    def _read_url(self, url: str) -> _Destination:
        try:
            check_url(url, "", allow_userinfo=True, max_characters=_LONGEST_URL)
        except InvalidInput as error:
            raise SendError(FailureReason.INVALID_URL, error.problem) from error
        parts = _URL.fullmatch(url)
        if parts is None:
            raise SendError(FailureReason.INVALID_URL, "the URL has no host and path that a request could go to")
        host, port, target = parts["host"], parts["port"] or "", parts["target"]
        authority, headers = self._authority(host, port)
        if parts["user"] is not None:
            headers = (*headers, ("Authorization", _basic(parts["user"])))
        # The query goes in as part of the path: yarl would drop the `?` of an empty one.
        path = target if target.startswith("/") else f"/{target}"
        built = URL.build(scheme=parts["scheme"].lower(), authority=authority, path=path, encoded=True)
        return _Destination(built, host + port, headers)

    def _authority(self, host: str, port: str) -> tuple[str, Headers]:
        """Where to connect to, and the Host header if that is spelled differently.

        aiohttp asks no resolver about addresses, so they are judged here, in all the spellings that C knows.
        """
        literal = literal_host(host)
        if literal is None:
            return host + port, ()
        address = str(literal)
        if self._policy.refusal(address) is not None:
            raise not_allowed(self._policy, address, host.strip("[]"))
        canonical = f"[{address}]" if ":" in address else address
        return canonical + port, () if canonical == host else (("Host", host + port),)


def _joined(derived: Headers, given: Headers) -> Headers:
    """The request's headers and those that follow from its URL, which count only if not given."""
    if not derived:
        return given
    names = {name.lower() for name, _ in given}
    return (*(header for header in derived if header[0].lower() not in names), *given)


def _basic(userinfo: str) -> str:
    user, _, password = userinfo.partition(":")
    return "Basic " + b64encode(unquote_to_bytes(user) + b":" + unquote_to_bytes(password)).decode()


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")
