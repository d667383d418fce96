"""Default publish headers of a Topic (contract 12, 23.3): as if they had been sent, under those that were."""

from tests.support.api import TOKEN, Api

from angarium.domain.declarations import Header, Topic, TopicMember

MEMBERS = (TopicMember("u", url="https://u.test"),)


async def declare(api: Api, *lines: tuple[str, str]) -> None:
    await api.declare(("hooks", Topic(MEMBERS, headers=tuple(Header(name, value) for name, value in lines))))


async def test_defaults_apply_where_the_request_says_nothing(api: Api) -> None:
    await declare(
        api,
        ("Upstash-Retries", "7"),
        ("Upstash-Method", "PUT"),
        ("Upstash-Label", "hook"),
        ("Upstash-Forward-X-A", "1"),
        ("Upstash-Forward-X-A", "2"),
        ("Upstash-Forward-X-B", "default"),
        ("Upstash-Failure-Callback", "https://f.test"),
    )
    [item] = await api.publish("hooks?upstash-method=PATCH", ("upstash-retries", "1"), ("Upstash-Forward-x-b", "sent"))
    message = await api.message(item["messageId"])
    assert (message["maxRetries"], message["method"], message["labels"]) == (1, "PATCH", ["hook"])
    assert message["header"] == {"X-A": ["1", "2"], "X-B": ["sent"]}
    assert message["failureCallback"] == "https://f.test"


async def test_a_webhook_that_can_send_no_header_of_ours_is_forwarded_whole(api: Api) -> None:
    await declare(api, ("Upstash-Header-Forward", "true"))
    [item] = await api.publish(
        f"hooks?qstash_token={TOKEN}", ("X-Event", "push"), ("Authorization", "Bearer theirs"), body=b"{}"
    )
    message = await api.message(item["messageId"])
    assert message["header"] == {"X-Event": ["push"], "Authorization": ["Bearer theirs"]}


async def test_a_default_that_is_wrong_is_named_like_any_other(api: Api) -> None:
    await declare(api, ("Upstash-Retries", "many"))
    reply = await api.request("POST", "/v2/publish/hooks")
    assert (reply.status, reply.error.partition(":")[0]) == (400, "Upstash-Retries")


async def test_other_destinations_have_none(api: Api) -> None:
    await declare(api, ("Upstash-Retries", "7"))
    published = await api.publish("https://e.test")
    assert (await api.message(published["messageId"]))["maxRetries"] == 3
