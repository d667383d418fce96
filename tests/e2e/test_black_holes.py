"""Destinations that take connections and never answer, with thousands of messages waiting, beside a good one."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import yaml
from tests.support.angarium import Angarium
from tests.support.cluster import wait_for
from tests.support.hostile import Hostile, silence
from tests.support.processes import connections
from tests.support.receiver import Receiver

from angarium.files.users import DEFAULT_USER

from .test_hostile import manifests

DEAD_NAMES = Path(__file__).parents[1] / "support" / "dead_names"
WAITING = 10_000
HEALTHY = 500
PLACES = 20
PATIENT = {"Upstash-Timeout": "10m", "Upstash-Retries": "0"}
HOLES = ["one-url", "urls-of-many-ports", "endpoints-of-one-host"]


@dataclass
class Scene:
    angarium: Angarium
    receiver: Receiver
    client: httpx.Client
    ports: list[int]

    def fill(self, hole: str) -> None:
        """Make 10,000 messages wait for it, and wait until as many are on their way as there will be."""
        if hole == "endpoints-of-one-host":
            targets, copies = ["holes"], PLACES
        else:
            ports = self.ports[:1] if hole == "one-url" else self.ports
            targets, copies = [f"http://127.0.0.1:{port}/" for port in ports], 1
        count = WAITING // copies
        for begin in range(0, count, 500):
            batch = [
                {"destination": targets[number % len(targets)], "headers": PATIENT, "body": "lost"}
                for number in range(begin, min(count, begin + 500))
            ]
            assert self.client.post("/v2/batch", json=batch, timeout=60).status_code == 200
        self.angarium.wait_until(lambda: self.connected(hole), "busy")

    def connected(self, hole: str) -> bool:
        """Whether every attempt that may be made at once has its connection: lanes of one host hold more messages."""
        held = self.angarium.metric("angarium_messages_in_flight")
        return 100 <= (held if hole == "urls-of-many-ports" else 100) <= connections(set(self.ports))

    def unfinished(self) -> float:
        return sum(map(self.angarium.metric, ("angarium_messages_waiting", "angarium_messages_in_flight")))

    def publish(self, target: str) -> None:
        answer = self.client.post(f"/v2/publish/{self.receiver.url(target)}", content=b"healthy", headers=PATIENT)
        assert answer.status_code == 200

    def latencies(self, path: str, count: int, pace_s: float) -> list[float]:
        """From the moment before each publish to its arrival, in seconds, sorted."""
        begun, start = [], time.time()
        for number in range(count):
            time.sleep(max(0.0, start + number * pace_s - time.time()))
            begun.append(time.time())
            self.publish(f"{path}?{number}")
        arrived = {int(r.target.partition("?")[2]): r.at for r in self.receiver.wait_for(count, 60, path=path)}
        return sorted(arrived[number] - at for number, at in enumerate(begun))


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with ExitStack() as stack:
        hostile, receiver = stack.enter_context(Hostile()), stack.enter_context(Receiver())
        ports = [hostile.serve(silence) for _ in range(PLACES)]
        holes = [f"hole-{number}" for number in range(PLACES)]
        documents = [one for name in holes for one in manifests(name, f"http://127.0.0.1:{ports[0]}/{name}")]
        members = [{"name": name, "endpointRef": {"name": name}} for name in holes]
        documents.append(
            {
                "apiVersion": "angarium.dev/v1alpha1",
                "kind": "Topic",
                "metadata": {"name": "holes"},
                "spec": {"endpoints": members},
            }
        )
        file = tmp_path / "manifests.yaml"
        file.write_text(yaml.safe_dump_all(documents))
        settings = {"drain": "1s"}
        angarium = stack.enter_context(Angarium(tmp_path, command="dev", settings=settings, paths=(str(file),)))
        angarium.start()
        client = stack.enter_context(angarium.client(DEFAULT_USER.token))
        yield Scene(angarium, receiver, client, ports)


@pytest.mark.parametrize("hole", HOLES)
def test_messages_that_wait_for_a_black_hole_hold_back_no_other(scene: Scene, hole: str) -> None:
    scene.fill(hole)
    for number in range(HEALTHY):
        scene.publish(f"/one-by-one?{number}")
    batch = [{"destination": scene.receiver.url(f"/at-once?{number}"), "body": "x"} for number in range(HEALTHY)]
    assert scene.client.post("/v2/batch", json=batch).status_code == 200
    scene.receiver.wait_for(HEALTHY, 60, path="/one-by-one")
    scene.receiver.wait_for(HEALTHY, 60, path="/at-once")
    wait_for(scene.unfinished, lambda count: count == WAITING, describe="only those for the black hole are left")
    targets = {request.target for request in scene.receiver.received()}
    assert len(targets) == scene.receiver.count() == 2 * HEALTHY, "each once"


@pytest.mark.thorough
@pytest.mark.parametrize("hole", HOLES)
def test_a_black_hole_does_not_double_the_latency_of_others(scene: Scene, hole: str) -> None:
    count, pace_s = 1000, 0.01
    scene.latencies("/warm", 200, pace_s)
    without = scene.latencies("/without", count, pace_s)
    scene.fill(hole)
    beside = scene.latencies("/beside", count, pace_s)
    p99 = int(count * 0.99)
    figures = f"p99 {without[p99] * 1000:.1f} ms without, {beside[p99] * 1000:.1f} ms beside the black hole"
    print(figures)
    assert beside[p99] <= 2 * without[p99], figures


def test_names_that_nobody_answers_for_hold_back_no_other(tmp_path: Path, receiver: Receiver) -> None:
    angarium = Angarium(tmp_path, command="dev", settings={"drain": "1s"})
    assert angarium.program.env is not None
    environment = dict(angarium.program.env)
    angarium.program.env = environment | {"PYTHONPATH": str(DEAD_NAMES)}
    with angarium:
        angarium.start()
        with angarium.client(DEFAULT_USER.token) as client:
            for number in range(200):
                answer = client.post(f"/v2/publish/http://n{number % 100}.dead.test/", headers=PATIENT)
                assert answer.status_code == 200
            for number in range(20):
                client.post(f"/v2/publish/http://localhost:{receiver.port}/{number}")
            receiver.wait_for(20)
            brief = PATIENT | {"Upstash-Timeout": "1s"}
            message = client.post("/v2/publish/http://one.dead.test/", headers=brief).json()["messageId"]
            letters = wait_for(
                lambda: client.get("/v2/dlq", params={"messageId": message}).json()["messages"],
                bool,
                describe="a message to such a name has failed",
            )
            log = client.get("/v2/logs", params={"messageId": message}).json()["logs"]
            assert len(letters) == 1 and log[0]["error"].startswith("Timeout: ")
        begun = time.monotonic()
        assert angarium.stop() == 0
        assert time.monotonic() - begun < 15, "lookups do not keep the program"


def test_a_system_that_allows_few_open_files_is_asked_for_more(scene: Scene, tmp_path: Path) -> None:
    folder = tmp_path / "few"
    folder.mkdir()
    few = Angarium(folder, command="dev", settings={"drain": "1s"})
    few.program.argv[:0] = ["sh", "-c", 'ulimit -S -n 150 && exec "$@"', "sh"]
    with few:
        few.start()
        with few.client(DEFAULT_USER.token) as client:
            for number in range(200):
                client.post(f"/v2/publish/http://127.0.0.1:{scene.ports[number % 4]}/", headers=PATIENT)
            wait_for(
                lambda: connections(set(scene.ports), few.program.pid),
                lambda count: count == 200,
                describe="all attempts are under way",
            )
            client.post(f"/v2/publish/{scene.receiver.url('/healthy')}")
            scene.receiver.wait_for(1, path="/healthy")
