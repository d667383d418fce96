"""What is missing is named exactly, with the rule that grants it; the shipped Roles grant what is asked for."""

from typing import Any

import pytest
import yaml
from tests.support import rights

from angarium.domain.reasons import EventReason
from angarium.kube import preflight
from angarium.kube.client import PLURALS, KubeError
from angarium.kube.events import MESSAGE_LENGTH
from angarium.kube.preflight import RIGHTS, RIGHTS_IN_CLUSTER, Lack, Right, rules

NEEDED = {"Role": RIGHTS, "ClusterRole": RIGHTS_IN_CLUSTER}


class Cluster:
    """Answers what preflight asks: `denied` are (namespace, right), `kinds` what is served of our group."""

    def __init__(self, *denied: tuple[str, str], kinds: set[str] | None = None, who: str = "") -> None:
        self.denied = set(denied)
        self.kinds = set(PLURALS.values()) if kinds is None else kinds
        self.who = who

    async def get(self, path: str) -> dict[str, Any]:
        if not self.kinds:
            raise KubeError(404, "the server could not find the requested resource")
        return {"resources": [{"name": kind} for kind in self.kinds]}

    async def create(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        if body["kind"] == "SelfSubjectReview":
            if not self.who:
                raise KubeError(404, "the server could not find the requested resource")
            return {"status": {"userInfo": {"username": self.who}}}
        asked = body["spec"]["resourceAttributes"]
        resource = asked["resource"] + (f"/{asked['subresource']}" if "subresource" in asked else "")
        right = Right(asked["group"], resource, asked["verb"])
        return {"status": {"allowed": (asked.get("namespace", ""), str(right)) not in self.denied}}


async def lacks(cluster: Cluster, *namespaces: str) -> list[Lack]:
    return await preflight.lacks(cluster, namespaces or None)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", NEEDED)
def test_the_role_that_is_shipped_grants_what_is_asked_for_and_nothing_else(kind: str) -> None:
    granted = rights.rights_of(rights.role(kind)["rules"])
    assert granted == set(NEEDED[kind])
    assert not [one for one in granted if "*" in (one.group, one.resource, one.verb)]
    assert all(rule.keys() == {"apiGroups", "resources", "verbs"} for rule in rights.role(kind)["rules"])


@pytest.mark.parametrize("kind", NEEDED)
def test_rules_grant_what_they_are_made_of(kind: str) -> None:
    made = [yaml.safe_load(rule) for rule in rules(NEEDED[kind])]
    assert rights.rights_of(made) == set(NEEDED[kind])
    assert len(made) == len(rights.role(kind)["rules"])


async def test_nothing_is_missing() -> None:
    assert await lacks(Cluster()) == await lacks(Cluster(), "shop", "billing") == []


async def test_a_right_is_named_with_its_namespace_and_whom_to_grant_it() -> None:
    cluster = Cluster(("shop", "get secrets"), who="system:serviceaccount:platform:angarium")
    (lack,) = await lacks(cluster, "shop", "billing")
    assert (lack.reason, lack.namespaces) == (EventReason.RIGHTS_MISSING, {"shop"})
    assert lack.text == (
        "may not get secrets in namespace shop: apply Angarium's Role again as it was installed (helm upgrade, "
        "or deploy/namespaced.yaml), or add to the rules of a Role there that is bound to the ServiceAccount angarium "
        'of namespace platform: {apiGroups: [""], resources: [secrets], verbs: [get]}'
    )


async def test_in_the_whole_cluster_it_is_a_matter_of_the_cluster_role() -> None:
    (lack,) = await lacks(Cluster(("", "list namespaces"), who="jane"))
    assert lack.namespaces is None
    assert lack.text == (
        "may not list namespaces in all namespaces: apply Angarium's ClusterRole again as it was installed (helm "
        "upgrade, or deploy/cluster.yaml), or add to the rules of a ClusterRole that is bound to user jane: "
        '{apiGroups: [""], resources: [namespaces], verbs: [list]}'
    )


async def test_namespaces_that_miss_the_same_are_named_together() -> None:
    alike = [(namespace, "watch topics.angarium.dev") for namespace in ("shop", "billing")]
    told = await lacks(Cluster(*alike, ("audit", "get secrets")), "shop", "audit", "billing")
    assert [lack.namespaces for lack in told] == [{"shop", "billing"}, {"audit"}]
    assert "may not watch topics.angarium.dev in the namespaces shop, billing: " in told[0].text
    assert "bound to Angarium's ServiceAccount: " in told[0].text, "an API server before 1.28 does not tell who we are"


async def test_of_many_namespaces_ten_are_named() -> None:
    many = [f"n{number:02}" for number in range(12)]
    (lack,) = await lacks(Cluster(*((name, "get secrets") for name in many)), *many)
    assert "in the namespaces n00, n01, n02, n03, n04, n05, n06, n07, n08, n09 and 2 more: " in lack.text
    assert lack.namespaces == set(many)


async def test_crds_and_rights_are_told_together() -> None:
    told = await lacks(Cluster(("shop", "get secrets"), kinds=set(PLURALS.values()) - {"topics"}), "shop")
    assert [lack.reason for lack in told] == [EventReason.CRD_MISSING, EventReason.RIGHTS_MISSING]
    assert told[0].text.startswith("the CRD topics.angarium.dev is missing: apply the CRDs")
    assert told[0].namespaces is None
    assert len(await lacks(Cluster(kinds=set()))) == len(PLURALS)


async def test_all_that_a_role_grants_fits_into_one_event() -> None:
    everything = Cluster(*(("shop", str(right)) for right in RIGHTS), who="system:serviceaccount:platform:angarium")
    (lack,) = await lacks(everything, "shop")
    assert len(lack.text) <= MESSAGE_LENGTH
    assert rights.rights_of(yaml.safe_load(f"[{lack.text[lack.text.index('{') :]}]")) == set(RIGHTS)
    assert lack.text.startswith(
        "may not list, watch endpoints.angarium.dev, topics.angarium.dev, schedules.angarium.dev, queues.angarium.dev, "
        "tokens.angarium.dev; patch endpoints/status.angarium.dev, topics/status.angarium.dev, "
        "schedules/status.angarium.dev, queues/status.angarium.dev, tokens/status.angarium.dev; create, patch events; "
        "get, create, patch secrets; get configmaps in namespace shop (does it exist?): "
    )
