"""The operator's rights in tests: ServiceAccounts bound to the roles that Angarium ships, and to nothing else."""

from tests.support.cluster import ROOT, Object, apply, call, documents_of, path_of
from tests.support.controlplane import ControlPlane

MANIFESTS = {"Role": ROOT / "deploy" / "namespaced.yaml", "ClusterRole": ROOT / "deploy" / "cluster.yaml"}
"""Where each kind of role is shipped."""

SERVICE_ACCOUNT = "angarium"
TOKEN_SECONDS = 24 * 3600


def operator_token(control_plane: ControlPlane, namespace: str) -> str:
    """A token with the rights of an operator that watches `namespace` alone (deploy/namespaced.yaml)."""
    (shipped,) = apply(control_plane, role("Role"), namespace)
    create_service_account(control_plane, namespace)
    name = shipped["metadata"]["name"]
    apply(control_plane, binding("RoleBinding", "angarium", "Role", name, namespace), namespace)
    return token_of(control_plane, namespace)


def cluster_operator_token(control_plane: ControlPlane, namespace: str) -> str:
    """A token with the rights of an operator that watches all namespaces (deploy/cluster.yaml); the
    ServiceAccount lives in `namespace`, and the rights end with it."""
    (shipped,) = apply(control_plane, role("ClusterRole"))
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


def role(kind: str) -> Object:
    """The Role or ClusterRole as the manifests have it, for any namespace."""
    file = MANIFESTS[kind]
    found = [document for document in documents_of(file) if document["kind"] == kind]
    if len(found) != 1:
        raise AssertionError(f"{file} must hold exactly one {kind}, not {len(found)}")
    found[0]["metadata"].pop("namespace", None)
    return found[0]


def binding(kind: str, name: str, role_kind: str, role: str, namespace: str) -> dict[str, object]:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": role_kind, "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": SERVICE_ACCOUNT, "namespace": namespace}],
    }
