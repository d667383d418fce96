"""docs/api-reference.md leaves nothing of the CRDs out: what the API server judges by is in the row of its field."""

import re
from collections.abc import Iterator

import pytest
from tests.support.crds import PLURALS, Schema, crd, schema_of, walk
from tools.docs import api_reference, crds

PAGE = api_reference.text()
BOUNDS = ("minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties")
KEYWORDS = {
    *BOUNDS, "pattern", "enum", "default", "required", "format", "type", "description", "properties", "items",
    "additionalProperties", "x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-validations",
    "x-kubernetes-preserve-unknown-fields",
}  # fmt: skip


def section_of(plural: str) -> str:
    kind = crd(plural)["spec"]["names"]["kind"]
    return plain(PAGE.partition(f"\n## {kind}\n")[2].partition("\n## ")[0])


def plain(text: str) -> str:
    return re.sub(r"\\([|*<\\])", r"\1", text)


def rows_of(plural: str) -> dict[str, str]:
    """The row of each field, by its path; rows of rules begin with a path too and come between the two tables."""
    section = section_of(plural)
    rules, status = section.partition(" rules\n"), section.partition(" status\n")
    lines = [*rules[0].splitlines(), *status[2].splitlines()]
    return {line.split("`")[1]: line for line in lines if line.startswith("| `")}


def fields_of(plural: str) -> Iterator[tuple[str, Schema]]:
    for path, schema in walk(schema_of(plural), ""):
        if path.startswith((".spec", ".status")):
            yield path.removeprefix("."), schema


@pytest.mark.parametrize("plural", PLURALS)
def test_every_field_has_a_row_with_its_bounds(plural: str) -> None:
    rows = rows_of(plural)
    for path, schema in fields_of(plural):
        inner = path.endswith(("[]", ".*"))
        row = rows[re.sub(r"(\[\]|\.\*)$", "", path)]
        for keyword in (*BOUNDS, "pattern"):
            assert keyword not in schema or str(schema[keyword]) in row, (path, keyword)
        for value in (*schema.get("enum", ()), *schema.get("x-kubernetes-list-map-keys", ())):
            assert f"`{value}`" in row, path
        if schema.get("x-kubernetes-list-type") in ("atomic", "set"):
            assert schema["x-kubernetes-list-type"] in row, path
        assert ("stored" in row.split("|")[3]) == ("default" in schema) or inner, path
        for name in schema.get("required", ()):
            assert rows[f"{path}.{name}"].split("|")[3].strip() in ("required", "always"), path
    assert {path for path, _ in fields_of(plural) if not path.endswith(("[]", ".*"))} == {
        path for path in rows if path.startswith(("spec", "status"))
    }


@pytest.mark.parametrize("plural", PLURALS)
def test_no_keyword_of_a_schema_is_passed_over(plural: str) -> None:
    used = {keyword for _, schema in walk(schema_of(plural), "") for keyword in schema}
    assert used <= KEYWORDS


@pytest.mark.parametrize("plural", PLURALS)
def test_names_rules_and_columns(plural: str) -> None:
    section, spec = section_of(plural), crd(plural)["spec"]
    for name in (*spec["names"]["shortNames"], *spec["names"]["categories"], spec["names"]["listKind"]):
        assert f"`{name}`" in section
    for _, schema in walk(schema_of(plural), ""):
        for rule in schema.get("x-kubernetes-validations", ()):
            row = next(line for line in section.splitlines() if " ".join(rule["rule"].split()) in line)
            assert rule["message"] in section and row.startswith("| ")
    for column in spec["versions"][0]["additionalPrinterColumns"]:
        row = next(line for line in section.splitlines() if line.startswith(f"| {column['name'].upper()} |"))
        assert column["jsonPath"] in row
        assert ("-o wide" in row) == bool(column.get("priority"))


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
    assert crds.described(description) == parts
