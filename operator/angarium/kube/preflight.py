"""What the operator needs of the cluster, asked before anything is watched: Kopf would only warn and idle.

`RIGHTS` is the one list of it: the Roles that Angarium ships grant the same, and the tests hold both against what was
really asked of the API server.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from angarium.domain.reasons import EventReason
from angarium.kube.client import PLURALS, KubeClient, KubeError
from angarium.resources.manifest import API_VERSION, GROUP

AT_ONCE = 4
MOST_NAMED = 10
SERVICE_ACCOUNT = "system:serviceaccount:"


@dataclass(frozen=True, slots=True)
class Right:
    """One thing that the Role (or ClusterRole) has to grant; `resource` as rules have it, with its subresource."""

    group: str
    resource: str
    verb: str

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}" + (f".{self.group}" if self.group else "")


RIGHTS = (
    *(Right(GROUP, plural, verb) for plural in PLURALS.values() for verb in ("list", "watch")),
    *(Right(GROUP, f"{plural}/status", "patch") for plural in PLURALS.values()),
    Right("", "events", "create"),
    Right("", "events", "patch"),
    Right("", "secrets", "get"),
    Right("", "secrets", "create"),
    Right("", "secrets", "patch"),
    Right("", "configmaps", "get"),
)
RIGHTS_IN_CLUSTER = (*RIGHTS, Right("", "namespaces", "list"))


@dataclass(frozen=True, slots=True)
class Lack:
    """What is missing, in words that say how to grant it; `namespaces` None: it concerns all that is watched."""

    reason: EventReason
    text: str
    namespaces: frozenset[str] | None = None


async def lacks(client: KubeClient, namespaces: Sequence[str] | None) -> list[Lack]:
    """Every missing CRD, and the missing rights, those that several namespaces miss alike in one; empty when all is
    there. `namespaces` None asks for the rights in the whole cluster. Raises KubeError if it cannot be told.
    """
    found = [_crd_lack(plural) for plural in await missing_kinds(client)]
    alike: defaultdict[tuple[Right, ...], list[str | None]] = defaultdict(list)
    for namespace in namespaces if namespaces is not None else [None]:
        denied = await _denied(client, RIGHTS if namespace else RIGHTS_IN_CLUSTER, namespace)
        if denied:
            alike[denied].append(namespace)
    who = await _who(client) if alike else ""
    return found + [_rights_lack(rights, where, who) for rights, where in alike.items()]


def _crd_lack(plural: str) -> Lack:
    text = f"the CRD {plural}.{GROUP} is missing: apply the CRDs (kubectl apply -f crds/, or helm upgrade)"
    return Lack(EventReason.CRD_MISSING, text)


def _rights_lack(rights: Sequence[Right], where: Sequence[str | None], who: str) -> Lack:
    missing = named(rights)
    namespaces = [namespace for namespace in where if namespace]
    if namespaces:
        place, role, file = f"in {_listed(namespaces)}", "Role there", "deploy/namespaced.yaml"
    else:
        place, role, file = "in all namespaces", "ClusterRole", "deploy/cluster.yaml"
    doubt = " (does it exist?)" if namespaces and len(rights) == len(RIGHTS) else ""
    text = (
        f"may not {missing} {place}{doubt}: apply Angarium's {role.partition(' ')[0]} again as it was installed (helm "
        f"upgrade, or {file}), or add to the rules of a {role} that is bound to {who}: {', '.join(rules(rights))}"
    )
    return Lack(EventReason.RIGHTS_MISSING, text, frozenset(namespaces) if namespaces else None)


def named(rights: Iterable[Right]) -> str:
    """As a person says it: `get, create secrets; list topics.angarium.dev, queues.angarium.dev`."""
    parts = []
    for (group, verbs), resources in _together(rights).items():
        names = (resource + (f".{group}" if group else "") for resource in resources)
        parts.append(f"{', '.join(verbs)} {', '.join(names)}")
    return "; ".join(parts)


def rules(rights: Iterable[Right]) -> list[str]:
    """The fewest rules of a Role that grant them, each as one line of YAML."""
    return [_rule(group, names, verbs) for (group, verbs), names in _together(rights).items()]


def _rule(group: str, resources: Sequence[str], verbs: Sequence[str]) -> str:
    quoted = group or '""'
    return f"{{apiGroups: [{quoted}], resources: [{', '.join(resources)}], verbs: [{', '.join(verbs)}]}}"


def _together(rights: Iterable[Right]) -> Mapping[tuple[str, tuple[str, ...]], Sequence[str]]:
    """The resources by group and verbs."""
    verbs: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for right in rights:
        verbs[right.group, right.resource].append(right.verb)
    resources: defaultdict[tuple[str, tuple[str, ...]], list[str]] = defaultdict(list)
    for (group, resource), of_it in verbs.items():
        resources[group, tuple(of_it)].append(resource)
    return resources


def _listed(namespaces: Sequence[str]) -> str:
    more = len(namespaces) - MOST_NAMED
    names = ", ".join(namespaces[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
    return f"{'namespace' if len(namespaces) == 1 else 'the namespaces'} {names}"


async def missing_kinds(client: KubeClient) -> list[str]:
    """Plural names of the CRDs that the API server does not serve. Raises KubeError."""
    try:
        known = await client.get(f"/apis/{API_VERSION}")
    except KubeError as error:
        if error.status != 404:
            raise
        return sorted(PLURALS.values())
    served = {resource.get("name") for resource in known.get("resources") or []}
    return sorted(set(PLURALS.values()) - served)


async def _denied(client: KubeClient, rights: Sequence[Right], namespace: str | None) -> tuple[Right, ...]:
    few = asyncio.Semaphore(AT_ONCE)

    async def allowed(right: Right) -> bool:
        async with few:
            return await _allowed(client, right, namespace)

    answers = await asyncio.gather(*map(allowed, rights))
    return tuple(right for right, granted in zip(rights, answers, strict=True) if not granted)


async def _allowed(client: KubeClient, right: Right, namespace: str | None) -> bool:
    resource, _, subresource = right.resource.partition("/")
    attributes = {"group": right.group, "resource": resource, "verb": right.verb}
    attributes |= {"subresource": subresource} if subresource else {}
    attributes |= {"namespace": namespace} if namespace else {}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    answer = await client.create("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
    return bool(answer.get("status", {}).get("allowed"))


async def _who(client: KubeClient) -> str:
    """Whom the rights have to be granted to; API servers before 1.28 do not tell."""
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    try:
        answer = await client.create("/apis/authentication.k8s.io/v1/selfsubjectreviews", review)
    except KubeError:
        return "Angarium's ServiceAccount"
    name = str(answer.get("status", {}).get("userInfo", {}).get("username", ""))
    if name.startswith(SERVICE_ACCOUNT):
        namespace, _, account = name.removeprefix(SERVICE_ACCOUNT).partition(":")
        return f"the ServiceAccount {account} of namespace {namespace}"
    return f"user {name}"
