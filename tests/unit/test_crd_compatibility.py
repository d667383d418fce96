"""CRDs only grow: what a version of Angarium took is taken by all later ones, with every field kept.

A change that has to break this has an ADR, and stands in BROKEN.
"""

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.compatibility import losses
from tests.support.crds import CRDS, PLURALS
from tests.support.releases import ALL, Release

BROKEN: dict[str, str] = {}
"""`plural: where: what`, as the check tells it, and the file in docs/adr that says why it had to be."""

ADRS = CRDS.parent / "docs" / "adr"
Crd = dict[str, Any]
Change = Callable[[Crd], object]


def read(folder: Path, plural: str) -> Crd:
    document: Crd = yaml.safe_load((folder / f"{plural}.yaml").read_text())
    return document


@pytest.mark.parametrize("release", ALL, ids=lambda release: release.name)
@pytest.mark.parametrize("plural", PLURALS)
def test_the_crds_of_today_take_what_those_of_a_release_took(release: Release, plural: str) -> None:
    found = {f"{plural}: {loss}" for loss in losses(read(release.crds, plural), read(CRDS, plural))}
    assert found - BROKEN.keys() == set(), "objects that people have would be refused, or lose something"


def test_whatever_is_broken_has_its_reason() -> None:
    assert [adr for adr in BROKEN.values() if not (ADRS / adr).is_file()] == []


def test_nothing_in_an_unchanged_crd_is_a_loss() -> None:
    for plural in PLURALS:
        assert losses(read(CRDS, plural), read(CRDS, plural)) == []


SCHEDULES = read(ALL[0].crds, "schedules")


def version(crd: Crd) -> Any:
    return crd["spec"]["versions"][0]


def schema(crd: Crd) -> Any:
    return version(crd)["schema"]["openAPIV3Schema"]


def spec(crd: Crd) -> Any:
    return schema(crd)["properties"]["spec"]


def fields(crd: Crd) -> Any:
    return spec(crd)["properties"]


def status(crd: Crd) -> Any:
    return schema(crd)["properties"]["status"]["properties"]


def later_version(crd: Crd) -> None:
    added = deepcopy(version(crd)) | {"name": "v1", "storage": True}
    version(crd)["storage"] = False
    crd["spec"]["versions"].append(added)


GROWS: dict[str, Change] = {
    "an optional field": lambda crd: fields(crd).update(note={"type": "string", "maxLength": 10}),
    "an optional field with rules of its own": lambda crd: fields(crd).update(
        note={"type": "object", "required": ["a"], "properties": {"a": {"type": "string", "pattern": "^a$"}},
              "x-kubernetes-validations": [{"rule": "self.a != ''", "message": "no"}]}
    ),
    "an optional field with a default": lambda crd: fields(crd).update(note={"type": "boolean", "default": False}),
    "a field in a status": lambda crd: status(crd).update(note={"type": "integer"}),
    "one value more": lambda crd: fields(crd)["missedRunPolicy"]["enum"].append("Ask"),
    "any value": lambda crd: fields(crd)["missedRunPolicy"].pop("enum"),
    "another text": lambda crd: fields(crd)["suspend"].update(description="Another text, default false."),
    "a larger maximum": lambda crd: fields(crd)["historyLimit"].update(maximum=10_000),
    "no maximum": lambda crd: fields(crd)["historyLimit"].pop("maximum"),
    "a smaller minimum": lambda crd: fields(crd)["historyLimit"].update(minimum=-1),
    "longer texts": lambda crd: fields(crd)["cron"].update(maxLength=100_000),
    "longer lists": lambda crd: fields(crd)["headers"].update(maxItems=1000),
    "what was required is not": lambda crd: spec(crd).pop("required"),
    "a rule less": lambda crd: spec(crd)["x-kubernetes-validations"].pop(),
    "another message of a rule": lambda crd: spec(crd)["x-kubernetes-validations"][0].update(message="other words"),
    "a column more": lambda crd: version(crd)["additionalPrinterColumns"].append(
        {"name": "Note", "type": "string", "jsonPath": ".spec.note"}
    ),
    "a short name more": lambda crd: crd["spec"]["names"]["shortNames"].append("agx"),
    "a version more, which is what is stored": later_version,
}  # fmt: skip


@pytest.mark.parametrize("change", GROWS.values(), ids=GROWS)
def test_growth_is_no_loss(change: Change) -> None:
    assert losses(SCHEDULES, changed(change)) == []


def changed(change: Change) -> Crd:
    crd = deepcopy(SCHEDULES)
    change(crd)
    assert crd != SCHEDULES
    return crd


