"""Paths and methods (contract 1, 3.2, 7): what exists, what does not, and nothing is ever redirected."""

import pytest
from tests.support.api import OTHER_TOKEN, READ_ONLY_TOKEN, TOKEN, Api
from tests.support.routes import QUEUE, ROWS, TOPIC, Named, Row, furnish, send

from angarium.domain.credentials import SigningKeys

LISTS = [
    "/v2/events",
    "/v2/logs",
    "/v2/dlq",
    "/v2/queues",
    "/v2/schedules",
    "/v2/topics",
    "/v2/flowControl",
    "/v2/globalParallelism",
    "/v2/keys",
]
JSON_REQUIRED = {
    "POST /v2/publish/https://e.test": dict,
    f"POST /v2/publish/{TOPIC}": list,
    f"POST /v2/enqueue/{QUEUE}/https://e.test": dict,
    "POST /v2/batch": list,
    "GET /v2/queues": list,
    "GET /v2/schedules": list,
    "GET /v2/topics": list,
    "GET /v2/flowControl": list,
}
"""Arrays are never wrapped (contract 29, 1); every other answer is an object."""


@pytest.mark.parametrize("row", ROWS[:-1], ids=str)
async def test_every_row_answers_with_its_status_and_json(api: Api, row: Row) -> None:
    named = await furnish(api)
    reply = await send(api, row, named, TOKEN)
    assert reply.status == row.status, reply.body
    if reply.body:
        assert isinstance(reply.json, JSON_REQUIRED.get(str(row), list | dict))
        assert "null" not in reply.body.decode()


@pytest.mark.parametrize("path", LISTS)
async def test_collections_answer_with_and_without_a_trailing_slash(api: Api, path: str) -> None:
    plain = await api.request("GET", path)
    assert plain.status == 200
    assert (await api.request("GET", path + "/")).json == plain.json


async def test_a_trailing_slash_on_a_collection_that_is_written(api: Api) -> None:
    body = b'{"queueName": "q", "parallelism": 2, "paused": false}'
    assert (await api.request("POST", "/v2/queues/", body=body)).status == 200
    assert (await api.request("GET", "/v2/queues/q")).json["parallelism"] == 2


@pytest.mark.parametrize("path", ["/v2/messages/", "/v2/dlq/", "/v2/queues/", "/v2/schedules/", "/v2/topics/"])
async def test_deleting_an_empty_id_never_deletes_everything(api: Api, path: str) -> None:
    named = await furnish(api)
    reply = await api.request("DELETE", path)
    assert reply.status == 404
    assert reply.error
    assert (await send(api, Row("GET", "/v2/messages/{message}"), named, TOKEN)).status == 200
    assert (await send(api, Row("GET", "/v2/dlq/{dlq}"), named, TOKEN)).status == 200


async def test_retrying_an_empty_id_never_retries_everything(api: Api) -> None:
    named = await furnish(api)
    assert (await api.request("POST", "/v2/dlq/retry/")).status == 404
    assert (await send(api, Row("GET", "/v2/dlq/{dlq}"), named, TOKEN)).status == 200


