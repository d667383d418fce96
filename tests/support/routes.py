"""Every row of contract 7 as a request, and a tenant that has one of everything the rows are about."""

import json
from dataclasses import dataclass
from urllib.parse import quote

from tests.support.api import Api, Reply, attempt

from angarium.domain.messages import Response

SECRET = "crown"
"""Stands in everything that only the tenant may see."""

URL = f"https://{SECRET}.test/in"
QUEUE, SCHEDULE, TOPIC, KEY = "the-queue", "the-schedule", "the-topic", "the/key"
JSON = ("Content-Type", "application/json")


@dataclass(frozen=True, slots=True)
class Row:
    """A request to one route. In `path` and `body`, `{message}` and `{dlq}` stand for ids.

    `status`: for whoever owns what is named; `foreign`: for another tenant, who has nothing of these names.
    """

    method: str
    path: str
    status: int = 200
    foreign: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True, slots=True)
class Named:
    """The ids of what was made."""

    message: str
    dlq: str

    def of(self, text: str) -> str:
        return text.replace("{message}", self.message).replace("{dlq}", self.dlq)


def _json(value: object) -> str:
    return json.dumps(value)


_CRON = (("Upstash-Cron", "0 4 * * *"), ("Upstash-Schedule-Id", SCHEDULE))
_ENDPOINTS = _json({"endpoints": [{"url": "https://e.test/added", "name": "added"}]})
_FLOW = f"/v2/flowControl/{quote(KEY)}"

READS = (
    Row("GET", "/v2/messages/{message}", foreign=404),
    Row("GET", "/v2/events"),
    Row("GET", "/v2/events?messageIds={message}"),
    Row("GET", "/v2/logs"),
    Row("GET", "/v2/dlq"),
    Row("GET", "/v2/dlq?dlqIds={dlq}"),
    Row("GET", "/v2/dlq/{dlq}", foreign=404),
    Row("GET", "/v2/queues"),
    Row("GET", f"/v2/queues/{QUEUE}", foreign=404),
    Row("GET", "/v2/schedules"),
    Row("GET", f"/v2/schedules/{SCHEDULE}", foreign=404),
    Row("GET", "/v2/topics"),
    Row("GET", f"/v2/topics/{TOPIC}", foreign=404),
    Row("GET", "/v2/flowControl"),
    Row("GET", "/v2/flowControl?search=key"),
    Row("GET", _FLOW, foreign=404),
    Row("GET", "/v2/globalParallelism"),
)
KEYS = Row("GET", "/v2/keys")
PUBLIC = Row("GET", "/openapi.yaml")
PUBLISHES = (
    Row("POST", "/v2/publish/https://e.test"),
    Row("POST", f"/v2/publish/{TOPIC}", foreign=404),
    Row("POST", f"/v2/enqueue/{QUEUE}/https://e.test"),
    Row("POST", "/v2/batch", headers=(JSON,), body=_json([{"destination": "https://e.test", "queue": QUEUE}])),
)
CHANGES = (
    Row("DELETE", "/v2/messages/{message}", foreign=404),
    Row("DELETE", "/v2/messages"),
    Row("DELETE", "/v2/messages?messageIds={message}"),
    Row("DELETE", "/v2/messages", headers=(JSON,), body=_json({"messageIds": ["{message}"]})),
    Row("DELETE", f"/v2/messages?queueName={QUEUE}&count=100"),
    Row("DELETE", "/v2/dlq/{dlq}", foreign=404),
    Row("DELETE", "/v2/dlq"),
    Row("DELETE", "/v2/dlq", headers=(JSON,), body=_json({"dlqIds": ["{dlq}"]})),
    Row("POST", "/v2/dlq/retry", status=201, foreign=201),
    Row("POST", "/v2/dlq/retry?dlqIds={dlq}", status=201, foreign=404),
    Row("POST", "/v2/dlq/retry/{dlq}", status=201, foreign=404),
    Row("POST", "/v2/queues", headers=(JSON,), body=_json({"queueName": QUEUE, "parallelism": 7, "paused": True})),
    Row("DELETE", f"/v2/queues/{QUEUE}"),
    Row("POST", f"/v2/queues/{QUEUE}/pause", foreign=404),
    Row("POST", f"/v2/queues/{QUEUE}/resume", foreign=404),
    Row("POST", "/v2/schedules/https://e.test", headers=_CRON),
    Row("POST", f"/v2/schedules/{TOPIC}", headers=_CRON, foreign=404),
    Row("POST", "/v2/publish/https://e.test", headers=_CRON),
    Row("DELETE", f"/v2/schedules/{SCHEDULE}"),
    Row("PATCH", f"/v2/schedules/{SCHEDULE}/pause", foreign=404),
    Row("PATCH", f"/v2/schedules/{SCHEDULE}/resume", foreign=404),
    Row("POST", f"/v2/schedules/{SCHEDULE}/pause", foreign=404),
    Row("POST", f"/v2/schedules/{SCHEDULE}/resume", foreign=404),
    Row("DELETE", f"/v2/topics/{TOPIC}"),
    Row("PATCH", f"/v2/topics/{TOPIC}", headers=(JSON,), body=_json({"headers": {"X-A": ["1"]}}), foreign=404),
    Row("POST", f"/v2/topics/{TOPIC}/endpoints", headers=(JSON,), body=_ENDPOINTS),
    Row("DELETE", f"/v2/topics/{TOPIC}/endpoints", headers=(JSON,), body=_ENDPOINTS, foreign=404),
    Row("POST", f"{_FLOW}/pause"),
    Row("POST", f"{_FLOW}/resume"),
    Row("POST", f"{_FLOW}/pin?parallelism=1&rate=2&period=3"),
    Row("POST", f"{_FLOW}/unpin?parallelism=true&rate=true"),
    Row("POST", f"{_FLOW}/resetRate"),
    Row("POST", f"{_FLOW}/reset"),
    Row("POST", "/v2/keys/rotate"),
)
ROWS = (*PUBLISHES, *READS, KEYS, *CHANGES, PUBLIC)


