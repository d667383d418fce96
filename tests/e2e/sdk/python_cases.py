"""What each public method of the Python SDK has to do, on either client; tests compare the table with the SDK."""

from collections.abc import Awaitable, Callable
from typing import Any

from qstash.log import LogState
from tests.support.sdk import Scene

Case = Callable[[Scene], Awaitable[None]]
NEVER = "1 1 1 1 1"
LATER = {"url": "https://example.com/later", "delay": "1h"}

SUCCESSES: dict[str, Case] = {}


def case(method: str) -> Callable[[Case], Case]:
    def register(function: Case) -> Case:
        assert method not in SUCCESSES
        SUCCESSES[method] = function
        return function

    return register


@case("message.publish")
async def publish(scene: Scene) -> None:
    published = await scene.sdk(
        "message.publish", url=scene.url(), body="hello", content_type="text/plain", method="PUT",
        headers={"X-Own": "1"}, retries=1, retry_delay="1000", timeout=10, label=scene.name,
        deduplication_id=scene.name, flow_control={"key": scene.name, "parallelism": 2, "rate": 3, "period": "1m"},
        redact={"header": ["X-Own"]},
    )  # fmt: skip
    assert published.message_id.startswith("msg_") and published.deduplicated is False
    (request,) = await scene.arrived()
    assert (request.method, request.body, request.header("X-Own")) == ("PUT", b"hello", "1")
    again = await scene.sdk("message.publish", url=scene.url(), body="other", deduplication_id=scene.name)
    assert (again.message_id, again.deduplicated) == (published.message_id, True)


@case("message.publish_json")
async def publish_json(scene: Scene) -> None:
    await scene.sdk("message.publish_json", url=scene.url(), body={"n": 1})
    (request,) = await scene.arrived()
    assert (request.body, request.header("Content-Type")) == (b'{"n": 1}', "application/json")


@case("message.enqueue")
async def enqueue(scene: Scene) -> None:
    for number in range(3):
        queued = await scene.sdk("message.enqueue", queue=scene.name, url=scene.url(), body=str(number))
        assert queued.message_id.startswith("msg_") and queued.deduplicated is False
    assert [request.body for request in await scene.arrived(3)] == [b"0", b"1", b"2"]


@case("message.enqueue_json")
async def enqueue_json(scene: Scene) -> None:
    queued = await scene.sdk("message.enqueue_json", queue=scene.name, url=scene.url(), body=[1])
    assert (await scene.sdk("message.get", queued.message_id)).queue == scene.name
    (request,) = await scene.arrived()
    assert (request.body, request.header("Content-Type")) == (b"[1]", "application/json")


@case("message.batch")
async def batch(scene: Scene) -> None:
    members = [{"url": f"{scene.url()}?member=1"}, {"url": f"{scene.url()}?member=2"}]
    await scene.sdk("url_group.upsert_endpoints", scene.name, members)
    single, group, queued = await scene.sdk(
        "message.batch",
        [
            {"url": scene.url(), "body": "single", "headers": {"X-Own": "1"}},
            {"url_group": scene.name, "body": "group"},
            {"queue": scene.name, "url": scene.url(), "body": "queued"},
        ],
    )
    assert single.message_id and queued.message_id
    assert [item.url for item in group] == [member["url"] for member in members]
    bodies = sorted(request.body for request in await scene.arrived(4))
    assert bodies == [b"group", b"group", b"queued", b"single"]


@case("message.batch_json")
async def batch_json(scene: Scene) -> None:
    answers = await scene.sdk("message.batch_json", [{"url": scene.url(), "body": {"n": n}} for n in range(3)])
    assert len({answer.message_id for answer in answers}) == 3
    assert sorted(request.body for request in await scene.arrived(3)) == [b'{"n": 0}', b'{"n": 1}', b'{"n": 2}']


