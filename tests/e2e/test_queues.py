"""Queues under load, seen from the receiver: order within each queue, and that one never waits for another."""

import random
from functools import partial
from itertools import groupby

import httpx
from tests.support.cluster import wait_for
from tests.support.receiver import Answer, Receiver

QUEUES = 10
MESSAGES = 500
RETRIES = 20
FAILURES = 0.2
FAST = [f"fast-{number}" for number in range(1, QUEUES)]
SLOW = "slow"
SEED = 20261123


def fill(client: httpx.Client, receiver: Receiver, queues: list[str]) -> None:
    """Every queue gets its messages in order, in turns with the others; their bodies count from 0."""
    headers = {"Upstash-Retries": str(RETRIES), "Upstash-Retry-Delay": "1"}
    for start in range(0, MESSAGES, 50):
        batch = [
            {"destination": receiver.url(f"/{queue}"), "queue": queue, "body": str(number), "headers": headers}
            for number in range(start, start + 50)
            for queue in queues
        ]
        answers = client.post("/v2/batch", json=batch).raise_for_status().json()
        assert all("messageId" in answer for answer in answers)


def drained(client: httpx.Client, queue: str) -> bool:
    return bool(client.get(f"/v2/queues/{queue}").raise_for_status().json()["lag"] == 0)


def order_of(receiver: Receiver, queue: str) -> list[int]:
    """The messages of a queue as they came; the attempts of one that followed each other count once."""
    return [number for number, _ in groupby(int(request.body) for request in receiver.received(f"/{queue}"))]


def test_ten_queues_keep_their_order_through_failures_and_a_slow_one_holds_nobody_back(
    client: httpx.Client, receiver: Receiver
) -> None:
    chance = random.Random(SEED)
    for queue in FAST:
        statuses = [503 if chance.random() < FAILURES else 200 for _ in range(MESSAGES)]
        receiver.answer(f"/{queue}", *statuses, 200)
    receiver.answer(f"/{SLOW}", Answer(delay_s=0.5))
    fill(client, receiver, [SLOW, *FAST])

    for queue in FAST:
        wait_for(partial(drained, client, queue), within=100, describe=f"queue {queue} to be empty")
    for queue in FAST:
        assert order_of(receiver, queue) == list(range(MESSAGES)), queue
        assert receiver.count(f"/{queue}") > MESSAGES
    slow = order_of(receiver, SLOW)
    assert slow == list(range(len(slow)))
    assert len(slow) < MESSAGES, "the slow queue was to be busy all the time"
    assert client.get(f"/v2/queues/{SLOW}").json()["lag"] > 0
