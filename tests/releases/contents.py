"""What a database of a release holds in the tests: one at least of everything that a program can leave behind."""

import base64
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from tests.support.cluster import Object, apply, find, wait_for
from tests.support.receiver import Answer, Receiver
from tests.support.stage import STATUS_S, Stage, rfc3339

HOST, PORT = "127.47.71.7", 19471
"""Where all destinations are. They stand in the database, so this never changes; nobody else takes that address."""
OTHER = "other"
ADOPTED = {
    "QSTASH_TOKEN": "angarium_only_for_tests_never_use_it_anywhere",
    "QSTASH_CURRENT_SIGNING_KEY": "sig_OnlyForTestsNeverUse1",
    "QSTASH_NEXT_SIGNING_KEY": "sig_OnlyForTestsNeverUse2",
}
NEVER = "0 0 1 1 *"
HOUR = "3600000"
Messages = dict[str, str]


def receiver() -> Receiver:
    """The destinations, as they are while the database is made: some answer, some fail, some let one wait."""
    made = Receiver(host=HOST, port=PORT)
    for path in ("/hanging", "/narrow", "/line", "/told-late", "/schedule/delivering"):
        made.answer(path, Answer(ending="hang"))
    for path in ("/fails", "/blocked", "/schedule/retrying", "/schedule/failing"):
        made.answer(path, Answer(500, body=b"not today"))
    return made


def fill(stage: Stage) -> dict[str, Any]:
    """Puts everything into the database of a running instance, until what can end has ended. Returns what tests ask
    for: tokens, the ids of messages by what they are, and what the API says of all that stands still."""
    declare(stage)
    tokens = {name: token_of(stage, name) for name in ("full", "reader", "publisher")}
    with stage.angarium.client(tokens["full"]) as client:
        client.post("/v2/keys/rotate").raise_for_status()
        make(client, stage.receiver)
        messages = publish(client, stage.receiver)
        settle(stage, client, messages)
        messages["canceled"] = send(client, "publish", stage.receiver, "later", Delay="2h")
        client.delete(f"/v2/messages/{messages['canceled']}").raise_for_status()
        cancel_a_run(stage, client)
        take_over(stage, client)
        return {"tokens": tokens, "messages": messages, "seen": seen(client)}


def declare(stage: Stage) -> None:
    where = stage.receiver.url
    stage.endpoint("billing", labels={"events": "orders"}, retry={"limit": 2, "delay": HOUR})
    stage.endpoint("audit", flowControl={"rate": 100, "period": "1m", "parallelism": 5})
    stage.endpoint("asleep", suspend=True)
    stage.endpoint("deleted", suspend=True)
    stage.apply("Endpoint", "rejected", {"url": where("/rejected"), "retry": {"delay": "no_such_function(1)"}})
    members = [{"name": "a", "endpointRef": {"name": "billing"}}, {"name": "b", "url": where("/member")}]
    stage.apply("Topic", "orders", {"endpoints": members})
    stage.apply("Topic", "chosen", {"selector": {"matchLabels": {"events": "orders"}}})
    for name in ("asleep", "deleted"):
        stage.apply("Topic", name, {"endpoints": [{"name": name, "endpointRef": {"name": name}}]})
    stage.apply("Queue", "reports", {"parallelism": 3, "suspend": True})
    stage.apply("Queue", "left-behind", {"suspend": True})
    stage.apply("Token", "full", {})
    stage.apply("Token", "reader", {"access": "ReadOnly"})
    stage.apply("Token", "publisher", {"access": "PublishOnly"})
    declare_schedules(stage)
    adopt(stage)
    stage.ready(*((kind, one["metadata"]["name"]) for kind in ("Queue", "Token") for one in stage.list_all(kind)))


def declare_schedules(stage: Stage) -> None:
    minutely = {"cron": "* * * * *", "historyLimit": 50}
    when = {
        "every": {"every": "20s", "historyLimit": 50},
        "latest": {**minutely, "missedRunPolicy": "RunLatest"},
        "all": {**minutely, "missedRunPolicy": "RunAll"},
        "skip": {**minutely, "missedRunPolicy": "Skip"},
        "suspended": {"every": "1s", "suspend": True, "missedRunPolicy": "RunAll"},
        "over": {"at": rfc3339(datetime.now(UTC) + timedelta(seconds=1)), "startingDeadlineSeconds": 60},
        "to-come": {"at": "2099-12-24T18:00:00Z"},
        "forbids": {"every": "1s", "concurrencyPolicy": "Forbid", "missedRunPolicy": "Skip"},
    }
    for name, spec in when.items():
        path = "delivering" if name == "forbids" else name
        stage.apply("Schedule", name, {"destination": {"url": stage.receiver.url(f"/schedule/{path}")}, **spec})
    for name, spec in by_hand(stage).items():
        where = {"url": stage.receiver.url(f"/schedule/{name}")}
        stage.apply("Schedule", name, {"cron": NEVER, "destination": where, "body": {"text": name}, **spec})
    for name in by_hand(stage):  # a value that an object is made with is one of long ago
        wait_for(lambda name=name: "conditions" in stage.get("Schedule", name).get("status", {}), within=STATUS_S)  # type: ignore[misc]
        stage.run_now(name, "first")


