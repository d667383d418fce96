"""TLS on real sockets: a private CA, client certificates, another server name, and bad PEM."""

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest
from tests.support.receiver import Receiver

from angarium.domain.addresses import AddressPolicy
from angarium.domain.errors import SendError
from angarium.domain.messages import Response
from angarium.domain.requests import OutgoingRequest, TlsMaterial
from angarium.engine.sender import AiohttpSender
from angarium.engine.tls import TlsContexts

FOLDER = Path(__file__).parents[2] / "support" / "certificates"


def pem(name: str) -> bytes:
    return (FOLDER / name).read_bytes()


CA = pem("ca.crt")
CLIENT = {"client_certificate": pem("client.crt"), "client_key": pem("client.key")}


OTHER_CA = pem("other-ca.crt")


def serving(*, client_certificate: bool = False, name: str = "server") -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(FOLDER / f"{name}.crt", FOLDER / f"{name}.key")
    if client_certificate:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(FOLDER / "ca.crt")
    return context


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver(tls=serving(client_certificate=False)) as started:
        yield started


@pytest.fixture
def strict() -> Iterator[Receiver]:
    with Receiver(tls=serving(client_certificate=True)) as started:
        yield started


@pytest.fixture
async def sender() -> AsyncIterator[AiohttpSender]:
    opened = AiohttpSender(AddressPolicy(allow=(ip_network("127.0.0.1/32"),)))
    yield opened
    await opened.close()


async def send(sender: AiohttpSender, receiver: Receiver, tls: TlsMaterial | None, host: str = "localhost") -> Response:
    url = f"https://{host}:{receiver.port}/"
    return await sender.send(OutgoingRequest("POST", url, (("User-Agent", "t"),), b"x", timedelta(seconds=10), tls))


async def failure(sender: AiohttpSender, receiver: Receiver, tls: TlsMaterial | None, host: str = "localhost") -> str:
    with pytest.raises(SendError) as caught:
        await send(sender, receiver, tls, host)
    assert caught.value.reason == "TlsError"
    return str(caught.value)


async def test_a_certificate_of_an_unknown_ca_is_refused(sender: AiohttpSender, receiver: Receiver) -> None:
    assert "certificate" in await failure(sender, receiver, None)
    assert receiver.count() == 0


async def test_a_private_ca_is_trusted_for_its_endpoint_only(sender: AiohttpSender, receiver: Receiver) -> None:
    assert (await send(sender, receiver, TlsMaterial(ca=CA))).status == 200
    await failure(sender, receiver, None)


async def test_the_name_must_match_and_server_name_replaces_it(sender: AiohttpSender, receiver: Receiver) -> None:
    assert "match" in await failure(sender, receiver, TlsMaterial(ca=CA), host="127.0.0.1")
    material = TlsMaterial(ca=CA, server_name="billing.test")
    assert (await send(sender, receiver, material, host="127.0.0.1")).status == 200
    assert "match" in await failure(sender, receiver, TlsMaterial(ca=CA, server_name="other.test"))


@pytest.mark.parametrize(
    ("name", "accepted"),
    [("a.billing.test", True), ("A.Billing.TEST", True), ("a.b.billing.test", False), ("billing.test", False)],
)
async def test_a_wildcard_stands_for_one_label(sender: AiohttpSender, name: str, accepted: bool) -> None:
    with Receiver(tls=serving(name="wildcard")) as receiver:
        material = TlsMaterial(ca=OTHER_CA, server_name=name)
        if accepted:
            assert (await send(sender, receiver, material, host="127.0.0.1")).status == 200
        else:
            assert "match" in await failure(sender, receiver, material, host="127.0.0.1")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_the_server_is_asked_for_by_the_server_name(sender: AiohttpSender, host: str) -> None:
    """As SNI; without one by the URL's name, and an address is never told (RFC 6066, 3)."""
    told: list[str | None] = []
    context = serving()
    context.sni_callback = lambda _, name, __: told.append(name)  # type: ignore[assignment]
    with Receiver(tls=context) as receiver:
        await send(sender, receiver, TlsMaterial(ca=CA, server_name="billing.test"), host=host)
        with suppress(SendError):
            await send(sender, receiver, TlsMaterial(ca=CA), host=host)
        request = receiver.received()[0]
    assert told == ["billing.test", None if host == "127.0.0.1" else host]
    assert request.header("Host") == f"{host}:{receiver.port}", "the server name is of TLS alone"


async def test_a_connection_serves_nobody_who_asks_for_another_name(sender: AiohttpSender, receiver: Receiver) -> None:
    """Two Endpoints of one host and CA: what one of them trusts says nothing to the other."""
    assert (await send(sender, receiver, TlsMaterial(ca=CA, server_name="billing.test"))).status == 200
    await failure(sender, receiver, TlsMaterial(ca=CA, server_name="other.test"))
    assert receiver.count() == 1


async def test_a_bundle_of_several_cas_trusts_each(sender: AiohttpSender, receiver: Receiver) -> None:
    bundle = TlsMaterial(ca="# Főtanúsítvány\n".encode() + CA + b"\n# the new one\n" + OTHER_CA)
    assert (await send(sender, receiver, bundle)).status == 200
    with Receiver(tls=serving(name="other-server")) as other:
        assert (await send(sender, other, bundle)).status == 200


