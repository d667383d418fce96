"""Good and bad manifests, and what a refusal must say: the same table judges the API server and dev mode.

A refusal names the field as the API server writes it, and either words of our own CEL message or the schema keyword
that is broken, because every validator has its own words for those.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import yaml

UNKNOWN = "unknown"
DUPLICATE = "duplicate"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Where a manifest breaks a rule. Exactly one of `message` and `keyword` is set.

    `keyword` is one of JSON Schema's (required, type, enum, pattern, format, minimum, maximum, minLength, maxLength,
    maxItems, minProperties, maxProperties), UNKNOWN for a field that does not exist, or DUPLICATE for an item that a
    list of type map or set holds twice.
    """

    path: str
    message: str = ""
    keyword: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """A manifest as YAML of its spec (empty: it has none); no refusal means that it is accepted."""

    kind: str
    name: str
    spec: str
    refusal: Refusal | None = None
    object_name: str = "sample"

    @property
    def manifest(self) -> dict[str, Any]:
        manifest = {"apiVersion": "angarium.dev/v1alpha1", "kind": self.kind, "metadata": {"name": self.object_name}}
        return manifest | ({"spec": yaml.load(self.spec, Loader=KubectlYaml)} if self.spec else {})


class KubectlYaml(yaml.SafeLoader):
    """kubectl leaves an unquoted time a string; PyYAML would make a datetime of it."""

    yaml_implicit_resolvers = {
        first: [(tag, rule) for tag, rule in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def says(path: str, message: str) -> Refusal:
    """A CEL rule of ours refuses, with these words in its message."""
    return Refusal(path, message=message)


def breaks(path: str, keyword: str) -> Refusal:
    """The schema itself refuses."""
    return Refusal(path, keyword=keyword)


def also(text: str) -> str:
    """An Endpoint that is sound but for what `text` adds."""
    return f"{{url: 'https://a.test/', {text}}}"


def headers(*items: str) -> str:
    return also(f"headers: [{', '.join(items)}]")


def named(name: str) -> str:
    return headers(f"{{name: {name}, value: x}}")


def valued(value: str) -> str:
    return headers(f"{{name: X-A, value: {value}}}")


def members(*items: str) -> str:
    return f"{{endpoints: [{', '.join(items)}]}}"


def hourly(text: str) -> str:
    """A Schedule that is sound but for what `text` adds."""
    return f"{{every: 1h, destination: {{url: 'https://a.test/'}}, {text}}}"


def timed(text: str) -> str:
    """A Schedule that is sound but for when it fires."""
    return f"{{destination: {{topicRef: {{name: orders}}}}, {text}}}"


def flow(limits: str) -> str:
    return hourly(f"flowControl: {limits}")


def reported_to(callback: str) -> str:
    return hourly(f"callback: {callback}")


def redacted(redact: str) -> str:
    return hourly(f"redact: {redact}")


def sent_to(destination: str) -> str:
    return f"{{every: 1h, destination: {destination}}}"


FULL_ENDPOINT = """
url: https://billing.shop.svc:8443/hooks?tenant=7
method: PUT
headers:
- {name: X-Team, value: pay}
- {name: X-Empty, value: ""}
- {name: Authorization, valueFrom: {secretKeyRef: {name: billing-auth, key: header.txt}}}
timeout: 1h30m
retry: {limit: 0, delay: "pow(2, retried) * 1000"}
flowControl: {rate: 10, period: 1m, parallelism: 5}
tls: {caSecretRef: {name: ca}, clientCertificateSecretRef: {name: client}, serverName: billing.internal}
suspend: true
"""

FULL_TOPIC = """
endpoints:
- {name: billing, endpointRef: {name: billing}}
- {name: Audit_1, url: "https://audit.example.com/in"}
selector: {matchLabels: {events: orders, example.com/team: ""}}
"""

FULL_SCHEDULE = """
cron: "0 6 * * 1-5"
timeZone: America/Argentina/Buenos_Aires
startTime: 2026-12-01T00:00:00Z
endTime: "2026-12-01T01:00:00.5+00:30"
jitter: 30s
suspend: true
startingDeadlineSeconds: 600
missedRunPolicy: RunAll
concurrencyPolicy: Replace
destination: {endpointRef: {name: reports}}
method: PATCH
headers: [{name: X-Report, value: daily}]
timeout: 2h
retry: {limit: 100}
body: {json: {report: daily, pages: [1, 2.5, {last: true}]}}
contentType: application/cloudevents+json; charset=utf-8
labels: [daily, "two words"]
flowControl: {key: warehouse, rate: 1, period: 7d, parallelism: 1000000000}
queueRef: {name: reports}
callback:
  endpointRef: {name: audit}
  method: PUT
  headers:
  - {name: X-Team, value: pay}
  - {name: Authorization, valueFrom: {secretKeyRef: {name: audit-auth, key: header}}}
  timeout: 30s
  retry: {limit: 0, delay: "1000"}
failureCallback: {url: "https://alerts.shop.svc/failed?to=on-call"}
redact: {body: true, headers: [Authorization, x-secret]}
historyLimit: 0
"""

SECRET_TWICE = "{name: X-A, value: a, valueFrom: {secretKeyRef: {name: s, key: k}}}"
OURS = ("Host", "CONTENT-LENGTH", "User-Agent", "upstash-signature", "Upstash-Anything")
HOP_BY_HOP = (
    "Connection", "Expect", "keep-alive", "TE", "Trailer", "Transfer-Encoding", "UPGRADE", "Proxy-Authorization",
)  # fmt: skip
MACROS = ("@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually")

endpoint: Callable[..., Case] = partial(Case, "Endpoint")
topic: Callable[..., Case] = partial(Case, "Topic")
schedule: Callable[..., Case] = partial(Case, "Schedule")
queue: Callable[..., Case] = partial(Case, "Queue")
token: Callable[..., Case] = partial(Case, "Token")

ENDPOINTS = (
    endpoint("nothing but a URL", "{url: 'http://a.test'}"),
    endpoint("every field", FULL_ENDPOINT),
    endpoint("an IPv6 address", "{url: 'http://[::1]:8080/in'}"),
    endpoint("an at sign in path and query", "{url: 'https://a.test/@me?to=x@y.test'}"),
    endpoint("an upper-case scheme with tls", "{url: 'HTTPS://a.test/', tls: {serverName: ''}}"),
    endpoint("a header name of signs", named('"!#$%&\'*+-.^_`|~"')),
    endpoint("header names that look like patterns", headers("{name: A.C, value: x}", "{name: ABC, value: x}")),
    endpoint("header names near a reserved one", headers("{name: Hostname, value: x}", "{name: Tea, value: x}")),
    endpoint("a tab in a value", valued(r'"a\tb"')),
    endpoint("a content type", named("Content-Type")),
    endpoint("no spec", "", breaks("spec", "required")),
    endpoint("no URL", "{method: PUT}", breaks("spec.url", "required")),
    endpoint("a long URL", f"{{url: 'https://a.test/{'x' * 2048}'}}", breaks("spec.url", "maxLength")),
    endpoint("another scheme", "{url: 'ftp://a.test/'}", says("spec.url", "must start with http:// or https://")),
    endpoint("no host", "{url: 'http:///hooks'}", says("spec.url", "and a host")),
    endpoint("a port alone", "{url: 'http://:8080/'}", says("spec.url", "and a host")),
    endpoint("user info", "{url: 'https://me:pw@a.test/'}", says("spec.url", "must not hold a user name")),
    endpoint("a fragment", "{url: 'https://a.test/#top'}", says("spec.url", "must not have a fragment")),
    endpoint("a space", "{url: 'https://a.test/a b'}", says("spec.url", "percent-encode")),
    endpoint("a line break in the URL", r'{url: "https://a.test/\n"}', says("spec.url", "percent-encode")),
    endpoint("an international host", "{url: 'https://bücher.test/'}", says("spec.url", "xn--")),
    endpoint("tls over http", "{url: 'http://a.test/', tls: {}}", says("spec.tls", "starts with https://")),
    endpoint("a lower-case method", also("method: post"), breaks("spec.method", "enum")),
    endpoint("HEAD", also("method: HEAD"), breaks("spec.method", "enum")),
    endpoint("a fraction of a second", also("timeout: 1.5s"), says("spec.timeout", "whole numbers")),
    endpoint("a time without unit", also("timeout: '30'"), says("spec.timeout", "with a unit")),
    endpoint("a number as time", also("timeout: 30"), breaks("spec.timeout", "type")),
    endpoint("a time and a line break", also(r'timeout: "30s\n"'), says("spec.timeout", "with a unit")),
    endpoint("too many retries", also("retry: {limit: 101}"), breaks("spec.retry.limit", "maximum")),
    endpoint("fewer than no retries", also("retry: {limit: -1}"), breaks("spec.retry.limit", "minimum")),
    endpoint("an empty delay", also("retry: {delay: ''}"), breaks("spec.retry.delay", "minLength")),
    endpoint("a long delay", also(f"retry: {{delay: '{'1+' * 128}1'}}"), breaks("spec.retry.delay", "maxLength")),
    endpoint("no value", headers("{name: X-A}"), says("spec.headers[0]", "exactly one of value and valueFrom")),
    endpoint("two values", headers(SECRET_TWICE), says("spec.headers[0]", "exactly one of value and valueFrom")),
    endpoint("a name with a space", named("X A"), says("spec.headers[0].name", "HTTP header name")),
    endpoint("an empty name", named("''"), says("spec.headers[0].name", "HTTP header name")),
    endpoint("a line break in a value", valued(r'"a\r\nX-B: b"'), says("spec.headers[0].value", "line breaks")),
    endpoint("a NUL in a value", valued(r'"a\0"'), says("spec.headers[0].value", "control characters")),
    endpoint("a value that YAML takes for a boolean", valued("yes"), breaks("spec.headers[0].value", "type")),
    endpoint(
        "one header in two spellings",
        headers("{name: X-A, value: a}", "{name: X-B, value: b}", "{name: x-a, value: c}"),
        says("spec.headers", "must name each header once"),
    ),
    endpoint(
        "one header twice",
        headers("{name: X-A, value: a}", "{name: X-A, value: b}"),
        breaks("spec.headers[1]", DUPLICATE),
    ),
    endpoint(
        "a value from nowhere",
        headers("{name: X-A, valueFrom: {}}"),
        breaks("spec.headers[0].valueFrom.secretKeyRef", "required"),
    ),
    endpoint(
        "33 headers",
        headers(*(f"{{name: X-{number}, value: x}}" for number in range(33))),
        breaks("spec.headers", "maxItems"),
    ),
    *(endpoint(f"header {name}", named(name), says("spec.headers[0].name", "set by Angarium")) for name in OURS),
    *(
        endpoint(f"header {name}", named(name), says("spec.headers[0].name", "belongs to the connection"))
        for name in HOP_BY_HOP
    ),
    endpoint(
        "an impossible Secret name",
        also("tls: {caSecretRef: {name: Ca}}"),
        breaks("spec.tls.caSecretRef.name", "pattern"),
    ),
    endpoint("a rate alone", also("flowControl: {rate: 10}")),
    endpoint("a parallelism alone", also("flowControl: {parallelism: 1}")),
    endpoint("no limits", also("flowControl: {}"), says("spec.flowControl", "needs rate, parallelism or both")),
    endpoint(
        "a period without rate",
        also("flowControl: {parallelism: 2, period: 1s}"),
        says("spec.flowControl.period", "goes with rate only"),
    ),
    endpoint("a rate of nothing", also("flowControl: {rate: 0}"), breaks("spec.flowControl.rate", "minimum")),
    endpoint("a rate beyond all", also("flowControl: {rate: 1000000001}"), breaks("spec.flowControl.rate", "maximum")),
    endpoint("a rate in words", also("flowControl: {rate: '10/s'}"), breaks("spec.flowControl.rate", "type")),
    endpoint(
        "a parallelism of nothing",
        also("flowControl: {parallelism: 0}"),
        breaks("spec.flowControl.parallelism", "minimum"),
    ),
    endpoint(
        "a period without unit",
        also("flowControl: {rate: 1, period: '60'}"),
        says("spec.flowControl.period", "whole numbers with a unit"),
    ),
    endpoint("a key of its own", also("flowControl: {key: a, rate: 1}"), breaks("spec.flowControl.key", UNKNOWN)),
    endpoint("a callback", also("callback: {url: 'https://a.test/'}"), breaks("spec.callback", UNKNOWN)),
    endpoint("a misspelt field", also("timeuot: 30s"), breaks("spec.timeuot", UNKNOWN)),
    endpoint("a misspelt field without value", also("timeuot: null"), breaks("spec.timeuot", UNKNOWN)),
    endpoint(
        "a rate beyond 64 bits",
        also("flowControl: {rate: 9223372036854775808}"),
        breaks("spec.flowControl.rate", "type"),
    ),
)

TOPICS = (
    topic("every field", FULL_TOPIC),
    topic("a list alone", members("{name: billing, endpointRef: {name: billing}}")),
    topic("a selector alone", "{selector: {matchLabels: {events: orders}}}"),
    topic("an empty list beside a selector", "{endpoints: [], selector: {matchLabels: {events: orders}}}"),
    topic("no spec", "", breaks("spec", "required")),
    topic("no members", "{}", says("spec", "needs members")),
    topic("an empty list", members(), says("spec", "needs members")),
    topic(
        "a selector of everything",
        "{selector: {matchLabels: {}}}",
        breaks("spec.selector.matchLabels", "minProperties"),
    ),
    topic("a selector without labels", "{selector: {}}", breaks("spec.selector.matchLabels", "required")),
    topic(
        "a member that is nothing",
        members("{name: a}"),
        says("spec.endpoints[0]", "exactly one of endpointRef and url"),
    ),
    topic(
        "a member that is both",
        members("{name: a, url: 'http://a.test', endpointRef: {name: a}}"),
        says("spec.endpoints[0]", "exactly one of endpointRef and url"),
    ),
    topic(
        "a member twice",
        members("{name: a, url: 'http://a.test'}", "{name: a, url: 'http://b.test'}"),
        breaks("spec.endpoints[1]", DUPLICATE),
    ),
    topic("a member without name", members("{url: 'http://a.test'}"), breaks("spec.endpoints[0].name", "required")),
    topic(
        "a member with a bad name",
        members("{name: 'a b', url: 'http://a.test'}"),
        breaks("spec.endpoints[0].name", "pattern"),
    ),
    topic(
        "a member at no URL", members("{name: a, url: a.test}"), says("spec.endpoints[0].url", "must start with http")
    ),
    topic(
        "a label name with a space",
        "{selector: {matchLabels: {'a b': c}}}",
        says("spec.selector.matchLabels", "must have label names as keys"),
    ),
    topic(
        "a label value with a space",
        "{selector: {matchLabels: {a: 'b c'}}}",
        breaks("spec.selector.matchLabels.a", "pattern"),
    ),
)

SCHEDULES = (
    schedule("every field", FULL_SCHEDULE),
    schedule("an interval", timed("every: 90s")),
    schedule("one time, unquoted", timed("at: 2026-12-24T18:00:00Z")),
    schedule("one time with an offset", timed("at: '2026-12-24T18:00:00.25+01:00'")),
    schedule("an offset of a day", timed("at: '2026-12-24T18:00:00+24:00'")),
    schedule("the year 0", timed("at: '0000-01-01T00:00:00Z'")),
    schedule(
        "a window with an offset of a day",
        hourly("startTime: '2026-12-24T18:00:00+24:00', endTime: '2026-12-24T00:00:00Z'"),
    ),
    schedule("a time in lower case", timed("at: '2026-12-24t18:00:00z'"), says("spec", "exactly one of cron")),
    schedule("cron with names, lists and steps", timed("cron: '*/5,7 H(0-3)/2 L JAN-MAR,APR FRI#1'")),
    schedule("cron with a hash", timed("cron: 'H H * * *'")),
    schedule("cron with blanks around", timed("cron: ' 0  6 * * * '")),
    *(schedule(macro, timed(f"cron: '{macro}'")) for macro in MACROS),
    schedule("a text body", hourly("body: {text: ''}")),
    schedule("a JSON number as body", hourly("body: {json: 5}")),
    schedule("a JSON text as body", hourly("body: {json: hello}")),
    schedule("a JSON list as body", hourly("body: {json: [1, {a: []}]}")),
    schedule("a base64 body", hourly("body: {base64: aGVsbG8=}")),
    schedule("a body from a ConfigMap", hourly("body: {configMapKeyRef: {name: reports, key: daily.json}}")),
    schedule("an empty body", hourly("body: {}")),
    schedule("no spec", "", breaks("spec", "required")),
    schedule("no destination", "{every: 1h}", breaks("spec.destination", "required")),
    schedule("no time", timed("suspend: false"), says("spec", "exactly one of cron, every and at")),
    schedule("two times", timed("every: 1h, cron: '@daily'"), says("spec", "exactly one of cron, every and at")),
    schedule(
        "three times", timed("every: 1h, cron: '@daily', at: 2026-12-24T18:00:00Z"), says("spec", "exactly one of cron")
    ),
    schedule("a destination that is nothing", sent_to("{}"), says("spec.destination", "exactly one of url")),
    schedule(
        "a destination that is two",
        sent_to("{endpointRef: {name: a}, topicRef: {name: a}}"),
        says("spec.destination", "exactly one of url, endpointRef and topicRef"),
    ),
    schedule("a destination without host", sent_to("{url: 'https://'}"), says("spec.destination.url", "and a host")),
    schedule(
        "a destination by a bad name",
        sent_to("{topicRef: {name: A_b}}"),
        breaks("spec.destination.topicRef.name", "pattern"),
    ),
    schedule(
        "a destination in a queue", sent_to("{queueRef: {name: a}}"), breaks("spec.destination.queueRef", UNKNOWN)
    ),
    schedule("six fields", timed("cron: '0 0 6 * * 1'"), says("spec.cron", "exactly five fields")),
    schedule("four fields", timed("cron: '0 6 * *'"), says("spec.cron", "exactly five fields")),
    schedule("an empty cron", timed("cron: ''"), says("spec.cron", "exactly five fields")),
    schedule("@reboot", timed("cron: '@reboot'"), says("spec.cron", "knows only the macros")),
    schedule("@every", timed("cron: '@every 90s'"), says("spec.cron", "for an interval use spec.every")),
    schedule("@Daily", timed("cron: '@Daily'"), says("spec.cron", "knows only the macros")),
    schedule("TZ=", timed("cron: 'TZ=Europe/Berlin 0 6 * * *'"), says("spec.cron", "write it into spec.timeZone")),
    schedule("CRON_TZ=", timed("cron: 'CRON_TZ=UTC @daily'"), says("spec.cron", "write it into spec.timeZone")),
    schedule("a question mark", timed("cron: '0 6 ? * 1'"), says("spec.cron", "write * instead")),
    schedule("R", timed("cron: 'R 6 * * *'"), says("spec.cron", "write H instead")),
    schedule("R in a list", timed("cron: '0,r/5 6 * * *'"), says("spec.cron", "write H instead")),
    schedule("R with a range", timed("cron: '0 R(0-5) * * *'"), says("spec.cron", "write H instead")),
    schedule("a long cron", timed(f"cron: '{'0,' * 128}0 6 * * *'"), breaks("spec.cron", "maxLength")),
    schedule(
        "a zone with an interval", timed("every: 1h, timeZone: UTC"), says("spec.timeZone", "goes with cron only")
    ),
    schedule(
        "a zone with a space", timed("cron: '@daily', timeZone: Europe/ Berlin"), breaks("spec.timeZone", "pattern")
    ),
    schedule("an interval without unit", timed("every: 1x"), says("spec.every", "whole numbers with a unit")),
    schedule("a date alone", timed("at: 2026-12-24"), breaks("spec.at", "format")),
    schedule("a time without offset", timed("at: 2026-12-24T18:00:00"), breaks("spec.at", "format")),
    schedule("a day that does not exist", timed("at: 2026-02-30T00:00:00Z"), breaks("spec.at", "format")),
    schedule(
        "a window that ends as it starts",
        hourly("startTime: 2026-12-01T00:00:00Z, endTime: 2026-12-01T01:00:00+01:00"),
        says("spec.endTime", "must be later than startTime"),
    ),
    schedule("a jitter without unit", hourly("jitter: '30'"), says("spec.jitter", "whole numbers with a unit")),
    schedule(
        "no deadline at all", hourly("startingDeadlineSeconds: 0"), breaks("spec.startingDeadlineSeconds", "minimum")
    ),
    schedule("an unknown policy", hourly("missedRunPolicy: runLatest"), breaks("spec.missedRunPolicy", "enum")),
    schedule("an unknown concurrency", hourly("concurrencyPolicy: Queue"), breaks("spec.concurrencyPolicy", "enum")),
    schedule("a long history", hourly("historyLimit: 51"), breaks("spec.historyLimit", "maximum")),
    schedule("two bodies", hourly("body: {text: a, json: {a: 1}}"), breaks("spec.body", "maxProperties")),
    schedule("an unknown body", hourly("body: {yaml: a}"), breaks("spec.body.yaml", UNKNOWN)),
    schedule("bad base64", hourly("body: {base64: aGVsbG8}"), breaks("spec.body.base64", "pattern")),
    schedule("a long body", hourly(f"body: {{text: '{'x' * 262145}'}}"), breaks("spec.body.text", "maxLength")),
    schedule(
        "a content type of one word", hourly("contentType: json"), says("spec.contentType", "must be a media type")
    ),
    schedule(
        "a line break in it", hourly(r'contentType: "text/plain;\n"'), says("spec.contentType", "must be a media type")
    ),
    schedule(
        "a content type among the headers",
        hourly("headers: [{name: content-type, value: text/csv}]"),
        says("spec.headers", "use spec.contentType"),
    ),
    schedule(
        "a reserved header",
        hourly("headers: [{name: Host, value: a}]"),
        says("spec.headers[0].name", "set by Angarium"),
    ),
    schedule("a comma in a label", hourly("labels: ['a,b']"), says("spec.labels[0]", "must not contain commas")),
    schedule(
        "a label with blanks around", hourly("labels: [' a']"), says("spec.labels[0]", "begin or end with a space")
    ),
    schedule("an empty label", hourly("labels: ['']"), breaks("spec.labels[0]", "minLength")),
    schedule("a label three times", hourly("labels: [a, a, a]"), breaks("spec.labels[1]", DUPLICATE)),
    schedule("a label twice", hourly("labels: [a, b, a]"), breaks("spec.labels[2]", DUPLICATE)),
    schedule("a key of the Schedule's own", flow("{rate: 10, period: 1m}")),
    schedule("a key with blanks and slashes", flow("{key: 'shops/north sea', parallelism: 3}")),
    schedule("a key that only begins like ours", flow("{key: 'endpoints/a', parallelism: 3}")),
    schedule("a key and no limits", flow("{key: a}"), says("spec.flowControl", "needs rate, parallelism or both")),
    schedule("an empty key", flow("{key: '', rate: 1}"), breaks("spec.flowControl.key", "minLength")),
    schedule("a long key", flow(f"{{key: '{'k' * 513}', rate: 1}}"), breaks("spec.flowControl.key", "maxLength")),
    schedule("an Endpoint's key", flow("{key: endpoint/a, rate: 1}"), says("spec.flowControl.key", "choose another")),
    schedule("a Schedule's key", flow("{key: schedule/a, rate: 1}"), says("spec.flowControl.key", "choose another")),
    schedule(
        "a line break in a key", flow(r'{key: "a\n", rate: 1}'), says("spec.flowControl.key", "control characters")
    ),
    schedule("a rate below one", flow("{rate: -1}"), breaks("spec.flowControl.rate", "minimum")),
    schedule(
        "a period with parallelism alone",
        flow("{parallelism: 1, period: 1s}"),
        says("spec.flowControl.period", "goes with rate only"),
    ),
    schedule("a queue", hourly("queueRef: {name: reports.eu-1}")),
    schedule("a queue without name", hourly("queueRef: {}"), breaks("spec.queueRef.name", "required")),
    schedule("a queue by a bad name", hourly("queueRef: {name: My_Queue}"), breaks("spec.queueRef.name", "pattern")),
    schedule("a queue as text", hourly("queueRef: reports"), breaks("spec.queueRef", "type")),
    schedule("a callback to an Endpoint", reported_to("{endpointRef: {name: audit}}")),
    schedule("both callbacks", hourly("callback: {url: 'http://a.test'}, failureCallback: {endpointRef: {name: a}}")),
    schedule("a callback to nobody", reported_to("{}"), says("spec.callback", "exactly one of url and endpointRef")),
    schedule(
        "a callback to two",
        reported_to("{url: 'http://a.test', endpointRef: {name: a}}"),
        says("spec.callback", "exactly one of url and endpointRef"),
    ),
    schedule(
        "a callback to a Topic",
        reported_to("{url: 'http://a.test', topicRef: {name: a}}"),
        breaks("spec.callback.topicRef", UNKNOWN),
    ),
    schedule("a callback at no URL", reported_to("{url: a.test}"), says("spec.callback.url", "must start with http")),
    schedule(
        "a callback with a password",
        reported_to("{url: 'https://me:pw@a.test/'}"),
        says("spec.callback.url", "must not hold a user name"),
    ),
    schedule(
        "a callback by HEAD",
        reported_to("{url: 'http://a.test', method: HEAD}"),
        breaks("spec.callback.method", "enum"),
    ),
    schedule(
        "a callback with a time without unit",
        reported_to("{url: 'http://a.test', timeout: '30'}"),
        says("spec.callback.timeout", "with a unit"),
    ),
    schedule(
        "a callback with too many retries",
        reported_to("{url: 'http://a.test', retry: {limit: 101}}"),
        breaks("spec.callback.retry.limit", "maximum"),
    ),
    schedule(
        "a content type of a callback",
        reported_to("{url: 'http://a.test', headers: [{name: content-type, value: text/csv}]}"),
        says("spec.callback.headers", "always application/json"),
    ),
    schedule(
        "a callback's header without value",
        reported_to("{url: 'http://a.test', headers: [{name: X-A}]}"),
        says("spec.callback.headers[0]", "exactly one of value and valueFrom"),
    ),
    schedule(
        "a callback's header in two spellings",
        reported_to("{url: 'http://a.test', headers: [{name: X-A, value: a}, {name: x-a, value: b}]}"),
        says("spec.callback.headers", "must name each header once"),
    ),
    schedule(
        "a failure callback to nobody",
        hourly("failureCallback: {method: PUT}"),
        says("spec.failureCallback", "exactly one of url and endpointRef"),
    ),
    schedule(
        "a reserved header of a failure callback",
        hourly("failureCallback: {url: 'http://a.test', headers: [{name: Host, value: a}]}"),
        says("spec.failureCallback.headers[0].name", "set by Angarium"),
    ),
    schedule(
        "a callback of a callback",
        reported_to("{url: 'http://a.test', callback: {url: 'http://b.test'}}"),
        breaks("spec.callback.callback", UNKNOWN),
    ),
    schedule("a hidden body", redacted("{body: true}")),
    schedule("all headers hidden", redacted("{headers: ['*']}")),
    schedule("nothing hidden", redacted("{}")),
    schedule(
        "a hidden header that is none", redacted("{headers: ['X A']}"), says("spec.redact.headers[0]", "header name")
    ),
    schedule("a hidden header twice", redacted("{headers: [A, B, A]}"), breaks("spec.redact.headers[2]", DUPLICATE)),
    schedule("a body hidden in words", redacted("{body: 'yes'}"), breaks("spec.redact.body", "type")),
    schedule(
        "33 hidden headers",
        redacted(f"{{headers: [{', '.join(f'X-{number}' for number in range(33))}]}}"),
        breaks("spec.redact.headers", "maxItems"),
    ),
    schedule("tls", hourly("tls: {}"), breaks("spec.tls", UNKNOWN)),
)

TOKENS = (
    token("no spec", ""),
    token("nothing chosen", "{}"),
    token("every field", "{access: PublishOnly, secretName: shop.qstash-1}"),
    token("the longest name that leaves room for the Secret's", "{}", None, "a" * 246),
    token("a longer name and a Secret's", "{secretName: a}", None, "a" * 247),
    token("a longer name", "{}", says("", "needs spec.secretName"), "a" * 247),
    token("an unknown access", "{access: readonly}", breaks("spec.access", "enum")),
    token("an impossible Secret name", "{secretName: Shop}", breaks("spec.secretName", "pattern")),
    token("an unknown field", "{scopes: [a]}", breaks("spec.scopes", UNKNOWN)),
)

QUEUES = (
    queue("no spec", ""),
    queue("nothing chosen", "{}"),
    queue("every field", "{parallelism: 1000, suspend: true}"),
    queue("a name with dots", "{}", None, "reports.eu-1"),
    queue("no places", "{parallelism: 0}", breaks("spec.parallelism", "minimum")),
    queue("too many places", "{parallelism: 1001}", breaks("spec.parallelism", "maximum")),
    queue("a half place", "{parallelism: 1.5}", breaks("spec.parallelism", "type")),
    queue("places in words", "{parallelism: '5'}", breaks("spec.parallelism", "type")),
    queue("suspended in words", "{suspend: 'yes'}", breaks("spec.suspend", "type")),
    queue("paused", "{paused: true}", breaks("spec.paused", UNKNOWN)),
    queue("a destination", "{url: 'https://a.test/'}", breaks("spec.url", UNKNOWN)),
)

CASES = ENDPOINTS + TOPICS + SCHEDULES + QUEUES + TOKENS
