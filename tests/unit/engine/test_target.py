"""What goes on the wire: contract 16 as a golden request, late binding and precedence of DESIGN 5."""

import hashlib
from base64 import urlsafe_b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from jwt import decode
from qstash import Receiver
from tests.support.fakes import KEYS, START, FakeClock, FakeKeys, FakeReferences, endpoint, leased, signed

from angarium.domain.declarations import Header, KeyRef, Kind, ObjectRef, Tls
from angarium.domain.errors import ReferenceMissing, ReferenceUnavailable, SendError
from angarium.domain.messages import Leased, Run
from angarium.domain.requests import OutgoingRequest
from angarium.engine.target import request_of

SECRET = KeyRef("billing-auth", "header")
SECRETS = {("shop", "billing-auth", "header"): b"Bearer s3cret\n"}


async def build(
    of: Leased, references: FakeReferences | None = None, clock: FakeClock | None = None
) -> OutgoingRequest:
    return signed(await request_of(of, references or FakeReferences(), FakeKeys()), clock or FakeClock())


def lines(request: OutgoingRequest) -> list[tuple[str, str]]:
    return [line for line in request.headers if not line[0].startswith("Upstash-") and line[0] != "User-Agent"]


async def test_golden_request_of_contract_16() -> None:
    run = Run("run_1", ObjectRef(Kind.SCHEDULE, "shop", "nightly"), "uid", START)
    headers = (Header("Content-Type", "application/json"), Header("X-Team", "pay"), Header("X-Team", "two"))
    of = leased(retried=2, headers=headers, caller_ip="10.1.2.3", topic="orders", run=run, schedule="nightly")
    request = await build(of)
    signature = dict(request.headers)["Upstash-Signature"]
    assert request.headers == (
        ("User-Agent", "Upstash-QStash"),
        ("Content-Type", "application/json"),
        ("X-Team", "pay"),
        ("X-Team", "two"),
        ("Upstash-Message-Id", "msg_1"),
        ("Upstash-Retried", "2"),
        ("Upstash-Caller-Ip", "10.1.2.3"),
        ("Upstash-Topic-Name", "orders"),
        ("Upstash-Schedule-Id", "nightly"),
        ("Upstash-Signature", signature),
    )
    assert (request.method, request.url, request.body) == ("POST", "https://dest.test/hook?a=1", b'{"n":1}')
    assert request.timeout == timedelta(seconds=30)
    assert request.tls is None


async def test_without_caller_topic_schedule_and_content_type_there_are_no_such_headers() -> None:
    request = await build(leased())
    assert [name for name, _ in request.headers] == [
        "User-Agent",
        "Upstash-Message-Id",
        "Upstash-Retried",
        "Upstash-Signature",
    ]


async def test_a_message_retried_from_the_dlq_still_names_its_schedule() -> None:
    """It has left its run, but it is what the schedule produced."""
    request = await build(leased(schedule="nightly"))
    assert dict(request.headers)["Upstash-Schedule-Id"] == "nightly"


@pytest.mark.parametrize("body", [b'{"n":1}', b"", "grüße".encode()])
async def test_the_sdk_receiver_verifies_the_signature(body: bytes) -> None:
    clock = FakeClock(datetime.now(UTC))
    request = await build(leased(body=body), clock=clock)
    signature = dict(request.headers)["Upstash-Signature"]
    Receiver(KEYS.current, KEYS.next).verify(signature=signature, body=body.decode(), url=request.url)
    claims = decode(signature, KEYS.current, algorithms=["HS256"])
    assert claims["sub"] == request.url and claims["jti"].startswith("jwt_") and claims["nbf"] == 0
    assert claims["body"] == urlsafe_b64encode(hashlib.sha256(body).digest()).decode()


async def test_the_endpoints_url_is_the_one_of_now_and_is_signed() -> None:
    of = leased(endpoint=endpoint("https://new.test/x"))
    request = await build(of, clock=FakeClock(datetime.now(UTC)))
    assert request.url == "https://new.test/x"
    claims = decode(dict(request.headers)["Upstash-Signature"], KEYS.current, algorithms=["HS256"])
    assert claims["sub"] == "https://new.test/x"


