"""From manifests to declarations: every field, every refusal, and whatever dict there is."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.crd_cases import CASES, Case
from tests.support.resources import CREATED, SPECS, declared_of, field_names, manifest_of, spec_of

from angarium.domain.declarations import (
    Access,
    Callback,
    ConcurrencyPolicy,
    DeliveryOptions,
    Destination,
    Endpoint,
    FlowControl,
    Header,
    KeyRef,
    Kind,
    MissedRunPolicy,
    ObjectRef,
    Queue,
    Redaction,
    Rejection,
    Schedule,
    Timing,
    Tls,
    Token,
    Topic,
    TopicMember,
)
from angarium.domain.errors import InvalidInput
from angarium.resources import manifest

AT = datetime(2026, 12, 24, 18, tzinfo=UTC)
KIBIBYTE = 1024


def test_metadata() -> None:
    declared = declared_of(
        "Schedule", labels={"team": "pay"}, annotations={"angarium.dev/run-now": "monday", "other": "x"}
    )
    assert declared.ref == ObjectRef(Kind.SCHEDULE, "shop", "sample")
    assert (declared.uid, declared.generation, declared.created_at) == ("uid-1", 3, CREATED)
    assert (declared.labels, declared.run_now, declared.last_slot) == ({"team": "pay"}, "monday", None)


def test_last_slot_comes_from_the_status() -> None:
    written = manifest_of("Schedule")
    assert manifest.decode({**written, "status": {"lastSlotTime": "2026-12-24T18:00:00Z"}}).last_slot == AT
    assert manifest.decode({**written, "status": {"lastSlotTime": "nonsense"}}).last_slot is None
    assert manifest.decode({**written, "status": {"lastSlotTime": 7}}).last_slot is None
    assert manifest.decode({**written, "status": "broken"}).last_slot is None


@pytest.mark.parametrize(
    "change",
    [
        {"generation": 4},
        {"labels": {"team": "pay"}},
        {"annotations": {"angarium.dev/run-now": "1"}},
        {"annotations": {"angarium.dev/anything": "1"}},
    ],
)
def test_fingerprint_changes_with(change: dict[str, Any]) -> None:
    assert declared_of("Endpoint", **change).fingerprint != declared_of("Endpoint").fingerprint


@pytest.mark.parametrize(
    "change",
    [{"annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"}}, {"resourceVersion": "9"}],
)
def test_fingerprint_stays_with(change: dict[str, Any]) -> None:
    assert declared_of("Endpoint", **change).fingerprint == declared_of("Endpoint").fingerprint


def test_fingerprint_changes_when_a_spec_is_judged_differently() -> None:
    zones = ("Mars/Olympus", "Mars/Tharsis", "Europe/Berlin")  # as if the first became known with a new version
    assert len({declared_of("Schedule", {"timeZone": zone}).fingerprint for zone in zones}) == 3


def test_a_status_changes_no_fingerprint() -> None:
    written = manifest_of("Endpoint")
    assert manifest.decode({**written, "status": {"x": 1}}).fingerprint == manifest.decode(written).fingerprint


@pytest.mark.parametrize(
    ("broken", "field"),
    [
        ({}, "metadata"),
        ({"metadata": 7}, "metadata"),
        ({**manifest_of("Endpoint"), "apiVersion": "v1"}, "apiVersion"),
        ({**manifest_of("Endpoint"), "kind": "Pod"}, "kind"),
        ({**manifest_of("Endpoint"), "kind": None}, "kind"),
        (manifest_of("Endpoint", name=None), "metadata.name"),
        (manifest_of("Endpoint", name=""), "metadata.name"),
        (manifest_of("Endpoint", namespace=None), "metadata.namespace"),
        (manifest_of("Endpoint", uid=None), "metadata.uid"),
        (manifest_of("Endpoint", uid=7), "metadata.uid"),
        (manifest_of("Endpoint", generation=None), "metadata.generation"),
        (manifest_of("Endpoint", generation="1"), "metadata.generation"),
        (manifest_of("Endpoint", generation=True), "metadata.generation"),
        (manifest_of("Endpoint", generation=10**5000), "metadata.generation"),
        (manifest_of("Endpoint", creationTimestamp=None), "metadata.creationTimestamp"),
        (manifest_of("Endpoint", creationTimestamp="yesterday"), "metadata.creationTimestamp"),
        (manifest_of("Endpoint", labels={"a": 1}), "metadata.labels[a]"),
        (manifest_of("Endpoint", labels=[]), "metadata.labels"),
        (manifest_of("Endpoint", annotations={1: "a"}), "metadata.annotations"),
    ],
)
def test_an_object_that_cannot_be_told_is_refused(broken: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        manifest.decode(broken)
    assert refused.value.field == field


def test_endpoint() -> None:
    assert spec_of("Endpoint") == Endpoint("https://billing.shop.svc/hooks")
    full = {
        "method": "PUT",
        "headers": [
            {"name": "X-Team", "value": "pay"},
            {"name": "Authorization", "valueFrom": {"secretKeyRef": {"name": "billing-auth", "key": "header"}}},
            {"name": "X-Empty", "value": ""},
        ],
        "timeout": "1m30s",
        "retry": {"limit": 0, "delay": "pow(2, retried) * 1000"},
        "tls": {
            "caSecretRef": {"name": "shop-ca"},
            "clientCertificateSecretRef": {"name": "shop-client"},
            "serverName": "billing.internal",
        },
        "suspend": True,
    }
    assert spec_of("Endpoint", full) == Endpoint(
        url="https://billing.shop.svc/hooks",
        options=DeliveryOptions(
            method="PUT",
            headers=(
                Header("X-Team", "pay"),
                Header("Authorization", secret=KeyRef("billing-auth", "header")),
                Header("X-Empty", ""),
            ),
            timeout=timedelta(seconds=90),
            retry_limit=0,
            retry_delay="pow(2, retried) * 1000",
        ),
        tls=Tls("shop-ca", "shop-client", "billing.internal"),
        suspend=True,
    )
    assert spec_of("Endpoint", {"tls": {"serverName": ""}}).tls == Tls()


def test_topic() -> None:
    members = [
        {"name": "billing", "endpointRef": {"name": "billing-v2"}},
        {"name": "audit", "url": "https://audit.example.com/in"},
        {"name": "Audit", "url": "https://audit.example.com/in"},
    ]
    topic = spec_of("Topic", {"endpoints": members, "selector": {"matchLabels": {"events": "orders"}}})
    assert topic == Topic(
        members=(
            TopicMember("billing", endpoint="billing-v2"),
            TopicMember("audit", url="https://audit.example.com/in"),
            TopicMember("Audit", url="https://audit.example.com/in"),
        ),
        match_labels={"events": "orders"},
    )
    assert spec_of("Topic").match_labels is None


def test_queue() -> None:
    assert spec_of("Queue") == Queue(1, suspend=False)
    assert spec_of("Queue", {"parallelism": 1000, "suspend": True}) == Queue(1000, suspend=True)
    without = manifest_of("Queue")
    del without["spec"]
    assert manifest.decode(without).spec == Queue()


@pytest.mark.parametrize(
    ("kind", "given", "expected"),
    [
        ("Endpoint", {"rate": 10}, FlowControl("", None, 10, timedelta(seconds=1))),
        ("Endpoint", {"parallelism": 5, "key": "of an older schema"}, FlowControl("", 5, None)),
        ("Schedule", {"rate": 10, "period": "7d"}, FlowControl("schedule/sample", None, 10, timedelta(days=7))),
        ("Schedule", {"parallelism": 1, "key": "shops/north"}, FlowControl("shops/north", 1, None)),
    ],
)
def test_flow_control(kind: str, given: dict[str, Any], expected: FlowControl) -> None:
    """An Endpoint's key is implied by its name; a Schedule without a key has one of its own."""
    assert spec_of(kind, {"flowControl": given}).options.flow_control == expected


