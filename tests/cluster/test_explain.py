"""`kubectl explain` of every field of every kind: all are there, with type, with what is required, and described."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from tests.support.cluster import wait_for
from tests.support.controlplane import ControlPlane
from tests.support.crds import Schema, schema_of, walk

# By short names: `kubectl explain endpoints`, with our group too, is about the Endpoints of core Kubernetes.
KINDS = {"agep": "endpoints", "agt": "topics", "ags": "schedules", "agq": "queues", "agtok": "tokens"}
OF_THE_API_SERVER = {"apiVersion", "kind", "metadata"}
FIELD = re.compile(r"^  (\S+)\t<([^>]+)>( -required-)?$")
OPENAPI_S = 30.0
"""Until the API server has put a CRD into its description, a few seconds after it serves it."""


@dataclass(slots=True)
class Explained:
    """One field as kubectl prints it; the text with single spaces."""

    type: str
    required: bool
    text: str = ""


def explain(control_plane: ControlPlane, path: str) -> tuple[str, dict[str, Explained]]:
    """What is said of the node itself, and its fields by name."""
    printed = wait_for(
        lambda: control_plane.kubectl("explain", path, check=False),
        lambda done: done.returncode == 0,
        within=OPENAPI_S,
        describe=f"{path} is explained",
    ).stdout
    head, _, tail = printed.partition("FIELDS:\n")
    about = " ".join(head.partition("DESCRIPTION:\n")[2].split())
    return about, dict(fields_in(tail))


def fields_in(printed: str) -> Iterator[tuple[str, Explained]]:
    current: Explained | None = None
    for line in printed.splitlines():
        found = FIELD.match(line)
        if found:
            current = Explained(type=found[2], required=bool(found[3]))
            yield found[1], current
        elif current is not None and not line.startswith("  enum:"):
            current.text = f"{current.text} {line.strip()}".strip()


def type_of(schema: Schema) -> str:
    """As kubectl writes it."""
    if schema.get("type") == "array":
        return f"[]{type_of(schema['items'])}"
    if "additionalProperties" in schema:
        return f"map[string]{type_of(schema['additionalProperties'])}"
    kind = schema.get("type", "object")
    return "Object" if kind == "object" else str(kind)


def one_line(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("short_name", KINDS)
def test_every_field_is_explained(control_plane: ControlPlane, short_name: str) -> None:
    schema = schema_of(KINDS[short_name])
    nodes = [(path.replace("[]", ""), node) for path, node in walk(schema, short_name) if "properties" in node]
    assert len(nodes) > 3
    for path, node in nodes:
        about, fields = explain(control_plane, path)
        assert one_line(node["description"]) in about, path
        assert fields.keys() - OF_THE_API_SERVER == node["properties"].keys() - OF_THE_API_SERVER, path
        required = {name for name, field in fields.items() if field.required}
        assert required == set(node.get("required", ())), path
        for name in fields.keys() - OF_THE_API_SERVER:
            assert fields[name].type == type_of(node["properties"][name]), f"{path}.{name}"
            assert fields[name].text == one_line(node["properties"][name]["description"]), f"{path}.{name}"


def test_maps_and_lists_of_texts_are_explained(control_plane: ControlPlane) -> None:
    """They have no fields: what their values are stands below what they are."""
    about, fields = explain(control_plane, "agt.spec.selector.matchLabels")
    assert about.endswith("Value of the label, at most 63 characters, for example orders.")
    assert fields == {}
    assert explain(control_plane, "ags.spec.labels")[0].endswith("One label, for example daily.")
