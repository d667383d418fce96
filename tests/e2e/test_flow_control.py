"""Flow control seen from the receiver: how many arrive within a period, and how many are under way at once."""

import httpx
from tests.support.receiver import Answer, Receiver
from tests.support.windows import most_in_a_window, most_within, starts_in

MESSAGES = 60
RATE = 10


def publish(client: httpx.Client, receiver: Receiver, limits: str) -> None:
    headers = {"Upstash-Flow-Control-Key": "shared", "Upstash-Flow-Control-Value": limits}
    batch = [{"destination": receiver.url(f"/{n % 3}"), "headers": headers, "body": str(n)} for n in range(MESSAGES)]
    assert all("messageId" in answer for answer in client.post("/v2/batch", json=batch).raise_for_status().json())


def test_a_rate_holds_at_the_receiver_for_every_period_however_it_slides(
    client: httpx.Client, receiver: Receiver
) -> None:
    publish(client, receiver, f"rate={RATE}, period=1s")
    times = [request.at for request in receiver.wait_for(MESSAGES, timeout=30)]
    assert len(times) == MESSAGES
    assert most_within(times, 1.0) <= 2 * RATE
    assert max(times) - min(times) <= MESSAGES / RATE + 5
    log = client.get("/v2/logs", params={"flowControlKey": "shared", "state": "ACTIVE", "count": 1000})
    starts = starts_in(log.raise_for_status().json()["logs"])
    assert len(starts) == MESSAGES
    assert most_in_a_window(starts, 1.0) == RATE
    # A window ends a period after its first start, to the millisecond of the log.
    assert starts[-1] - starts[0] >= MESSAGES / RATE - 1 - 0.001


def test_parallelism_is_reached_and_never_exceeded(client: httpx.Client, receiver: Receiver) -> None:
    receiver.default = Answer(delay_s=0.1)
    publish(client, receiver, "parallelism=4")
    receiver.wait_for(MESSAGES, timeout=30)
    assert receiver.most_in_flight == 4
    key = client.get("/v2/flowControl/shared").raise_for_status().json()
    assert (key["parallelismMax"], key["waitListSize"]) == (4, 0)


def test_parallelism_and_rate_together_and_a_pause_that_starts_nothing(
    client: httpx.Client, receiver: Receiver
) -> None:
    client.post("/v2/flowControl/shared/pause").raise_for_status()
    publish(client, receiver, f"parallelism=3, rate={RATE}, period=1s")
    waiting = client.get("/v2/flowControl/shared").raise_for_status().json()
    assert (waiting["waitListSize"], waiting["isPaused"], receiver.count()) == (MESSAGES, True, 0)
    receiver.default = Answer(delay_s=0.02)
    client.post("/v2/flowControl/shared/resume").raise_for_status()
    times = [request.at for request in receiver.wait_for(MESSAGES, timeout=30)]
    assert receiver.most_in_flight <= 3
    assert most_within(times, 1.0) <= 2 * RATE
