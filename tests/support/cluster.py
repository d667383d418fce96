"""What cluster tests do to objects, over the plain REST API: milliseconds, where kubectl takes a tenth of a second.

Where kubectl's own behaviour is the point, use ControlPlane.kubectl instead.
"""

import asyncio
import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import httpx
import yaml
from tests.support.controlplane import ControlPlane

T = TypeVar("T")
Object = dict[str, Any]

ROOT = Path(__file__).resolve().parents[2]
FIELD_MANAGER = "angarium-tests"
POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Kind:
    """Where the objects of one kind live: `api` is the path of group and version."""

    api: str
    plural: str
    namespaced: bool = True


ANGARIUM, RBAC, CORE = "apis/angarium.dev/v1alpha1", "apis/rbac.authorization.k8s.io/v1", "api/v1"
NETWORKING, MONITORING = "apis/networking.k8s.io/v1", "apis/monitoring.coreos.com/v1"
KINDS = {
    "Endpoint": Kind(ANGARIUM, "endpoints"),
    "Topic": Kind(ANGARIUM, "topics"),
    "Schedule": Kind(ANGARIUM, "schedules"),
    "Queue": Kind(ANGARIUM, "queues"),
    "Token": Kind(ANGARIUM, "tokens"),
    "Secret": Kind(CORE, "secrets"),
    "ConfigMap": Kind(CORE, "configmaps"),
    "Pod": Kind(CORE, "pods"),
    "ServiceAccount": Kind(CORE, "serviceaccounts"),
    "Event": Kind(CORE, "events"),
    "Namespace": Kind(CORE, "namespaces", namespaced=False),
    "Node": Kind(CORE, "nodes", namespaced=False),
    "Service": Kind(CORE, "services"),
    "PersistentVolume": Kind(CORE, "persistentvolumes", namespaced=False),
    "Role": Kind(RBAC, "roles"),
    "RoleBinding": Kind(RBAC, "rolebindings"),
    "ClusterRole": Kind(RBAC, "clusterroles", namespaced=False),
    "ClusterRoleBinding": Kind(RBAC, "clusterrolebindings", namespaced=False),
    "PersistentVolumeClaim": Kind(CORE, "persistentvolumeclaims"),
    "StatefulSet": Kind("apis/apps/v1", "statefulsets"),
    "Ingress": Kind(NETWORKING, "ingresses"),
    "NetworkPolicy": Kind(NETWORKING, "networkpolicies"),
    "ServiceMonitor": Kind(MONITORING, "servicemonitors"),
    "PrometheusRule": Kind(MONITORING, "prometheusrules"),
    "Lease": Kind("apis/coordination.k8s.io/v1", "leases"),
    "CustomResourceDefinition": Kind("apis/apiextensions.k8s.io/v1", "customresourcedefinitions", namespaced=False),
}


