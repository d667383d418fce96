"""What hostile destinations can do to `angarium dev`, on real sockets: each gets a message, all at the same time.

Judged is how each message ended, what is told about it, that everybody else's messages arrived, and what is left open.
"""

import base64
import json
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from tests.support.angarium import Angarium
from tests.support.cluster import wait_for
from tests.support.hostile import (
    METADATA_URL,
    OK,
    PIECE,
    SLOWLY_S,
    Conduct,
    Hostile,
    a_gigabyte,
    answers,
    bomb,
    breaks,
    closes,
    deafness,
    full_backlog,
    headed,
    repeats,
    silence,
    turns,
)
from tests.support.processes import connections, peak_mib
from tests.support.receiver import Receiver

from angarium.files.users import DEFAULT_USER

CERTIFICATES = Path(__file__).parents[1] / "support" / "certificates"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
ONLY_PART = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf"


@dataclass(frozen=True)
class Case:
    """`error`: how the log entry's error begins; empty for a delivery. `connections`: how many, with one retry.

    `server`: the certificate that it shows. `trusted`: the one that its Endpoint trusts, as `server_name`.
    """

    conduct: Conduct
    error: str = ""
    connections: int = 2
    scheme: str = "http"
    server: str = ""
    trusted: str = ""
    server_name: str = ""
    body: bytes = b"hello"


def delivered(conduct: Conduct, connections: int = 1, **given: Any) -> Case:
    return Case(conduct, connections=connections, **given)


def silent(conduct: Conduct, **given: Any) -> Case:
    return Case(conduct, "Timeout: ", **given)


def malformed(conduct: Conduct, **given: Any) -> Case:
    return Case(conduct, "ProtocolError: ", **given)


def broken(conduct: Conduct, **given: Any) -> Case:
    return Case(conduct, "ConnectionError: ", **given)


def secured(server: str, error: str, **given: Any) -> Case:
    return Case(answers(OK), f"TlsError: {error}", scheme="https", server=server, **given)


