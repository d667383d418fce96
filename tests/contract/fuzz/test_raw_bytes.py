"""Bytes that no client library would send: never a 5xx, never an answer that is no HTTP, and the process goes on.

The cases are random with a fixed seed; each is a good request in which something was broken.
"""

import random
import socket
import time
from collections.abc import Callable, Iterator

import pytest
from tests.contract.fuzz.wire import exchange, told, well
from tests.support.angarium import Angarium

from angarium.files.users import USERS

TOKEN = USERS[0].token.encode()
SEED = 20261124
CASES = 1200
MOST_S = 12.0
"""On a slow machine fewer cases are tried."""

Spoil = Callable[[random.Random, bytes], bytes]

OPTIONS = (
    b"Method", b"Timeout", b"Retries", b"Retry-Delay", b"Delay", b"Not-Before", b"Deduplication-Id",
    b"Content-Based-Deduplication", b"Callback", b"Failure-Callback", b"Callback-Retries", b"Callback-Forward-X",
    b"Label", b"Flow-Control-Key", b"Flow-Control-Value", b"Redact-Fields", b"Header-Forward", b"Cron",
    b"Schedule-Id", b"Queue-Name", b"Forward-X-A", b"Forward-Content-Length", b"Failure-Callback-Delay",
)  # fmt: skip
TARGETS = (
    b"/v2/publish/http://127.0.0.1:9/in", b"/v2/publish/nobody", b"/v2/enqueue/line/http://127.0.0.1:9/in?x=1",
    b"/v2/schedules/http://127.0.0.1:9/in", b"/v2/batch", b"/v2/messages/msg_1", b"/v2/messages?count=1", b"/v2/events",
    b"/v2/dlq?cursor=1&order=latestFirst", b"/v2/dlq/retry", b"/v2/dlq/1-0", b"/v2/queues", b"/v2/queues/line/pause",
    b"/v2/topics/orders/endpoints", b"/v2/topics/orders", b"/v2/flowControl/a/b/pin?rate=1&period=2s", b"/v2/keys",
    b"/v2/flowControl?search=a", b"/v2/schedules/s/pause", b"/openapi.yaml",
)  # fmt: skip
METHODS = (b"GET", b"POST", b"DELETE", b"PATCH", b"PUT", b"HEAD", b"OPTIONS", b"BREW", b"CONNECT")
VALUES = (
    b"", b" ", b"0", b"-1", b"1e309", b"99999999999999999999", b"1.5s", b"1d2h", b"true", b"http://", b"https://[::1",
    b"http://a:99999/", b"pow(2,", b"(" * 5000, b"1+" * 4000 + b"1", b"retried" * 900, b"* * * * *",
    b"CRON_TZ=X * * * * *", b"rate=1", b"rate=1,rate=2", b"parallelism=", b"period=8d,rate=1", b"header[",
    b"body,header[X],", b"\xff\xfe\xfd",
    b"\xed\xa0\x80", "ü€😀".encode(), b"a" * 9000, b"a,b,,c", b"%00", b"%ff%fe", b"%", b"\x0b\x0c", b"null", b"{}",
    "１２".encode(), b"0x10", b"+1", b"1_000", b"NaN", b"inf", b"H H * * *", b"60 0 1 1 *",
)  # fmt: skip
BODIES = (
    b"", b"{", b"[]", b"null", b"[null]", b'[{"destination": 1}]', b'[{"destination":"http://127.0.0.1:9","headers":{"a":1}}]',
    b"[" * 20_000, b'{"endpoints":[{"url":"' + b"x" * 3000 + b'"}]}', b'{"queueName":"\\ud800"}', b"\xff" * 100,
    b'{"messageIds": {"a": []}}', b'{"dlqIds":["' + b"9" * 400 + b'-0"]}', b'{"headers":{"A\\r\\nB":"c"}}',
    b'[{"destination":"http://127.0.0.1:9","body":' + b'{"a":' * 2000 + b"1" + b"}" * 2000 + b"}]",
    b'{"queueName":"line","parallelism":1e400}', b'{"endpoints":[{}]}', b'"text"', b"\x00",
)  # fmt: skip


def good(rng: random.Random) -> bytes:
    """A request with some options, whose values need not be good ones."""
    lines = [b"Host: a", b"Connection: close", b"Authorization: Bearer " + TOKEN]
    for name in rng.sample(OPTIONS, rng.randrange(4)):
        lines.append(b"Upstash-" + name + b": " + rng.choice(VALUES))
    target = rng.choice(TARGETS)
    if rng.random() < 0.3:
        joint = b"&" if b"?" in target else b"?"
        target += joint + b"upstash-" + rng.choice(OPTIONS).lower() + b"=" + rng.choice(VALUES).replace(b" ", b"+")
    body = rng.choice(BODIES)
    lines.append(b"Content-Length: %d" % len(body))
    return rng.choice(METHODS) + b" " + target + b" HTTP/1.1\r\n" + b"\r\n".join(lines) + b"\r\n\r\n" + body


def as_it_is(rng: random.Random, request: bytes) -> bytes:
    return request


def flipped(rng: random.Random, request: bytes) -> bytes:
    """Some bytes are others."""
    data = bytearray(request)
    for _ in range(rng.randrange(1, 6)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data)


def inserted(rng: random.Random, request: bytes) -> bytes:
    place = rng.randrange(len(request))
    text = rng.choice((b"\x00", b"\r\n", b"\n", b"\r", b" ", b":", b"\xff", b"%00", b"\r\n\r\n", b"//", b"?", b"#"))
    return request[:place] + text * rng.randrange(1, 4) + request[place:]


