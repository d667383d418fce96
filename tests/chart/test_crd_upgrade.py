"""An upgrade of the chart with other CRDs keeps every object, its status and its uid, and the operator goes on."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tests.support.cluster import Object, Refused, call, wait_for
from tests.support.controlplane import ControlPlane
from tests.support.helm import Helm
from tests.support.released import Crd, Released, chart_with, released
from tests.support.stage import STATUS_S, Stage, instants

KINDS = ("Endpoint", "Topic", "Schedule", "Queue", "Token")
NOTE = {"type": "string", "maxLength": 100, "description": "What this is for, default none, for example a ticket."}
OTHER_WORDS = "Other words for the same."


def schema(crd: Crd) -> Any:
    return crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


def grow(crd: Crd) -> None:
    """An optional field, a column that shows it, another description, and a version that is served too."""
    (version,) = crd["spec"]["versions"]
    schema(crd)["properties"]["spec"].setdefault("properties", {})["note"] = NOTE
    schema(crd)["description"] = OTHER_WORDS
    column = {"name": "Note", "type": "string", "jsonPath": ".spec.note", "description": "What it is for."}
    version["additionalPrinterColumns"].append(column)
    crd["spec"]["versions"].append(deepcopy(version) | {"name": "v1beta1", "storage": False})


def shrink(crd: Crd) -> None:
    """As an older version may have been: without a field of a status, and without one that a manifest may have."""
    if crd["spec"]["names"]["kind"] == "Schedule":
        schema(crd)["properties"]["status"]["properties"].pop("lastResult")
        schema(crd)["properties"]["spec"]["properties"].pop("jitter")


@dataclass
class Story:
    """What the cluster had at each step: objects by (kind, name)."""

    release: Released
    before: dict[tuple[str, str], Object]
    grown: dict[tuple[str, str], Object]
    rolled_back: dict[tuple[str, str], Object]
    noted: Object
    columns: str
    explained: str
    later_version: Object
    noted_status: Object
    noted_after: Object
    older: list[Object]


@pytest.fixture(scope="module")
def story(control_plane: ControlPlane, admin: Helm, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("grown")
    with released(admin, control_plane, "grown", folder) as release:
        yield play(release, folder)


def play(release: Released, folder: Path) -> Story:
    stage = release.stage
    stage.angarium.start()
    declare(stage)
    before = objects(stage)
    release.upgrade(chart_with(folder, grow, "9.9.9"))
    noted = wait_for(lambda: note(stage, "asked for by mail"), lambda one: "note" in one["spec"], within=STATUS_S)
    grown = objects(stage)
    stage.condition("Endpoint", "noted", "Accepted=True")
    columns = stage.control_plane.kubectl("get", "endpoints.angarium.dev", "-n", stage.namespace).stdout
    explained = stage.control_plane.kubectl("explain", "queues.angarium.dev").stdout
    path = f"/apis/angarium.dev/v1beta1/namespaces/{stage.namespace}/topics/orders"
    later = wait_for(lambda: call(stage.control_plane, "GET", path))
    noted_status = stage.status("Endpoint", "noted")
    release.roll_back()
    wait_for(lambda: "note" in stage.get("Endpoint", "noted")["spec"], lambda shown: not shown, within=STATUS_S)
    rolled_back = objects(stage)
    older = with_older_crds(release, folder)
    return Story(release, before, grown, rolled_back, noted, columns, explained, later, noted_status,
                 stage.get("Endpoint", "noted"), older)  # fmt: skip


def declare(stage: Stage) -> None:
    """One of each kind that stands still, and a Schedule that fires all the time."""
    wait_for(lambda: stage.endpoint("billing"), describe="Endpoints are served")
    stage.endpoint("noted")
    stage.apply("Topic", "orders", {"endpoints": [{"name": "billing", "endpointRef": {"name": "billing"}}]})
    stage.apply("Queue", "line", {"parallelism": 2})
    stage.apply("Token", "app", {})
    to = {"endpointRef": {"name": "billing"}}
    stage.apply("Schedule", "yearly", {"cron": "0 0 1 1 *", "jitter": "1s", "destination": to})
    stage.apply("Schedule", "ticking", {"every": "1s", "historyLimit": 50, "missedRunPolicy": "RunAll",
                                        "destination": {"url": stage.receiver.url("/ticking")}})  # fmt: skip
    stage.ready(*((kind, one["metadata"]["name"]) for kind in KINDS for one in stage.list_all(kind)))
    stage.run_now("yearly", "first")
    stage.run("yearly", "Delivered")


def objects(stage: Stage) -> dict[tuple[str, str], Object]:
    """While a CRD changes, the API server has moments in which it answers 429."""
    return wait_for(lambda: {(kind, one["metadata"]["name"]): one for kind in KINDS for one in stage.list_all(kind)})


def note(stage: Stage, text: str) -> Object:
    """Refused while the API server does not know the field yet."""
    try:
        return stage.change("Endpoint", "noted", note=text)
    except Refused:
        return stage.get("Endpoint", "noted")


def with_older_crds(release: Released, folder: Path) -> list[Object]:
    """The program of today with CRDs of a version before it: what its log says."""
    release.upgrade(chart_with(folder, shrink, "0.0.1"))
    stage = release.stage
    wait_for(lambda: "jitter" in stage.get("Schedule", "yearly")["spec"], lambda shown: not shown, within=STATUS_S)
    stage.run_now("yearly", "second")
    wait_for(lambda: len(stage.runs("yearly")) == 2, within=STATUS_S, describe="status is written all the same")
    return stage.angarium.log_lines()


def standing(objects: dict[tuple[str, str], Object]) -> dict[tuple[str, str], Object]:
    """Without what moves all the time, and without the bookkeeping of field managers."""
    found = deepcopy({key: one for key, one in objects.items() if key[1] not in ("ticking", "noted")})
    for one in found.values():
        for field in ("resourceVersion", "managedFields"):
            one["metadata"].pop(field)
    return found


def test_nothing_of_an_object_changes(story: Story) -> None:
    """Spec, status, uid and generation."""
    assert len(standing(story.before)) == 5
    assert standing(story.grown) == standing(story.before)


def test_nothing_changes_by_the_way_back_either(story: Story) -> None:
    assert standing(story.rolled_back) == standing(story.before)


def test_what_is_new_can_be_used(story: Story) -> None:
    assert story.noted["spec"]["note"] == "asked for by mail"
    assert "NOTE" in story.columns and "asked for by mail" in story.columns
    assert OTHER_WORDS in story.explained
    assert story.later_version["apiVersion"] == "angarium.dev/v1beta1"
    assert story.later_version["metadata"]["uid"] == story.before["Topic", "orders"]["metadata"]["uid"]


def test_a_program_that_does_not_know_a_field_passes_over_it(story: Story) -> None:
    """CRDs may be newer than the program."""
    conditions = {one["type"]: one["status"] for one in story.noted_status["conditions"]}
    assert conditions["Accepted"] == conditions["Ready"] == "True"


def test_the_way_back_hides_what_the_older_crds_do_not_know(story: Story) -> None:
    assert "note" not in story.noted_after["spec"]
    assert story.noted_after["metadata"]["uid"] == story.noted["metadata"]["uid"]


def test_older_crds_lose_what_they_do_not_know_and_the_log_tells(story: Story) -> None:
    """CRDs may be older than the program, as after `--set crds.enabled=false`; all else goes on."""
    told = [line["message"] for line in story.older if line["action"] == "apiserver.warn"]
    assert any('unknown field \\"status.lastResult\\"' in text for text in told), told


def test_schedules_fire_throughout(story: Story) -> None:
    stage = story.release.stage
    stage.change("Schedule", "ticking", suspend=True)
    stage.condition("Schedule", "ticking", "Ready=True", "Suspended")
    slots = instants(stage.runs("ticking"))
    assert {(later - earlier).total_seconds() for earlier, later in pairwise(slots)} == {1.0}
