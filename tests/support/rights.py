"""The operator's rights in tests: ServiceAccounts bound to the roles that Angarium ships, and to nothing else."""

from tests.support.cluster import ROOT, apply, call, documents_of, path_of
from tests.support.controlplane import ControlPlane

ROLES = ROOT / "deploy" / "rbac"
SERVICE_ACCOUNT = "angarium"
TOKEN_SECONDS = 24 * 3600


def operator_token(control_plane: ControlPlane, namespace: str) -> str:
    """A token with the rights of an operator that watches `namespace` alone (deploy/rbac/role.yaml)."""
    apply(control_plane, ROLES / "role.yaml", namespace)
    create_service_account(control_plane, namespace)
    name = name_in("role.yaml", "Role")
    apply(control_plane, binding("RoleBinding", "angarium", "Role", name, namespace), namespace)
    return token_of(control_plane, namespace)


def cluster_operator_token(control_plane: ControlPlane, namespace: str) -> str:
    """A token with the rights of an operator that watches all namespaces (deploy/rbac/clusterrole.yaml); the
    ServiceAccount lives in `namespace`, and the rights end with it."""
    apply(control_plane, ROLES / "clusterrole.yaml")
    create_service_account(control_plane, namespace)
    name = name_in("clusterrole.yaml", "ClusterRole")
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


def name_in(file: str, kind: str) -> str:
    names = [found["metadata"]["name"] for found in documents_of(ROLES / file) if found["kind"] == kind]
    if len(names) != 1:
        raise AssertionError(f"{ROLES / file} must hold exactly one {kind}, not {len(names)}")
    return str(names[0])


def binding(kind: str, name: str, role_kind: str, role: str, namespace: str) -> dict[str, object]:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": role_kind, "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": SERVICE_ACCOUNT, "namespace": namespace}],
    }
