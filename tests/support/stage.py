"""A namespace with Angarium in it and a destination that answers as it is told: what most cluster tests play on."""

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import httpx
from tests.support.angarium import Angarium
from tests.support.cluster import (
    Object,
    apply,
    delete,
    events_of,
    find,
    get,
    list_all,
    patch,
    wait_condition,
    wait_for,
)
from tests.support.controlplane import ControlPlane
from tests.support.receiver import Answer, Receiver

API_VERSION = "angarium.dev/v1alpha1"
RUN_NOW = "angarium.dev/run-now"
TERMINAL = ("Delivered", "Failed", "Canceled")
STATUS_S = 25.0
"""How long a change may take to be seen in status: it is written every 10 s at most, and the machine may be busy."""


@dataclass
class Stage:
    """Names of objects have to be unique among the tests that share one; so have the receiver's paths."""

    control_plane: ControlPlane
    namespace: str
    angarium: Angarium
    receiver: Receiver

    def apply(self, kind: str, name: str, spec: Object, **metadata: Any) -> Object:
        """Server-side apply; what an earlier apply said and this one does not is taken away."""
        manifest = {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name, **metadata}, "spec": spec}
        (applied,) = apply(self.control_plane, manifest, self.namespace)
        return applied

    def endpoint(self, name: str, *answers: Answer | int, labels: dict[str, str] | None = None, **spec: Any) -> Object:
        """An Endpoint of the receiver's path `/name`, which gives these answers in this order."""
        if answers:
            self.receiver.answer(f"/{name}", *answers)
        return self.apply("Endpoint", name, {"url": self.receiver.url(f"/{name}"), **spec}, labels=labels or {})

    def once(self, name: str, destination: Object | str, **spec: Any) -> Object:
        """A Schedule that fires one time, in a second or, if it is seen later, then. A text names an Endpoint."""
        where = {"endpointRef": {"name": destination}} if isinstance(destination, str) else destination
        at = rfc3339(datetime.now(UTC) + timedelta(seconds=1))
        return self.apply("Schedule", name, {"at": at, "startingDeadlineSeconds": 60, "destination": where, **spec})

    def secret(self, name: str, **values: str | bytes) -> None:
        self.write("Secret", name, {key: base64.b64encode(as_bytes(text)).decode() for key, text in values.items()})

    def write(self, kind: str, name: str, data: dict[str, str]) -> None:
        """A Secret or a ConfigMap, with this `data` and nothing else."""
        manifest = {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, "data": data}
        apply(self.control_plane, manifest, self.namespace)

    def change(self, kind: str, name: str, **spec: Any) -> Object:
        """A merge patch of the spec."""
        return patch(self.control_plane, kind, name, self.namespace, {"spec": spec})

    def run_now(self, name: str, value: str) -> None:
        change = {"metadata": {"annotations": {RUN_NOW: value}}}
        patch(self.control_plane, "Schedule", name, self.namespace, change)

    def delete(self, kind: str, name: str) -> None:
        delete(self.control_plane, kind, name, self.namespace)

    def get(self, kind: str, name: str) -> Object:
        return get(self.control_plane, kind, name, self.namespace)

    def status(self, kind: str, name: str) -> Object:
        found: Object = self.get(kind, name)["status"]
        return found

    def condition(self, kind: str, name: str, expected: str, reason: str | None = None) -> str:
        """Wait until a condition like `Ready=True` holds of the spec as it is now; returns its message."""

        def current(obj: Object) -> bool:
            return bool(obj["status"].get("observedGeneration") == obj["metadata"]["generation"])

        wait_for(lambda: self.get(kind, name), current, within=STATUS_S, describe=f"{kind} {name}: status of this spec")
        found = wait_condition(
            self.control_plane, kind, name, self.namespace, expected, reason=reason, within=STATUS_S
        )  # fmt: skip
        type_ = expected.partition("=")[0]
        return next(str(one["message"]) for one in found["status"]["conditions"] if one["type"] == type_)

    def ready(self, *objects: tuple[str, str]) -> None:
        for kind, name in objects:
            self.condition(kind, name, "Ready=True")

    def runs(self, name: str) -> list[Object]:
        """The runs in a Schedule's status, newest first."""
        found: list[Object] = self.status("Schedule", name).get("recentRuns", [])
        return found

    def run(self, name: str, state: str, accept: Callable[[Object], object] = bool) -> Object:
        """Wait until the newest run of a Schedule has this state, as its status tells; returns it."""

        def of_state(runs: list[Object]) -> bool:
            return bool(runs) and runs[0]["state"] == state and bool(accept(runs[0]))

        return wait_for(lambda: self.runs(name), of_state, within=STATUS_S, describe=f"a run of {name}: {state}")[0]

    def message(self, name: str, state: str) -> Object:
        """Wait until the newest run of a Schedule with a single destination has this state; returns its message."""
        run = self.run(name, state)
        (member,) = run["members"]
        found: Object = member
        return found

    def events(self, kind: str, name: str, reason: str, count: int = 1) -> list[Object]:
        """Wait for so many Events of this reason about an object; returns all of them."""

        def read() -> list[Object]:
            events = events_of(self.control_plane, kind, name, self.namespace)
            return [event for event in events if event["reason"] == reason]

        describe = f"{count} Event(s) {reason} about {kind} {name}"
        return wait_for(read, lambda events: len(events) >= count, within=STATUS_S, describe=describe)

    def event_reasons(self, kind: str, name: str) -> list[str]:
        return [str(event["reason"]) for event in events_of(self.control_plane, kind, name, self.namespace)]

    @cached_property
    def token(self) -> str:
        """The text of a Token made for this purpose, from its Secret."""
        self.apply("Token", "stage", {})
        secret = wait_for(
            lambda: find(self.control_plane, "Secret", "stage-qstash", self.namespace), within=STATUS_S,
            describe="the Secret of Token stage",
        )  # fmt: skip
        assert secret is not None
        return base64.b64decode(secret["data"]["QSTASH_TOKEN"]).decode()

    def api(self, method: str, path: str, **request: Any) -> httpx.Response:
        """One request to the HTTP API."""
        with self.angarium.client(self.token) as client:
            return client.request(method, path, **request)

    def dead_letters(self, **filters: str) -> list[Object]:
        answer = self.api("GET", "/v2/dlq", params=filters)
        assert answer.status_code == 200, answer.text
        found: list[Object] = answer.json()["messages"]
        return found

    def list_all(self, kind: str) -> list[Object]:
        return list_all(self.control_plane, kind, self.namespace)


def statuses(member: Object) -> list[tuple[int, int]]:
    """(number, HTTP status) of each attempt that a message in a Schedule's status shows."""
    return [(attempt["number"], attempt["status"]) for attempt in member.get("recentAttempts", [])]


def instants(runs: Sequence[Object]) -> list[datetime]:
    """The slots of runs, oldest first."""
    return sorted(datetime.fromisoformat(run["slot"]) for run in runs)


def rfc3339(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def as_bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()