def test_callbacks() -> None:
    report = {
        "url": "https://shop.test/done",
        "method": "PUT",
        "headers": [{"name": "Authorization", "valueFrom": {"secretKeyRef": {"name": "audit-auth", "key": "header"}}}],
        "timeout": "30s",
        "retry": {"limit": 1, "delay": "1000"},
    }
    decoded = spec_of("Schedule", {"callback": report, "failureCallback": {"endpointRef": {"name": "alerts"}}})
    headers = (Header("Authorization", secret=KeyRef("audit-auth", "header")),)
    options = DeliveryOptions("PUT", headers, timedelta(seconds=30), 1, "1000")
    assert decoded.callback == Callback(Destination(url="https://shop.test/done"), options)
    assert decoded.failure_callback == Callback(Destination(endpoint="alerts"))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, None),
        ({"body": False, "headers": []}, None),
        ({"body": True}, Redaction(body=True)),
        ({"headers": ["Authorization", "X-Key", "x-key"]}, Redaction(names=("authorization", "x-key"))),
        ({"body": True, "headers": ["*"]}, Redaction(body=True, all_headers=True)),
    ],
)
def test_redaction(given: dict[str, Any], expected: Redaction | None) -> None:
    assert spec_of("Schedule", {"redact": given}).redaction == expected


