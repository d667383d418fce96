"""What the operator needs of the cluster, asked before anything is watched: Kopf would only warn and idle."""

from collections.abc import Sequence
from dataclasses import dataclass

from angarium.kube.client import PLURALS, KubeClient, KubeError
from angarium.resources.manifest import API_VERSION, GROUP


@dataclass(frozen=True, slots=True)
class Right:
    """One thing that the Role (or ClusterRole) has to grant."""

    group: str
    resource: str
    verb: str
    subresource: str = ""

    def __str__(self) -> str:
        name = self.resource + (f"/{self.subresource}" if self.subresource else "")
        return f"{self.verb} {name}" + (f".{self.group}" if self.group else "")


RIGHTS = (
    *(Right(GROUP, plural, verb) for plural in PLURALS.values() for verb in ("get", "list", "watch")),
    *(Right(GROUP, plural, "patch", "status") for plural in PLURALS.values()),
    Right("", "events", "create"),
    Right("", "events", "patch"),
    Right("", "secrets", "get"),
    Right("", "secrets", "create"),
    Right("", "secrets", "patch"),
    Right("", "configmaps", "get"),
)
RIGHTS_IN_CLUSTER = (*RIGHTS, Right("", "namespaces", "list"))


async def problems(client: KubeClient, namespaces: Sequence[str] | None) -> list[str]:
    """One line for each missing CRD and each missing right, with what to do; empty when all is there.

    `namespaces` None asks for the rights in the whole cluster. Raises KubeError if it cannot be told.
    """
    missing = await _missing_kinds(client)
    if missing:
        return [f"the CRD {plural}.{GROUP} is missing: apply the CRDs (kubectl apply -f crds/)" for plural in missing]
    lines: list[str] = []
    for namespace in namespaces if namespaces is not None else [None]:
        rights = RIGHTS if namespace else RIGHTS_IN_CLUSTER
        denied = [right for right in rights if not await _allowed(client, right, namespace)]
        lines += [_denied_line(right, namespace) for right in denied]
    return lines


def _denied_line(right: Right, namespace: str | None) -> str:
    if namespace:
        return f"may not {right} in namespace {namespace}: bind the Role angarium (deploy/namespaced.yaml)"
    return f"may not {right} in all namespaces: bind the ClusterRole angarium (deploy/cluster.yaml)"


async def _missing_kinds(client: KubeClient) -> list[str]:
    try:
        known = await client.get(f"/apis/{API_VERSION}")
    except KubeError as error:
        if error.status != 404:
            raise
        return sorted(PLURALS.values())
    served = {resource.get("name") for resource in known.get("resources") or []}
    return sorted(set(PLURALS.values()) - served)


async def _allowed(client: KubeClient, right: Right, namespace: str | None) -> bool:
    attributes = {"group": right.group, "resource": right.resource, "verb": right.verb}
    attributes |= {"subresource": right.subresource} if right.subresource else {}
    attributes |= {"namespace": namespace} if namespace else {}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    answer = await client.create("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
    return bool(answer.get("status", {}).get("allowed"))
