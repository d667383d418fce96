"""docs/resources.md tells of every kind, and its examples are complete and sound."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.cluster import documents_of
from tests.support.crds import PLURALS, Schema, crd, schema_of, walk
from tools.docs import crds, resources

from angarium.files.inventory import take_inventory
from angarium.files.validation import Validator

REFERENCE = Path(__file__).resolve().parents[3] / "examples" / "reference"


def test_every_kind_is_told_with_its_example_and_a_link() -> None:
    page = resources.text()
    for kind in crds.KINDS:
        section = page.partition(f"\n## {kind}\n")[2].partition("\n## ")[0]
        assert (REFERENCE / f"{kind.lower()}.yaml").read_text() in section
        assert f"(api-reference.md#{kind.lower()})" in section


def test_a_place_that_names_nothing_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    template = tmp_path / "resources.md"
    template.write_text("{feilds: Topic}\n")
    monkeypatch.setattr(resources, "_TEMPLATE", template)
    with pytest.raises(KeyError, match="feilds"):
        resources.text()


@pytest.mark.parametrize("plural", PLURALS)
def test_complete_examples_have_every_field(plural: str) -> None:
    kind = crd(plural)["spec"]["names"]["kind"]
    examples = [one for one in documents_of(REFERENCE / f"{plural.removesuffix('s')}.yaml") if one["kind"] == kind]
    spec = schema_of(plural)["properties"]["spec"]
    given = {path for one in examples for path in paths(one["spec"], spec, f"{plural}.spec")}
    fields = {path for path, _ in walk(spec, f"{plural}.spec") if not path.endswith(("[]", ".*"))}
    assert given == fields


def paths(value: Any, schema: Schema, path: str) -> Iterator[str]:
    """The paths of the schema that a value has something at."""
    if not path.endswith("[]"):
        yield path
    if isinstance(value, dict):
        for name, inner in value.items():
            if name in schema.get("properties", {}):
                yield from paths(inner, schema["properties"][name], f"{path}.{name}")
    elif isinstance(value, list) and "items" in schema:
        for inner in value:
            yield from paths(inner, schema["items"], f"{path}[]")


def test_complete_examples_are_sound() -> None:
    inventory = take_inventory([REFERENCE], Validator())
    assert (inventory.findings, inventory.notes) == ([], ())
    assert {ref.kind.value for ref in inventory.objects} == set(crds.KINDS)