def test_a_schedule_names_all_that_it_needs() -> None:
    declared = declared_of(
        "Schedule",
        {
            "queueRef": {"name": "line"},
            "callback": {"endpointRef": {"name": "audit"}},
            "failureCallback": {"endpointRef": {"name": "alerts"}},
        },
    )
    named = {(ref.kind, ref.name) for ref in declared.references()}
    endpoints = {(Kind.ENDPOINT, name) for name in ("reports", "audit", "alerts")}
    assert named == endpoints | {(Kind.QUEUE, "line")}


def test_token() -> None:
    assert spec_of("Token") == Token("sample-qstash", Access.READ_WRITE)
    assert spec_of("Token", {"secretName": "mine", "access": "PublishOnly"}) == Token("mine", Access.PUBLISH_ONLY)
    without = manifest_of("Token")
    del without["spec"]
    assert manifest.decode(without).spec == Token("sample-qstash")


def test_schedule_defaults() -> None:
    assert spec_of("Schedule") == Schedule(
        timing=Timing(cron="0 6 * * 1-5", cron_seed="shop/sample", anchor=CREATED),
        destination=Destination(endpoint="reports"),
    )


def test_schedule() -> None:
    full = {
        "timeZone": "Europe/Berlin",
        "startTime": "2026-12-24T19:00:00+01:00",
        "endTime": "2027-12-24T18:00:00Z",
        "jitter": "30s",
        "suspend": True,
        "startingDeadlineSeconds": 600,
        "missedRunPolicy": "RunAll",
        "concurrencyPolicy": "Replace",
        "destination": {"topicRef": {"name": "orders"}},
        "method": "GET",
        "headers": [{"name": "X-Team", "value": "pay"}],
        "timeout": "2h",
        "retry": {"limit": 100},
        "body": {"text": "hello"},
        "contentType": "text/markdown",
        "labels": ["daily", "tägl ich"],
        "historyLimit": 0,
    }
    assert spec_of("Schedule", full) == Schedule(
        timing=Timing(
            cron="0 6 * * 1-5",
            cron_seed="shop/sample",
            time_zone="Europe/Berlin",
            anchor=AT,
            start=AT,
            end=datetime(2027, 12, 24, 18, tzinfo=UTC),
            jitter=timedelta(seconds=30),
        ),
        destination=Destination(topic="orders"),
        options=DeliveryOptions("GET", (Header("X-Team", "pay"),), timedelta(hours=2), 100, None),
        body=b"hello",
        content_type="text/markdown",
        labels=("daily", "tägl ich"),
        suspend=True,
        starting_deadline=timedelta(minutes=10),
        missed_run_policy=MissedRunPolicy.RUN_ALL,
        concurrency_policy=ConcurrencyPolicy.REPLACE,
        history_limit=0,
    )


