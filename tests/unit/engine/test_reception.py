"""What a connection lets a hostile destination do, on real sockets."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from datetime import timedelta

import pytest
from tests.support.hostile import OK, PIECE, SLOWLY_S, Conduct, Hostile, answers, deafness, headed, repeats
from tests.support.processes import connections
from tests.support.waiting import until

from angarium.domain.errors import SendError
from angarium.engine.sender import AiohttpSender

from .test_sender import LOOPBACK, failure, request

LIMIT = 64 << 10
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n"


@pytest.fixture
def hostile() -> Iterator[Hostile]:
    with Hostile() as hostile:
        yield hostile


@pytest.fixture
async def sender() -> AsyncIterator[AiohttpSender]:
    opened = AiohttpSender(LOOPBACK)
    yield opened
    await opened.close()


def padded(size: int) -> bytes:
    """Header lines of this many bytes in all."""
    lines = [b"X-%03d: %s\r\n" % (number, b"y" * 991) for number in range(size // 1000)]
    rest = size % 1000
    return b"".join(lines) + (b"X-Rest: %s\r\n" % (b"y" * (rest - 10)) if rest else b"")


ENDLESS: dict[str, tuple[Conduct, str]] = {
    "interim answers": (repeats(b"", INTERIM), "more than 64 KiB before its body"),
    "extensions of a chunk": (repeats(CHUNKED + b"1;", b"e" * 1000), "more framing than body"),
}


@pytest.mark.parametrize("what", ENDLESS)
async def test_what_has_no_end_is_broken_off(hostile: Hostile, sender: AiohttpSender, what: str) -> None:
    conduct, problem = ENDLESS[what]
    error = await failure(sender, f"http://127.0.0.1:{hostile.serve(conduct)}/", timeout=timedelta(minutes=5))
    assert error.reason == "ProtocolError" and problem in str(error)
    await until(lambda: not +hostile.open)


HEAD = b"HTTP/1.1 200 OK\r\n"
LENGTH = b"Content-Length: 2\r\n\r\n"


@pytest.mark.parametrize("more", [0, 1])
@pytest.mark.parametrize("interim", [0, 100])
async def test_a_head_of_exactly_the_limit_is_taken(
    hostile: Hostile, sender: AiohttpSender, more: int, interim: int
) -> None:
    before = INTERIM * interim
    head = before + HEAD + padded(LIMIT + more - len(before + HEAD + LENGTH)) + LENGTH
    assert len(head) == LIMIT + more
    url = f"http://127.0.0.1:{hostile.serve(answers(head + b'ok'))}/"
    if more:
        assert (await failure(sender, url)).reason == "ProtocolError"
    else:
        response = await sender.send(request(url))
        assert (response.status, response.body) == (200, b"ok")


async def test_the_limit_is_for_each_answer_of_a_connection(hostile: Hostile, sender: AiohttpSender) -> None:
    async def thrice(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(3):
            await reader.readuntil(b'\r\n\r\n{"n":1}')
            writer.write(HEAD + padded(40_000) + LENGTH + b"ok")

    port = hostile.serve(thrice)
    for _ in range(3):
        assert (await sender.send(request(f"http://127.0.0.1:{port}/"))).body == b"ok"
    assert hostile.connections[port] == 1


async def test_a_body_in_pieces_of_one_byte_is_taken(hostile: Hostile, sender: AiohttpSender) -> None:
    whole = CHUNKED + b"1\r\nx\r\n" * LIMIT + b"0\r\n\r\n"
    response = await sender.send(request(f"http://127.0.0.1:{hostile.serve(answers(whole))}/"))
    assert response.body == b"x" * LIMIT


async def test_what_comes_after_an_empty_answer_ends_the_connection(hostile: Hostile, sender: AiohttpSender) -> None:
    port = hostile.serve(repeats(b"HTTP/1.1 204 No Content\r\n\r\n", PIECE))
    with suppress(SendError):  # if it comes together with the answer
        assert (await sender.send(request(f"http://127.0.0.1:{port}/"))).status == 204
    await until(lambda: connections({port}) == 0)


@pytest.mark.filterwarnings("ignore:Sending a large body")
async def test_who_answers_and_never_reads_holds_no_connection(hostile: Hostile, sender: AiohttpSender) -> None:
    port = hostile.serve(deafness)
    large = b"x" * (16 << 20)
    response = await sender.send(request(f"http://127.0.0.1:{port}/", body=large))
    assert response.body == b"ok"
    await until(lambda: connections({port}) == 0)


@pytest.mark.filterwarnings("ignore:Sending a large body")
async def test_who_never_reads_holds_no_connection_after_the_timeout(hostile: Hostile, sender: AiohttpSender) -> None:
    async def unread(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        await asyncio.sleep(3600)

    port = hostile.serve(unread)
    url = f"http://127.0.0.1:{port}/"
    error = await failure(sender, url, body=b"x" * (16 << 20), timeout=timedelta(seconds=SLOWLY_S))
    assert error.reason == "Timeout"
    await until(lambda: connections({port}) == 0)


async def test_what_follows_an_answer_is_not_taken_for_the_next_one(hostile: Hostile, sender: AiohttpSender) -> None:
    port = hostile.serve(answers(OK + headed(b"X-Smuggled: 1")))
    for _ in range(2):
        response = await sender.send(request(f"http://127.0.0.1:{port}/"))
        assert "X-Smuggled" not in dict(response.headers)
    assert hostile.connections[port] == 2
