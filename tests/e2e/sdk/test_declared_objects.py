"""Objects that resources declare, read with both official SDKs, whose writes to them are refused with a command."""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from qstash import AsyncQStash, QStash
from qstash.errors import QStashError
from tests.support.angarium import Angarium
from tests.support.sdk import RunScript, Sdk, dev_server

from angarium.files.users import DEFAULT_USER

DECLARED = Path(__file__).with_name("declared.yaml")
GROUP = [
    {"url": "http://127.0.0.1:9/billing", "name": "billing"},
    {"url": "http://127.0.0.1:9/audit", "name": "audit"},
]
WRITES: dict[str, tuple[str, dict[str, Any]]] = {
    "queue.upsert": ("queue.upsert", {"queue": "line", "parallelism": 1}),
    "queue.pause": ("queue.pause", {"queue": "line"}),
    "queue.resume": ("queue.resume", {"queue": "line"}),
    "queue.delete": ("queue.delete", {"queue": "line"}),
    "url_group.add": ("url_group.upsert_endpoints", {"url_group": "orders", "endpoints": [{"url": GROUP[0]["url"]}]}),
    "url_group.remove": ("url_group.remove_endpoints", {"url_group": "orders", "endpoints": [{"name": "audit"}]}),
    "url_group.delete": ("url_group.delete", {"url_group": "orders"}),
    "schedule.create": (
        "schedule.create", {"schedule_id": "morning", "destination": "orders", "cron": "* * * * *"},
    ),
    "schedule.pause": ("schedule.pause", {"schedule_id": "morning"}),
    "schedule.resume": ("schedule.resume", {"schedule_id": "morning"}),
    "schedule.delete": ("schedule.delete", {"schedule_id": "morning"}),
}  # fmt: skip


@pytest.fixture(scope="module")
def angarium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Angarium]:
    with dev_server(tmp_path_factory.mktemp("declared"), DECLARED) as angarium:
        yield angarium


@pytest.fixture(params=[QStash, AsyncQStash], ids=["sync", "async"])
async def sdk(request: pytest.FixtureRequest, angarium: Angarium) -> AsyncIterator[Sdk]:
    sdk = Sdk(request.param(DEFAULT_USER.token, base_url=angarium.url))
    yield sdk
    await sdk.close()


async def test_python_reads_what_is_declared_and_may_not_change_it(sdk: Sdk) -> None:
    for name, (method, arguments) in WRITES.items():
        with pytest.raises(QStashError, match=r"status: 409, body: .*declared\.yaml") as refused:
            await sdk(method, **arguments)
        assert ("orders" if "group" in name else "line" if "queue" in name else "morning") in str(refused.value)
    queues = [await sdk("queue.list"), [await sdk("queue.get", "line")]]
    assert [[(one.name, one.parallelism, one.paused, one.lag) for one in read] for read in queues] == [
        [("line", 3, True, 0)]
    ] * 2
    groups = [await sdk("url_group.list"), [await sdk("url_group.get", "orders")]]
    shown = [[{"url": one.url, "name": one.name} for one in group.endpoints] for read in groups for group in read]
    assert shown == [GROUP, GROUP]
    listed = await sdk("schedule.list")
    for read in (listed, [await sdk("schedule.get", one.schedule_id) for one in listed]):
        morning, rarely = read
        assert (morning.schedule_id, morning.cron) == ("morning", "CRON_TZ=Europe/Berlin 0 6 1 1 *")
        assert (morning.destination, morning.queue, morning.retries) == (GROUP[0]["url"], "line", 5)
        assert (morning.body, morning.paused) == ("hello", False)
        assert (rarely.schedule_id, rarely.cron, rarely.destination) == ("rarely", "@every 90s", "orders")
        assert rarely.paused


def test_javascript_reads_what_is_declared_and_may_not_change_it(angarium: Angarium, run_script: RunScript) -> None:
    seen = json.loads(run_script("declared.mjs", QSTASH_URL=angarium.url, QSTASH_TOKEN=DEFAULT_USER.token))
    assert set(seen["refused"]) == set(WRITES)
    for name, refusal in seen["refused"].items():
        assert refusal is not None and refusal["status"] == 409, name
        assert str(DECLARED) in refusal["message"], name
    for (queue,) in seen["queues"]:
        assert (queue["name"], queue["parallelism"], queue["paused"], queue["lag"]) == ("line", 3, True, 0)
    for (group,) in seen["groups"]:
        assert (group["name"], group["endpoints"]) == ("orders", GROUP)
    for morning, rarely in seen["schedules"]:
        assert (morning["scheduleId"], morning["cron"]) == ("morning", "CRON_TZ=Europe/Berlin 0 6 1 1 *")
        assert (morning["destination"], morning["queueName"], morning["retries"]) == (GROUP[0]["url"], "line", 5)
        assert (morning["body"], morning["isPaused"]) == ("hello", False)
        assert (rarely["scheduleId"], rarely["cron"], rarely["destination"]) == ("rarely", "@every 90s", "orders")
        assert rarely["isPaused"] is True