@pytest.mark.parametrize(
    ("spec", "timing"),
    [
        ({"every": "90s"}, Timing(every=timedelta(seconds=90), anchor=CREATED)),
        (
            {"every": "90s", "startTime": "2026-12-24T18:00:00Z"},
            Timing(every=timedelta(seconds=90), anchor=AT, start=AT),
        ),
        ({"at": "2026-12-24T18:00:00Z"}, Timing(at=AT, anchor=CREATED)),
    ],
)
def test_timings(spec: dict[str, Any], timing: Timing) -> None:
    found = spec_of("Schedule", {"cron": None, **spec}).timing
    assert (found.every, found.at, found.anchor, found.start) == (timing.every, timing.at, timing.anchor, timing.start)


TEXT = "text/plain; charset=utf-8"


@pytest.mark.parametrize(
    ("body", "content", "content_type"),
    [
        (None, b"", None),
        ({}, b"", None),
        ({"json": None}, b"", None),
        ({"json": {"b": [1, 2.5, "ä"], "a": {"d": True, "c": ""}}}, '{"a":{"c":"","d":true},"b":[1,2.5,"ä"]}', "json"),
        ({"json": []}, "[]", "json"),
        ({"json": "text"}, '"text"', "json"),
        ({"json": 0}, "0", "json"),
        ({"json": False}, "false", "json"),
        ({"json": ""}, '""', "json"),
        ({"text": "grüße"}, "grüße", TEXT),
        ({"text": ""}, "", TEXT),
        ({"base64": "AAH/"}, b"\x00\x01\xff", "application/octet-stream"),
        ({"base64": ""}, b"", "application/octet-stream"),
        ({"text": "x" * 256 * KIBIBYTE}, "x" * 256 * KIBIBYTE, TEXT),
    ],
)
def test_bodies(body: dict[str, Any] | None, content: str | bytes, content_type: str | None) -> None:
    decoded = spec_of("Schedule", {"body": body})
    assert decoded.body == (content.encode() if isinstance(content, str) else content)
    assert decoded.content_type == ("application/json" if content_type == "json" else content_type)
    assert decoded.content_type_is_default == (content_type is not None)
    assert decoded.body_from is None


def test_body_from_a_config_map() -> None:
    decoded = spec_of("Schedule", {"body": {"configMapKeyRef": {"name": "reports", "key": "daily.json"}}})
    assert (decoded.body, decoded.body_from) == (b"", KeyRef("reports", "daily.json"))
    assert decoded.content_type == TEXT


@pytest.mark.parametrize("form", [{"json": 1}, {"text": "1"}, {"configMapKeyRef": {"name": "a", "key": "b"}}, None])
def test_a_given_content_type_wins(form: dict[str, Any] | None) -> None:
    given = spec_of("Schedule", {"body": form, "contentType": "a/b"})
    assert (given.content_type, given.content_type_is_default) == ("a/b", False)


SECRET = {"secretKeyRef": {"name": "auth", "key": "header"}}
BIG = base64.b64encode(bytes(256 * KIBIBYTE + 1)).decode()


def header(**fields: Any) -> dict[str, Any]:
    return {"headers": [{"name": "X-Team", **fields}]}


def to(**destination: Any) -> dict[str, Any]:
    return {"destination": destination}


def flow(**limits: Any) -> dict[str, Any]:
    return {"flowControl": limits}


def reported(**callback: Any) -> dict[str, Any]:
    return {"callback": {"url": "https://a.test", **callback}}


