"""The shipped roles are enough for what the operator does, and no more. What cannot be asked for is not here."""

from tests.support.controlplane import ControlPlane

KINDS = ("endpoints", "topics", "schedules", "queues", "tokens")

ALLOWED = [
    *((verb, "angarium.dev", kind) for kind in KINDS for verb in ("list", "watch")),
    *(("patch", "angarium.dev", f"{kind}/status") for kind in KINDS),
    ("create", "", "events"),
    ("patch", "", "events"),
    ("get", "", "secrets"),
    ("create", "", "secrets"),
    ("patch", "", "secrets"),
    ("get", "", "configmaps"),
]
NAMESPACES = [("list", "", "namespaces")]
REFUSED = [
    *((verb, "angarium.dev", kind) for kind in KINDS for verb in ("get", "create", "update", "patch", "delete")),
    ("list", "", "secrets"),
    ("watch", "", "secrets"),
    ("update", "", "secrets"),
    ("delete", "", "secrets"),
    ("list", "", "configmaps"),
    ("patch", "", "configmaps"),
    ("list", "", "events"),
    ("list", "", "pods"),
    ("create", "", "pods"),
    ("list", "apiextensions.k8s.io", "customresourcedefinitions"),
    ("delete", "", "namespaces"),
]

Right = tuple[str, str, str]


def may(control_plane: ControlPlane, token: str, right: Right, namespace: str) -> bool:
    """What the API server itself answers to the holder of `token`."""
    verb, group, resource = right
    name, _, subresource = resource.partition("/")
    attributes = {"verb": verb, "group": group, "resource": name, "subresource": subresource, "namespace": namespace}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    with control_plane.client_for(token) as client:
        answer = client.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", json=review)
        return bool(answer.raise_for_status().json()["status"]["allowed"])


def rights_of(control_plane: ControlPlane, token: str, rights: list[Right], namespace: str) -> list[Right]:
    return [right for right in rights if may(control_plane, token, right, namespace)]


def test_role(control_plane: ControlPlane, namespace: str, operator_token: str) -> None:
    """One namespace: what it needs there, nothing else there, nothing elsewhere."""
    assert rights_of(control_plane, operator_token, ALLOWED, namespace) == ALLOWED
    assert rights_of(control_plane, operator_token, [*REFUSED, *NAMESPACES[1:]], namespace) == []
    assert rights_of(control_plane, operator_token, ALLOWED, "kube-system") == []


def test_cluster_role(control_plane: ControlPlane, namespace: str, cluster_operator_token: str) -> None:
    """All namespaces: the same everywhere, and the namespaces themselves."""
    allowed = [*ALLOWED, *NAMESPACES]
    for scope in (namespace, "kube-system", ""):
        assert rights_of(control_plane, cluster_operator_token, allowed, scope) == allowed
        assert rights_of(control_plane, cluster_operator_token, REFUSED, scope) == []