@pytest.mark.parametrize(
    ("path", "allow"),
    [
        ("/v2/events", "GET, HEAD, OPTIONS"),
        ("/v2/dlq", "DELETE, GET, HEAD, OPTIONS"),
        ("/v2/dlq/1-0", "DELETE, GET, HEAD, OPTIONS"),
        ("/v2/dlq/retry", "DELETE, GET, HEAD, OPTIONS, POST"),
        ("/v2/messages", "DELETE, OPTIONS"),
        ("/v2/messages/msg_1", "DELETE, GET, HEAD, OPTIONS"),
        ("/v2/keys", "GET, HEAD, OPTIONS"),
        ("/v2/keys/rotate", "OPTIONS, POST"),
        ("/v2/batch", "OPTIONS, POST"),
        ("/v2/flowControl/k/pin", "GET, HEAD, OPTIONS, POST"),
        ("/v2/publish/https://e.test", "OPTIONS, POST"),
        ("/v2/enqueue/q/https://e.test", "OPTIONS, POST"),
        ("/openapi.yaml", "GET, HEAD, OPTIONS"),
    ],
)
async def test_another_method_on_a_known_path(api: Api, path: str, allow: str) -> None:
    async with api.connect() as wire:
        for method in ("PUT", "PATCH"):
            reply = await wire.request(method, path)
            assert (reply.status, reply.headers["allow"]) == (405, allow)
            assert method in reply.error
        options = await wire.request("OPTIONS", path)
        assert (options.status, options.headers["allow"], options.body) == (204, allow, b"")


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/"),
        ("GET", "/v2"),
        ("GET", "/v2/"),
        ("GET", "/v1/keys"),
        ("GET", "//v2/keys"),
        ("GET", "/v2//keys"),
        ("GET", "/v2/./keys"),
        ("GET", "/v2/keysx"),
        ("GET", "/v2/keys//"),
        ("POST", "/v2/publish"),
        ("POST", "/v2/enqueue/q"),
        ("GET", "/v2/messages/"),
        ("GET", "/v2/messages/msg_1/"),
        ("GET", "/v2/dlq/1-0/x"),
        ("POST", "/v2/queues/q/stop"),
        ("GET", "/v2/url-groups"),
        ("DELETE", "/v2/workflows/runs/r?cancel=true"),
        ("POST", "/llm/v1/chat/completions"),
        ("GET", "/metrics"),
        ("GET", "/livez"),
        ("OPTIONS", "/v2/nothing"),
        ("OPTIONS", "*"),
    ],
)
async def test_what_does_not_exist_is_404_in_json(api: Api, method: str, target: str) -> None:
    reply = await api.request(method, target)
    assert reply.status == 404
    assert reply.error


async def test_head_is_get_without_the_body(api: Api) -> None:
    async with api.connect() as wire:
        head = await wire.request("HEAD", "/v2/logs")
        full = await wire.request("GET", "/v2/logs")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == full.headers["content-length"]


async def test_an_unknown_message_is_not_found(api: Api) -> None:
    reply = await api.request("GET", "/v2/messages/msg_none")
    assert reply.status == 404
    assert "msg_none" in reply.error


async def test_no_answer_is_a_redirect(api: Api) -> None:
    for target in ("/v2/publish/https://e.test//a", "/v2/publish/https://e.test/a/", "/v2/publish/https://e.test//"):
        reply = await api.request("POST", target)
        assert (reply.status, "location" in reply.headers) == (200, False)


async def test_a_body_with_a_get_is_no_trouble(api: Api) -> None:
    async with api.connect() as wire:
        assert (await wire.request("GET", "/v2/logs", body=b'{"count": 0}')).status == 200
        assert (await wire.request("GET", "/v2/dlq")).status == 200


ERRORS = [
    (400, "POST", "/v2/publish/no%20url", TOKEN, b""),
    (400, "DELETE", "/v2/messages?lable=x", TOKEN, b""),
    (400, "DELETE", "/v2/messages", TOKEN, b"{"),
    (400, "GET", "/v2/logs?cursor=x", TOKEN, b""),
    (400, "POST", "/v2/flowControl/k/pin", TOKEN, b""),
    (400, "GET", "/v2/flowControl/%FF", TOKEN, b""),
    (401, "GET", "/v2/logs", "nobody", b""),
    (403, "DELETE", "/v2/messages", READ_ONLY_TOKEN, b""),
    (404, "GET", "/v2/messages/{message}", OTHER_TOKEN, b""),
    (404, "GET", "/v2/nothing", TOKEN, b""),
    (405, "PUT", "/v2/dlq", TOKEN, b""),
    (409, "POST", "/v2/keys/rotate", TOKEN, b""),
    (412, "POST", "/v2/publish/https://e.test?upstash-retries=101", TOKEN, b""),
    (413, "POST", "/v2/publish/https://e.test", TOKEN, b"x" * (2**20 + 1)),
    (413, "DELETE", "/v2/messages", TOKEN, b"x" * (2**20 + 1)),
]


@pytest.mark.parametrize(("status", "method", "path", "token", "body"), ERRORS, ids=lambda given: str(given)[:40])
async def test_every_error_has_one_shape(
    api: Api, status: int, method: str, path: str, token: str, body: bytes
) -> None:
    named: Named = await furnish(api)
    await api.store.put_signing_keys("shop", SigningKeys("sig_a", "sig_b", adopted=True), replace=True)
    reply = await api.request(method, named.of(path), ("Authorization", f"Bearer {token}"), body=body)
    assert reply.status == status
    assert reply.headers["content-type"] == "application/json"
    assert len(reply.error) > 10
    assert "Traceback" not in reply.error
