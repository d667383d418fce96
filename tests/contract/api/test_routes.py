"""Paths and methods (contract 1, 3.2, 7): what exists, what does not, and nothing is ever redirected."""

import pytest
from tests.support.api import Api

GETS = ["/v2/events", "/v2/logs", "/v2/dlq", "/v2/keys"]


@pytest.mark.parametrize("path", GETS)
async def test_collections_answer_with_and_without_a_trailing_slash(api: Api, path: str) -> None:
    plain = await api.request("GET", path)
    assert plain.status == 200
    assert (await api.request("GET", path + "/")).json == plain.json


@pytest.mark.parametrize("path", [*GETS, "/v2/messages/msg_1"])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_another_method_on_a_known_path(api: Api, method: str, path: str) -> None:
    reply = await api.request(method, path)
    assert reply.status == 405
    assert reply.headers["allow"] == "GET, HEAD, OPTIONS"
    assert method in reply.error


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_publish_is_post(api: Api, method: str) -> None:
    reply = await api.request(method, "/v2/publish/https://e.test")
    assert (reply.status, reply.headers["allow"]) == (405, "OPTIONS, POST")


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
        ("GET", "/v2/messages"),
        ("GET", "/v2/messages/"),
        ("DELETE", "/v2/messages"),
        ("DELETE", "/v2/messages/"),
        ("DELETE", "/v2/dlq/1-0"),
        ("GET", "/v2/dlq/1-0"),
        ("POST", "/v2/dlq/retry"),
        ("POST", "/v2/keys/rotate"),
        ("POST", "/v2/batch"),
        ("POST", "/v2/enqueue/q/https://e.test"),
        ("POST", "/v2/schedules/https://e.test"),
        ("GET", "/v2/schedules"),
        ("GET", "/v2/topics"),
        ("POST", "/v2/topics/t/endpoints"),
        ("GET", "/v2/queues"),
        ("GET", "/v2/flowControl/k"),
        ("GET", "/v2/globalParallelism"),
        ("POST", "/llm/v1/chat/completions"),
        ("GET", "/metrics"),
        ("GET", "/livez"),
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


async def test_options_names_the_methods(api: Api) -> None:
    async with api.connect() as wire:
        reply = await wire.request("OPTIONS", "/v2/publish/https://e.test")
        assert (reply.status, reply.headers["allow"], reply.body) == (204, "OPTIONS, POST", b"")
        assert (await wire.request("OPTIONS", "/v2/nothing")).status == 404
        assert (await wire.request("OPTIONS", "*")).status == 404


async def test_an_unknown_message_is_not_found(api: Api) -> None:
    reply = await api.request("GET", "/v2/messages/msg_none")
    assert reply.status == 404
    assert "msg_none" in reply.error


async def test_no_answer_is_a_redirect(api: Api) -> None:
    for target in ("/v2/publish/https://e.test//a", "/v2/publish/https://e.test/a/", "/v2/publish/https://e.test//"):
        reply = await api.request("POST", target)
        assert (reply.status, "location" in reply.headers) == (200, False)