def by_hand(stage: Stage) -> dict[str, Object]:
    """Schedules that fire only when they are told to, which they are once."""
    return {
        "delivered": {"callback": {"url": stage.receiver.url("/told")}, "redact": {"body": True}},
        "failing": {"failureCallback": {"url": stage.receiver.url("/given-up")}, "retry": {"limit": 0}},
        "retrying": {"retry": {"limit": 3, "delay": HOUR}},
        "delivering": {},
        "waiting": {"destination": {"endpointRef": {"name": "asleep"}}},
        "fanned-out": {"destination": {"topicRef": {"name": "orders"}}},
        "canceled": {"destination": {"endpointRef": {"name": "asleep"}}},
        "lost": {"destination": {"endpointRef": {"name": "no-such-endpoint"}}},
        "queued": {"queueRef": {"name": "reports"}, "flowControl": {"key": "shared", "rate": 10, "period": "1m"}},
    }


def adopt(stage: Stage) -> None:
    """Another tenant, whose keys and token come from a Secret."""
    data = {key: base64.b64encode(text.encode()).decode() for key, text in ADOPTED.items()}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "sealed"}, "data": data}
    token = {"apiVersion": "angarium.dev/v1alpha1", "kind": "Token", "metadata": {"name": "adopts"}}
    for manifest in (secret, {**token, "spec": {"secretName": "sealed"}}):
        apply(stage.control_plane, manifest, OTHER)
    with stage.angarium.client(ADOPTED["QSTASH_TOKEN"]) as client:
        wait_for(lambda: client.get("/v2/keys").status_code, lambda code: code == 200, within=STATUS_S)
        send(client, "publish", stage.receiver, "other", Delay="2h")


def token_of(stage: Stage, name: str) -> str:
    secret = wait_for(lambda: find(stage.control_plane, "Secret", f"{name}-qstash", stage.namespace), within=STATUS_S)
    assert secret is not None
    return base64.b64decode(secret["data"]["QSTASH_TOKEN"]).decode()


def make(client: httpx.Client, receiver: Receiver) -> None:
    """Objects of the API."""
    for name, paused in (("line", False), ("paused", True), ("blocked", False), ("held", False), ("mine", True)):
        body = {"queueName": name, "parallelism": 1, "paused": paused}
        client.post("/v2/queues/", json=body).raise_for_status()
    members = [{"url": receiver.url(f"/both-{name}"), "name": name} for name in ("left", "right")]
    client.post("/v2/topics/both/endpoints", json={"endpoints": members}).raise_for_status()
    headers = {"Upstash-Cron": "0 3 * * *", "Upstash-Schedule-Id": "nightly"}
    client.post(f"/v2/schedules/{receiver.url('/nightly')}", headers=headers, content=b"night").raise_for_status()
    headers = {"Upstash-Cron": "* * * * *", "Upstash-Schedule-Id": "resting"}
    client.post(f"/v2/schedules/{receiver.url('/resting')}", headers=headers).raise_for_status()
    client.post("/v2/schedules/resting/pause").raise_for_status()


def send(client: httpx.Client, how: str, receiver: Receiver, name: str, body: str = "", **options: str) -> str:
    """Publish to a path of the receiver; returns the id of the message."""
    headers = {f"Upstash-{option.replace('_', '-')}": value for option, value in options.items()}
    answer = client.post(f"/v2/{how}/{receiver.url(f'/{name}')}", headers=headers, content=body or name)
    found: str = answer.raise_for_status().json()["messageId"]
    return found