@case("message.get")
async def get_message(scene: Scene) -> None:
    published = await scene.sdk(
        "message.publish", url=scene.url(), body="secret", headers={"test-header": "value"}, retries=0, delay="1h",
        callback=scene.url(), failure_callback=scene.url(), retry_delay="1000 * (1 + retried)", label=scene.name,
        flow_control={"key": scene.name, "parallelism": 3}, redact={"body": True},
    )  # fmt: skip
    message = await scene.sdk("message.get", published.message_id)
    assert (message.message_id, message.url, message.method) == (published.message_id, scene.url(), "POST")
    assert message.body.startswith("REDACTED:") and message.headers == {"Test-Header": ["value"]}
    assert (message.max_retries, message.retry_delay_expression) == (0, "1000 * (1 + retried)")
    assert message.not_before == message.created_at + 3_600_000
    assert (message.callback, message.failure_callback, message.label) == (scene.url(), scene.url(), scene.name)
    flow = message.flow_control
    assert (flow.key, flow.parallelism, flow.rate, flow.period) == (scene.name, 3, None, 1)


@case("message.cancel")
async def cancel(scene: Scene) -> None:
    published = await scene.sdk("message.publish", **LATER)
    await scene.sdk("message.cancel", published.message_id)
    states = await log_states(scene, published.message_id)
    assert states == [LogState.CANCELED, LogState.CANCEL_REQUESTED, LogState.CREATED]


@case("message.cancel_many")
async def cancel_many(scene: Scene) -> None:
    ids = [(await scene.sdk("message.publish", **LATER)).message_id for _ in range(3)]
    assert await scene.sdk("message.cancel_many", ids[:2]) == 2
    assert await scene.sdk("message.cancel_many", ids) == 1


@case("message.cancel_all")
async def cancel_all(scene: Scene) -> None:
    await scene.sdk("message.cancel_all")
    for _ in range(3):
        await scene.sdk("message.publish", **LATER)
    assert await scene.sdk("message.cancel_all") == 3
    assert await scene.sdk("message.cancel_all") == 0


@case("dlq.list")
async def list_dead_letters(scene: Scene) -> None:
    letter = await scene.dead_letter()
    by_label = await scene.sdk("dlq.list", filter={"label": scene.name, "response_status": 500, "url": scene.url(500)})
    assert [found.dlq_id for found in by_label.messages] == [letter.dlq_id] and by_label.cursor is None
    await scene.dead_letter()
    first = await scene.sdk("dlq.list", count=1, filter={"label": scene.name})
    rest = await scene.sdk("dlq.list", count=5, cursor=first.cursor, filter={"label": scene.name})
    assert [found.dlq_id for found in rest.messages] == [letter.dlq_id] and rest.cursor is None


@case("dlq.get")
async def get_dead_letter(scene: Scene) -> None:
    scene.receiver.answer(f"/{scene.name}/500", 500)
    listed = await scene.dead_letter()
    letter = await scene.sdk("dlq.get", listed.dlq_id)
    assert letter == listed
    assert (letter.body, letter.response_status, letter.max_retries, letter.label) == ("given up", 500, 0, scene.name)


@case("dlq.delete")
async def delete_dead_letter(scene: Scene) -> None:
    letter = await scene.dead_letter()
    await scene.sdk("dlq.delete", letter.dlq_id)
    assert (await scene.sdk("dlq.list", filter={"label": scene.name})).messages == []


@case("dlq.delete_many")
async def delete_dead_letters(scene: Scene) -> None:
    letters = [await scene.dead_letter(), await scene.dead_letter()]
    ids = [letter.dlq_id for letter in letters]
    assert await scene.sdk("dlq.delete_many", ids) == 2
    assert await scene.sdk("dlq.delete_many", ids) == 0


@case("log.list")
async def list_log(scene: Scene) -> None:
    published = await scene.sdk("message.publish", url=scene.url(), body="x", label=scene.name, retry_delay="1000")
    chosen = {"message_id": published.message_id, "state": LogState.DELIVERED}
    delivered = await scene.eventually(lambda: scene.sdk("log.list", filter=chosen), lambda page: page.logs)
    assert (delivered.url, delivered.label, delivered.retry_delay_expression) == (scene.url(), scene.name, "1000")
    states = await log_states(scene, published.message_id)
    assert states == [LogState.DELIVERED, LogState.ACTIVE, LogState.CREATED]
    first = await scene.sdk("log.list", count=2, filter={"label": scene.name})
    rest = await scene.sdk("log.list", cursor=first.cursor, filter={"label": scene.name})
    assert [entry.state for entry in (*first.logs, *rest.logs)] == states and rest.cursor is None


