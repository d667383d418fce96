"""A control plane full of objects: what an operator of a large cluster finds."""

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import httpx
from tests.support.cluster import ROOT, Object, apply, call, condition, create_namespace, find, get, path_of, wait_for
from tests.support.controlplane import ControlPlane
from tools.controlplane import build

T = TypeVar("T")

NAMESPACE = "bench"
API_VERSION = "angarium.dev/v1alpha1"
AT_ONCE = 16
SERVED_S = 60.0
SECRET_S = 60.0


@contextmanager
def running_control_plane(folder: Path) -> Iterator[ControlPlane]:
    """A real API server with Angarium's CRDs and one namespace."""
    control_plane = ControlPlane(folder, build.locate() or build.build())
    try:
        control_plane.start()
        for crd in apply(control_plane, ROOT / "crds"):
            await_served(control_plane, crd["metadata"]["name"])
        create_namespace(control_plane, NAMESPACE)
        yield control_plane
    finally:
        control_plane.stop()


def await_served(control_plane: ControlPlane, crd: str) -> None:
    def served(found: Object) -> bool:
        established = condition(found, "Established")
        return established is not None and established["status"] == "True"

    wait_for(
        lambda: get(control_plane, "CustomResourceDefinition", crd), served, within=SERVED_S, describe=f"{crd} served"
    )


def objects(schedules: int) -> Iterator[Object]:
    """Endpoints, Topics of three of them each, and Schedules that fire once a year, every other one at a Topic."""
    endpoints, topics = max(3, schedules // 10), max(1, schedules // 50)
    for number in range(endpoints):
        yield manifest("Endpoint", f"endpoint-{number}", {"url": f"http://127.0.0.1:9/hooks/{number}"}, number)
    for number in range(topics):
        named = [f"endpoint-{(number + step) % endpoints}" for step in range(3)]
        members = [{"name": one, "endpointRef": {"name": one}} for one in named]
        yield manifest("Topic", f"topic-{number}", {"endpoints": members}, number)
    for number in range(schedules):
        to_endpoint = {"endpointRef": {"name": f"endpoint-{number % endpoints}"}}
        to = to_endpoint if number % 2 else {"topicRef": {"name": f"topic-{number % topics}"}}
        yield yearly(f"schedule-{number}", to, "x" * 250, number)


def yearly(name: str, destination: Object, body: str, number: int = 0) -> Object:
    """A Schedule that does not fire while anything is measured."""
    return manifest(
        "Schedule", name, {"cron": half_a_year_away(), "destination": destination, "body": {"text": body}}, number
    )


def manifest(kind: str, name: str, spec: Object, number: int = 0) -> Object:
    metadata = {"name": name, "labels": {"group": str(number % 10)}}
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}


def half_a_year_away() -> str:
    return f"0 6 1 {(datetime.now(UTC).month + 5) % 12 + 1} *"


async def create(control_plane: ControlPlane, documents: Iterable[Object]) -> None:
    async def post(client: httpx.AsyncClient, document: Object) -> None:
        (await client.post(path_of(document["kind"], namespace=NAMESPACE), json=document)).raise_for_status()

    await _each(control_plane, documents, post)


async def change_suspend(control_plane: ControlPlane, schedules: Iterable[str], suspend: bool) -> None:
    """A change of the spec that shows in the conditions."""

    async def patch(client: httpx.AsyncClient, name: str) -> None:
        headers = {"Content-Type": "application/merge-patch+json"}
        path = path_of("Schedule", name, NAMESPACE)
        answer = await client.patch(path, headers=headers, json={"spec": {"suspend": suspend}})
        answer.raise_for_status()

    await _each(control_plane, schedules, patch)


@dataclass(frozen=True, slots=True)
class Access:
    """How a program of its own reaches the API server as cluster admin."""

    url: str
    ca_file: Path
    token: str

    @classmethod
    def to(cls, control_plane: ControlPlane) -> "Access":
        return cls(control_plane.url, control_plane.ca_file, control_plane.admin_token)


@asynccontextmanager
async def admin(access: Access) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": f"Bearer {access.token}"}
    verify = ssl.create_default_context(cafile=access.ca_file)
    async with httpx.AsyncClient(base_url=access.url, headers=headers, verify=verify, timeout=60) as client:
        yield client


def remove(control_plane: ControlPlane, kind: str, label: str) -> None:
    """All objects of a kind that carry this label."""
    call(control_plane, "DELETE", path_of(kind, namespace=NAMESPACE), params={"labelSelector": label}, timeout=120)


def publisher_token(control_plane: ControlPlane) -> str:
    """The text of a Token, made on the first call, from the Secret that a running Angarium writes."""
    apply(control_plane, {"apiVersion": API_VERSION, "kind": "Token", "metadata": {"name": "bench"}}, NAMESPACE)
    secret = wait_for(
        lambda: find(control_plane, "Secret", "bench-qstash", NAMESPACE), within=SECRET_S, describe="the Token's Secret"
    )
    assert secret is not None
    return base64.b64decode(secret["data"]["QSTASH_TOKEN"]).decode()


async def _each(
    control_plane: ControlPlane, items: Iterable[T], act: Callable[[httpx.AsyncClient, T], Awaitable[None]]
) -> None:
    """A few at once."""
    waiting = iter(items)
    async with admin(Access.to(control_plane)) as client, asyncio.TaskGroup() as group:

        async def some() -> None:
            for item in waiting:
                await act(client, item)

        for _ in range(AT_ONCE):
            group.create_task(some())
