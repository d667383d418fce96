"""The bare loop, which our figures are a share of: one process that receives with the server library, answers, and
sends with the client library. Nothing is stored, checked or signed.

Run: python -m tests.bench.bare PORT SINK_URL
"""

import asyncio
import sys

from aiohttp import ClientSession, DummyCookieJar, TCPConnector, web

ANSWER = b'{"messageId":"msg_0"}'
BACKLOG = 1024


def new_loop() -> asyncio.AbstractEventLoop:
    """The kind of event loop that `angarium run` has."""
    return asyncio.new_event_loop()


async def serve(port: int, sink: str) -> None:
    async with ClientSession(cookie_jar=DummyCookieJar(), connector=TCPConnector(limit=0)) as session:

        async def send(body: bytes) -> None:
            async with session.post(sink, data=body) as answer:
                await answer.read()

        sending: set[asyncio.Task[None]] = set()

        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            task = asyncio.create_task(send(await request.read()))
            sending.add(task)
            task.add_done_callback(sending.discard)
            return web.Response(body=ANSWER)

        server = web.Server(handle, access_log=None)
        await asyncio.get_running_loop().create_server(server, "127.0.0.1", port, backlog=BACKLOG)
        await asyncio.Event().wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(serve(int(sys.argv[1]), sys.argv[2]))
