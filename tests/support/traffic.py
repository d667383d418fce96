"""Messages that keep coming while something happens to Angarium, and the judge of what arrived: by their numbers."""

import threading
from types import TracebackType
from typing import Self

import httpx
from tests.support.cluster import wait_for
from tests.support.receiver import Answer, Received, Receiver

PATH = "/numbers"
PAUSE_S = 0.01
ANSWER_S = 0.2
ARRIVAL_S = 60.0


class Traffic:
    """`with Traffic(address, token, receiver, destination) as traffic: …`, then `traffic.check()`.

    A publisher as it should be: it repeats each number until it has a 2xx, and only then goes on to the next. Answers
    take a moment, some messages are due later, and some are refused the first time: so at any instant messages are
    under way, waiting for their time and waiting for a retry. `destination` is how Angarium reaches the receiver.
    """

    def __init__(self, address: str, token: str, receiver: Receiver, destination: str) -> None:
        self.accepted: list[int] = []
        self.arrived: list[int] = []
        self._receiver = receiver
        self._url = f"http://{address}/v2/publish/{destination}{PATH}"
        self._headers = {"Authorization": f"Bearer {token}", "Upstash-Retries": "10", "Upstash-Retry-Delay": "500"}
        self._refused: set[int] = set()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="traffic", daemon=True)

    def __enter__(self) -> Self:
        self._receiver.judge(PATH, self._answer)
        self._thread.start()
        self.flow()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join(30)

    def flow(self, more: int = 50) -> None:
        """Return when that many more have been accepted: before something happens, and after it."""
        goal = len(self.accepted) + more
        wait_for(lambda: len(self.accepted), lambda count: count >= goal, within=ARRIVAL_S, describe=f"{goal} accepted")

    def check(self) -> None:
        """Once no more is published: all that was accepted has arrived, or does so soon."""
        assert self.accepted, "nothing was accepted"
        wait_for(self.missing, lambda missing: not missing, within=ARRIVAL_S, describe="all that was accepted arrives")

    def missing(self) -> list[int]:
        return sorted(set(self.accepted) - set(self.arrived))

    def _answer(self, request: Received) -> Answer:
        number = int(request.body)
        if number % 7 == 0 and number not in self._refused:
            self._refused.add(number)
            return Answer(503)
        self.arrived.append(number)
        return Answer(delay_s=ANSWER_S)

    def _run(self) -> None:
        number = 0
        with httpx.Client(timeout=5.0, trust_env=False) as client:
            while not self._ended.wait(PAUSE_S):
                if self._publish(client, number):
                    self.accepted.append(number)
                    number += 1

    def _publish(self, client: httpx.Client, number: int) -> bool:
        later = {"Upstash-Delay": "2s"} if number % 5 == 0 else {}
        try:
            return client.post(self._url, headers=self._headers | later, content=str(number)).is_success
        except httpx.TransportError:  # nobody knows whether it was accepted: the number is published again
            return False
