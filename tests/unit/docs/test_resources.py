"""docs/resources.md leaves nothing of the CRDs out, and its examples are complete and sound."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.cluster import documents_of
from tests.support.crds import PLURALS, Schema, crd, schema_of, walk
from tools.docs import resources

from angarium.files.inventory import take_inventory
from angarium.files.validation import Validator

REFERENCE = Path(__file__).resolve().parents[3] / "examples" / "reference"


def test_resources_lists_every_field_rule_and_column() -> None:
    page = resources.text()
    for plural in PLURALS:
        names = crd(plural)["spec"]
        section = section_of(page, names["names"]["kind"])
        for path, schema in walk(schema_of(plural), ""):
            inside = path.removeprefix(".")
            if inside.startswith(("spec.", "status.")) and not inside.endswith(("[]", ".*")):
                assert f"| `{inside}` |" in section
            for rule in schema.get("x-kubernetes-validations", ()):
                assert plain(rule["message"]) in plain(section)
        for column in names["versions"][0]["additionalPrinterColumns"]:
            assert f"| {column['name'].upper()}" in section
        assert (REFERENCE / f"{plural.removesuffix('s')}.yaml").read_text() in section


def section_of(page: str, kind: str) -> str:
    return page.partition(f"\n## {kind}\n")[2].partition("\n## ")[0]


def plain(text: str) -> str:
    return text.replace("\\", "")


def test_a_place_that_names_nothing_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    template = tmp_path / "resources.md"
    template.write_text("{feilds: Topic}\n")
    monkeypatch.setattr(resources, "_TEMPLATE", template)
    with pytest.raises(KeyError, match="feilds"):
        resources.text()


@pytest.mark.parametrize(
    ("description", "parts"),
    [
        ("Name of it; required, for example billing.", ("Name of it.", "required", "billing")),
        ("Text; one of text and url is required, for example a.", ("Text.", "one of text and url is required", "a")),
        ("How; it lasts; default 3, for example 5.", ("How; it lasts.", "3", "5")),
        ("How; default, field by field, the Endpoint's.", ("How.", "field by field, the Endpoint's", "")),
        ("Whether it waits.", ("Whether it waits.", "", "")),
    ],
)
def test_descriptions_are_taken_apart(description: str, parts: tuple[str, str, str]) -> None:
    assert resources.described(description) == parts


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
    assert {ref.kind.value for ref in inventory.objects} == set(resources.KINDS)