@case("flow_control.get")
async def get_flow_control(scene: Scene) -> None:
    await use_key(scene, parallelism=5, rate=7, period=60)
    info = await scene.sdk("flow_control.get", scene.name)
    assert (info.key, info.parallelism_max, info.rate_max, info.rate_period) == (scene.name, 5, 7, 60)
    assert (info.is_paused, info.is_pinned_parallelism, info.is_pinned_rate) == (False, False, False)


@case("flow_control.get_global_parallelism")
async def get_global_parallelism(scene: Scene) -> None:
    info = await scene.sdk("flow_control.get_global_parallelism")
    assert info.parallelism_max >= info.parallelism_count >= 0 and info.parallelism_max > 0


@case("flow_control.pause")
async def pause_flow_control(scene: Scene) -> None:
    await scene.sdk("flow_control.pause", scene.name)
    await scene.sdk("message.publish", url=scene.url(), flow_control={"key": scene.name, "rate": 1})
    info = await scene.sdk("flow_control.get", scene.name)
    assert (info.is_paused, info.wait_list_size, info.rate_count) == (True, 1, 0)
    assert scene.receiver.count(f"/{scene.name}/200") == 0


@case("flow_control.resume")
async def resume_flow_control(scene: Scene) -> None:
    await scene.sdk("flow_control.pause", scene.name)
    await scene.sdk("message.publish", url=scene.url(), flow_control={"key": scene.name, "parallelism": 1})
    await scene.sdk("flow_control.resume", scene.name)
    await scene.arrived()
    assert (await scene.sdk("flow_control.get", scene.name)).is_paused is False


@case("flow_control.pin")
async def pin(scene: Scene) -> None:
    await use_key(scene, parallelism=5, rate=7)
    await scene.sdk("flow_control.pin", scene.name, {"parallelism": 2, "rate": 3, "period": 30})
    await use_key(scene, parallelism=9, rate=9)
    info = await scene.sdk("flow_control.get", scene.name)
    assert (info.parallelism_max, info.rate_max, info.rate_period) == (2, 3, 30)
    assert (info.is_pinned_parallelism, info.is_pinned_rate) == (True, True)


@case("flow_control.unpin")
async def unpin(scene: Scene) -> None:
    await scene.sdk("flow_control.pin", scene.name, {"parallelism": 2, "rate": 3})
    await scene.sdk("flow_control.unpin", scene.name, {"rate": True})
    await use_key(scene, parallelism=9, rate=9)
    info = await scene.sdk("flow_control.get", scene.name)
    assert (info.parallelism_max, info.is_pinned_parallelism) == (2, True)
    assert (info.rate_max, info.is_pinned_rate) == (9, False)


@case("flow_control.reset_rate")
async def reset_rate(scene: Scene) -> None:
    await scene.sdk("message.publish", url=scene.url(), flow_control={"key": scene.name, "rate": 5, "period": "1h"})
    await scene.arrived()
    assert (await scene.sdk("flow_control.get", scene.name)).rate_count == 1
    await scene.sdk("flow_control.reset_rate", scene.name)
    assert (await scene.sdk("flow_control.get", scene.name)).rate_count == 0


@case("queue.upsert")
async def upsert_queue(scene: Scene) -> None:
    await scene.sdk("queue.upsert", scene.name, parallelism=3, paused=True)
    made = await scene.sdk("queue.get", scene.name)
    await scene.sdk("queue.upsert", scene.name, parallelism=2)
    changed = await scene.sdk("queue.get", scene.name)
    assert (made.parallelism, made.paused, changed.parallelism, changed.paused) == (3, True, 2, False)
    assert changed.created_at == made.created_at <= made.updated_at <= changed.updated_at


@case("queue.get")
async def get_queue(scene: Scene) -> None:
    await scene.sdk("queue.upsert", scene.name, paused=True)
    await scene.sdk("message.enqueue", queue=scene.name, url=scene.url())
    queue = await scene.sdk("queue.get", scene.name)
    assert (queue.name, queue.parallelism, queue.lag, queue.paused) == (scene.name, 1, 1, True)


@case("queue.list")
async def list_queues(scene: Scene) -> None:
    await scene.sdk("queue.upsert", scene.name)
    assert scene.name in [queue.name for queue in await scene.sdk("queue.list")]