class Refused(Exception):
    """The API server said no: `code` is the HTTP status, the text is its own message."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


def path_of(kind: str, name: str = "", namespace: str | None = None) -> str:
    """The REST path of an object, or of all objects of a kind without `name` (in all namespaces without both)."""
    where = KINDS[kind]
    within = f"/namespaces/{namespace}" if where.namespaced and namespace else ""
    return f"/{where.api}{within}/{where.plural}" + (f"/{name}" if name else "")


def call(control_plane: ControlPlane, method: str, path: str, **request: Any) -> Object:
    """One request as cluster admin; raises Refused for anything but a 2xx."""
    return checked(control_plane.client.request(method, path, **request))


def checked(answer: httpx.Response) -> Object:
    body: Object = answer.json() if answer.headers.get("Content-Type", "").startswith("application/json") else {}
    if not answer.is_success:
        raise Refused(answer.status_code, body.get("message", answer.text))
    return body


def apply(
    control_plane: ControlPlane, manifests: Path | str | Object, namespace: str | None = None, **query: str
) -> list[Object]:
    """Server-side apply of a file, a folder of *.yaml, YAML text or one object; the objects as the server has them.

    `namespace` fills in for documents that name none. Unknown fields are refused, as kubectl does. `query`: more
    parameters of the request, such as `dryRun="All"`.
    """
    return [apply_one(control_plane, document, namespace, query) for document in documents_of(manifests)]


def apply_one(control_plane: ControlPlane, document: Object, namespace: str | None, query: Mapping[str, str]) -> Object:
    metadata = document["metadata"]
    path = path_of(document["kind"], metadata["name"], metadata.get("namespace", namespace))
    return call(
        control_plane, "PATCH", path,
        params={"fieldManager": FIELD_MANAGER, "force": "true", "fieldValidation": "Strict", **query},
        headers={"Content-Type": "application/apply-patch+yaml"},
        content=json.dumps(document),
    )  # fmt: skip


def documents_of(manifests: Path | str | Object) -> list[Object]:
    if isinstance(manifests, dict):
        return [manifests]
    if isinstance(manifests, Path):
        files = sorted(manifests.glob("*.yaml")) if manifests.is_dir() else [manifests]
        return [document for file in files for document in documents_of(file.read_text())]
    return [document for document in yaml.safe_load_all(manifests) if document]


def get(control_plane: ControlPlane, kind: str, name: str, namespace: str | None = None) -> Object:
    """The object; raises Refused with code 404 where there is none."""
    return call(control_plane, "GET", path_of(kind, name, namespace))


def find(control_plane: ControlPlane, kind: str, name: str, namespace: str | None = None) -> Object | None:
    """The object, or None where there is none."""
    try:
        return get(control_plane, kind, name, namespace)
    except Refused as refused:
        if refused.code == 404:
            return None
        raise


def list_all(control_plane: ControlPlane, kind: str, namespace: str | None = None, **selectors: str) -> list[Object]:
    """All objects of a kind; `labelSelector` and `fieldSelector` narrow it down."""
    found: list[Object] = call(control_plane, "GET", path_of(kind, namespace=namespace), params=selectors)["items"]
    return found


def patch(
    control_plane: ControlPlane, kind: str, name: str, namespace: str | None, change: Object, subresource: str = ""
) -> Object:
    """A JSON merge patch, of the object or of its `subresource` (`status`)."""
    path = path_of(kind, name, namespace) + (f"/{subresource}" if subresource else "")
    headers = {"Content-Type": "application/merge-patch+json"}
    params = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"}
    return call(control_plane, "PATCH", path, params=params, headers=headers, content=json.dumps(change))


def delete(control_plane: ControlPlane, kind: str, name: str, namespace: str | None = None) -> None:
    """Ask for the deletion. Gone already is fine; an object with finalizers stays, as it would in a cluster."""
    try:
        call(control_plane, "DELETE", path_of(kind, name, namespace))
    except Refused as refused:
        if refused.code != 404:
            raise


def create_namespace(control_plane: ControlPlane, name: str) -> Object:
    document = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    return call(control_plane, "POST", path_of("Namespace"), json=document)


def remove_namespace(control_plane: ControlPlane, name: str) -> None:
    """Delete a namespace and what is in it. Without a controller manager the removal is done here."""
    delete(control_plane, "Namespace", name)
    if control_plane.controller_manager_running:
        return
    for path in collections_in(control_plane, name):
        call(control_plane, "DELETE", path)
    namespace = find(control_plane, "Namespace", name)
    if namespace is not None:
        namespace["spec"] = {"finalizers": []}
        call(control_plane, "PUT", path_of("Namespace", name) + "/finalize", json=namespace)


def collections_in(control_plane: ControlPlane, namespace: str) -> Iterable[str]:
    """The path of every namespaced collection that the API server serves and can delete as a whole."""
    groups = call(control_plane, "GET", "/apis")["groups"]
    for api in ("api/v1", *(f"apis/{group['preferredVersion']['groupVersion']}" for group in groups)):
        for resource in call(control_plane, "GET", f"/{api}")["resources"]:
            if resource["namespaced"] and "deletecollection" in resource["verbs"]:
                yield f"/{api}/namespaces/{namespace}/{resource['name']}"


def events_of(control_plane: ControlPlane, kind: str, name: str, namespace: str) -> list[Object]:
    """The core/v1 Events about one object, oldest first."""
    selector = f"involvedObject.kind={kind},involvedObject.name={name}"
    events = list_all(control_plane, "Event", namespace, fieldSelector=selector)
    return sorted(events, key=lambda event: str(event["metadata"]["creationTimestamp"]))


def condition(obj: Object, type_: str) -> Object | None:
    """The condition of that type, or None while the object has none."""
    conditions = obj.get("status", {}).get("conditions") or []
    return next((found for found in conditions if found["type"] == type_), None)


def wait_for(
    read: Callable[[], T], accept: Callable[[T], object] = bool, *, within: float = 10.0, describe: str = ""
) -> T:
    """Read every 50 ms until `accept` likes the value, and return it; a refusal by the API server is not yet.

    After `within` seconds: an AssertionError with `describe` and the last value. Blocks: inside a running event
    loop that has something else to do, use `eventually`.
    """
    waiting = Waiting(read, accept, within, describe)
    while not waiting.over():
        time.sleep(POLL_S)
    return waiting.value()


async def eventually(
    read: Callable[[], T], accept: Callable[[T], object] = bool, *, within: float = 10.0, describe: str = ""
) -> T:
    """wait_for() that lets the event loop turn between two reads."""
    waiting = Waiting(read, accept, within, describe)
    while True:
        if waiting.over():
            return waiting.value()
        await asyncio.sleep(POLL_S)


class Waiting(Generic[T]):
    """One wait: what was seen last, and whether that is the end of it."""

    def __init__(self, read: Callable[[], T], accept: Callable[[T], object], within: float, describe: str) -> None:
        self._read, self._accept = read, accept
        self._within, self._describe = within, describe
        self._deadline = time.monotonic() + within
        self._accepted: list[T] = []

    def over(self) -> bool:
        last: T | Refused
        try:
            last = self._read()
            if self._accept(last):
                self._accepted.append(last)
                return True
        except Refused as refused:
            last = refused
        if time.monotonic() < self._deadline:
            return False
        shown = json.dumps(last, indent=1, default=repr) if isinstance(last, dict | list) else repr(last)
        raise AssertionError(f"not within {self._within:g} s: {self._describe or 'a wait'}. Last value:\n{shown}")

    def value(self) -> T:
        return self._accepted[-1]


def wait_condition(
    control_plane: ControlPlane,
    kind: str,
    name: str,
    namespace: str | None,
    expected: str,
    *,
    reason: str | None = None,
    within: float = 10.0,
) -> Object:
    """Wait until condition `expected`, as `Ready=True`, holds (for `reason`, if given); returns the object."""
    type_, _, status = expected.partition("=")

    def holds(obj: Object) -> bool:
        found = condition(obj, type_)
        return found is not None and found["status"] == status and reason in (None, found["reason"])

    describe = f"{kind} {name}: {expected}" + (f" ({reason})" if reason else "")
    return wait_for(lambda: get(control_plane, kind, name, namespace), holds, within=within, describe=describe)
