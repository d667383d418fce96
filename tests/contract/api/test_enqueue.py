"""Enqueueing (contract 8.1, 22.7): the path, the queue that comes to be, and what a queue adds to a publish."""

from datetime import timedelta

import pytest
from tests.support.api import OTHER_TOKEN, PUBLISH_ONLY_TOKEN, READ_ONLY_TOKEN, Api, orders

from angarium.domain.declarations import Header, Topic, TopicMember

URL = "https://e.test/x"


async def queue(api: Api, name: str) -> tuple[int, int]:
    reply = await api.request("GET", f"/v2/queues/{name}")
    assert reply.status == 200, reply.body
    return reply.json["parallelism"], reply.json["lag"]


async def test_a_queue_that_is_missing_comes_to_be(api: Api) -> None:
    reply = await api.request("POST", f"/v2/enqueue/mail/{URL}?a=1&upstash-retries=2", body=b"x")
    assert reply.status == 200
    assert set(reply.json) == {"messageId", "url"}
    message = await api.message(reply.json["messageId"])
    assert (message["queueName"], message["url"], message["maxRetries"]) == ("mail", f"{URL}?a=1", 2)
    assert await queue(api, "mail") == (1, 1)


async def test_the_settings_of_a_queue_that_exists_stay(api: Api) -> None:
    await api.request("POST", "/v2/queues", body=b'{"queueName": "mail", "parallelism": 7}')
    await api.request("POST", f"/v2/enqueue/mail/{URL}")
    assert await queue(api, "mail") == (7, 1)


async def test_a_queue_and_a_topic(api: Api) -> None:
    await api.declare(("orders", orders()))
    items = (await api.request("POST", "/v2/enqueue/mail/orders")).json
    assert [item["url"] for item in items] == ["https://one.test/in", "https://two.test/in?x=1"]
    assert {(await api.message(item["messageId"]))["queueName"] for item in items} == {"mail"}
    assert await queue(api, "mail") == (1, 2)


async def test_the_name_is_decoded_once(api: Api) -> None:
    reply = await api.request("POST", f"/v2/enqueue/a%2Db/{URL}")
    assert (await api.message(reply.json["messageId"]))["queueName"] == "a-b"


async def test_the_queue_of_the_path_wins(api: Api) -> None:
    reply = await api.request("POST", f"/v2/enqueue/path/{URL}", ("Upstash-Queue-Name", "header"))
    assert (await api.message(reply.json["messageId"]))["queueName"] == "path"


async def test_a_delay_is_taken(api: Api) -> None:
    reply = await api.request("POST", f"/v2/enqueue/q/{URL}", ("Upstash-Delay", "90s"))
    message = await api.message(reply.json["messageId"])
    assert message["notBefore"] == message["createdAt"] + timedelta(seconds=90) // timedelta(milliseconds=1)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"a%20b/{URL}", 400),
        (f"a%2Fb/{URL}", 400),
        (f"%00/{URL}", 400),
        (f"%ff/{URL}", 400),
        (f"{'x' * 257}/{URL}", 400),
        (f"../{URL}", 400),
        ("q/", 400),
        ("q/ftp://e.test", 400),
        ("q/nobody", 404),
        ("q", 404),
        (f"/{URL}", 404),
    ],
)
async def test_paths_that_are_refused(api: Api, path: str, status: int) -> None:
    reply = await api.request("POST", f"/v2/enqueue/{path}")
    assert (reply.status, bool(reply.error)) == (status, True)
    assert (await api.request("GET", "/v2/events")).json == {"events": []}
    assert (await api.request("GET", "/v2/queues")).json == []


@pytest.mark.parametrize(("token", "status"), [(PUBLISH_ONLY_TOKEN, 200), (READ_ONLY_TOKEN, 403), ("nobody", 401)])
async def test_which_tokens_may_enqueue(api: Api, token: str, status: int) -> None:
    bearer = ("Authorization", f"Bearer {token}")
    assert (await api.request("POST", f"/v2/enqueue/q/{URL}", bearer)).status == status


async def test_queues_of_one_name_belong_to_their_tenants(api: Api) -> None:
    other = ("Authorization", f"Bearer {OTHER_TOKEN}")
    await api.request("POST", f"/v2/enqueue/q/{URL}", other)
    assert (await api.request("GET", "/v2/queues/q")).status == 404


async def test_default_headers_of_a_topic_may_name_the_queue(api: Api) -> None:
    topic = Topic((TopicMember("u", url="https://u.test"),), headers=(Header("Upstash-Queue-Name", "defaults"),))
    await api.declare(("hooks", topic))
    [item] = await api.publish("hooks")
    assert (await api.message(item["messageId"]))["queueName"] == "defaults"
    [item] = (await api.request("POST", "/v2/enqueue/path/hooks")).json
    assert (await api.message(item["messageId"]))["queueName"] == "path"
