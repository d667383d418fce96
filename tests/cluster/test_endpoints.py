"""What is bound late: an Endpoint that is corrected, resumed, made again or given its Secret heals what waits."""

import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.angarium import QUICK
from tests.support.cluster import ROOT, Object, wait_for
from tests.support.receiver import Answer, Received, Receiver
from tests.support.stage import STATUS_S, Stage

CERTIFICATES = ROOT / "tests" / "support" / "certificates"
PATIENT = {"limit": 100, "delay": "200"}
REREAD_S = 15.0
"""How old the answer "there is no such Secret" may become."""
GRACE_S = float(QUICK["orphan-grace"].removesuffix("s"))
QUIET_S = 1.0
"""How long nothing must happen: five retries would fit in."""


def publish(stage: Stage, topic: str, body: str = "", **headers: str) -> str:
    """Publish to a Topic of one member; the message's id."""
    answer = stage.api("POST", f"/v2/publish/{topic}", content=body, headers=headers)
    assert answer.status_code == 200, answer.text
    (accepted,) = answer.json()
    return str(accepted["messageId"])


def addressed(stage: Stage, name: str, *answers: Answer | int, **spec: Any) -> str:
    """An Endpoint that is patient with failures, and a Topic of it alone; the id of a message published to it."""
    declare(stage, name, *answers, **spec)
    return publish(stage, name)


def declare(stage: Stage, name: str, *answers: Answer | int, **spec: Any) -> None:
    stage.endpoint(name, *answers, **{"retry": PATIENT, **spec})
    stage.apply("Topic", name, {"endpoints": [{"name": name, "endpointRef": {"name": name}}]})
    stage.ready(("Endpoint", name), ("Topic", name))


def ids_of(requests: list[Received]) -> set[str | None]:
    return {request.header("Upstash-Message-Id") for request in requests}


def log(stage: Stage, message_id: str, state: str) -> list[Object]:
    answer = stage.api("GET", "/v2/logs", params={"messageId": message_id, "state": state})
    assert answer.status_code == 200, answer.text
    found: list[Object] = answer.json()["logs"]
    return found


def url_now(stage: Stage, message_id: str) -> str:
    return str(stage.api("GET", f"/v2/messages/{message_id}").json()["url"])


def assert_quiet(stage: Stage, path: str) -> None:
    """Nothing arrives for a while: what does not happen can only be waited for in a window."""
    before = stage.receiver.count(path)
    with pytest.raises(AssertionError, match="requests came"):
        stage.receiver.wait_for(before + 1, QUIET_S, path)


def test_a_corrected_url_heals_what_waits(stage: Stage) -> None:
    """The very next attempt goes to the new URL: same message, the count of retries goes on."""
    stage.receiver.answer("/wrong", 500)
    message_id = addressed(stage, "corrected", url=stage.receiver.url("/wrong"))
    stage.receiver.wait_for(2, path="/wrong")
    stage.change("Endpoint", "corrected", url=stage.receiver.url("/right"))
    (right,) = stage.receiver.wait_for(1, path="/right")
    wrong = stage.receiver.received("/wrong")
    assert ids_of([*wrong, right]) == {message_id}
    assert right.header("Upstash-Retried") == str(len(wrong))
    (entry,) = wait_for(lambda: log(stage, message_id, "DELIVERED"), describe="the delivery is recorded")
    assert entry["url"] == stage.receiver.url("/right")


def test_new_headers_reach_what_waits_and_a_new_method_does_not(stage: Stage) -> None:
    message_id = addressed(stage, "renamed", 500, headers=[{"name": "X-Version", "value": "1"}])
    stage.receiver.wait_for(2, path="/renamed")
    stage.change("Endpoint", "renamed", headers=[{"name": "X-Version", "value": "2"}], method="PUT")
    newer = wait_for(
        lambda: [one for one in stage.receiver.received("/renamed") if one.header("X-Version") == "2"],
        describe="a retry with the new header",
    )
    assert ids_of(newer) == {message_id}
    assert {request.method for request in newer} == {"POST"}, "the method is frozen at acceptance"
    stage.receiver.answer("/renamed", 200)
    before = stage.receiver.count("/renamed")
    second = publish(stage, "renamed")
    wait_for(lambda: second in ids_of(stage.receiver.received("/renamed")[before:]))
    newest = next(r for r in stage.receiver.received("/renamed") if r.header("Upstash-Message-Id") == second)
    assert newest.method == "PUT"


