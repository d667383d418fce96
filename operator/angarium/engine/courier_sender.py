"""Sends through a courier, a child process, so that a second core signs, sends and reads answers (docs/adr/0008).

The courier holds nothing that would be missed: what it had when it was lost is due again, as after the end of a lease.
"""

import asyncio
import itertools
import logging
import socket
import sys
from typing import cast

from angarium.domain.addresses import AddressPolicy
from angarium.domain.errors import SenderLost, SendError
from angarium.domain.messages import Response
from angarium.domain.requests import OutgoingRequest

from .frames import Frames, Order, Report, Terms, frame
from .supervisor import Pulse

END_S = 2.0
"""How long a courier that was told to end may take."""

_MODULE = "angarium.engine.courier"
_Started = tuple[socket.socket, asyncio.subprocess.Process]
_log = logging.getLogger(__name__)


class CourierSender:
    """Implements `domain.ports.Sender`. `run` is the loop that keeps the courier; requests wait until there is one.

    `policy` and `max_response` are the courier's (see `AiohttpSender`). Belongs to one event loop.
    """

    def __init__(self, policy: AddressPolicy, max_response: int) -> None:
        self._terms = Terms.of(policy, max_response)
        self._numbers = itertools.count(1)
        self._line: _Line | None = None
        self._there = asyncio.Event()
        self._closed = False
        self._lateness = _Lateness()
        self._begun: _Started | None = None

    @property
    def there(self) -> bool:
        """Whether there is a courier that turns. Requests are taken before: they wait for it in its socket."""
        return self._line is not None and self._line.turns

    async def begin(self) -> None:
        """Start the courier that `run` would start otherwise: it takes a core of its own, so it may begin before."""
        if self._begun is None:
            self._begun = await self._start()

    async def run(self, pulse: Pulse) -> None:
        """Until `close`. Raises SenderLost when the courier ends by itself: whoever keeps this loop starts it again."""
        begun, self._begun = self._begun, None
        ours, courier = begun or await self._start()
        line = _Line(pulse, self._lateness)
        try:
            await asyncio.get_running_loop().create_unix_connection(lambda: line, sock=ours)
            if not self._closed:
                self._line = line
                self._there.set()
                await line.ended.wait()
        finally:
            self._there.clear()
            self._line = None
            self._lateness.tell(0)
            line.close()
            code = await _end(courier)
        if not self._closed:
            raise SenderLost(f"the courier, the process that sends, ended unexpectedly with code {code}")

    async def send(self, request: OutgoingRequest) -> Response:
        """See the port."""
        while self._line is None:
            await self._there.wait()
        return await self._line.send(Order.of(next(self._numbers), request))

    async def _start(self) -> _Started:
        """Our end of the socket, and the process at the other one."""
        ours, theirs = socket.socketpair()
        with theirs:
            arguments = ("-P", "-m", _MODULE, str(theirs.fileno()), self._terms.text())
            try:
                courier = await asyncio.create_subprocess_exec(
                    sys.executable, *arguments, stdin=asyncio.subprocess.DEVNULL, pass_fds=(theirs.fileno(),)
                )
            except BaseException:
                ours.close()
                raise
        return ours, courier

    def lateness(self) -> float:
        """How late, in seconds, the courier came to what was due: the worst since this was last asked."""
        return self._lateness.take()

    async def close(self) -> None:
        """End the courier; what it still had on its way is lost."""
        self._closed = True
        if self._line is not None:
            self._line.close()
        if self._begun is not None:
            ours, courier = self._begun
            self._begun = None
            ours.close()
            await _end(courier)


class _Lateness:
    """What a courier tells lasts until it tells something else."""

    def __init__(self) -> None:
        self._now = self._worst = 0.0

    def tell(self, late_s: float) -> None:
        self._now, self._worst = late_s, max(self._worst, late_s)

    def take(self) -> float:
        worst, self._worst = self._worst, self._now
        return worst


class _Line(asyncio.Protocol):
    """The socket to one courier. Orders, and numbers of those to drop, of the same turn of the loop go in one frame."""

    def __init__(self, pulse: Pulse, lateness: _Lateness) -> None:
        self.ended = asyncio.Event()
        self.turns = False
        self._pulse = pulse
        self._lateness = lateness
        self._loop = asyncio.get_running_loop()
        self._frames = Frames(Report)
        self._orders: list[Order | int] = []
        self._pending: dict[int, asyncio.Future[Response]] = {}
        self._transport: asyncio.WriteTransport | None = None

    async def send(self, order: Order) -> Response:
        if self.ended.is_set():
            raise SenderLost("the courier has ended")
        future: asyncio.Future[Response] = self._loop.create_future()
        self._pending[order.number] = future
        self._tell_soon(order)
        try:
            return await future
        finally:
            del self._pending[order.number]
            if future.cancelled():  # nobody waits for the answer any more
                self._tell_soon(order.number)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # libuv's is one, but says so nowhere

    def data_received(self, data: bytes) -> None:
        for reports in self._frames.feed(data):
            for report in reports:
                self._hear(report)

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.set()
        for future in self._pending.values():
            if not future.done():
                future.set_exception(SenderLost("the courier ended while the request was on its way"))

    def _tell_soon(self, order: Order | int) -> None:
        self._orders.append(order)
        if len(self._orders) == 1:
            self._loop.call_soon(self._tell)

    def _tell(self) -> None:
        assert self._transport is not None
        orders, self._orders = self._orders, []
        if not self._transport.is_closing():
            self._transport.write(frame(orders))

    def _hear(self, report: Report) -> None:
        if report.number == 0 and report.defect:
            _log.warning("in the courier: %s", report.defect, extra={"action": "courier.log"})
            return
        if report.number == 0:
            self.turns = True
            self._pulse.beat()
            self._lateness.tell(report.late_s)
            return
        future = self._pending.get(report.number)
        if future is None or future.done():
            return  # dropped; the report and that crossed
        if report.defect:
            future.set_exception(RuntimeError(f"defect in the courier:\n{report.defect}"))
        elif report.reason:
            future.set_exception(SendError(report.reason, report.error))
        else:
            future.set_result(report.response())


async def _end(courier: asyncio.subprocess.Process) -> int:
    """Wait until the courier, whose socket is closed, has ended; its exit code (negative: the signal's number)."""
    try:
        async with asyncio.timeout(END_S):
            return await courier.wait()
    except TimeoutError:
        courier.kill()
        return await courier.wait()
