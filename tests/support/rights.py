"""The operator's rights in tests: ServiceAccounts bound to the roles that Angarium ships, and to nothing else."""

from collections.abc import Iterable
from functools import cache

from tests.support.cluster import ROOT, Object, apply, call, documents_of, path_of
from tests.support.controlplane import ControlPlane

from angarium.kube.preflight import Right

MANIFESTS = {"Role": ROOT / "deploy" / "namespaced.yaml", "ClusterRole": ROOT / "deploy" / "cluster.yaml"}
"""Where each kind of role is shipped."""

SERVICE_ACCOUNT = "angarium"
TOKEN_SECONDS = 24 * 3600


def operator_token(control_plane: ControlPlane, namespace: str) -> str:
    """A token with the rights of an operator that watches `namespace` alone."""
    create_service_account(control_plane, namespace)
    grant(control_plane, namespace)
    return token_of(control_plane, namespace)


def grant(control_plane: ControlPlane, namespace: str, to: str | None = None, without: Iterable[str] = ()) -> None:
    """Give the ServiceAccount of `to` (of the same namespace, if None) the Role that is shipped in `namespace`, and
    nothing else there; `without` are rights like `get secrets` that are left out."""
    shipped = role("Role")
    apply(control_plane, shipped | {"rules": reduced(shipped["rules"], without)}, namespace)
    name = shipped["metadata"]["name"]
    apply(control_plane, binding("RoleBinding", "angarium", "Role", name, to or namespace), namespace)


def cluster_operator_token(control_plane: ControlPlane, namespace: str) -> str:
    """A token with the rights of an operator that watches all namespaces; the ServiceAccount lives in `namespace`,
    and the rights end with it."""
    shipped = role("ClusterRole")
    apply(control_plane, shipped)
    create_service_account(control_plane, namespace)
    name = shipped["metadata"]["name"]
    apply(control_plane, binding("ClusterRoleBinding", f"angarium-{namespace}", "ClusterRole", name, namespace))
    return token_of(control_plane, namespace)


def create_service_account(control_plane: ControlPlane, namespace: str, name: str = SERVICE_ACCOUNT) -> None:
    apply(control_plane, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}, namespace)


def token_of(control_plane: ControlPlane, namespace: str, name: str = SERVICE_ACCOUNT) -> str:
    """A fresh token of the ServiceAccount, good for a day (TokenRequest)."""
    request = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": TOKEN_SECONDS},
    }
    answer = call(control_plane, "POST", path_of("ServiceAccount", name, namespace) + "/token", json=request)
    token: str = answer["status"]["token"]
    return token


@cache
def role(kind: str) -> Object:
    """The Role or the ClusterRole that Angarium ships, for any namespace. The only place that knows where they are."""
    found = [document for document in documents_of(MANIFESTS[kind]) if document["kind"] == kind]
    if len(found) != 1:
        raise AssertionError(f"{MANIFESTS[kind]} must hold exactly one {kind}, not {len(found)}")
    found[0]["metadata"].pop("namespace", None)
    return found[0]


def rights_of(rules: Iterable[Object]) -> set[Right]:
    """Each right that rules grant; what is granted wholesale has a `*` in it."""
    return {
        Right(group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def on(resource: str) -> list[str]:
    """The rights that an operator has on these objects, like `get secrets`; not those on their status."""
    return [str(one) for one in rights_of(role("Role")["rules"]) if one.resource == resource]


def reduced(rules: Iterable[Object], without: Iterable[str]) -> list[Object]:
    """Rules that grant the same but for these rights, one for each right."""
    left = sorted((one for one in rights_of(rules) if str(one) not in set(without)), key=str)
    return [{"apiGroups": [one.group], "resources": [one.resource], "verbs": [one.verb]} for one in left]


def binding(kind: str, name: str, role_kind: str, role: str, namespace: str) -> dict[str, object]:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": role_kind, "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": SERVICE_ACCOUNT, "namespace": namespace}],
    }