def test_precedence_of_headers(stage: Stage) -> None:
    """A message's header replaces the Endpoint's of the same name, but never one that comes from a Secret."""
    stage.secret("headers", token="from the Secret\n")
    declare(
        stage,
        "headers",
        headers=[
            {"name": "X-Team", "value": "endpoint"},
            {"name": "X-Kept", "value": "endpoint"},
            {"name": "Authorization", "valueFrom": {"secretKeyRef": {"name": "headers", "key": "token"}}},
        ],
    )
    forwarded = {"x-team": "message", "authorization": "message", "x-own": "message"}
    publish(stage, "headers", **{f"Upstash-Forward-{name}": value for name, value in forwarded.items()})
    (request,) = stage.receiver.wait_for(1, path="/headers")
    got = {name: request.header(name) for name in ("X-Team", "X-Kept", "X-Own", "Authorization")}
    assert got == {"X-Team": "message", "X-Kept": "endpoint", "X-Own": "message", "Authorization": "from the Secret"}


def test_precedence_of_every_leaf_field(stage: Stage) -> None:
    """A publish and a Schedule that say everything, and ones that say nothing: the whole table is in contract/api."""
    declared = {
        "method": "DELETE",
        "timeout": "9s",
        "retry": {"limit": 2, "delay": "4"},
        "flowControl": {"rate": 90, "period": "10s", "parallelism": 8},
    }
    own = {
        "method": "PUT",
        "timeout": "7s",
        "retry": {"limit": 1, "delay": "2"},
        "flowControl": {"key": "leaf-own", "rate": 30, "period": "4s", "parallelism": 2},
    }
    headers = {"Method": "PUT", "Timeout": "7s", "Retries": "1", "Retry-Delay": "2", "Flow-Control-Key": "leaf-own"}
    headers["Flow-Control-Value"] = "rate=30, period=4s, parallelism=2"
    declare(stage, "leaf", **declared)
    stage.endpoint("bare")
    stage.apply("Topic", "bare", {"endpoints": [{"name": "bare", "endpointRef": {"name": "bare"}}]})
    stage.ready(("Endpoint", "bare"), ("Topic", "bare"))
    stage.once("leaf-own", "leaf", **own)
    stage.once("leaf-silent", "leaf")
    of_endpoint = ("DELETE", 9000, 2, "4", "endpoint/leaf", 90, 10, 8)
    of_own = ("PUT", 7000, 1, "2", "leaf-own", 30, 4, 2)
    assert leaves(stage, publish(stage, "leaf")) == of_endpoint
    assert (
        leaves(stage, publish(stage, "leaf", **{f"Upstash-{name}": text for name, text in headers.items()})) == of_own
    )
    assert leaves(stage, publish(stage, "bare"))[:5] == ("POST", 900_000, 3, None, None)
    assert leaves(stage, stage.message("leaf-own", "Delivered")["messageId"]) == of_own
    assert leaves(stage, stage.message("leaf-silent", "Delivered")["messageId"]) == of_endpoint


def leaves(stage: Stage, message_id: str) -> tuple[Any, ...]:
    (entry,) = log(stage, message_id, "CREATED")
    names = (
        "method",
        "timeout",
        "maxRetries",
        "retryDelayExpression",
        "flowControlKey",
        "rate",
        "period",
        "parallelism",
    )
    return tuple(entry.get(name) for name in names)


