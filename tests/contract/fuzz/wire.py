"""A raw socket to the API: sends any bytes, reads whatever comes back until it has seen enough."""

import socket
from contextlib import suppress
from dataclasses import dataclass

from tests.support.angarium import Angarium

PROBE = b"GET /v2/queues HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer nobody\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Told:
    """The status of each answer on one connection, and all bytes of them."""

    statuses: tuple[int, ...]
    raw: bytes


def exchange(angarium: Angarium, data: bytes, *, answers: int = 1, patience_s: float = 5.0) -> Told:
    """Send these bytes; what came until there were so many answers, the server closed, or nothing came any more.

    The sending side stays open: a server may take its end for the end of the client.
    """
    with socket.create_connection(("127.0.0.1", angarium.port), timeout=patience_s) as connection:
        with suppress(ConnectionError):
            connection.sendall(data)
        return told(connection, answers)


def told(connection: socket.socket, answers: int) -> Told:
    """What comes until there are so many answers, the server closes, or the connection's timeout passes."""
    raw = b""
    with suppress(ConnectionError, TimeoutError):
        while len(complete(raw)) < answers and (part := connection.recv(65536)):
            raw += part
    return Told(complete(raw), raw)


def complete(raw: bytes) -> tuple[int, ...]:
    """The statuses of the whole answers that stand there one after another; an AssertionError if that is no HTTP."""
    statuses = []
    while raw:
        head, end, rest = raw.partition(b"\r\n\r\n")
        if not end:
            break
        line, *fields = head.split(b"\r\n")
        version, status, _ = line.split(b" ", 2)
        assert version in (b"HTTP/1.1", b"HTTP/1.0"), line
        headers = {name.lower(): value.strip() for name, _, value in (field.partition(b":") for field in fields)}
        length = int(headers.get(b"content-length", b"0"))
        if len(rest) < length:
            break
        raw = rest[length:]
        if int(status) != 100:
            statuses.append(int(status))
    return tuple(statuses)


def well(angarium: Angarium) -> bool:
    """The process lives and answers the next one."""
    return angarium.program.running and exchange(angarium, PROBE).statuses == (401,)
