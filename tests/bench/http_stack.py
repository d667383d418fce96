"""What the HTTP client costs in the whole path: publish, store, sign, send, record. The figures of ADR 0001.

Run: .venv/bin/python -m tests.bench.http_stack [seconds] [rounds]
Server, load generator and sink are processes on this machine; only ratios within one run count.
"""

import asyncio
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, DummyCookieJar, TCPConnector, web
from tests.bench.httpx_sender import HttpxSender
from tests.support.programs import free_port

from angarium import app
from angarium.domain.addresses import AddressPolicy
from angarium.domain.credentials import Credential, token_hash
from angarium.domain.declarations import Access
from angarium.settings import Settings

CONNECTIONS = 64
BODY = b'{"padding": "' + b"x" * 242 + b'"}'


class NoReferences:
    """The measured messages refer to nothing."""

    async def secret(self, namespace: str, ref: object) -> bytes:
        raise AssertionError

    config_map = secret


def sink(port: int, count: Any) -> None:
    """Counts requests and answers 200."""

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        await request.read()
        with count.get_lock():
            count.value += 1
        return web.Response()

    asyncio.run(_listen(handle, port))


def bare(port: int, sink_port: int) -> None:
    """The bare loop: the same server library receiving, the same client library sending, and nothing between."""

    async def run() -> None:
        async with ClientSession(cookie_jar=DummyCookieJar(), connector=TCPConnector(limit=0)) as session:

            async def send(body: bytes) -> None:
                async with session.post(f"http://127.0.0.1:{sink_port}/", data=body) as answer:
                    await answer.read()

            sending: set[asyncio.Task[None]] = set()

            async def handle(request: web.BaseRequest) -> web.StreamResponse:
                task = asyncio.create_task(send(await request.read()))
                sending.add(task)
                task.add_done_callback(sending.discard)
                return web.Response(body=b'{"messageId":"msg_0"}')

            await _listen(handle, port)

    asyncio.run(run())


def angarium(port: int, sender: str) -> None:
    """The whole path with one of the two senders."""

    async def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            settings = Settings(database=Path(folder) / "bench.db", host="127.0.0.1", port=port)
            async with app.foundation(settings, settings.database) as base:
                credential = Credential("bench", "bench", token_hash("bench"), Access.READ_WRITE)
                await base.store.put_credential(credential)
                choice = HttpxSender() if sender == "httpx" else None
                policy = AddressPolicy(allow=app.LOOPBACK)
                plane = app.DeliveryPlane(base, NoReferences(), policy, sender=choice)
                await plane.start()
                await plane.run(app.stop_signal())

    asyncio.run(run())


async def _listen(handle: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]], port: int) -> None:
    await asyncio.get_running_loop().create_server(web.Server(handle, access_log=None), "127.0.0.1", port, backlog=1024)
    await asyncio.Event().wait()


async def load(port: int, target: str, seconds: float) -> int:
    """Keep-alive connections that each publish the next message when the last is answered."""
    head = f"POST {target} HTTP/1.1\r\nHost: b\r\nAuthorization: Bearer bench\r\nContent-Type: application/json\r\n"
    request = head.encode() + f"Content-Length: {len(BODY)}\r\n\r\n".encode() + BODY
    deadline = time.monotonic() + seconds

    async def one() -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        done = 0
        while time.monotonic() < deadline:
            writer.write(request)
            answer = await reader.readuntil(b"\r\n\r\n")
            if b" 200 " not in answer[:20]:
                raise RuntimeError(answer)
            length = int(answer.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            done += 1
        writer.close()
        return done

    return sum(await asyncio.gather(*(one() for _ in range(CONNECTIONS))))


def _generate(port: int, target: str, seconds: float, done: Any) -> None:
    done.value = asyncio.run(load(port, target, seconds))


def measure(start: Callable[..., None], seconds: float, *extra: str) -> float:
    """Deliveries per second at the sink, over the time from the first publish to the last delivery."""
    context = multiprocessing.get_context("spawn")
    port, sink_port = free_port(), free_port()
    arrived, published = context.Value("q", 0), context.Value("q", 0)
    server_args: tuple[Any, ...] = (port, *extra) if extra else (port, sink_port)
    servers = [
        context.Process(daemon=True, target=sink, args=(sink_port, arrived)),
        context.Process(daemon=True, target=start, args=server_args),
    ]
    for process in servers:
        process.start()
    _await_listening(port, sink_port)
    target = f"/v2/publish/http://127.0.0.1:{sink_port}/hook"
    started = time.monotonic()
    generator = context.Process(daemon=True, target=_generate, args=(port, target, seconds, published))
    generator.start()
    generator.join()
    while arrived.value < published.value and time.monotonic() - started < seconds + 30:
        time.sleep(0.01)
    rate = float(arrived.value) / (time.monotonic() - started)
    for process in servers:
        process.terminate()
        process.join()
    return rate


def _await_listening(*ports: int) -> None:
    async def wait() -> None:
        for port in ports:
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    await asyncio.sleep(0.05)
                    continue
                writer.close()
                break

    asyncio.run(asyncio.wait_for(wait(), 30))


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 8.0
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    rates: dict[str, list[float]] = {"bare loop": [], "aiohttp": [], "httpx": []}
    for _ in range(rounds):
        rates["bare loop"].append(measure(bare, seconds))
        for sender in ("aiohttp", "httpx"):
            rates[sender].append(measure(angarium, seconds, sender))
    bare_rate = statistics.median(rates["bare loop"])
    for name, found in rates.items():
        rate = statistics.median(found)
        each = ", ".join(f"{one:.0f}" for one in found)
        print(f"{name:10} {rate:7.0f}/s  {rate / bare_rate:5.0%} of the bare loop   ({each})")


if __name__ == "__main__":
    main()
