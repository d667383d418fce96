"""What the program and its courier tell each other: what it goes by at its start, then frames of orders and reports.

A frame is its length in eight bytes and a MessagePack array of orders, or of reports. Among orders, a bare number says
that the order of this number is to be dropped. Both ends are one version.
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from types import UnionType
from typing import Generic, TypeVar

import msgspec

from angarium.domain.addresses import AddressPolicy
from angarium.domain.messages import Response
from angarium.domain.reasons import FailureReason
from angarium.domain.requests import OutgoingRequest, TlsMaterial

T = TypeVar("T")
_LENGTH = 8
_encode = msgspec.msgpack.Encoder().encode


class Terms(msgspec.Struct, frozen=True, array_like=True):
    """What a courier goes by: an argument of its program. Sizes in bytes, networks as texts."""

    allow: tuple[str, ...]
    allow_private: bool
    refuse: tuple[str, ...]
    max_response: int

    @classmethod
    def of(cls, policy: AddressPolicy, max_response: int) -> "Terms":
        allow, refuse = tuple(map(str, policy.allow)), tuple(map(str, policy.refuse))
        return cls(allow, policy.allow_private, refuse, max_response)

    @classmethod
    def read(cls, text: str) -> "Terms":
        return msgspec.json.decode(text, type=cls)

    def text(self) -> str:
        return msgspec.json.encode(self).decode()

    def policy(self) -> AddressPolicy:
        return AddressPolicy(
            allow=_networks(self.allow), allow_private=self.allow_private, refuse=_networks(self.refuse)
        )


class Order(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A request to send. `number` is the sender's own."""

    number: int
    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    timeout_s: float
    tls: TlsMaterial | None
    signing_key: str | None

    @classmethod
    def of(cls, number: int, request: OutgoingRequest) -> "Order":
        return cls(
            number,
            request.method,
            request.url,
            request.headers,
            request.body,
            request.timeout.total_seconds(),
            request.tls,
            request.signing_key,
        )

    def __repr__(self) -> str:
        """Without what may be secret: headers, body, keys, and parts of the URL."""
        return f"Order(number={self.number}, method={self.method!r})"

    def request(self) -> OutgoingRequest:
        timeout = timedelta(seconds=self.timeout_s)
        return OutgoingRequest(self.method, self.url, self.headers, self.body, timeout, self.tls, self.signing_key)


class Report(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What became of an order: a response, or the reason and text of a SendError, or a defect (its traceback).

    Without number (0) it says that the courier turns, and how late, in seconds, it came to what was due; or what was
    logged in it (`defect`).
    """

    number: int
    status: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    reason: FailureReason | None = None
    error: str = ""
    defect: str = ""
    late_s: float = 0.0

    def response(self) -> Response:
        return Response(self.status, self.headers, self.body)


def frame(content: Sequence[Order | int] | Sequence[Report]) -> bytes:
    encoded = _encode(content)
    return len(encoded).to_bytes(_LENGTH) + encoded


class Frames(Generic[T]):
    """Puts frames of one kind of thing together again from what arrives, in whatever pieces."""

    def __init__(self, kind: "type[T] | UnionType") -> None:
        self._decoder: msgspec.msgpack.Decoder[list[T]] = msgspec.msgpack.Decoder(list[kind])  # type: ignore[valid-type]
        self._arrived = bytearray()

    def feed(self, data: bytes) -> Iterator[list[T]]:
        """The contents of the frames that are complete now."""
        self._arrived += data
        start = 0
        while len(self._arrived) >= start + _LENGTH:
            end = start + _LENGTH + int.from_bytes(self._arrived[start : start + _LENGTH])
            if len(self._arrived) < end:
                break
            with memoryview(self._arrived)[start + _LENGTH : end] as encoded:
                content = self._decoder.decode(encoded)
            yield content
            start = end
        del self._arrived[:start]


def _networks(texts: Sequence[str]) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(map(ip_network, texts))
