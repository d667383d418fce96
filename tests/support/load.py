"""A load of known requests of every kind, and what a receiver has to see of it whatever happens to the program."""

import json
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from itertools import groupby

import httpx
from tests.support.angarium import Angarium
from tests.support.receiver import Received, Receiver

from angarium.files.users import DEFAULT_USER

TOPIC, MEMBERS = "both", ("left", "right")
FAILING, TOLD, GIVEN_UP = "failing", "told", "given-up"
PROBE = "probe"
ATTEMPTS_OF_FAILING = 2
MOST = 400
BATCH = 8
ANSWERED_S = 20.0

Ids = frozenset[str]


def prepare(angarium: Angarium, receiver: Receiver) -> None:
    """What the load needs on both sides, once."""
    receiver.answer(f"/{FAILING}", 500)
    receiver.answer(f"/{PROBE}", 200)
    members = [{"url": receiver.url(f"/{name}"), "name": name} for name in MEMBERS]
    with angarium.client(DEFAULT_USER.token) as client:
        client.post(f"/v2/topics/{TOPIC}/endpoints", json={"endpoints": members}).raise_for_status()


class Load:
    """Publishers of all kinds, a thread each, until nobody answers any more or they are told to end.

    A request is known by its body, its token: "ROUND.KIND.NUMBER". `accepted` has the ids that a 2xx told, `refused`
    what was answered otherwise; of what is `unanswered` nobody knows.
    """

    def __init__(self, angarium: Angarium, receiver: Receiver, name: str) -> None:
        self.name = name
        self.accepted: dict[str, Ids] = {}
        self.refused: set[str] = set()
        self.unanswered: set[str] = set()
        self._angarium, self._receiver = angarium, receiver
        self._changed = threading.Condition()
        self._ended = threading.Event()
        self._errors: list[BaseException] = []
        kinds = [self._plain, self._twice, self._batch, self._later, self._queue, self._limited, self._failing]
        self._threads = [threading.Thread(target=self._run, args=(kind,)) for kind in [*kinds, self._topic]]
        for thread in self._threads:
            thread.start()

    def wait_for(self, accepted: int) -> None:
        """Until so many requests are accepted."""
        with self._changed:
            enough = self._changed.wait_for(lambda: self._errors or len(self.accepted) >= accepted, ANSWERED_S)
        assert enough, f"{len(self.accepted)} of {accepted} requests were accepted within {ANSWERED_S} s"

    def end(self) -> None:
        """Every publisher ends after the request that it waits for. Raises what one of them met."""
        self._ended.set()
        for thread in self._threads:
            thread.join(ANSWERED_S)
            assert not thread.is_alive()
        for error in self._errors:
            raise error

    def repeat(self) -> None:
        """Publish again what has a deduplication id, as a publisher does that was cut off: it is not done twice."""
        with self._angarium.client(DEFAULT_USER.token) as client:
            known = [token for token in self.accepted if ".twice." in token][-20:]
            for token in [*known, *(token for token in self.unanswered if ".twice." in token)]:
                ids = self._twice(client, token)[token]
                assert self.accepted.setdefault(token, ids) == ids, f"{token} is another message after the restart"
            self.unanswered -= self.accepted.keys()

    def _run(self, kind: Callable[[httpx.Client, str], Mapping[str, Ids]]) -> None:
        try:
            with self._angarium.client(DEFAULT_USER.token) as client:
                for number in range(MOST):
                    if self._ended.is_set() or not self._ask(client, kind, number):
                        break
        except BaseException as error:  # noqa: BLE001  raised again where the threads are joined
            self._errors.append(error)

    def _ask(self, client: httpx.Client, kind: Callable[..., Mapping[str, Ids]], number: int) -> bool:
        token = f"{self.name}.{kind.__name__[1:]}.{number}"
        tokens = [f"{token}.{place}" for place in range(BATCH)] if kind == self._batch else [token]
        try:
            answers = kind(client, token)
        except httpx.TransportError:
            # What was asked for twice may have its first answer.
            self.unanswered.update(set(tokens) - self.accepted.keys())
            return False
        except httpx.HTTPStatusError as error:
            assert error.response.status_code == 503, error.response.text
            self.refused.update(set(tokens) - self.accepted.keys())
            return False
        self._note(answers)
        return True

    def _note(self, answers: Mapping[str, Ids]) -> None:
        with self._changed:
            self.accepted.update(answers)
            self._changed.notify_all()

    def _publish(self, client: httpx.Client, token: str, to: str, **headers: str) -> dict[str, Ids]:
        named = {f"Upstash-{name.replace('_', '-')}": value for name, value in headers.items()}
        path = f"/v2/{to}" if "/" in to else f"/v2/publish/{to}"
        answer = client.post(path, content=token, headers=named | {"Upstash-Label": self.name}).raise_for_status()
        answers = answer.json() if isinstance(answer.json(), list) else [answer.json()]
        return {token: frozenset(one["messageId"] for one in answers)}

    def _to(self, name: str) -> str:
        return f"publish/{self._receiver.url(f'/{name}')}"

    def _plain(self, client: httpx.Client, token: str) -> Mapping[str, Ids]:
        return self._publish(client, token, self._to("plain"))

    def _twice(self, client: httpx.Client, token: str) -> Mapping[str, Ids]:
        first = self._publish(client, token, self._to("twice"), Deduplication_Id=token)
        if token not in self.accepted:
            self._note(first)
            assert self._publish(client, token, self._to("twice"), Deduplication_Id=token) == first
        return first

    def _batch(self, client: httpx.Client, token: str) -> Mapping[str, Ids]:
        tokens = [f"{token}.{place}" for place in range(BATCH)]
        destination = self._receiver.url("/batch")
        answer = client.post("/v2/batch", json=[{"destination": destination, "body": body} for body in tokens])
        answers = answer.raise_for_status().json()
        return {body: frozenset({one["messageId"]}) for body, one in zip(tokens, answers, strict=True)}

    def _later(self, client: httpx.Client, token: str) -> Mapping[str, Ids]:
        return self._publish(client, token, self._to("later"), Delay="1s")

    def _queue(self, client: httpx.Client, token: str) -> Mapping[str, Ids]:
        return self._publish(client, token, f"enqueue/line/{self._receiver.url('/queue')}")

    def _limited(self, client: httpx.Client, token: str) -> Mapping[str, Ids]:
        limits = {"Flow_Control_Key": "narrow", "Flow_Control_Value": "parallelism=4"}
        return self._publish(client, token, self._to("limited"), **limits)

    def _failing(self, client: httpx.Client, token: str) -> Mapping[str, Ids]:
        told = {"Callback": self._receiver.url(f"/{TOLD}"), "Failure_Callback": self._receiver.url(f"/{GIVEN_UP}")}
        retries = {"Retries": str(ATTEMPTS_OF_FAILING - 1), "Retry_Delay": "20"}
        return self._publish(client, token, self._to(FAILING), **told, **retries)

    def _topic(self, client: httpx.Client, token: str) -> Mapping[str, Ids]:
        return self._publish(client, token, TOPIC)


