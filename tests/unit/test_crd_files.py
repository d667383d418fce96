"""The CRD files keep the house rules for schemas: all is described and bounded, and the kinds agree with each other."""

import re
from typing import Any

import celpy
import pytest
from tests.support.crds import PLURALS as KINDS
from tests.support.crds import Schema, crd, schema_of, walk

CEL_FUNCTIONS = {"has", "size", "matches", "startsWith", "contains", "all", "exists", "filter", "map", "timestamp"}
INHERITED = ("method", "headers", "timeout", "retry", "flowControl")
CALLBACKS = ("callback", "failureCallback")

NODES = [node for plural in KINDS for node in walk(schema_of(plural), plural)]
OUTSIDE = re.compile(r"\.(apiVersion|kind)$")
RULES = [rule["rule"] for _, schema in NODES for rule in schema.get("x-kubernetes-validations", ())]


@pytest.mark.parametrize("plural", KINDS)
def test_names(plural: str) -> None:
    spec = crd(plural)["spec"]
    assert crd(plural)["metadata"]["name"] == f"{plural}.angarium.dev"
    assert (spec["group"], spec["scope"], spec["names"]["plural"]) == ("angarium.dev", "Namespaced", plural)
    assert spec["names"]["categories"] == ["angarium"]
    assert [version["name"] for version in spec["versions"]] == ["v1alpha1"]
    assert spec["versions"][0]["subresources"] == {"status": {}}


def test_every_field_is_described() -> None:
    silent = [path for path, schema in NODES if not schema.get("description") and not is_plain_text(path)]
    assert silent == []


def is_plain_text(path: str) -> bool:
    """Items of a list of texts, which the list itself describes."""
    return path.endswith("[]")


FIELDS = [(path, schema) for path, schema in NODES if path.count(".") and not path.endswith(("[]", ".*"))]
IN_SPEC = [(path, schema) for path, schema in FIELDS if ".spec." in path]
SHOWN_BY_EXPLAIN = 4
"""So many values of an enum are printed by `kubectl explain`; the rest is left out."""


def test_descriptions_are_one_sentence() -> None:
    """That begins with a capital and ends with a full stop."""
    others = [path for path, schema in FIELDS if not re.fullmatch(r"[A-Z](?:[^.]|\.(?! |$))*\.", schema["description"])]
    assert others == []


def test_fields_of_a_spec_tell_default_and_example() -> None:
    assert len(IN_SPEC) > 80
    assert [path for path, schema in IN_SPEC if not re.search(r"default|required", schema["description"])] == []
    assert [path for path, schema in IN_SPEC if "for example" not in schema["description"]] == []


def test_descriptions_tell_the_default_of_the_schema() -> None:
    given = [(path, schema) for path, schema in IN_SPEC if "default" in schema]
    assert len(given) > 5
    for path, schema in given:
        default = schema["default"]
        shown = str(default).lower() if isinstance(default, bool) else default
        assert f"default {shown}" in schema["description"], path


def test_descriptions_tell_units_and_bounds() -> None:
    for path, schema in FIELDS:
        text, name = schema["description"], path.rpartition(".")[2]
        if name.endswith("Seconds") or name == "delay":
            assert "seconds" in text, path
        if any("(d|h|m|s)" in rule["rule"] for rule in schema.get("x-kubernetes-validations", ())):
            assert re.search(r"in units d, h, m, s\b", text), path
        if ".spec." in path and "maximum" in schema:
            assert f"{schema['minimum']} to {schema['maximum']}" in text, path
        if ".spec." in path and "maxItems" in schema:
            assert f"at most {schema['maxItems']}" in text, path


def test_descriptions_name_what_explain_leaves_out() -> None:
    for path, schema in FIELDS:
        if len(schema.get("enum", ())) > SHOWN_BY_EXPLAIN:
            assert all(value in schema["description"] for value in schema["enum"]), path


@pytest.mark.parametrize("plural", KINDS)
def test_columns_are_described(plural: str) -> None:
    columns = crd(plural)["spec"]["versions"][0]["additionalPrinterColumns"]
    silent = [one["name"] for one in columns if not re.fullmatch(r"[A-Z].*[^.]\.", one.get("description", ""))]
    assert silent == ["Age"], "which explains itself"