@pytest.mark.parametrize(
    ("kind", "spec", "reason", "message"),
    [
        ("Endpoint", {"url": None}, "InvalidURL", "spec.url: is missing"),
        ("Endpoint", {"url": ""}, "InvalidURL", "spec.url: is empty"),
        ("Endpoint", {"url": 7}, "InvalidURL", "spec.url: is 7; write a text"),
        ("Endpoint", {"url": "ftp://x/y"}, "InvalidURL", "spec.url: "),
        ("Endpoint", {"url": "http://u:p@x/"}, "InvalidURL", "Authorization"),
        ("Endpoint", {"url": "http://x:99999/"}, "InvalidURL", "65535"),
        ("Endpoint", {"method": "HEAD"}, "InvalidMethod", "spec.method: is 'HEAD'; write one of GET, POST"),
        ("Endpoint", {"timeout": "0s"}, "InvalidDuration", "spec.timeout: is 0s; write a duration from 1s to 2h"),
        ("Endpoint", {"timeout": "2h1s"}, "InvalidDuration", "1s to 2h"),
        ("Endpoint", {"timeout": "fast"}, "InvalidDuration", "spec.timeout: 'fast'"),
        ("Endpoint", {"timeout": "99999999999999999999d"}, "InvalidDuration", "spec.timeout"),
        ("Endpoint", {"retry": {"limit": -1}}, "InvalidRetryLimit", "spec.retry.limit: is -1; write a whole number"),
        ("Endpoint", {"retry": {"limit": 101}}, "InvalidRetryLimit", "0 to 100"),
        ("Endpoint", {"retry": {"limit": 10**5000}}, "InvalidRetryLimit", "many digits"),
        ("Endpoint", {"retry": {"limit": 1.5}}, "InvalidRetryLimit", "is 1.5"),
        ("Endpoint", {"retry": {"limit": True}}, "InvalidRetryLimit", "is true"),
        ("Endpoint", {"retry": {"delay": "pow(2"}}, "InvalidRetryDelay", "spec.retry.delay: "),
        ("Endpoint", {"retry": {"delay": "sleep(1)"}}, "InvalidRetryDelay", "sleep"),
        ("Endpoint", {"retry": 3}, "InvalidSpec", "spec.retry: is 3; write an object"),
        ("Endpoint", {"suspend": "yes"}, "InvalidSpec", "spec.suspend: is 'yes'; write true or false"),
        ("Endpoint", header(), "InvalidHeader", "spec.headers[X-Team]: has none of value, valueFrom"),
        ("Endpoint", header(value="a", valueFrom=SECRET), "InvalidHeader", "value and valueFrom"),
        ("Endpoint", header(value="a\nb"), "InvalidHeader", "spec.headers[X-Team].value: "),
        ("Endpoint", header(value=7), "InvalidHeader", "spec.headers[X-Team].value: is 7"),
        ("Endpoint", header(valueFrom={}), "InvalidHeader", "valueFrom.secretKeyRef: is missing"),
        (
            "Endpoint",
            header(valueFrom={"secretKeyRef": {"name": "a"}}),
            "InvalidHeader",
            "secretKeyRef.key: is missing",
        ),
        ("Endpoint", header(valueFrom={"secretKeyRef": {"name": "../a", "key": "b"}}), "InvalidHeader", "'../a'"),
        ("Endpoint", header(valueFrom={"secretKeyRef": {"name": "a", "key": "b/c"}}), "InvalidHeader", "'b/c'"),
        ("Endpoint", header(name="Content-Length", value="1"), "InvalidHeader", "set by Angarium"),
        ("Endpoint", header(name="X Team", value="1"), "InvalidHeader", "not an HTTP header name"),
        ("Endpoint", header(name="url", value=1), "InvalidHeader", "spec.headers[url].value"),
        ("Endpoint", header(name=None, value="1"), "InvalidHeader", "spec.headers[0].name: is missing"),
        ("Endpoint", {"headers": {}}, "InvalidHeader", "spec.headers: is an object; write a list"),
        ("Endpoint", {"headers": ["X-Team"]}, "InvalidHeader", "spec.headers[0]: is 'X-Team'"),
        (
            "Endpoint",
            {"headers": [{"name": "A", "value": "1"}, {"name": "a", "value": "2"}]},
            "InvalidHeader",
            "spec.headers[a]: stands there twice",
        ),
        ("Endpoint", {"tls": {"caSecretRef": {}}}, "InvalidSpec", "spec.tls.caSecretRef.name: is missing"),
        ("Topic", {"endpoints": [{"name": "a"}]}, "InvalidSpec", "spec.endpoints[a]: has none of endpointRef, url"),
        ("Topic", {"endpoints": [{"name": "a", "url": "nope"}]}, "InvalidURL", "spec.endpoints[a].url"),
        ("Topic", {"endpoints": [{"url": "http://x/"}]}, "InvalidSpec", "spec.endpoints[0].name: is missing"),
        ("Topic", {"endpoints": [{"name": "a", "url": "http://x"}] * 2}, "InvalidSpec", "twice"),
        ("Topic", {"selector": {"matchLabels": {"a": 1}}}, "InvalidSpec", "spec.selector.matchLabels[a]: is 1"),
        ("Token", {"access": "Root"}, "InvalidSpec", "spec.access: is 'Root'; write one of ReadWrite, ReadOnly"),
        ("Token", {"secretName": "a/b"}, "InvalidSpec", "spec.secretName: 'a/b'"),
        ("Schedule", {"cron": None}, "InvalidSpec", "has none of cron, every, at"),
        ("Schedule", {"every": "1h"}, "InvalidSpec", "has cron and every of"),
        ("Schedule", {"cron": "0 0 30 2 *"}, "InvalidCron", "spec.cron: "),
        ("Schedule", {"cron": "* * * * * *"}, "InvalidCron", "five"),
        ("Schedule", {"timeZone": "Mars/Olympus"}, "InvalidTimeZone", "spec.timeZone: "),
        ("Schedule", {"cron": None, "every": "0s"}, "InvalidInterval", "spec.every: "),
        ("Schedule", {"cron": None, "every": "366d"}, "InvalidInterval", "365d"),
        ("Schedule", {"cron": None, "every": "1.5h"}, "InvalidInterval", "spec.every: '1.5h'"),
        ("Schedule", {"cron": None, "at": "tomorrow"}, "InvalidTime", "spec.at: "),
        ("Schedule", {"startTime": "soon"}, "InvalidTime", "spec.startTime: "),
        (
            "Schedule",
            {"startTime": "2027-01-01T00:00:00Z", "endTime": "2026-01-01T00:00:00Z"},
            "InvalidTime",
            "endTime",
        ),
        ("Schedule", {"cron": "* * * * *", "jitter": "31s"}, "InvalidJitter", "spec.jitter: "),
        ("Schedule", {"startingDeadlineSeconds": 0}, "InvalidSpec", "spec.startingDeadlineSeconds: is 0"),
        ("Schedule", {"startingDeadlineSeconds": 10**18}, "InvalidSpec", "spec.startingDeadlineSeconds"),
        ("Schedule", {"missedRunPolicy": "Never"}, "InvalidSpec", "RunLatest, RunAll, Skip"),
        ("Schedule", {"concurrencyPolicy": ["Allow"]}, "InvalidSpec", "spec.concurrencyPolicy: is a list"),
        (
            "Schedule",
            {"historyLimit": 51},
            "InvalidSpec",
            "spec.historyLimit: is 51; write a whole number from 0 to 50",
        ),
        ("Schedule", {"destination": None}, "InvalidSpec", "spec.destination: is missing"),
        ("Schedule", to(), "InvalidSpec", "spec.destination: has none of url, endpointRef, topicRef"),
        ("Schedule", to(url="http://x", topicRef={"name": "a"}), "InvalidSpec", "url and topicRef"),
        ("Schedule", to(url="x"), "InvalidURL", "spec.destination.url: "),
        ("Schedule", to(topicRef={"name": ""}), "InvalidSpec", "spec.destination.topicRef.name: is empty"),
        ("Schedule", {"labels": ["a", ""]}, "InvalidLabel", "spec.labels[1]: is empty"),
        ("Schedule", {"labels": [1]}, "InvalidLabel", "spec.labels[0]: is 1"),
        ("Schedule", {"labels": ["x"] * 101}, "InvalidLabel", "at most 100"),
        ("Schedule", {"contentType": ""}, "InvalidContentType", "spec.contentType: "),
        ("Schedule", {"contentType": "a\r\nb"}, "InvalidContentType", "spec.contentType: "),
        ("Schedule", {"body": {"text": "a", "json": 1}}, "InvalidBody", "spec.body: has text and json"),
        ("Schedule", {"body": {"text": 1}}, "InvalidBody", "spec.body.text: is 1"),
        ("Schedule", {"body": {"text": "\ud800"}}, "InvalidBody", "spec.body.text: is not valid Unicode"),
        ("Schedule", {"body": {"text": "ä" * 128 * KIBIBYTE + "x"}}, "InvalidBody", "262145 bytes"),
        ("Schedule", {"body": {"json": "x" * 256 * KIBIBYTE}}, "InvalidBody", "spec.body.json: is 262146 bytes"),
        ("Schedule", {"body": {"json": {"a": float("nan")}}}, "InvalidBody", "spec.body.json: "),
        ("Schedule", {"body": {"json": ["\ud800"]}}, "InvalidBody", "spec.body.json: "),
        ("Schedule", {"body": {"json": {"a": 1, 2: 3}}}, "InvalidBody", "spec.body.json: "),
        ("Schedule", {"body": {"json": CREATED}}, "InvalidBody", "spec.body.json: "),
        ("Schedule", {"body": {"base64": "a"}}, "InvalidBody", "spec.body.base64: is not base64"),
        ("Schedule", {"body": {"base64": "a b="}}, "InvalidBody", "spec.body.base64: is not base64"),
        ("Schedule", {"body": {"base64": BIG}}, "InvalidBody", "262145 bytes"),
        ("Schedule", {"body": {"configMapKeyRef": {"key": "a"}}}, "InvalidBody", "configMapKeyRef.name: is missing"),
        ("Schedule", {"body": "hello"}, "InvalidBody", "spec.body: is 'hello'; write an object"),
        ("Endpoint", flow(), "InvalidFlowControl", "spec.flowControl: needs rate, parallelism or both"),
        ("Endpoint", flow(rate=0), "InvalidFlowControl", "spec.flowControl.rate: is 0; write a whole number from 1"),
        ("Endpoint", flow(rate=True), "InvalidFlowControl", "spec.flowControl.rate: is true"),
        ("Endpoint", flow(parallelism=10**9 + 1), "InvalidParallelism", "1 to 1000000000"),
        ("Endpoint", flow(rate=1, period="8d"), "InvalidFlowControl", "spec.flowControl.period: is 8d; write a"),
        ("Endpoint", flow(rate=1, period="0s"), "InvalidFlowControl", "1s to 7d"),
        ("Endpoint", flow(parallelism=1, period="1s"), "InvalidFlowControl", "goes with rate only"),
        ("Endpoint", {"flowControl": 10}, "InvalidFlowControl", "spec.flowControl: is 10; write an object"),
        ("Schedule", flow(key="endpoint/a", rate=1), "InvalidFlowControl", "must not begin with endpoint/"),
        ("Schedule", flow(key="schedule/b", rate=1), "InvalidFlowControl", "must not begin with endpoint/"),
        ("Schedule", flow(key="", rate=1), "InvalidFlowControl", "spec.flowControl.key: is empty"),
        ("Schedule", flow(key="ä" * 257, rate=1), "InvalidFlowControl", "514 bytes"),
        ("Schedule", flow(key="a"), "InvalidFlowControl", "needs rate"),
        ("Schedule", {"queueRef": {"name": "My_Queue"}}, "InvalidSpec", "spec.queueRef.name: 'My_Queue'"),
        ("Schedule", {"queueRef": {}}, "InvalidSpec", "spec.queueRef.name: is missing"),
        ("Schedule", {"callback": {}}, "InvalidCallback", "spec.callback: has none of url, endpointRef"),
        ("Schedule", reported(endpointRef={"name": "a"}), "InvalidCallback", "url and endpointRef"),
        ("Schedule", reported(url="a.test"), "InvalidURL", "spec.callback.url: "),
        ("Schedule", reported(timeout="3h"), "InvalidDuration", "spec.callback.timeout: is 3h"),
        ("Schedule", reported(retry={"limit": 101}), "InvalidRetryLimit", "spec.callback.retry.limit"),
        ("Schedule", reported(retry={"delay": "sleep(1)"}), "InvalidRetryDelay", "spec.callback.retry.delay"),
        ("Schedule", reported(**header(name="content-type", value="a/b")), "InvalidHeader", "always application/json"),
        ("Schedule", {"failureCallback": {"topicRef": {"name": "a"}}}, "InvalidCallback", "spec.failureCallback: has"),
        ("Schedule", {"redact": {"headers": ["X A"]}}, "InvalidRedaction", "spec.redact.headers: 'X A' is not an HTTP"),
        ("Schedule", {"redact": {"headers": ["X"] * 33}}, "InvalidRedaction", "at most 32"),
        ("Schedule", {"redact": {"body": 1}}, "InvalidRedaction", "spec.redact.body: is 1; write true or false"),
        (
            "Queue",
            {"parallelism": 0},
            "InvalidParallelism",
            "spec.parallelism: is 0; write a whole number",
        ),
        ("Queue", {"parallelism": 1001}, "InvalidParallelism", "1 to 1000"),
        ("Queue", {"parallelism": "1"}, "InvalidParallelism", "is '1'"),
        ("Queue", {"suspend": 1}, "InvalidSpec", "spec.suspend: is 1; write true or false"),
    ],
)
def test_rejections(kind: str, spec: dict[str, Any], reason: str, message: str) -> None:
    rejected = declared_of(kind, spec).spec
    assert isinstance(rejected, Rejection)
    assert rejected.reason == reason
    assert message in rejected.message