def test_a_secret_value_is_told_nowhere(stage: Stage) -> None:
    value = "open-sesame-4711"
    stage.secret("hidden", token=value)
    reference = {"secretKeyRef": {"name": "hidden", "key": "token"}}
    message_id = addressed(stage, "hidden", 500, headers=[{"name": "X-Token", "valueFrom": reference}])
    stage.receiver.wait_for(2, path="/hidden")
    assert {request.header("X-Token") for request in stage.receiver.received("/hidden")} == {value}
    told = [
        stage.api("GET", f"/v2/messages/{message_id}").text,
        stage.api("GET", "/v2/logs").text,
        stage.angarium.program.log.read_text(),
        str(stage.get("Endpoint", "hidden")),
        str(stage.list_all("Event")),
    ]
    assert all(value not in text for text in told)
    files = [path for path in stage.angarium.folder.iterdir() if path.name.startswith("angarium.db")]
    assert all(value.encode() not in path.read_bytes() for path in files)


def test_missing_secrets_fail_attempts_until_they_are_there(stage: Stage) -> None:
    """Of one the Secret is missing, of the other its key. Each attempt fails and costs a retry; all heals by itself."""
    stage.secret("no-key", other="x")
    messages = {name: waiting_for_a_secret(stage, name) for name in ("no-secret", "no-key")}
    assert "no key 'token'" in condition_message(stage, "no-key")
    for message_id in messages.values():
        wait_for(lambda message_id=message_id: len(log(stage, message_id, "ERROR")) >= 2, describe="failed attempts")
        assert all(entry["error"].startswith("SecretNotFound: ") for entry in log(stage, message_id, "ERROR"))
    assert stage.receiver.count("/no-secret") == stage.receiver.count("/no-key") == 0
    for name in messages:
        stage.secret(name, token=f"of {name}")
    for name in messages:
        (request,) = stage.receiver.wait_for(1, timeout=REREAD_S + 5, path=f"/{name}")
        assert request.header("X-Token") == f"of {name}"
    stage.ready(*(("Endpoint", name) for name in messages))


def waiting_for_a_secret(stage: Stage, name: str) -> str:
    reference = {"secretKeyRef": {"name": name, "key": "token"}}
    headers = [{"name": "X-Token", "valueFrom": reference}]
    stage.endpoint(name, headers=headers, retry={"limit": 100, "delay": "500"})
    stage.apply("Topic", name, {"endpoints": [{"name": name, "endpointRef": {"name": name}}]})
    stage.condition("Endpoint", name, "Ready=False", "SecretNotFound")
    assert f"'{name}'" in stage.condition("Endpoint", name, "ResolvedRefs=False", "SecretNotFound")
    return publish(stage, name)


def condition_message(stage: Stage, name: str) -> str:
    conditions = stage.status("Endpoint", name)["conditions"]
    return next(str(one["message"]) for one in conditions if one["type"] == "ResolvedRefs")


def test_a_suspended_endpoint_makes_messages_wait(stage: Stage) -> None:
    """Nothing is sent and nothing fails, neither for new messages nor for those that were being retried."""
    retried = addressed(stage, "suspended", 500)
    stage.receiver.wait_for(1, path="/suspended")
    stage.change("Endpoint", "suspended", suspend=True)
    stage.condition("Endpoint", "suspended", "Ready=True", "Suspended")
    fresh = publish(stage, "suspended")
    assert_quiet(stage, "/suspended")
    stage.receiver.answer("/suspended", 200)
    stage.change("Endpoint", "suspended", suspend=False)
    wait_for(lambda: {retried, fresh} <= ids_of(stage.receiver.received("/suspended")), describe="both arrive")
    wait_for(lambda: log(stage, fresh, "DELIVERED") and log(stage, retried, "DELIVERED"))
    assert log(stage, fresh, "ERROR") == []


def test_a_deleted_endpoint_that_comes_back_gets_its_messages(stage: Stage) -> None:
    message_id = addressed(stage, "revived", 500)
    stage.receiver.wait_for(1, path="/revived")
    stage.delete("Endpoint", "revived")
    wait_for(lambda: url_now(stage, message_id) == "endpoint:revived", describe="the message has lost its Endpoint")
    before = stage.receiver.count("/revived")
    stage.endpoint("revived", url=stage.receiver.url("/back"))
    (request,) = stage.receiver.wait_for(1, path="/back")
    assert ids_of([request]) == {message_id}
    assert stage.receiver.count("/revived") <= before + 1  # one may have been on its way
    wait_for(lambda: log(stage, message_id, "DELIVERED"))