class Arrivals:
    """What a receiver has seen of one load."""

    def __init__(self, requests: Iterable[Received]) -> None:
        self.attempts: defaultdict[tuple[str, str], list[Received]] = defaultdict(list)
        """By message id and `Upstash-Retried`."""
        self.ids: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        """The message ids by token and path; of callbacks, by the id of the message that they tell of and path."""
        self.order: defaultdict[str, list[str]] = defaultdict(list)
        for request in requests:
            path = request.target.strip("/")
            if path == PROBE:
                continue
            about = json.loads(request.body)["sourceMessageId"] if path in (TOLD, GIVEN_UP) else request.body.decode()
            message = request.header("Upstash-Message-Id") or ""
            self.attempts[message, request.header("Upstash-Retried") or ""].append(request)
            self.ids[about, path].add(message)
            self.order[path].append(about)

    def missing(self, load: Load) -> list[str]:
        """What has been accepted and has not arrived in full yet."""
        found = []
        for token, ids in load.accepted.items():
            kind = token.split(".")[1]
            paths = MEMBERS if kind == "topic" else (kind,)
            if ids != frozenset().union(*(self.ids[token, path] for path in paths)):
                found.append(token)
            if kind == FAILING:
                found += [f"{token} {path}" for path in (TOLD, GIVEN_UP) if not self._told(ids, path)]
        return found

    def _told(self, ids: Ids, path: str) -> bool:
        (source,) = ids
        return len(self.ids[source, path]) == (ATTEMPTS_OF_FAILING if path == TOLD else 1)

    def repeated(self) -> list[list[Received]]:
        """Attempts that were made more than once."""
        return [requests for requests in self.attempts.values() if len(requests) > 1]

    def check_against(self, load: Load) -> None:
        """Nothing came that nobody sent, nothing became two messages, and the queue is in order."""
        sources = {message for (about, path), ids in self.ids.items() if path == FAILING for message in ids}
        for (about, path), ids in self.ids.items():
            if path in (TOLD, GIVEN_UP):
                assert about in sources, f"a callback tells of {about}, which never came"
                continue
            assert about in load.accepted or about in load.unanswered, f"{about} was never accepted, but came"
            assert len(ids) == 1, f"{about} became {ids}"
        line = [int(token.split(".")[2]) for token, _ in groupby(self.order["queue"])]
        assert line == sorted(set(line)), f"the queue is out of order: {line}"