def test_a_spec_that_is_none() -> None:
    assert manifest.decode({**manifest_of("Endpoint"), "spec": None}).spec == Rejection(
        "InvalidSpec", "spec: is missing"
    )


@pytest.mark.parametrize("kind", [list, dict])
def test_a_body_may_be_60_levels_deep(kind: type) -> None:
    def nested(levels: int) -> Any:
        inner: Any = None
        for _ in range(levels):
            inner = [inner] if kind is list else {"a": inner}
        return inner

    assert not isinstance(declared_of("Schedule", {"body": {"json": nested(60)}}).spec, Rejection)
    rejected = declared_of("Schedule", {"body": {"json": nested(61)}}).spec
    assert rejected == Rejection("InvalidBody", "spec.body.json: is nested deeper than 60 levels; use text or base64")


def test_a_body_nested_without_end_is_refused() -> None:
    nested: list[Any] = []
    for _ in range(100_000):
        nested = [nested]
    rejected = declared_of("Schedule", {"body": {"json": nested}}).spec
    assert isinstance(rejected, Rejection)
    assert rejected.reason == "InvalidBody"
    while nested:  # freed one by one: the interpreter would need a deep stack to do it at once
        nested = nested.pop()


@pytest.mark.parametrize("case", [case for case in CASES if case.refusal is None], ids=lambda case: case.name)
def test_what_the_schema_accepts_is_accepted_or_refused_with_a_reason_of_its_own(case: Case) -> None:
    written = case.manifest
    written["metadata"] = manifest_of("Endpoint")["metadata"] | written["metadata"]
    spec = manifest.decode(written).spec
    assert not isinstance(spec, Rejection) or spec.reason != "InvalidSpec"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = sorted(field_names())
SPEC = st.recursive(
    JSON,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=12,
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(kind=st.sampled_from(sorted(SPECS)), spec=st.dictionaries(st.sampled_from(NAMES), SPEC, max_size=6))
def test_any_spec_is_accepted_or_rejected(kind: str, spec: dict[str, Any]) -> None:
    declared = manifest.decode(manifest_of(kind, spec))
    assert declared.fingerprint


@given(st.dictionaries(st.sampled_from(["apiVersion", "kind", "metadata", "spec", "status"]), JSON))
def test_any_dict_raises_nothing_but_invalid_input(broken: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        manifest.decode(broken)