@case("queue.delete")
async def delete_queue(scene: Scene) -> None:
    await scene.sdk("queue.upsert", scene.name, paused=True)
    queued = await scene.sdk("message.enqueue", queue=scene.name, url=scene.url())
    for _ in range(2):  # what is gone is no error
        await scene.sdk("queue.delete", scene.name)
    assert scene.name not in [queue.name for queue in await scene.sdk("queue.list")]
    assert (await log_states(scene, queued.message_id))[0] is LogState.CANCELED


@case("queue.pause")
async def pause_queue(scene: Scene) -> None:
    await scene.sdk("queue.upsert", scene.name)
    await scene.sdk("queue.pause", scene.name)
    await scene.sdk("message.enqueue", queue=scene.name, url=scene.url())
    queue = await scene.sdk("queue.get", scene.name)
    assert (queue.paused, queue.lag, scene.receiver.count(f"/{scene.name}/200")) == (True, 1, 0)


@case("queue.resume")
async def resume_queue(scene: Scene) -> None:
    await scene.sdk("queue.upsert", scene.name, paused=True)
    for number in range(2):
        await scene.sdk("message.enqueue", queue=scene.name, url=scene.url(), body=str(number))
    await scene.sdk("queue.resume", scene.name)
    assert [request.body for request in await scene.arrived(2)] == [b"0", b"1"]
    assert (await scene.sdk("queue.get", scene.name)).paused is False


@case("schedule.create")
async def create_schedule(scene: Scene) -> None:
    made = await scene.sdk(
        "schedule.create", destination=scene.url(), cron="CRON_TZ=Europe/Berlin 0 4 * * *", schedule_id=scene.name,
        body="clean up", content_type="text/plain", method="PATCH", headers={"test-header": "value"}, retries=7,
        retry_delay="1000", callback=scene.url(), failure_callback=scene.url(), delay="1m30s", timeout=20,
        queue=scene.name, flow_control={"key": scene.name, "rate": 3}, label=scene.name,
    )  # fmt: skip
    assert made == scene.name
    schedule = await scene.sdk("schedule.get", scene.name)
    assert (schedule.destination, schedule.cron) == (scene.url(), "CRON_TZ=Europe/Berlin 0 4 * * *")
    assert (schedule.body, schedule.method, schedule.retries) == ("clean up", "PATCH", 7)
    assert schedule.headers == {"Content-Type": ["text/plain"], "Test-Header": ["value"]}
    assert (schedule.retry_delay_expression, schedule.delay, schedule.queue) == ("1000", 90, scene.name)
    assert (schedule.callback, schedule.failure_callback, schedule.label) == (scene.url(), scene.url(), scene.name)
    flow = schedule.flow_control
    assert (flow.key, flow.parallelism, flow.rate, flow.period) == (scene.name, None, 3, 1)
    assert (schedule.paused, schedule.last_schedule_time, schedule.last_schedule_states) == (False, None, None)
    assert schedule.next_schedule_time > schedule.created_at


@case("schedule.create_json")
async def create_json_schedule(scene: Scene) -> None:
    made = await scene.sdk("schedule.create_json", destination=scene.url(), cron=NEVER, body={"n": 1})
    schedule = await scene.sdk("schedule.get", made)
    assert made.startswith("scd_")
    assert (schedule.body, schedule.headers) == ('{"n": 1}', {"Content-Type": ["application/json"]})


@case("schedule.get")
async def get_schedule(scene: Scene) -> None:
    await scene.sdk("schedule.create", destination=scene.url(), cron=NEVER, schedule_id=scene.name, body="first")
    await scene.sdk("schedule.create", destination=scene.url(), cron="* * * * 1", schedule_id=scene.name)
    schedule = await scene.sdk("schedule.get", scene.name)
    assert (schedule.schedule_id, schedule.cron, schedule.body) == (scene.name, "* * * * 1", None)
    assert (schedule.method, schedule.retries, schedule.caller_ip) == ("POST", 3, "127.0.0.1")


@case("schedule.list")
async def list_schedules(scene: Scene) -> None:
    made = await scene.sdk("schedule.create", destination=scene.url(), cron=NEVER)
    assert made in [schedule.schedule_id for schedule in await scene.sdk("schedule.list")]


@case("schedule.delete")
async def delete_schedule(scene: Scene) -> None:
    made = await scene.sdk("schedule.create", destination=scene.url(), cron=NEVER)
    for _ in range(2):  # what is gone is no error
        await scene.sdk("schedule.delete", made)
    assert made not in [schedule.schedule_id for schedule in await scene.sdk("schedule.list")]