def publish(client: httpx.Client, receiver: Receiver) -> Messages:
    def to(name: str, how: str = "publish", body: str = "", **options: str) -> str:
        return send(client, how, receiver, name, body, **options)

    found = {
        "plain": to("plain", Label="first", Callback=receiver.url("/told")),
        "redacted": to("plain", Redact_Fields="body,header[Authorization]", Forward_Authorization="Bearer abc"),
        "empty": to("plain", body="\0"),
        "large": to("later", body="x" * 50_000, Delay="2h"),
        "delayed": to("delayed", Delay="2h", Label="delayed"),
        "dated": to("dated", Not_Before=str(int(time.time()) + 3 * 3600)),
        "retrying": to("fails", Retries="3", Retry_Delay=HOUR),
        "letter": to("fails", Retries="0", Failure_Callback=receiver.url("/given-up"), Label="letter"),
        "letter-kept": to("fails", Retries="0", Forward_X_Kind="kept"),
        "hanging": to("hanging"),
        "once": to("once", Deduplication_Id="order-1"),
        "once-by-content": to("once", body="the same", Content_Based_Deduplication="true"),
        "limited": to("narrow", Flow_Control_Key="narrow", Flow_Control_Value="parallelism=1"),
        "limited-too": to("narrow", Flow_Control_Key="narrow", Flow_Control_Value="parallelism=1"),
        "rated": to("rated", Flow_Control_Key="rated", Flow_Control_Value="rate=1, period=1d"),
        "rated-too": to("rated", Flow_Control_Key="rated", Flow_Control_Value="rate=1, period=1d"),
        "blocked": to("blocked", "enqueue/blocked", Retry_Delay=HOUR),
        "blocked-too": to("blocked", "enqueue/blocked"),
        "held": to("held", "enqueue/held", Callback=receiver.url("/told-late")),
        "held-too": to("held", "enqueue/held"),
    }
    client.post("/v2/flowControl/stopped/pause").raise_for_status()
    client.post("/v2/flowControl/pinned/pin", params={"parallelism": "7"}).raise_for_status()
    found["stopped"] = to("stopped", Flow_Control_Key="stopped", Flow_Control_Value="rate=5")
    for number in range(6):
        found[f"line-{number}"] = to("line", "enqueue/line", f"line-{number}")
        found[f"paused-{number}"] = to("paused", "enqueue/paused", f"paused-{number}")
    found["mine"] = to("mine", "enqueue/mine")
    answer = client.post(f"/v2/enqueue/left-behind/{receiver.url('/left-behind')}").raise_for_status()
    found["left-behind"] = answer.json()["messageId"]
    for topic in ("orders", "both", "asleep", "deleted"):
        for one in client.post(f"/v2/publish/{topic}", content=topic).raise_for_status().json():
            found[f"to-{topic}-{len(found)}"] = one["messageId"]
    return found


def settle(stage: Stage, client: httpx.Client, messages: Messages) -> None:
    """What can end has ended, and what waits for an answer is on its way."""
    expected = {"/hanging": 1, "/narrow": 1, "/line": 1, "/told-late": 1, "/schedule/delivering": 2, "/rated": 1,
                "/told": 2, "/given-up": 2, "/member": 2, "/both-left": 1, "/both-right": 1, "/once": 2, "/plain": 3,
                "/schedule/retrying": 1, "/schedule/every": 2, "/schedule/all": 1, "/schedule/over": 1}  # fmt: skip
    for path, count in expected.items():
        stage.receiver.wait_for(count, 90, path)
    logs = {"plain": "DELIVERED", "retrying": "RETRY", "blocked": "RETRY", "letter": "FAILED", "letter-kept": "FAILED"}
    for name, state in logs.items():
        wait_for(lambda name=name: states(client, messages[name]), holds(state), within=STATUS_S)  # type: ignore[misc]
    for name, state in {"delivered": "Delivered", "failing": "Failed", "retrying": "Retrying", "waiting": "Waiting",
                        "delivering": "Delivering", "lost": "Failed", "fanned-out": "Delivered"}.items():  # fmt: skip
        stage.run(name, state)


def states(client: httpx.Client, message: str) -> list[str]:
    return [entry["state"] for entry in client.get("/v2/logs", params={"messageId": message}).json()["logs"]]


def holds(state: str) -> Callable[[list[str]], bool]:
    return lambda found: state in found


def cancel_a_run(stage: Stage, client: httpx.Client) -> None:
    found = stage.message("canceled", "Waiting")["messageId"]
    client.delete(f"/v2/messages/{found}").raise_for_status()
    stage.run("canceled", "Canceled")


def take_over(stage: Stage, client: httpx.Client) -> None:
    """A resource takes over what the API has made, and what a resource has made goes on without it."""
    stage.apply("Queue", "mine", {"parallelism": 2, "suspend": True})
    stage.ready(("Queue", "mine"))
    stage.delete("Queue", "left-behind")
    stage.delete("Endpoint", "deleted")
    wait_for(lambda: client.post("/v2/queues/left-behind/pause").status_code, lambda code: code == 200, within=STATUS_S)
    stage.condition("Topic", "deleted", "ResolvedRefs=False")


STANDING = ("/v2/keys", "/v2/dlq", "/v2/topics", "/v2/flowControl/stopped", "/v2/flowControl/pinned",
            "/v2/queues/paused", "/v2/queues/mine", "/v2/queues/left-behind", "/v2/queues/reports",
            "/v2/schedules/nightly", "/v2/schedules/resting", "/v2/schedules/to-come",
            "/v2/schedules/suspended")  # fmt: skip
"""What does not move while nobody asks for it."""


def seen(client: httpx.Client) -> dict[str, Any]:
    return {path: client.get(path).raise_for_status().json() for path in STANDING}