LOSES: dict[str, tuple[Change, str]] = {
    "a field is gone": (lambda crd: fields(crd).pop("jitter"), "v1alpha1.spec.jitter: is gone"),
    "a field of a field is gone": (
        lambda crd: fields(crd)["retry"]["properties"].pop("delay"), "v1alpha1.spec.retry.delay: is gone"
    ),
    "a field of an item is gone": (
        lambda crd: fields(crd)["headers"]["items"]["properties"].pop("valueFrom"),
        "v1alpha1.spec.headers[].valueFrom: is gone",
    ),
    "a field of a status is gone": (lambda crd: status(crd).pop("recentRuns"), "v1alpha1.status.recentRuns: is gone"),
    "another type": (
        lambda crd: fields(crd)["suspend"].update(type="string"), "v1alpha1.spec.suspend: type boolean becomes string"
    ),
    "a field is required": (
        lambda crd: spec(crd).update(required=[*spec(crd)["required"], "jitter"]),
        "v1alpha1.spec: jitter is required now",
    ),
    "a new field is required": (
        lambda crd: (fields(crd).update(note={"type": "string"}), spec(crd)["required"].append("note")),
        "v1alpha1.spec: note is required now",
    ),
    "a value less": (
        lambda crd: fields(crd)["missedRunPolicy"]["enum"].remove("Skip"),
        "v1alpha1.spec.missedRunPolicy: 'Skip' is no value any more",
    ),
    "only some values": (
        lambda crd: fields(crd)["timeZone"].update(enum=["UTC"]),
        "v1alpha1.spec.timeZone: only ['UTC'] is taken now",
    ),
    "a pattern": (
        lambda crd: fields(crd)["cron"].update(pattern="^@"), "v1alpha1.spec.cron: pattern None becomes '^@'"
    ),
    "a format": (
        lambda crd: fields(crd)["cron"].update(format="byte"), "v1alpha1.spec.cron: format None becomes 'byte'"
    ),
    "a smaller maximum": (
        lambda crd: fields(crd)["historyLimit"].update(maximum=1), "v1alpha1.spec.historyLimit: maximum"
    ),
    "a maximum": (
        lambda crd: schema(crd)["properties"]["status"]["properties"]["observedGeneration"].update(maximum=9),
        "v1alpha1.status.observedGeneration: maximum None becomes 9",
    ),
    "a larger minimum": (
        lambda crd: fields(crd)["historyLimit"].update(minimum=1), "v1alpha1.spec.historyLimit: minimum 0 becomes 1"
    ),
    "shorter texts": (lambda crd: fields(crd)["cron"].update(maxLength=5), "v1alpha1.spec.cron: maxLength"),
    "texts that are not empty": (lambda crd: fields(crd)["cron"].update(minLength=9), "v1alpha1.spec.cron: minLength"),
    "shorter lists": (lambda crd: fields(crd)["headers"].update(maxItems=1), "v1alpha1.spec.headers: maxItems"),
    "another default": (
        lambda crd: fields(crd)["suspend"].update(default=True), "v1alpha1.spec.suspend: default False becomes True"
    ),
    "a default where there was none": (
        lambda crd: fields(crd)["method"].update(default="PUT"), "v1alpha1.spec.method: default None becomes 'PUT'"
    ),
    "a rule more": (
        lambda crd: spec(crd)["x-kubernetes-validations"].append({"rule": "false", "message": "no"}),
        "v1alpha1.spec: a new rule: false",
    ),
    "another list type": (
        lambda crd: fields(crd)["headers"].update({"x-kubernetes-list-type": "atomic"}),
        "v1alpha1.spec.headers: x-kubernetes-list-type 'map' becomes 'atomic'",
    ),
    "unknown fields are dropped": (
        lambda crd: fields(crd)["body"]["properties"]["json"].pop("x-kubernetes-preserve-unknown-fields"),
        "v1alpha1.spec.body.json: x-kubernetes-preserve-unknown-fields is gone",
    ),
    "what was left open is judged": (
        lambda crd: fields(crd)["body"]["properties"]["json"].update(properties={"id": {"type": "string"}}),
        "v1alpha1.spec.body.json.id: has a schema now",
    ),
    "a version is gone": (
        lambda crd: (later_version(crd), crd["spec"]["versions"].pop(0)), "v1alpha1: is gone"
    ),
    "a version is not served": (lambda crd: version(crd).update(served=False), "v1alpha1: is not served any more"),
    "no status": (lambda crd: version(crd).update(subresources={}), "v1alpha1: the subresource status is gone"),
    "another kind": (lambda crd: crd["spec"]["names"].update(kind="Plan"), "names.kind: Schedule becomes Plan"),
    "another scope": (lambda crd: crd["spec"].update(scope="Cluster"), "scope: Namespaced becomes Cluster"),
    "no short name": (lambda crd: crd["spec"]["names"].update(shortNames=[]), "names.shortNames: ags is gone"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "told"), LOSES.values(), ids=LOSES)
def test_a_loss_is_told(change: Change, told: str) -> None:
    (found,) = losses(SCHEDULES, changed(change))
    assert found.startswith(told)
