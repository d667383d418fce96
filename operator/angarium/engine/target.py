"""What one attempt sends: the message as it was accepted, joined with what is bound late (DESIGN 5, Defaults).

Late are the Endpoint's URL, headers and TLS, and every Secret's value. No value of a Secret may leave this module
except in the request: not in an error, not in a log line.
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import Protocol

from angarium.domain.credentials import SigningKeys
from angarium.domain.declarations import Endpoint, Header, KeyRef, Tls
from angarium.domain.errors import SendError
from angarium.domain.fanout import url_now
from angarium.domain.headers import canonical, is_forwardable, valid_name, valid_value
from angarium.domain.messages import MAX_TIMEOUT, Leased, Message
from angarium.domain.ports import References
from angarium.domain.reasons import FailureReason
from angarium.domain.requests import OutgoingRequest, TlsMaterial

_USER_AGENT = ("User-Agent", "Upstash-QStash")


class KeyPairs(Protocol):
    """Where the pair comes from that signs a namespace's deliveries."""

    async def signing_keys(self, namespace: str) -> SigningKeys: ...


async def request_of(leased: Leased, references: References, keys: KeyPairs) -> OutgoingRequest:
    """The request of this attempt (contract 16), to be signed with the namespace's current key.

    Raises ReferenceMissing, ReferenceUnavailable, and SendError `InvalidHeader` for a value that cannot be sent.
    """
    message, endpoint = leased.message, leased.endpoint
    url = url_of(leased)
    lines = await _bound(_merged(message.headers, endpoint), message.namespace, references)
    pair = await keys.signing_keys(message.namespace)
    return OutgoingRequest(
        method=message.method,
        url=url,
        headers=(_USER_AGENT, *lines, *_told(message, leased.retried)),
        body=message.body,
        timeout=_timeout(message),
        tls=await _tls(endpoint.tls, message.namespace, references) if endpoint and endpoint.tls else None,
        signing_key=pair.current,
    )


def url_of(leased: Leased) -> str:
    """The URL of this attempt: the message's own, or the Endpoint's as it is now."""
    return url_now(leased.message.url, leased.endpoint, leased.message.endpoint)


def _timeout(message: Message) -> timedelta:
    return min(message.timeout, MAX_TIMEOUT)


def _told(message: Message, retried: int) -> Iterable[tuple[str, str]]:
    """The headers that tell the destination what this is, as far as they apply (contract 16)."""
    yield "Upstash-Message-Id", message.id
    yield "Upstash-Retried", str(retried)
    if message.caller_ip:
        yield "Upstash-Caller-Ip", message.caller_ip
    if message.topic:
        yield "Upstash-Topic-Name", message.topic
    if message.schedule:
        yield "Upstash-Schedule-Id", message.schedule


def _merged(own: tuple[Header, ...], endpoint: Endpoint | None) -> Iterable[Header]:
    """The Endpoint's headers, each overridden by the message's of the same name, unless its value is a Secret's."""
    if endpoint is None or not endpoint.options.headers:
        return own
    declared = endpoint.options.headers
    fixed = {header.name.lower() for header in declared if header.secret}
    given = {header.name.lower() for header in own} - fixed
    return (
        *(header for header in declared if header.name.lower() not in given),
        *(header for header in own if header.name.lower() not in fixed),
    )


async def _bound(headers: Iterable[Header], namespace: str, references: References) -> list[tuple[str, str]]:
    lines = []
    for header in headers:
        if not is_forwardable(header.name):
            continue
        value = header.value or ""
        if header.secret is not None:
            value = _secret_text(header.name, header.secret, await references.secret(namespace, header.secret))
        if not (valid_name(header.name) and valid_value(value)):
            raise SendError(
                FailureReason.INVALID_HEADER, f"header {header.name[:80]!r} has a name or value that HTTP forbids"
            )
        lines.append((canonical(header.name), value))
    return lines


def _secret_text(name: str, ref: KeyRef, content: bytes) -> str:
    try:
        # Files and `kubectl create secret --from-file` end in a newline that nobody means.
        value = content.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        value = "\0"
    if valid_value(value):
        return value
    problem = f"header {name}: key {ref.key} of Secret {ref.name} holds a character that no header may have"
    raise SendError(FailureReason.INVALID_HEADER, problem)


async def _tls(tls: Tls, namespace: str, references: References) -> TlsMaterial:
    async def read(secret: str | None, key: str) -> bytes | None:
        return None if secret is None else await references.secret(namespace, KeyRef(secret, key))

    return TlsMaterial(
        ca=await read(tls.ca_secret, "ca.crt"),
        client_certificate=await read(tls.client_certificate_secret, "tls.crt"),
        client_key=await read(tls.client_certificate_secret, "tls.key"),
        server_name=tls.server_name or None,
    )
