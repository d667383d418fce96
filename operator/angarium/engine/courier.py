"""The courier: a process of its own that signs and sends what it is ordered to, and reports what became of it.

Run by `CourierSender` as `python -m angarium.engine.courier DESCRIPTOR TERMS`. It knows neither store nor messages, and
ends at once when the other end of its socket does: without a program that waits for reports nothing is to be sent.
"""

import asyncio
import logging
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from typing import cast

from angarium.domain.destinations import authority_of
from angarium.domain.errors import SendError
from angarium.domain.ports import Sender
from angarium.service.admission import CALM_S, TICK_S

from .frames import Frames, Order, Report, Terms, frame
from .loops import run, settle_memory
from .sender import KEEP_ALIVE, AiohttpSender
from .turns import OpenConnections, Turns

BEGUN_AT_ONCE = 4
"""Orders that need a new connection and are begun in one turn of the loop: about a millisecond's worth."""

LEAVING_S = 0.1
"""How long at most an order waits for the connections of those that were dropped just before it to be closed."""

BEAT_TICKS = 100
"""A courier that is on time says no more often than that it turns."""


class Courier(asyncio.Protocol):
    """The courier's end of the socket. Reports that are ready in the same turn of the loop go in one frame."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._loop = asyncio.get_running_loop()
        self._frames: Frames[Order | int] = Frames(Order | int)
        self._reports: list[Report] = []
        self._turns = Turns()
        self._open = OpenConnections(KEEP_ALIVE.total_seconds())
        self._beginning = False
        self._under_way: dict[int, asyncio.Task[None]] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._transport: asyncio.WriteTransport | None = None
        self._late_s = 0.0
        self._silent_ticks = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # libuv's is one, but says so nowhere
        self._report(Report(0))
        self._await_tick()

    def data_received(self, data: bytes) -> None:
        for orders in self._frames.feed(data):
            for order in orders:
                if isinstance(order, int):
                    self._drop(order)
                elif self._open.take(authority_of(order.url)):
                    self._begin(order)
                else:
                    self._turns.add(order)
        if not self._beginning:
            self._begin_some()

    def connection_lost(self, exc: Exception | None) -> None:
        os._exit(0)

    def _begin_some(self) -> None:
        """Those that need a connection, a few; then whatever else there is to do has a turn of the loop."""
        self._beginning = False
        for _ in range(BEGUN_AT_ONCE):
            order = self._turns.take()
            if order is None:
                return
            self._open.take(authority_of(order.url))
            self._begin(order)
        self._beginning = True
        self._loop.call_soon(self._begin_some)

    def _begin(self, order: Order) -> None:
        self._under_way[order.number] = self._loop.create_task(self._carry(order))

    def _drop(self, number: int) -> None:
        """Nobody waits for it any more. It may be unknown: then its report is on the way already."""
        task = self._under_way.pop(number, None)
        if task is not None:
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)
            task.cancel()
        else:
            self._turns.drop(number)

    async def _carry(self, order: Order) -> None:
        if self._leaving:
            # What was dropped may have made way for this one: the destination is to see it end before.
            await asyncio.wait(self._leaving, timeout=LEAVING_S)
        report = await carried(self._sender, order)
        if report.status:
            self._open.put(authority_of(order.url))
        self._under_way.pop(order.number, None)
        self._report(report)

    def _report(self, report: Report) -> None:
        self._reports.append(report)
        if len(self._reports) == 1:
            self._loop.call_soon(self._tell)

    def _tell(self) -> None:
        assert self._transport is not None
        reports, self._reports = self._reports, []
        self._transport.write(frame(reports))

    def tell_log(self, text: str) -> None:
        """May be called from any thread."""
        self._loop.call_soon_threadsafe(self._report, Report(0, defect=encodable(text)))

    def _await_tick(self) -> None:
        self._loop.call_later(TICK_S, self._tick, time.monotonic() + TICK_S)

    def _tick(self, due: float) -> None:
        late_s = time.monotonic() - due
        late_s = late_s if late_s > CALM_S else 0.0
        self._silent_ticks += 1
        if late_s != self._late_s or self._silent_ticks >= BEAT_TICKS:
            self._late_s, self._silent_ticks = late_s, 0
            self._report(Report(0, late_s=late_s))
            self._open.forget_old()
        self._await_tick()


class ToldLog(logging.Handler):
    """What is logged here is for the program to write down, in its form. For any thread."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        super().__init__()
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        self._tell(self.format(record))


async def carried(sender: Sender, order: Order) -> Report:
    """The report on one order. Never raises: a defect is reported too."""
    try:
        response = await sender.send(order.request())
    except SendError as error:
        return Report(order.number, reason=error.reason, error=encodable(str(error)))
    except Exception:  # noqa: BLE001  one order that cannot be handled must not stop the others
        return Report(order.number, defect=encodable(traceback.format_exc()))
    return Report(order.number, response.status, response.headers, response.body)


def encodable(text: str) -> str:
    """What a destination sent may be quoted in it with lone surrogates. A frame with one could not be told, nor could
    the reports that share it, and those who wait for them would wait for ever."""
    return text.encode(errors="backslashreplace").decode()


async def _serve(descriptor: int, terms: Terms) -> None:
    courier = Courier(AiohttpSender(terms.policy(), terms.max_response))
    loop = asyncio.get_running_loop()
    await loop.create_unix_connection(lambda: courier, sock=socket.socket(fileno=descriptor))
    logging.basicConfig(format="%(name)s: %(message)s", level=logging.WARNING, handlers=[ToldLog(courier.tell_log)])
    settle_memory()
    await asyncio.Event().wait()


def main() -> None:
    descriptor, terms = sys.argv[1:]
    # A terminal's Ctrl-C goes to every process; when to end is for the other end of the socket to say.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    run(_serve(int(descriptor), Terms.read(terms)))


if __name__ == "__main__":
    main()
