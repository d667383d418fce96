"""Across the border of a network namespace (Linux, root): a thread that steps into one, and ports that lead there."""

import asyncio
import ctypes
import os
import socket
import threading
from contextlib import suppress
from pathlib import Path

CLONE_NEWNET = 0x40000000
PIECE = 65536


def step_into(network: Path) -> None:
    """From now on the sockets that this thread makes belong to that network; sockets it has stay where they are.

    `network` is a file like /proc/PID/ns/net. There is no way back: use a thread that ends afterwards.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    with network.open() as namespace:
        if libc.setns(namespace.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(network))


class Relay:
    """Ports on this machine's loopback whose connections go on inside `network`."""

    def __init__(self, network: Path) -> None:
        self._network = network
        self._loop = asyncio.new_event_loop()
        self._servers: list[asyncio.Server] = []
        self._ports: dict[tuple[str, int], int] = {}
        self._connections: set[asyncio.Task[None]] = set()
        self._inside = threading.Event()
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)

    def start(self) -> None:
        self._thread.start()
        if not self._inside.wait(10) or not self._thread.is_alive():
            raise RuntimeError(f"no thread could step into {self._network}")

    def stop(self) -> None:
        """Every connection ends."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)

    def lead(self, address: str, port: int, at: int = 0) -> int:
        """The port of 127.0.0.1 that leads to this address of the other network: `at`, or any."""
        if (address, port) not in self._ports:
            listening = socket.create_server(("127.0.0.1", at))
            asyncio.run_coroutine_threadsafe(self._serve(listening, address, port), self._loop).result(10)
            self._ports[address, port] = listening.getsockname()[1]
        return self._ports[address, port]

    async def _serve(self, listening: socket.socket, address: str, port: int) -> None:
        def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            # Python 3.11 complains of a connection that is canceled while asyncio itself runs it.
            connection = asyncio.create_task(self._pass_on(reader, writer, address, port))
            self._connections.add(connection)
            connection.add_done_callback(self._connections.discard)

        self._servers.append(await asyncio.start_server(pass_on, sock=listening))

    async def _pass_on(
        self, near_in: asyncio.StreamReader, near_out: asyncio.StreamWriter, address: str, port: int
    ) -> None:
        try:
            far_in, far_out = await asyncio.open_connection(address, port)
        except OSError:  # what is refused there is closed here
            near_out.close()
            return
        try:
            await asyncio.gather(pump(near_in, far_out), pump(far_in, near_out))
        finally:
            near_out.close()
            far_out.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            step_into(self._network)
        finally:
            self._inside.set()
        self._loop.run_forever()
        self._loop.run_until_complete(self._end())
        self._loop.close()

    async def _end(self) -> None:
        for server in self._servers:
            server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await asyncio.sleep(0)  # closed transports end in the loop's next turn


async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    """Until `source` ends, or `target` takes nothing any more; the other direction may go on."""
    with suppress(OSError):
        while piece := await source.read(PIECE):
            target.write(piece)
            await target.drain()
        target.write_eof()