def cut(rng: random.Random, request: bytes) -> bytes:
    return request[: rng.randrange(1, len(request))]


def doubled(rng: random.Random, request: bytes) -> bytes:
    """A line of the head stands twice."""
    lines = request.split(b"\r\n")
    place = rng.randrange(len(lines))
    return b"\r\n".join([*lines[: place + 1], *lines[place:]])


def chunked(rng: random.Random, request: bytes) -> bytes:
    """With chunks that are none."""
    head = request.partition(b"\r\n\r\n")[0]
    lines = [line for line in head.split(b"\r\n") if not line.startswith(b"Content-Length")]
    chunk = rng.choice(
        (b"5\r\nhello\r\n0\r\n\r\n", b"zz\r\n", b"-1\r\n\r\n", b"ffffffffffffffff1\r\na", b"0\r\nX: y\r\n\r\n")
    )
    return b"\r\n".join([*lines, b"Transfer-Encoding: chunked", b"", chunk])


SPOILS: tuple[Spoil, ...] = (as_it_is, as_it_is, flipped, inserted, cut, doubled, chunked)


def cases() -> Iterator[bytes]:
    rng = random.Random(SEED)
    for _ in range(CASES):
        yield rng.choice(SPOILS)(rng, good(rng))


def test_broken_requests(angarium: Angarium) -> None:
    until = time.monotonic() + MOST_S
    tried, answered = 0, 0
    for data in cases():
        got = exchange(angarium, data, answers=9, patience_s=0.05)
        assert all(status < 500 for status in got.statuses), (data[:2000], got.raw[:2000])
        assert b"Traceback" not in got.raw
        tried, answered = tried + 1, answered + bool(got.statuses)
        if time.monotonic() > until:
            break
    assert answered > tried / 2
    assert well(angarium)
    assert "Traceback" not in angarium.program.log.read_text()


HEAD = b"POST /v2/publish/http://127.0.0.1:9/in HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " + TOKEN + b"\r\n"


@pytest.mark.parametrize(
    "data, status",
    [
        (b"GET /v2/messages/a\x00b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (HEAD + b"Upstash-Delay: 1\x00s\r\nContent-Length: 0\r\n\r\n", 400),
        (HEAD + b"Upstash-Retry-Delay: " + b"1+" * 2**20 + b"1\r\nContent-Length: 0\r\n\r\n", 431),
        (HEAD + b"Upstash-Retry-Delay: " + b"(" * 15_000 + b"\r\nContent-Length: 0\r\n\r\n", 400),
        (HEAD + b"X: " + b"y" * 2**21 + b"\r\nContent-Length: 0\r\n\r\n", 431),
        (HEAD + b"X: y\r\n" * 5000 + b"Content-Length: 0\r\n\r\n", 400),
        (b"GET /" + b"a" * 2**20 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 431),
        (HEAD + b"Upstash-Label: \xff\xfe\r\nContent-Length: 0\r\n\r\n", 400),
        (HEAD + b"Upstash-Callback: \xff://\r\nContent-Length: 0\r\n\r\n", 400),
        (HEAD + b"Content-Length: -1\r\n\r\n", 400),
        (HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
        (HEAD + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (HEAD + b"Content-Length: 9999999999999999\r\n\r\n", 413),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"GET / HTTP/9.9\r\n\r\n", 400),
    ],
)  # fmt: skip
def test_what_attackers_and_accidents_send(angarium: Angarium, data: bytes, status: int) -> None:
    got = exchange(angarium, data)
    assert got.statuses == (status,), got.raw[:500]
    assert b'{"error":' in got.raw
    assert TOKEN not in got.raw
    assert well(angarium)


def test_a_long_expression_in_a_batch(angarium: Angarium) -> None:
    """Two megabytes that no header line could carry."""
    for expression in (b"1+" * 2**20 + b"1", b"(" * 2**21):
        element = b'[{"destination":"http://127.0.0.1:9","headers":{"Upstash-Retry-Delay":"' + expression + b'"}}]'
        lines = HEAD.replace(b"/v2/publish/http://127.0.0.1:9/in", b"/v2/batch")
        got = exchange(angarium, lines + b"Content-Length: %d\r\n\r\n" % len(element) + element)
        assert got.statuses == (400,), got.raw[:500]
    assert well(angarium)


def test_slow_bodies_hold_nobody_up(angarium: Angarium) -> None:
    """Many clients that begin a body and send no more of it; others are answered meanwhile."""
    waiting = [socket.create_connection(("127.0.0.1", angarium.port), timeout=5) for _ in range(100)]
    try:
        for connection in waiting:
            connection.sendall(HEAD + b"Content-Length: 100\r\n\r\nab")
        started = time.monotonic()
        assert well(angarium)
        assert time.monotonic() - started < 2
    finally:
        for connection in waiting:
            connection.close()
    assert well(angarium)


def test_requests_behind_each_other_are_answered_in_order(angarium: Angarium) -> None:
    one = b"GET /v2/messages/%s HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " + TOKEN + b"\r\n\r\n"
    with socket.create_connection(("127.0.0.1", angarium.port), timeout=5) as connection:
        connection.sendall(b"".join(one % b"n%d" % number for number in range(20)))
        got = told(connection, answers=20)
        connection.sendall(b"BROKEN\r\n\r\n")
        last = told(connection, answers=2)
    assert (got.statuses, last.statuses) == ((404,) * 20, (400,))
    places = [got.raw.index(b"'n%d'" % number) for number in range(20)]
    assert places == sorted(places)
