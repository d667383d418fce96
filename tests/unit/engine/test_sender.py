"""The sender on real sockets: bytes on the wire, limits, every way to fail, and the address policy."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from ipaddress import ip_network

import pytest
from tests.support.hostile import full_backlog
from tests.support.receiver import Answer, Received, Receiver

from angarium.domain.addresses import AddressPolicy
from angarium.domain.errors import SendError
from angarium.domain.requests import OutgoingRequest
from angarium.engine.sender import AiohttpSender

LOOPBACK = AddressPolicy(allow=(ip_network("127.0.0.1/32"),))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as started:
        yield started


@pytest.fixture
async def sender() -> AsyncIterator[AiohttpSender]:
    opened = AiohttpSender(LOOPBACK, max_response=1000)
    yield opened
    await opened.close()


def request(url: str, **given: object) -> OutgoingRequest:
    fields: dict[str, object] = {
        "method": "POST",
        "headers": (("User-Agent", "Upstash-QStash"),),
        "body": b'{"n":1}',
        "timeout": timedelta(seconds=10),
    } | given
    return OutgoingRequest(url=url, **fields)  # type: ignore[arg-type]


async def sent(sender: AiohttpSender, receiver: Receiver, target: str = "/", **given: object) -> Received:
    await sender.send(request(receiver.url(target), **given))
    return receiver.requests[-1]


async def failure(sender: AiohttpSender, url: str, **given: object) -> SendError:
    with pytest.raises(SendError) as caught:
        await sender.send(request(url, **given))
    assert len(str(caught.value)) <= 256
    return caught.value


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("body", [b"", b"hello \xff"])
async def test_nothing_is_added_but_host_and_length(
    sender: AiohttpSender, receiver: Receiver, method: str, body: bytes
) -> None:
    headers = (("User-Agent", "Upstash-QStash"), ("X-Team", "pay"), ("X-Team", "zwei é"))
    received = await sent(sender, receiver, method=method, body=body, headers=headers)
    length = (("Content-Length", str(len(body))),) if body or method != "GET" else ()
    assert received.headers == (("Host", f"127.0.0.1:{receiver.port}"), *headers, *length)
    assert (received.method, received.body) == (method, body)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("", "/"),
        ("?a=1", "/?a=1"),
        ("/p?", "/p?"),
        ("/a//b/../c/./d", "/a//b/../c/./d"),
        ("/%2F%zz%41?x=%2f&y=a+b&y=&z", "/%2F%zz%41?x=%2f&y=a+b&y=&z"),
        ("/a;b=c,d?q=?&r=/", "/a;b=c,d?q=?&r=/"),
        ("/http://x.test/y?u=http://z", "/http://x.test/y?u=http://z"),
    ],
)
async def test_the_target_goes_out_byte_for_byte(
    sender: AiohttpSender, receiver: Receiver, target: str, expected: str
) -> None:
    assert (await sent(sender, receiver, target)).target == expected


async def test_userinfo_becomes_an_authorization_header_unless_one_is_given(
    sender: AiohttpSender, receiver: Receiver
) -> None:
    url = receiver.url("/x").replace("://", "://us%40er:pa%3Ass@")
    await sender.send(request(url))
    await sender.send(request(url, headers=(("authorization", "Bearer own"),)))
    assert [r.header("Authorization") for r in receiver.requests] == ["Basic dXNAZXI6cGE6c3M=", "Bearer own"]
    assert receiver.requests[1].header("Host") == f"127.0.0.1:{receiver.port}"


async def test_the_response_comes_back_whole(sender: AiohttpSender, receiver: Receiver) -> None:
    headers = (("X-One", "1"), ("X-One", "2"), ("Content-Encoding", "gzip"), ("Set-Cookie", "a=b"))
    receiver.answer("/", Answer(418, headers, b"not gzip at all"))
    response = await sender.send(request(receiver.url("/")))
    assert (response.status, response.body) == (418, b"not gzip at all")
    assert [h for h in response.headers if h in headers] == list(headers)


async def test_cookies_are_not_kept(sender: AiohttpSender, receiver: Receiver) -> None:
    receiver.answer("/", Answer(200, (("Set-Cookie", "a=b"),)))
    await sent(sender, receiver)
    assert (await sent(sender, receiver)).header("Cookie") is None


async def test_redirects_are_not_followed(sender: AiohttpSender, receiver: Receiver) -> None:
    receiver.answer("/", Answer(307, (("Location", receiver.url("/elsewhere")),)))
    assert (await sender.send(request(receiver.url("/")))).status == 307
    assert receiver.count("/elsewhere") == 0


async def test_proxy_variables_are_ignored(
    sender: AiohttpSender, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert (await sent(sender, receiver, "/direct")).target == "/direct"


async def test_connections_are_reused(sender: AiohttpSender, receiver: Receiver) -> None:
    ports = {(await sent(sender, receiver)).peer_port for _ in range(3)}
    assert len(ports) == 1


async def test_a_body_of_exactly_the_limit_is_whole_and_a_longer_one_is_cut(
    sender: AiohttpSender, receiver: Receiver
) -> None:
    receiver.answer("/", Answer(200, (), b"x" * 1000), Answer(200, (), b"y" * 1001))
    assert (await sender.send(request(receiver.url("/")))).body == b"x" * 1000
    assert (await sender.send(request(receiver.url("/")))).body == b"y" * 1000


async def test_a_body_without_end_is_cut_and_its_connection_closed(sender: AiohttpSender, receiver: Receiver) -> None:
    receiver.answer("/", Answer(500, ending="endless"), Answer(200))
    first = await sender.send(request(receiver.url("/")))
    assert (first.status, len(first.body)) == (500, 1000)
    await sender.send(request(receiver.url("/")))
    assert receiver.requests[0].peer_port != receiver.requests[1].peer_port


@pytest.mark.parametrize(
    ("ending", "reason"),
    [
        ("reset", "ConnectionError"),
        ("close", "ConnectionError"),
        ("garbage", "ProtocolError"),
        ("broken", "ProtocolError"),
    ],
)
async def test_a_broken_answer_is_told_by_its_kind(receiver: Receiver, ending: str, reason: str) -> None:
    sender = AiohttpSender(LOOPBACK, max_response=1 << 20)
    receiver.answer("/", Answer(200, ending=ending))  # type: ignore[arg-type]
    error = await failure(sender, receiver.url("/?token=s3cret"))
    await sender.close()
    assert error.reason == reason
    assert f"127.0.0.1:{receiver.port}" in str(error) and "s3cret" not in str(error)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "POST"])
@pytest.mark.parametrize("reused", [True, False])
async def test_an_attempt_is_one_request(sender: AiohttpSender, receiver: Receiver, method: str, reused: bool) -> None:
    if reused:
        await sender.send(request(receiver.url("/before"), method=method))
    receiver.answer("/once", Answer(ending="close"))
    assert (await failure(sender, receiver.url("/once"), method=method)).reason == "ConnectionError"
    assert receiver.count("/once") == 1


async def test_header_lines_beyond_the_limit_are_a_protocol_error(sender: AiohttpSender, receiver: Receiver) -> None:
    receiver.answer("/", Answer(200, (("X-Long", "x" * 9000),)))
    assert (await failure(sender, receiver.url("/"))).reason == "ProtocolError"


@pytest.mark.parametrize("answer", [Answer(ending="hang"), Answer(delay_s=5)])
async def test_the_timeout_covers_the_whole_request(sender: AiohttpSender, receiver: Receiver, answer: Answer) -> None:
    receiver.answer("/", answer)
    error = await failure(sender, receiver.url("/"), timeout=timedelta(milliseconds=150))
    assert error.reason == "Timeout" and "within 0.15 s" in str(error)


async def test_a_slow_body_without_end_times_out(receiver: Receiver) -> None:
    sender = AiohttpSender(LOOPBACK, max_response=1 << 40)
    receiver.answer("/", Answer(ending="endless"))
    error = await failure(sender, receiver.url("/"), timeout=timedelta(milliseconds=150))
    await sender.close()
    assert error.reason == "Timeout"


async def test_a_connection_that_is_not_made_times_out() -> None:
    sender = AiohttpSender(LOOPBACK, connect_timeout=timedelta(milliseconds=150))
    with full_backlog() as port:
        error = await failure(sender, f"http://127.0.0.1:{port}/")
    await sender.close()
    assert error.reason == "Timeout" and "no connection" in str(error)


async def test_a_closed_port_is_connection_refused(sender: AiohttpSender) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    error = await failure(sender, f"http://127.0.0.1:{port}/")
    assert (error.reason, str(error)) == ("ConnectionRefused", f"127.0.0.1:{port} refused the connection")


async def test_an_unknown_name_is_a_dns_error(sender: AiohttpSender) -> None:
    error = await failure(sender, "http://no-such-name.invalid/")
    assert error.reason == "DnsError" and "no-such-name.invalid" in str(error)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a.test/",
        "http://",
        "http://a b/",
        "http://a.test/\r\nX: y",
        "http://a.test:99999/",
        "http://[::1/",
        "nonsense",
    ],
)
async def test_what_is_no_url_is_invalid(sender: AiohttpSender, url: str) -> None:
    assert (await failure(sender, url)).reason == "InvalidUrl"


async def test_a_header_that_cannot_be_written_is_an_error_and_not_a_second_header(
    sender: AiohttpSender, receiver: Receiver
) -> None:
    error = await failure(sender, receiver.url("/"), headers=(("X-A", "s3cret\r\nX-Evil: 1"),))
    assert error.reason == "ProtocolError" and "s3cret" not in str(error)
    assert receiver.count() == 0


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "0x7f.1",
        "0177.0.0.1",
        "2130706433",
        "127.0.0.1.",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "localhost",
        "169.254.169.254",
        "[fd00:ec2::254]",
        "0.0.0.0",
        "0",
        "[::]",
        "224.0.0.1",
    ],
)
async def test_the_default_policy_refuses_what_is_not_to_be_called(receiver: Receiver, host: str) -> None:
    sender = AiohttpSender(AddressPolicy())
    error = await failure(sender, f"http://{host}:{receiver.port}/")
    await sender.close()
    assert error.reason == "AddressNotAllowed"
    assert receiver.count() == 0


async def test_a_refusal_names_the_setting_that_opens_the_address() -> None:
    sender = AiohttpSender(AddressPolicy())
    literal = await failure(sender, "http://127.0.0.1:9/")
    named = await failure(sender, "http://localhost:9/")
    never = await failure(sender, "http://169.254.169.254/")
    await sender.close()
    assert str(literal) == "127.0.0.1 is a loopback address; if it is to be called, set --allow-address 127.0.0.1/32"
    assert str(named).startswith("localhost resolves to an address that may not be called: ")
    assert "loopback" in str(named) and "--allow-address" in str(named)
    assert "--allow-address" not in str(never) and "no setting opens it" in str(never)


async def test_a_name_is_called_at_its_allowed_addresses_only(sender: AiohttpSender, receiver: Receiver) -> None:
    response = await sender.send(request(f"http://localhost:{receiver.port}/named"))
    assert response.status == 200
    assert receiver.requests[-1].header("Host") == f"localhost:{receiver.port}"


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f.0.0.1"])
async def test_odd_spellings_of_an_allowed_address_work(sender: AiohttpSender, receiver: Receiver, host: str) -> None:
    await sender.send(request(f"http://{host}:{receiver.port}/odd"))
    assert receiver.requests[-1].header("Host") == f"{host}:{receiver.port}"


async def test_private_addresses_follow_their_own_switch() -> None:
    sender = AiohttpSender(AddressPolicy(allow_private=False))
    error = await failure(sender, "http://10.0.0.1/")
    await sender.close()
    assert error.reason == "AddressNotAllowed" and "10.0.0.1/32" in str(error)


async def test_many_at_once(sender: AiohttpSender, receiver: Receiver) -> None:
    receiver.default = Answer(200, delay_s=0.05)
    responses = await asyncio.gather(*(sender.send(request(receiver.url(f"/{n}"))) for n in range(100)))
    assert {response.status for response in responses} == {200}
    assert sorted(int(r.target[1:]) for r in receiver.requests) == list(range(100))


async def test_cancelling_closes_the_connection(sender: AiohttpSender, receiver: Receiver) -> None:
    receiver.answer("/", Answer(ending="hang"), Answer(200))
    sending = asyncio.create_task(sender.send(request(receiver.url("/"))))
    await receiver.arrived(1)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    await sender.send(request(receiver.url("/")))
    assert receiver.requests[0].peer_port != receiver.requests[1].peer_port
