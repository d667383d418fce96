"""Publishers as good applications are: they try again until they have a 2xx, with the same deduplication id."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx
from tests.support.angarium import Angarium
from tests.support.receiver import Receiver

PAUSE_S = 0.05
PATIENCE_S = 60.0


@dataclass
class Publishers:
    """`with Publishers(…) as publishers: …`: threads that publish numbered bodies at a rate (a second, together) to
    `/plain`, every tenth with a report to `/told`, and one thread that puts a tenth as many into the queue `line`.

    `accepted` has the message id by body, which is `THREAD.NUMBER`. `refused` has the answers that were no 2xx, by
    status (0: none came), and `away` the longest time that a publisher tried in vain, in seconds.
    """

    angarium: Angarium
    receiver: Receiver
    token: str
    rate: float
    threads: int = 4
    accepted: dict[str, str] = field(default_factory=dict)
    refused: dict[int, int] = field(default_factory=dict)
    away: float = 0.0

    def __post_init__(self) -> None:
        self._ended = threading.Event()
        self._changed = threading.Condition()
        self._errors: list[BaseException] = []
        kinds: list[Callable[[httpx.Client, str], None]] = [self._plain] * self.threads + [self._line]
        self._threads = [threading.Thread(target=self._run, args=(place, kind)) for place, kind in enumerate(kinds)]

    def __enter__(self) -> "Publishers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(PATIENCE_S)
        for error in self._errors:
            raise error

    def wait_for(self, more: int) -> None:
        """Until so many more are accepted than were when this was called."""
        with self._changed:
            wanted = len(self.accepted) + more
            enough = self._changed.wait_for(lambda: self._errors or len(self.accepted) >= wanted, PATIENCE_S)
        assert enough and not self._errors, f"{len(self.accepted)} of {wanted} were accepted: {self.refused}"

    def is_told_of(self, body: str) -> bool:
        return body.endswith("0") and not body.startswith(f"{self.threads}.")

    def _run(self, place: int, kind: Callable[[httpx.Client, str], None]) -> None:
        step = self.threads / self.rate if place < self.threads else 10 / self.rate
        try:
            with self.angarium.client(self.token) as client:
                began, number = time.monotonic(), 0
                while not self._ended.is_set():
                    kind(client, f"{place}.{number}")
                    number += 1
                    self._ended.wait(max(0.0, began + number * step - time.monotonic()))
        except BaseException as error:  # noqa: BLE001  raised again where the threads are joined
            self._errors.append(error)

    def _plain(self, client: httpx.Client, body: str) -> None:
        told = {"Upstash-Callback": self.receiver.url("/told")} if self.is_told_of(body) else {}
        self._insist(client, f"/v2/publish/{self.receiver.url('/plain')}", body, told)

    def _line(self, client: httpx.Client, body: str) -> None:
        self._insist(client, f"/v2/enqueue/line/{self.receiver.url('/line')}", body, {})

    def _insist(self, client: httpx.Client, path: str, body: str, headers: dict[str, str]) -> None:
        began = time.monotonic()
        while not (answer := self._ask(client, path, body, headers)):
            assert time.monotonic() - began < PATIENCE_S, f"nobody has taken {body} for {PATIENCE_S} s"
            time.sleep(PAUSE_S)
        with self._changed:
            self.accepted[body] = answer
            self.away = max(self.away, time.monotonic() - began)
            self._changed.notify_all()

    def _ask(self, client: httpx.Client, path: str, body: str, headers: dict[str, str]) -> str | None:
        """The message's id; None for an answer that is to be tried again."""
        try:
            answer = client.post(path, content=body, headers={"Upstash-Deduplication-Id": body, **headers})
        except httpx.TransportError:
            self._count(0)
            return None
        if answer.is_success:
            found: str = answer.json()["messageId"]
            return found
        assert answer.status_code == 503 and answer.headers["Retry-After"], answer.text
        self._count(answer.status_code)
        return None

    def _count(self, status: int) -> None:
        with self._changed:
            self.refused[status] = self.refused.get(status, 0) + 1