async def test_a_rotated_ca_counts_at_once_and_no_connection_of_the_old_trust_is_used(
    sender: AiohttpSender, receiver: Receiver
) -> None:
    for _ in range(2):
        await send(sender, receiver, TlsMaterial(ca=CA))
    await failure(sender, receiver, TlsMaterial(ca=OTHER_CA))
    assert (await send(sender, receiver, TlsMaterial(ca=CA + OTHER_CA))).status == 200
    first, second, third = (request.peer_port for request in receiver.received())
    assert first == second, "a connection is kept as long as its trust"
    assert third != first


async def test_a_rotated_client_certificate_is_presented_on_a_connection_of_its_own(
    sender: AiohttpSender, strict: Receiver
) -> None:
    await send(sender, strict, TlsMaterial(ca=CA, **CLIENT))
    renewed = {**CLIENT, "client_certificate": CLIENT["client_certificate"] + b"\n"}
    await send(sender, strict, TlsMaterial(ca=CA, **renewed))
    first, second = (request.peer_port for request in strict.received())
    assert first != second
    with pytest.raises(SendError):
        await send(sender, strict, TlsMaterial(ca=CA))


async def test_an_expired_certificate_is_refused_although_it_is_trusted(sender: AiohttpSender) -> None:
    with Receiver(tls=serving(name="expired")) as receiver:
        assert "expired" in await failure(sender, receiver, TlsMaterial(ca=pem("expired.crt")))


async def test_a_client_certificate_is_presented(sender: AiohttpSender, strict: Receiver) -> None:
    with pytest.raises(SendError):  # this server closes the connection without saying why
        await send(sender, strict, TlsMaterial(ca=CA))
    assert (await send(sender, strict, TlsMaterial(ca=CA, **CLIENT))).status == 200
    assert strict.count() == 1


async def test_a_server_that_asks_in_vain_for_a_certificate_is_a_tls_error(sender: AiohttpSender) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        refusing = asyncio.create_task(asyncio.to_thread(_refuse, listening))
        url = f"https://localhost:{listening.getsockname()[1]}/"
        with pytest.raises(SendError) as caught:
            await sender.send(OutgoingRequest("GET", url, (), b"", timedelta(seconds=10), TlsMaterial(ca=CA)))
        await refusing
    assert caught.value.reason == "TlsError" and "CERTIFICATE_REQUIRED" in str(caught.value)


async def test_a_port_without_tls_is_told_in_words(sender: AiohttpSender) -> None:
    """The most frequent mistake: https:// in the URL of a plain HTTP server."""
    with Receiver() as plain:
        text = await failure(sender, plain, None)
    assert "does not speak TLS there" in text and "WRONG_VERSION_NUMBER" in text


def _refuse(listening: socket.socket) -> None:
    connection, _ = listening.accept()
    context = serving(client_certificate=True)
    with connection.dup() as raw, context.wrap_socket(connection, True, do_handshake_on_connect=False) as guarded:
        with suppress(ssl.SSLError):
            guarded.do_handshake()
        # Closed with something unread, the connection is reset, and a reset may overtake the alert.
        raw.shutdown(socket.SHUT_WR)
        with suppress(ConnectionError):
            while raw.recv(4096):
                pass


@pytest.mark.parametrize(
    ("material", "named"),
    [
        (TlsMaterial(ca=b""), "ca.crt"),
        (TlsMaterial(ca=b"not PEM"), "ca.crt"),
        (TlsMaterial(ca=b"\xff\xfe"), "ca.crt"),
        (TlsMaterial(ca=CA, client_certificate=b"junk", client_key=b"junk"), "tls.key"),
        (TlsMaterial(ca=CA, client_certificate=CLIENT["client_certificate"], client_key=pem("server.key")), "tls.key"),
        (TlsMaterial(ca=CA, client_certificate=CLIENT["client_certificate"], client_key=b""), "tls.key"),
        (
            TlsMaterial(ca=CA, client_certificate=CLIENT["client_certificate"], client_key=pem("client-encrypted.key")),
            "tls.key",
        ),
    ],
)
async def test_bad_pem_is_a_tls_error_that_names_the_key(
    sender: AiohttpSender, receiver: Receiver, material: TlsMaterial, named: str
) -> None:
    assert named in await failure(sender, receiver, material)


async def test_plain_http_needs_no_material_and_ignores_it(sender: AiohttpSender) -> None:
    with Receiver() as plain:
        request = OutgoingRequest("GET", plain.url("/"), (), b"", timedelta(seconds=10), TlsMaterial(ca=b"junk"))
        assert (await sender.send(request)).status == 200


async def test_a_context_is_made_once_per_material_and_the_oldest_goes() -> None:
    contexts = TlsContexts(most=2)
    first = await contexts.of(TlsMaterial(ca=CA))
    assert await contexts.of(TlsMaterial(ca=CA, server_name="other")) is first
    second = await contexts.of(TlsMaterial(ca=CA, **CLIENT))
    assert second is not first
    assert await contexts.of(TlsMaterial(ca=CA)) is first
    await contexts.of(TlsMaterial(ca=CA + CA))
    assert await contexts.of(TlsMaterial(ca=CA)) is first
    assert await contexts.of(TlsMaterial(ca=CA, **CLIENT)) is not second


async def test_no_key_stays_on_disk() -> None:
    folder = Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else Path(os.environ.get("TMPDIR", "/tmp"))
    before = set(folder.glob("angarium-*"))
    await TlsContexts().of(TlsMaterial(ca=CA, **CLIENT))
    with pytest.raises(SendError):
        await TlsContexts().of(TlsMaterial(ca=CA, client_certificate=b"junk", client_key=b"junk"))
    assert set(folder.glob("angarium-*")) <= before