def test_messages_of_an_endpoint_that_stays_deleted_are_given_up(stage: Stage) -> None:
    """They wait for the grace (5 s here), then are dead letters that say why; a Schedule's run has failed."""
    message_id = addressed(stage, "orphaned", 500)
    stage.once("orphaned", "orphaned")
    stage.receiver.wait_for(4, path="/orphaned")
    wait_for(lambda: len(ids_of(stage.receiver.received("/orphaned"))) == 2)
    deleted = time.time()
    stage.delete("Endpoint", "orphaned")
    wait_for(lambda: url_now(stage, message_id) == "endpoint:orphaned", describe="the message has lost its Endpoint")
    assert log(stage, message_id, "FAILED") == []
    (failed,) = wait_for(lambda: log(stage, message_id, "FAILED"), within=30, describe="the message is given up")
    assert failed["time"] >= (deleted + GRACE_S) * 1000
    (letter,) = [one for one in stage.dead_letters() if one["messageId"] == message_id]
    assert letter["error"].startswith("EndpointDeleted: ")
    run = stage.run("orphaned", "Failed")
    assert run["deliveries"]["failed"] == 1


def test_reachable_follows_the_attempts(stage: Stage) -> None:
    message_id = addressed(stage, "reachable", 503)
    assert "HTTP 503" in stage.condition("Endpoint", "reachable", "Reachable=False", "HTTP503")
    failing = wait_for(
        lambda: stage.status("Endpoint", "reachable"), lambda status: status["consecutiveFailures"] >= 2,
        within=STATUS_S,
    )  # fmt: skip
    assert failing["lastDelivery"]["messageId"] == message_id
    assert (failing["lastDelivery"]["status"], failing["lastDelivery"]["outcome"]) == (503, "Failed")
    ready = next(one for one in failing["conditions"] if one["type"] == "Ready")
    assert ready["status"] == "True", "what becomes of deliveries never changes Ready"
    stage.receiver.answer("/reachable", 204)
    stage.condition("Endpoint", "reachable", "Reachable=True", "Delivered")
    healthy = stage.status("Endpoint", "reachable")
    assert healthy["consecutiveFailures"] == 0
    assert (healthy["lastDelivery"]["status"], healthy["lastDelivery"]["outcome"]) == (204, "Delivered")


def test_what_was_seen_of_an_old_url_says_nothing_of_the_new_one(stage: Stage) -> None:
    addressed(stage, "moved", 503)
    stage.condition("Endpoint", "moved", "Reachable=False", "HTTP503")
    stage.change("Endpoint", "moved", url=stage.receiver.url("/moved-to"), suspend=True)
    stage.condition("Endpoint", "moved", "Reachable=Unknown", "NoDeliveries")
    assert stage.status("Endpoint", "moved")["consecutiveFailures"] == 0
    stage.change("Endpoint", "moved", suspend=False)
    stage.condition("Endpoint", "moved", "Reachable=True", "Delivered")


def test_an_endpoint_that_was_never_called_is_neither_reachable_nor_not(stage: Stage) -> None:
    stage.endpoint("idle")
    stage.condition("Endpoint", "idle", "Reachable=Unknown", "NoDeliveries")