async def send(api: Api, row: Row, named: Named, token: str) -> Reply:
    """The request of a row, with this token."""
    headers = (*row.headers, ("Authorization", f"Bearer {token}"))
    return await api.request(row.method, named.of(row.path), *headers, body=named.of(row.body).encode())


async def furnish(api: Api) -> Named:
    """Give the tenant a dead letter, a message that waits, a queue, a schedule, a topic and a flow-control key."""
    hidden = (("Upstash-Forward-X-Hidden", SECRET), ("Upstash-Label", SECRET))
    await api.publish(f"{URL}/dead", ("Upstash-Retries", "0"), *hidden, body=SECRET.encode())
    await attempt(api, Response(500, (("X-Answer", SECRET),), SECRET.encode()))
    (letter,) = (await api.request("GET", "/v2/dlq")).json["messages"]
    limits = (("Upstash-Flow-Control-Key", KEY), ("Upstash-Flow-Control-Value", "rate=4, period=1m"))
    target = f"/v2/enqueue/{QUEUE}/{URL}"
    waiting = await api.request("POST", target, ("Upstash-Delay", "1h"), *limits, *hidden, body=SECRET.encode())
    assert waiting.status == 200, waiting.body
    for row in (
        Row("POST", f"/v2/schedules/{URL}", headers=(*_CRON, *hidden), body=SECRET),
        Row("POST", f"/v2/topics/{TOPIC}/endpoints", body=_json({"endpoints": [{"url": URL, "name": SECRET}]})),
    ):
        made = await api.request(row.method, row.path, *row.headers, body=row.body.encode())
        assert made.status == 200, made.body
    return Named(waiting.json["messageId"], letter["dlqId"])