@pytest.mark.parametrize(
    ("declared", "own", "expected"),
    [
        ((Header("X-Team", "pay"),), (), [("X-Team", "pay")]),
        ((Header("X-Team", "pay"),), (Header("x-team", "own"),), [("X-Team", "own")]),
        ((Header("X-A", "1"),), (Header("X-B", "2"),), [("X-A", "1"), ("X-B", "2")]),
        ((Header("Authorization", secret=SECRET),), (), [("Authorization", "Bearer s3cret")]),
        (
            (Header("Authorization", secret=SECRET),),
            (Header("authorization", "own"), Header("X-B", "2")),
            [("Authorization", "Bearer s3cret"), ("X-B", "2")],
        ),
        ((), (Header("X-Key", secret=SECRET),), [("X-Key", "Bearer s3cret")]),
        ((Header("X-Key", "plain"),), (Header("x-key", secret=SECRET),), [("X-Key", "Bearer s3cret")]),
        ((Header("X-A", "1"),), (Header("X-A", "2"), Header("X-A", "3")), [("X-A", "2"), ("X-A", "3")]),
    ],
)
async def test_precedence_of_headers(
    declared: tuple[Header, ...], own: tuple[Header, ...], expected: list[tuple[str, str]]
) -> None:
    of = leased(endpoint=endpoint("https://b.test/", *declared), headers=own)
    assert lines(await build(of, FakeReferences(SECRETS))) == expected


@pytest.mark.parametrize(
    "name",
    ["Host", "content-length", "Connection", "Transfer-Encoding", "User-Agent", "upstash-signature", "Upstash-Retried"],
)
async def test_what_is_not_forwardable_is_dropped(name: str) -> None:
    declared = endpoint("https://b.test/", Header(name, "from-endpoint"))
    request = await build(leased(endpoint=declared, headers=(Header(name, "from-message"),)))
    assert "from-endpoint" not in str(request.headers) and "from-message" not in str(request.headers)


async def test_a_secret_of_another_namespace_is_not_read() -> None:
    of = leased(namespace="blog", headers=(Header("X-Key", secret=SECRET),))
    with pytest.raises(ReferenceMissing) as caught:
        await build(of, FakeReferences(SECRETS))
    assert caught.value.reason == "SecretNotFound"


async def test_an_unreadable_secret_is_told_as_such() -> None:
    of = leased(headers=(Header("X-Key", secret=SECRET),))
    with pytest.raises(ReferenceUnavailable):
        await build(of, FakeReferences(SECRETS, unavailable=True))


@pytest.mark.parametrize("value", [b"a\r\nX-Evil: 1", b"a\0b", b"\xff\xfe", b"s3cret\n\nmore"])
async def test_an_illegal_secret_value_names_header_and_secret_but_not_itself(value: bytes) -> None:
    of = leased(headers=(Header("X-Key", secret=SECRET),))
    with pytest.raises(SendError) as caught:
        await build(of, FakeReferences({("shop", "billing-auth", "header"): value}))
    assert caught.value.reason == "InvalidHeader"
    assert "X-Key" in str(caught.value) and "billing-auth" in str(caught.value)
    assert "Evil" not in str(caught.value) and "s3cret" not in str(caught.value)


async def test_timeout_is_at_most_two_hours() -> None:
    assert (await build(leased(timeout=timedelta(days=2)))).timeout == timedelta(hours=2)


async def test_tls_material_is_read_from_its_secrets() -> None:
    secrets = {
        ("shop", "ca", "ca.crt"): b"CA",
        ("shop", "client", "tls.crt"): b"CERT",
        ("shop", "client", "tls.key"): b"KEY",
    }
    tls = Tls("ca", "client", "billing.internal")
    of = leased(endpoint=replace(endpoint(), tls=tls))
    material = (await build(of, FakeReferences(secrets))).tls
    assert material is not None
    assert (material.ca, material.client_certificate, material.client_key) == (b"CA", b"CERT", b"KEY")
    assert material.server_name == "billing.internal"
    assert "KEY" not in repr(material)
    with pytest.raises(ReferenceMissing):
        await build(of, FakeReferences({("shop", "ca", "ca.crt"): b"CA"}))