@pytest.fixture(scope="module")
def tls_receiver() -> Iterator[Receiver]:
    """A destination with a private certificate for billing.test, which asks its clients for one of the same CA."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(CERTIFICATES / "ca.crt"))
    context.load_cert_chain(CERTIFICATES / "server.crt", CERTIFICATES / "server.key")
    context.verify_mode = ssl.CERT_REQUIRED
    with Receiver(tls=context) as receiver:
        yield receiver


def tls_secrets(stage: Stage) -> None:
    stage.secret("ca", **{"ca.crt": pem("ca.crt")})
    stage.secret("client", **{"tls.crt": pem("client.crt"), "tls.key": pem("client.key")})


def pem(file: str) -> bytes:
    return Path(CERTIFICATES / file).read_bytes()


def test_tls_with_a_private_ca_a_server_name_and_a_client_certificate(stage: Stage, tls_receiver: Receiver) -> None:
    """Each of the three is needed; a message that waits is delivered once the last of them is declared."""
    tls_secrets(stage)
    parts = {
        "caSecretRef": {"name": "ca"},
        "serverName": "billing.test",
        "clientCertificateSecretRef": {"name": "client"},
    }
    declared: dict[str, Any] = {}
    message_id = addressed(stage, "tls", url=tls_receiver.url("/tls"))
    for field, value in parts.items():
        await_error(stage, message_id, "TlsError", "ConnectionError")
        declared |= {field: value}
        stage.change("Endpoint", "tls", tls=declared)
    (request,) = tls_receiver.wait_for(1, path="/tls")
    assert ids_of([request]) == {message_id}
    assert_tls_errors(stage, message_id)


def await_error(stage: Stage, message_id: str, *reasons: str) -> None:
    """Until one more attempt has failed for one of these reasons."""
    before = len(log(stage, message_id, "ERROR"))
    newer = wait_for(lambda: log(stage, message_id, "ERROR"), lambda entries: len(entries) > before)
    assert newer[0]["error"].partition(": ")[0] in reasons, newer[0]


def assert_tls_errors(stage: Stage, message_id: str) -> None:
    """In order: an unknown CA, the wrong name, no client certificate (a server tells that after the handshake)."""
    errors = [entry["error"] for entry in reversed(log(stage, message_id, "ERROR"))]
    assert errors[0].startswith("TlsError: ")
    assert "certificate was not accepted" in errors[0]
    assert any("IP address mismatch" in error for error in errors[1:])
    assert "certificate was not accepted" not in errors[-1]


def test_a_missing_ca_secret_is_named(stage: Stage) -> None:
    stage.endpoint(
        "no-ca", url="https://127.0.0.1:1/", tls={"caSecretRef": {"name": "nowhere"}, "serverName": "billing.test"}
    )
    assert "'nowhere'" in stage.condition("Endpoint", "no-ca", "ResolvedRefs=False", "SecretNotFound")


def test_a_secret_that_is_no_certificate_fails_the_attempt(stage: Stage, tls_receiver: Receiver) -> None:
    stage.secret("garbage", **{"ca.crt": "no certificate"})
    message_id = addressed(stage, "garbage", url=tls_receiver.url("/garbage"), tls={"caSecretRef": {"name": "garbage"}})
    await_error(stage, message_id, "TlsError")
    assert "ca.crt" in log(stage, message_id, "ERROR")[0]["error"]


def test_an_endpoint_that_cannot_be_accepted(stage: Stage) -> None:
    """What CEL cannot tell becomes a condition; the fixed spec is accepted."""
    stage.endpoint("unsound", retry={"limit": 1, "delay": "pow(2"})
    told = stage.condition("Endpoint", "unsound", "Accepted=False")
    assert "spec.retry.delay" in told
    stage.condition("Endpoint", "unsound", "Ready=False")
    stage.change("Endpoint", "unsound", retry={"limit": 1, "delay": "pow(2, retried)"})
    stage.ready(("Endpoint", "unsound"))


@pytest.mark.thorough
@pytest.mark.timeout(180)
def test_a_rotated_secret_is_used_within_a_minute(stage: Stage) -> None:
    """A value that was read stays for 60 s. Each message is sent once, so every request shows the value of its time."""
    stage.secret("rotated", token="old")
    reference = {"secretKeyRef": {"name": "rotated", "key": "token"}}
    headers = [{"name": "X-Token", "valueFrom": reference}]
    message_id = addressed(stage, "rotated", 500, headers=headers, retry={"limit": 100, "delay": "1000"})
    stage.receiver.wait_for(1, path="/rotated")
    stage.secret("rotated", token="new")
    newer = wait_for(
        lambda: [one for one in stage.receiver.received("/rotated") if one.header("X-Token") == "new"],
        within=62, describe="an attempt with the new value within 60 s",
    )  # fmt: skip
    assert ids_of(newer) == {message_id}