@case("schedule.pause")
async def pause_schedule(scene: Scene) -> None:
    made = await scene.sdk("schedule.create", destination=scene.url(), cron=NEVER)
    for _ in range(2):
        await scene.sdk("schedule.pause", made)
        assert (await scene.sdk("schedule.get", made)).paused is True


@case("schedule.resume")
async def resume_schedule(scene: Scene) -> None:
    made = await scene.sdk("schedule.create", destination=scene.url(), cron=NEVER)
    await scene.sdk("schedule.pause", made)
    for _ in range(2):
        await scene.sdk("schedule.resume", made)
        assert (await scene.sdk("schedule.get", made)).paused is False


@case("signing_key.get")
async def get_keys(scene: Scene) -> None:
    keys = await scene.sdk("signing_key.get")
    assert (keys.current, keys.next) == (scene.user.keys.current, scene.user.keys.next)


@case("signing_key.rotate")
async def rotate_keys(scene: Scene) -> None:
    before = await scene.sdk("signing_key.get")
    after = await scene.sdk("signing_key.rotate")
    assert after.current == before.next
    assert after.next not in (before.current, before.next) and after.next.startswith("sig_") and len(after.next) == 32
    assert await scene.sdk("signing_key.get") == after


@case("url_group.upsert_endpoints")
async def upsert_endpoints(scene: Scene) -> None:
    await scene.sdk("url_group.upsert_endpoints", scene.name, [{"url": "https://one.test/", "name": "one"}])
    await scene.sdk("url_group.upsert_endpoints", scene.name, [{"url": scene.url()}])
    group = await scene.sdk("url_group.get", scene.name)
    assert [(one.url, one.name) for one in group.endpoints] == [("https://one.test/", "one"), (scene.url(), None)]


@case("url_group.remove_endpoints")
async def remove_endpoints(scene: Scene) -> None:
    members = [{"url": "https://one.test/", "name": "one"}, {"url": "https://two.test/"}, {"url": scene.url()}]
    await scene.sdk("url_group.upsert_endpoints", scene.name, members)
    await scene.sdk("url_group.remove_endpoints", scene.name, [{"name": "one"}, {"url": "https://two.test/"}])
    assert [one.url for one in (await scene.sdk("url_group.get", scene.name)).endpoints] == [scene.url()]
    await scene.sdk("url_group.remove_endpoints", scene.name, [{"url": scene.url()}])
    assert scene.name not in [group.name for group in await scene.sdk("url_group.list")]


@case("url_group.get")
async def get_group(scene: Scene) -> None:
    members = [{"url": f"{scene.url()}?member=1"}, {"url": f"{scene.url()}?member=2"}]
    await scene.sdk("url_group.upsert_endpoints", scene.name, members)
    group = await scene.sdk("url_group.get", scene.name)
    assert (group.name, len(group.endpoints)) == (scene.name, 2) and group.created_at <= group.updated_at
    sent = await scene.sdk("message.publish", url_group=scene.name, body="all")
    assert [item.url for item in sent] == [member["url"] for member in members]
    assert {request.body for request in await scene.arrived(2)} == {b"all"}


@case("url_group.list")
async def list_groups(scene: Scene) -> None:
    await scene.sdk("url_group.upsert_endpoints", scene.name, [{"url": scene.url()}])
    assert scene.name in [group.name for group in await scene.sdk("url_group.list")]


@case("url_group.delete")
async def delete_group(scene: Scene) -> None:
    await scene.sdk("url_group.upsert_endpoints", scene.name, [{"url": scene.url()}])
    for _ in range(2):  # what is gone is no error
        await scene.sdk("url_group.delete", scene.name)
    assert scene.name not in [group.name for group in await scene.sdk("url_group.list")]


async def log_states(scene: Scene, message_id: str) -> list[LogState]:
    """What the log says of a message, newest first."""
    return [entry.state for entry in (await scene.sdk("log.list", filter={"message_id": message_id})).logs]


async def use_key(scene: Scene, **limits: Any) -> None:
    """Publish a message that waits an hour, which makes the scene's flow-control key known with these limits."""
    await scene.sdk("message.publish", **LATER, flow_control={"key": scene.name, **limits})
