"""The CEL rules of a CRD (x-kubernetes-validations), evaluated with cel-python in the words of the CRD.

Rules see what the API server lets them see: fields of the schema, and nothing of untyped JSON. Each is compiled when it
is first needed, then kept.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from angarium.domain.errors import InvalidInput, SettingsError
from angarium.files.schema import Breach, Path, Schema
from angarium.resources.times import parse_time

try:
    import celpy
    from celpy import celtypes
    from celpy.adapter import json_to_cel
    from celpy.evaluation import CELEvalError
except ImportError as _error:
    raise SettingsError(f"manifests cannot be validated ({_error}): pip install 'angarium[dev]'") from _error

RULES = "x-kubernetes-validations"
RULE = "rule"


def broken_rules(value: Any, schema: Schema, path: Path = ()) -> Iterator[Breach]:
    """The rules that a value breaks, which the schema itself was found to hold for; outer ones first."""
    rules = schema.get(RULES, ())
    if rules:
        seen = _visible(value, schema)
        for rule in rules:
            yield from _judge(rule, seen, path)
    if isinstance(value, dict):
        for key, item in value.items():
            yield from broken_rules(item, _schema_of(key, schema), (*path, key))
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from broken_rules(item, schema.get("items", {}), (*path, place))


def _judge(rule: Mapping[str, str], seen: Any, path: Path) -> Iterator[Breach]:
    where = path + tuple(part for part in rule.get("fieldPath", "").split(".") if part)
    try:
        holds = _program(rule["rule"]).evaluate({"self": seen})
    except CELEvalError as error:
        yield Breach(where, RULE, f"the rule {rule['rule']!r} cannot be evaluated: {error.args[0]}")
        return
    if not holds:
        yield Breach(where, RULE, rule["message"])


@cache
def _environment() -> Any:
    return celpy.Environment()


@cache
def _program(rule: str) -> Any:
    environment = _environment()
    return environment.program(environment.compile(rule))


def _schema_of(key: str, schema: Schema) -> Schema:
    inner: Schema = schema.get("properties", {}).get(key, schema.get("additionalProperties", {}))
    return inner


def _visible(value: Any, schema: Schema) -> Any:
    if isinstance(value, dict):
        fields = ((key, item, _schema_of(key, schema)) for key, item in value.items())
        return celtypes.MapType(
            {celtypes.StringType(key): _visible(item, inner) for key, item, inner in fields if "type" in inner}
        )
    if isinstance(value, list):
        return celtypes.ListType([_visible(item, schema.get("items", {})) for item in value])
    if isinstance(value, str) and schema.get("format") == "date-time":
        return _instant(value)
    return json_to_cel(value)


def _instant(text: str) -> Any:
    try:
        return celtypes.TimestampType(parse_time(text, ""))
    except InvalidInput:
        return celtypes.StringType(text)