def test_everything_is_bounded() -> None:
    bounded = {
        "string": ("maxLength", "enum", "format"),
        "array": ("maxItems",),
        "integer": ("minimum",),
    }
    for path, schema in NODES:
        if OUTSIDE.search(path):
            continue
        bounds = bounded.get(schema.get("type", ""), ())
        assert not bounds or any(bound in schema for bound in bounds), path
        assert "additionalProperties" not in schema or "maxProperties" in schema, path


def test_lists_say_how_they_merge() -> None:
    lists = {path: schema for path, schema in NODES if schema.get("type") == "array"}
    assert all(schema["x-kubernetes-list-type"] in ("map", "set", "atomic") for schema in lists.values())
    named = [path for path, schema in lists.items() if "name" in schema["items"].get("required", ())]
    assert named == [
        "endpoints.spec.headers",
        "topics.spec.endpoints",
        "schedules.spec.headers",
        *(f"schedules.spec.{name}.headers" for name in CALLBACKS),
    ]
    assert all(lists[path]["x-kubernetes-list-map-keys"] == ["name"] for path in named)


def test_only_json_bodies_keep_unknown_fields() -> None:
    keeping = [path for path, schema in NODES if "x-kubernetes-preserve-unknown-fields" in schema]
    assert keeping == ["schedules.spec.body.json"]


def test_what_is_inherited_has_no_default() -> None:
    inherited = re.compile(rf"^(endpoints|schedules)\.spec\.({'|'.join(INHERITED)})\b")
    nodes = [(path, schema) for path, schema in NODES if inherited.match(path)]
    assert nodes
    assert [path for path, schema in nodes if "default" in schema] == []


@pytest.mark.parametrize("field", INHERITED)
def test_a_schedule_overrides_with_the_same_shape(field: str) -> None:
    endpoint, schedule = (bare(spec_of(plural)[field]) for plural in ("endpoints", "schedules"))
    if field == "headers":
        endpoint["x-kubernetes-validations"].insert(0, schedule["x-kubernetes-validations"][0])
    if field == "flowControl":
        del schedule["properties"]["key"]
    assert endpoint == schedule


@pytest.mark.parametrize("callback", CALLBACKS)
@pytest.mark.parametrize("field", ["method", "headers", "timeout", "retry"])
def test_callbacks_are_sent_with_the_same_options(callback: str, field: str) -> None:
    schedule = spec_of("schedules")
    ours, options = bare(schedule[field]), bare(schedule[callback]["properties"][field])
    if field == "headers":
        for headers in (ours, options):  # each names another place for a Content-Type
            del headers["x-kubernetes-validations"][0]["message"]
    assert options == ours


def spec_of(plural: str) -> dict[str, Schema]:
    properties: dict[str, Schema] = schema_of(plural)["properties"]["spec"]["properties"]
    return properties


def test_urls_obey_the_same_rules_everywhere() -> None:
    urls = [bare(schema) for path, schema in NODES if path.endswith(".url")]
    assert len(urls) == 5
    assert all(url == urls[0] for url in urls)


def test_conditions_are_the_same_everywhere() -> None:
    conditions = [bare(schema) for path, schema in NODES if path.endswith("status.conditions")]
    assert len(conditions) == len(KINDS)
    assert all(condition == conditions[0] for condition in conditions)


def bare(schema: Any) -> Any:
    """The schema without its descriptions, which speak of their own kind."""
    if isinstance(schema, dict):
        return {key: bare(value) for key, value in schema.items() if key != "description" or not isinstance(value, str)}
    return [bare(item) for item in schema] if isinstance(schema, list) else schema


@pytest.mark.parametrize("rule", sorted(set(RULES)))
def test_rules_use_what_both_evaluators_have(rule: str) -> None:
    celpy.Environment().compile(rule)
    outside_texts = re.sub(r"""r?'[^']*'|r?"[^"]*\"""", "''", rule)
    assert set(re.findall(r"(\w+)\(", outside_texts)) <= CEL_FUNCTIONS


def test_rules_compare_no_objects() -> None:
    """`angarium check` shows a rule those fields of an object that it names (files/rules.py)."""
    compared = {side for rule in RULES for pair in re.findall(r"(\S+) (?:==|!=|in) (\S+)", rule) for side in pair}
    assert compared
    assert [side for side in compared if not re.fullmatch(r"has\(self\.\w+\)|\S+\.(size\(\)|name)|\d+", side)] == []


def test_every_rule_has_a_message() -> None:
    rules = [rule for _, schema in NODES for rule in schema.get("x-kubernetes-validations", ())]
    assert len(rules) > 30
    assert [rule for rule in rules if not rule.get("message")] == []
