"""What nobody in his right mind sends (issue: what bad input gets): a clear 4xx, and the server unharmed."""

import asyncio
import logging
import os
import random

import pytest
from tests.support.api import TOKEN, Api

HEAD = f"Host: x\r\nAuthorization: Bearer {TOKEN}\r\n"
PUBLISH = "/v2/publish/https://e.test"


@pytest.fixture(autouse=True)
def no_defect(caplog: pytest.LogCaptureFixture) -> object:
    yield
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def still_well(api: Api) -> None:
    published = await api.publish("https://e.test/well")
    assert (await api.message(published["messageId"]))["url"] == "https://e.test/well"


@pytest.mark.parametrize(
    "rest",
    [
        "https://e.test/\x00",
        "https://e.test/\x01a",
        "https://e.test/\x7f",
        "https://e.test/größe",
        "https://e.test/\udcff",
        "https://e.test:99999/",
        "https://user@[::1/",
        "https://" + "a" * 300 + ".test",
        "https://e.test/" + "a" * 9000,
        "https://",
        "https:///x",
        "//",
        "..",
        "%00",
        "%ff%fe",
        "a%2Fb",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "api/llm",
        "",
    ],
)
async def test_destinations_that_cannot_be(api: Api, rest: str) -> None:
    for path in ("/v2/publish/", "/v2/enqueue/q/"):
        reply = await api.request("POST", path + rest)
        assert reply.status in (400, 404), (path, reply)
        assert reply.error
    await still_well(api)


@pytest.mark.parametrize(
    "parameter",
    [
        "upstash-forward-x=%00",
        "upstash-forward-x=%0d%0aInjected:%201",
        "upstash-forward-x%0d%0ainjected=1",
        "upstash-forward-=1",
        "upstash-label=%00",
        "upstash-label=%ff",
        "upstash-deduplication-id=%00",
        "upstash-flow-control-key=%0a&upstash-flow-control-value=rate=1",
        "upstash-callback=https://e.test/%00",
        "upstash-callback-forward-x=%0d%0a",
        "upstash-queue-name=%00",
        "upstash-retry-delay=" + "(" * 7000,
        "upstash-retries=" + "9" * 7000,
        "upstash-retries=%D9%A3",
        "upstash-timeout=1e400",
        "upstash-delay=" + "9" * 7000 + "d",
        "upstash-not-before=-1",
        "upstash-cron=" + "*" * 7000,
    ],
)
async def test_parameters_that_cannot_be(api: Api, parameter: str) -> None:
    reply = await api.request("POST", f"{PUBLISH}?{parameter}")
    assert reply.status in (400, 412)
    assert "upstash-" in reply.error.lower()
    assert len(reply.error) < 1000
    await still_well(api)


async def test_an_expression_of_two_megabytes(api: Api) -> None:
    """As a header it is more than a head may have; in a batch it is more than headers may have."""
    expression = "1+" * 2**20 + "1"
    async with api.connect() as wire:
        try:
            await wire.send(f"POST {PUBLISH} HTTP/1.1\r\n{HEAD}Upstash-Retry-Delay: {expression}\r\n\r\n".encode())
        except ConnectionError:
            pass
        else:
            reply = await wire.reply()
            assert (reply.status, bool(reply.error)) == (431, True)
    body = f'[{{"destination":"https://e.test","headers":{{"Upstash-Retry-Delay":"{expression}"}}}}]'
    reply = await api.request("POST", "/v2/batch", body=body.encode())
    assert (reply.status, "batch[0].headers" in reply.error) == (400, True)
    await still_well(api)


@pytest.mark.parametrize("count", [500, 20_000])
async def test_absurdly_many_headers(api: Api, count: int) -> None:
    lines = "".join(f"Upstash-Forward-X-{number}: 1\r\n" for number in range(count))
    async with api.connect() as wire:
        try:
            await wire.send(f"POST {PUBLISH} HTTP/1.1\r\n{HEAD}{lines}\r\n".encode())
            reply = await wire.reply()
            assert (reply.status, bool(reply.error)) == (400, True)
        except ConnectionError:
            pass
    await still_well(api)


async def test_a_hundred_slow_bodies_hold_nobody_up(api: Api) -> None:
    wires = [await asyncio.open_connection("127.0.0.1", api.port) for _ in range(100)]
    for _, writer in wires:
        writer.write(f"POST {PUBLISH} HTTP/1.1\r\n{HEAD}Content-Length: 1000\r\n\r\nx".encode())
    async with asyncio.timeout(5):
        await still_well(api)
    for _, writer in wires:
        writer.close()
    await still_well(api)


async def test_random_headers_are_taken_or_refused(api: Api) -> None:
    """Raw bytes after a valid head: never a 5xx, never a message that cannot be read back."""
    seed = int.from_bytes(os.urandom(4), "big")
    dice = random.Random(seed)
    options = (
        "Delay Retries Callback Label Forward-X Callback-Delay Flow-Control-Key Flow-Control-Value Redact-Fields"
        " Timeout Cron Header-Forward Failure-Callback-Forward-Y Deduplication-Id Queue-Name Method Retry-Delay"
    )
    names = [b"Upstash-", *(f"Upstash-{option}".encode() for option in options.split())]
    values = [b"1", b"true", b"rate=1", b"10s", b"https://e.test", b"body", b"POST", b"k", b"* * * * *"]
    for _ in range(300):
        lines = b""
        for _ in range(dice.randrange(4)):
            value = dice.choice(values) if dice.random() < 0.5 else dice.randbytes(dice.randrange(12))
            lines += dice.choice(names) + dice.choice([b": ", b":", b" : ", b""]) + value + b"\r\n"
        async with api.connect() as wire:
            await wire.send(f"POST {PUBLISH} HTTP/1.1\r\n{HEAD}Content-Length: 0\r\n".encode() + lines + b"\r\n")
            reply = await wire.reply()
            assert reply.status in (200, 202, 400, 412, 431), (seed, lines, reply)
            if "messageId" in reply.json:
                assert (await api.message(reply.json["messageId"]))["url"] == "https://e.test"