CASES = {
    "body-without-end": delivered(repeats(b"HTTP/1.1 200 OK\r\n\r\n", PIECE)),
    "body-without-end-in-chunks": delivered(repeats(CHUNKED, b"10000\r\n" + PIECE + b"\r\n")),
    "body-a-byte-at-a-time": silent(repeats(b"HTTP/1.1 200 OK\r\n\r\n", b"x", SLOWLY_S)),
    "headers-a-byte-at-a-time": silent(repeats(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x", SLOWLY_S)),
    "status-line-without-end": malformed(repeats(b"HTTP/1.1 200 ", b"O" * 1000)),
    "no-http-without-end": malformed(repeats(b"", PIECE)),
    "header-without-end": malformed(repeats(b"HTTP/1.1 200 OK\r\nX-Long: ", b"x" * 1000)),
    "headers-without-end": malformed(repeats(b"HTTP/1.1 200 OK\r\n", b"X-One: 1\r\n")),
    "header-of-a-megabyte": malformed(answers(headed(b"X-Long: " + b"x" * 2**20))),
    "ten-thousand-headers": malformed(answers(headed(*(b"X-%d: 1" % number for number in range(10_000))))),
    "headers-of-800-kilobytes": malformed(answers(headed(*(b"X-%d: %s" % (n, b"x" * 8000) for n in range(100))))),
    "interim-answers-without-end": malformed(repeats(b"", b"HTTP/1.1 100 Continue\r\n\r\n")),
    "interim-answers-slowly": silent(repeats(b"", b"HTTP/1.1 100 Continue\r\n\r\n", SLOWLY_S)),
    "extension-of-a-chunk-without-end": malformed(repeats(CHUNKED + b"1;", b"e" * 1000)),
    "trailers-without-end": malformed(repeats(CHUNKED + b"0\r\n", b"X-Trailer: 1\r\n")),
    "a-gigabyte": delivered(a_gigabyte),
    "gzip-bomb": delivered(answers(bomb())),
    "redirect-to-metadata": Case(
        answers(b"HTTP/1.1 307 T\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % METADATA_URL.encode()),
        "the destination answered with status 307",
        connections=1,
    ),
    "switches-protocols": Case(
        answers(b"HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"),
        "the destination answered with status 101",
    ),
    "reset-in-the-body": malformed(breaks(ONLY_PART)),
    "reset-in-the-headers": broken(breaks(b"HTTP/1.1 200 OK\r\nX-Ha")),
    "reset-without-answer": broken(breaks(b"")),
    "closed-in-the-body": malformed(closes(ONLY_PART)),
    "closed-in-the-headers": broken(closes(b"HTTP/1.1 200 OK\r\nX-Ha")),
    "closed-without-answer": broken(closes(b"")),
    "closed-between-two-attempts": delivered(turns(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", OK), connections=2),
    "never-answers": silent(silence),
    "answers-without-reading": delivered(deafness, body=b"x" * 2**23),
    "never-reads": silent(repeats(b"", b"", 3600), body=b"x" * 2**23),
    "two-lengths": malformed(answers(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nok")),
    "negative-length": malformed(answers(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n")),
    "header-with-nul": malformed(answers(headed(b"X-Bad: a\0b"))),
    "header-with-carriage-return": malformed(answers(headed(b"X-Bad: a\rSet-Cookie: evil=1"))),
    "header-name-with-blank": malformed(answers(headed(b"X Bad: a"))),
    "header-in-no-charset": delivered(answers(headed(b"X-Odd: \xff\xfe \x80"))),
    "second-answer-unasked": delivered(answers(OK + headed(b"X-Smuggled: 1"))),
    "self-signed": secured("self-signed", "TLS with 127.0.0.1"),
    "expired": secured("expired", "TLS with 127.0.0.1", trusted="expired"),
    "wrong-name": secured("server", "TLS with 127.0.0.1", trusted="ca", server_name="other.test"),
    "wrong-address": secured("server", "TLS with 127.0.0.1", trusted="ca"),
    "right-name": Case(
        answers(OK), connections=1, scheme="https", server="server", trusted="ca", server_name="billing.test"
    ),
    "plain-text-instead-of-tls": Case(deafness, "TlsError: ", scheme="https"),
    "handshake-without-end": silent(silence, scheme="https"),
}

REFUSED = (
    "169.254.169.254", "169.254.169.254.", "0xa9fea9fe", "2852039166", "0251.0376.0251.0376", "169.254.43518",
    "[::ffff:169.254.169.254]", "[::ffff:a9fe:a9fe]", "[64:ff9b::169.254.169.254]", "[64:ff9b:1::a9fe:a9fe]",
    "[2002:a9fe:a9fe::1]", "[fe80::1]", "0.0.0.0", "[::]", "224.0.0.1", "255.255.255.255", "[fd00:ec2::254]",
)  # fmt: skip
"""Spellings of addresses that nothing opens."""


def tls_of(case: Case) -> ssl.SSLContext | None:
    if not case.server:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATES / f"{case.server}.crt", CERTIFICATES / f"{case.server}.key")
    return context


def manifests(name: str, url: str, case: Case | None = None) -> list[dict[str, Any]]:
    """A Topic of one Endpoint, both of this name, and the Secret with the certificate that it trusts."""
    tls: dict[str, Any] = {}
    documents: list[dict[str, Any]] = []
    if case and case.trusted:
        certificate = base64.b64encode((CERTIFICATES / f"{case.trusted}.crt").read_bytes()).decode()
        documents.append({"apiVersion": "v1", "kind": "Secret", "data": {"ca.crt": certificate}})
        tls["caSecretRef"] = {"name": name}
    if case and case.server_name:
        tls["serverName"] = case.server_name
    spec = {"url": url} | ({"tls": tls} if tls else {})
    members = {"endpoints": [{"name": name, "endpointRef": {"name": name}}]}
    for kind, of in (("Endpoint", spec), ("Topic", members)):
        documents.append({"apiVersion": "angarium.dev/v1alpha1", "kind": kind, "spec": of})
    return [document | {"metadata": {"name": name}} for document in documents]


@dataclass
class Play:
    """What became of the messages: `logs` and `letters` by case."""

    angarium: Angarium
    hostile: Hostile
    receiver: Receiver
    client: httpx.Client
    ports: dict[str, int] = field(default_factory=dict)
    messages: dict[str, str] = field(default_factory=dict)
    healthy: list[str] = field(default_factory=list)

    def publish(self, to: str, body: bytes = b"hello", **headers: str) -> str:
        given = {"Upstash-Timeout": "1s", "Upstash-Retries": "1", "Upstash-Retry-Delay": "100"} | headers
        answer = self.client.post(f"/v2/publish/{to}", content=body, headers=given)
        assert answer.status_code == 200, answer.text
        said = answer.json()
        message: str = (said[0] if isinstance(said, list) else said)["messageId"]
        return message

    def log(self, message: str) -> list[dict[str, Any]]:
        """All entries, the newest first. A page ends early when it holds much."""
        entries: list[dict[str, Any]] = []
        filters = {"messageId": message}
        while True:
            page = self.client.get("/v2/logs", params=filters).json()
            entries += page["logs"]
            if "cursor" not in page:
                return entries
            filters["cursor"] = page["cursor"]

    def ended(self, message: str) -> bool:
        return bool({"DELIVERED", "FAILED"} & {entry["state"] for entry in self.log(message)})

    def letter(self, message: str) -> dict[str, Any]:
        (letter,) = self.client.get("/v2/dlq", params={"messageId": message}).json()["messages"]
        assert isinstance(letter, dict)
        return letter


@pytest.fixture(scope="module")
def play(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Play]:
    """All cases at once, and a healthy destination beside them; everything has ended."""
    folder = tmp_path_factory.mktemp("hostile")
    with ExitStack() as stack:
        hostile, receiver = stack.enter_context(Hostile()), stack.enter_context(Receiver())
        ports = {name: hostile.serve(case.conduct, tls_of(case)) for name, case in CASES.items()}
        ports["backlog"] = stack.enter_context(full_backlog())
        documents = [
            document
            for name, case in CASES.items()
            if case.trusted
            for document in manifests(name, f"https://127.0.0.1:{ports[name]}/", case)
        ]
        documents += manifests("metadata", "http://[::ffff:169.254.169.254]/latest")
        file = folder / "manifests.yaml"
        file.write_text(yaml.safe_dump_all(documents))
        settings = {"max-body": str(2**24)}
        angarium = stack.enter_context(Angarium(folder, command="dev", settings=settings, paths=(str(file),)))
        angarium.start()
        client = stack.enter_context(angarium.client(DEFAULT_USER.token))
        play = Play(angarium, hostile, receiver, client, ports)
        for number, (name, case) in enumerate(CASES.items()):
            to = name if case.trusted else f"{case.scheme}://127.0.0.1:{ports[name]}/"
            play.messages[name] = play.publish(to, case.body)
            play.healthy.append(play.publish(receiver.url(f"/{number}")))
        play.messages["backlog"] = play.publish(f"http://127.0.0.1:{ports['backlog']}/")
        play.messages["metadata"] = play.publish("metadata")
        for message in play.messages.values():
            angarium.wait_until(lambda message=message: play.ended(message), f"done with {message}")
        yield play


@pytest.mark.parametrize("name", CASES)
def test_each_ends_as_it_has_to(play: Play, name: str) -> None:
    case = CASES[name]
    log = play.log(play.messages[name])
    states = [entry["state"] for entry in log]
    if not case.error:
        assert states[0] == "DELIVERED"
        assert play.client.get("/v2/dlq", params={"messageId": play.messages[name]}).json()["messages"] == []
        return
    assert (states[0], "RETRY" in states) == ("FAILED", True)
    told = [entry["error"] for entry in log if entry["state"] in ("ERROR", "FAILED")]
    assert len(told) == 3 and all(error.startswith(case.error) for error in told), told


@pytest.mark.parametrize("name", CASES)
def test_each_attempt_is_one_request(play: Play, name: str) -> None:
    case = CASES[name]
    # A server whose certificate is refused never gets to see a connection.
    expected = 0 if case.server and case.error else case.connections
    assert play.hostile.connections[play.ports[name]] == expected


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.error])
def test_the_dead_letter_tells_the_answer_if_there_was_one(play: Play, name: str) -> None:
    letter = play.letter(play.messages[name])
    status = CASES[name].error.rpartition("status ")[2] if "with status" in CASES[name].error else "0"
    assert letter["responseStatus"] == int(status)
    assert letter["url"].startswith(f"{CASES[name].scheme}://127.0.0.1:{play.ports[name]}/")


def test_a_redirect_is_an_answer_like_any_other(play: Play) -> None:
    letter = play.letter(play.messages["redirect-to-metadata"])
    assert letter["responseHeader"]["Location"] == [METADATA_URL]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("self-signed", "self-signed certificate"),
        ("expired", "certificate has expired"),
        ("wrong-name", "not valid for 'other.test'"),
        ("wrong-address", "not valid for '127.0.0.1'"),
    ],
)
def test_a_certificate_is_refused_for_what_is_wrong_with_it(play: Play, name: str, words: str) -> None:
    assert words in play.log(play.messages[name])[0]["error"]


def test_a_port_that_takes_no_connection_is_a_timeout(play: Play) -> None:
    assert play.log(play.messages["backlog"])[0]["error"].startswith("Timeout: ")


def test_an_address_that_is_never_called_is_told(play: Play) -> None:
    assert play.log(play.messages["metadata"])[0]["error"].startswith("AddressNotAllowed: ")


@pytest.mark.parametrize("host", REFUSED)
def test_no_spelling_of_a_forbidden_address_is_accepted(play: Play, host: str) -> None:
    refused = play.client.post(f"/v2/publish/http://{host}/latest/meta-data/")
    assert refused.status_code == 400
    assert refused.json()["error"].endswith("no setting opens it")


def test_everybody_elses_messages_arrived_meanwhile(play: Play) -> None:
    arrived = [request.header("Upstash-Message-Id") for request in play.receiver.wait_for(len(play.healthy))]
    assert sorted(map(str, arrived)) == sorted(play.healthy), "each once"


def test_no_connection_is_left_open(play: Play) -> None:
    wait_for(
        lambda: connections(set(play.ports.values()), play.angarium.program.pid),
        lambda count: count == 0,
        describe="connections to the destinations are closed",
    )


def test_nothing_went_wrong_inside(play: Play) -> None:
    log = play.angarium.program.log.read_text()
    assert "unforeseen" not in log and "Traceback" not in log


def test_odd_headers_reach_callbacks_and_views_as_data(play: Play) -> None:
    lines = (
        b"X-Escape: %0d%0aSet-Cookie: a=1",
        b"X-Feed: a\nX-Second: 2",
        b"X-Fold: a\r\n Set-Cookie: b",
        b"X-Odd: \xff",
    )
    port = play.hostile.serve(answers(b"HTTP/1.1 500 No\r\n" + headed(*lines).partition(b"\r\n")[2]))
    callback = {"Upstash-Failure-Callback": play.receiver.url("/told"), "Upstash-Retries": "0"}
    message = play.publish(f"http://127.0.0.1:{port}/", **callback)
    (told,) = play.receiver.wait_for(1, path="/told")
    assert told.header("Set-Cookie") is None and told.header("X-Second") is None
    assert json.loads(told.body)["sourceMessageId"] == message
    view = play.client.get("/v2/dlq", params={"messageId": message})
    assert "Set-Cookie" not in view.headers
    assert play.letter(message)["responseHeader"]["X-Escape"] == ["%0d%0aSet-Cookie: a=1"]


FLOODS = [
    "body-without-end",
    "header-without-end",
    "headers-of-800-kilobytes",
    "interim-answers-without-end",
    "extension-of-a-chunk-without-end",
    "a-gigabyte",
    "gzip-bomb",
    "never-reads",
]
MOST_MIB = 400


@pytest.mark.thorough
def test_many_floods_at_once_take_little_memory(play: Play) -> None:
    """50 of each at once. 64 MiB of bodies may be held (--in-flight-bytes), and once more on their way into sockets."""
    messages = [
        play.publish(f"http://127.0.0.1:{play.ports[name]}/", CASES[name].body, **{"Upstash-Retries": "0"})
        for _ in range(50)
        for name in FLOODS
    ]
    for message in messages:
        play.angarium.wait_until(lambda message=message: play.ended(message), f"done with {message}", 120)
    peak = peak_mib(play.angarium.program.pid)
    print(f"peak {peak:.0f} MiB")
    assert peak <= MOST_MIB
