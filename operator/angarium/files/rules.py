"""The CEL rules of a CRD (x-kubernetes-validations), evaluated with cel-python in the words of the CRD.

Rules see what the API server lets them see: fields of the schema, and nothing of untyped JSON. Each is compiled when it
is first needed, then kept; so is what it says of values, because thousands of objects have the same time or header.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any

from angarium.domain.errors import SettingsError
from angarium.files.schema import Breach, Path, Schema, instant

try:
    import celpy
    import re2  # type: ignore[import-untyped]
    from celpy import celtypes
    from celpy.adapter import json_to_cel
    from celpy.evaluation import CELEvalError
except ImportError as _error:
    raise SettingsError(f"manifests cannot be validated ({_error}): pip install 'angarium[dev]'") from _error

RULES = "x-kubernetes-validations"
RULE = "rule"

_READABLE = re.compile(r"[^t]+T[0-9:]+([.,][0-9]+)?(Z|[^z]+)")
_NAME = re.compile(r"\.(\w+)")
_LONGEST_KEPT = 1_000
"""Larger values are judged each time: they are seldom the same, and take memory."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a rule sees; equal to what reads the same, types included."""

    text: str
    value: Any = field(compare=False)


def broken_rules(value: Any, schema: Schema, path: Path = ()) -> Iterator[Breach]:
    """The rules that a value breaks, which the schema itself was found to hold for; outer ones first."""
    rules = schema.get(RULES, ())
    if rules:
        unreadable = _unreadable(value, schema)
        for rule in rules:
            yield from _judge(rule, _visible(value, schema, _names(rule["rule"])), unreadable, path)
    if isinstance(value, dict):
        for key, item in value.items():
            yield from broken_rules(item, _schema_of(key, schema), (*path, key))
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from broken_rules(item, schema.get("items", {}), (*path, place))


def _judge(rule: Mapping[str, str], seen: Any, unreadable: Mapping[str, str], path: Path) -> Iterator[Breach]:
    where = path + tuple(part for part in rule.get("fieldPath", "").split(".") if part)
    text = rule["rule"]
    for name in unreadable:  # whoever asks for it, or whether it is there, gets an error, which an || may swallow
        text = re.sub(rf"has\(self\.{name}\)|self\.{name}\b", f"unreadable('{name}')", text)
    verdict = _verdict(text, seen)
    if isinstance(verdict, str):
        if why := next(iter(unreadable.values()), verdict):
            yield Breach(path, RULE, f"cannot be judged ({why}): {rule['message']}")
    elif not verdict:
        yield Breach(where, RULE, rule["message"])


def _verdict(rule: str, value: Any) -> bool | str:
    """Whether a rule holds, or why that cannot be told."""
    seen = _Seen(repr(value), value)
    return _kept_verdict(rule, seen) if len(seen.text) <= _LONGEST_KEPT else _new_verdict(rule, seen)


def _new_verdict(rule: str, seen: _Seen) -> bool | str:
    try:
        return bool(_program(rule).evaluate({"self": seen.value}))
    except CELEvalError as error:
        return str(error.args[0])


_kept_verdict = lru_cache(maxsize=10_000)(_new_verdict)


def _unreadable(value: Any, schema: Schema) -> dict[str, str]:
    """Times which the schema lets pass, and which no rule can read (strfmt.ParseDateTime), with why; a list is told of
    by the schema."""
    if not isinstance(value, dict):
        return {}
    times = {
        key: value.get(key) for key, inner in schema.get("properties", {}).items() if inner.get("format") == "date-time"
    }
    lower = {key: time for key, time in times.items() if isinstance(time, str) and not _READABLE.fullmatch(time)}
    whys = {key: f"{key} is no time with an upper-case T and Z" for key in lower}
    return whys | {key: "" for key, time in times.items() if isinstance(time, list)}


def _matches(text: str, pattern: str) -> Any:
    """CEL's function, without what re2 itself would print of a pattern that is none."""
    try:
        return celtypes.BoolType(_pattern(str(pattern)).search(text) is not None)
    except re2.error as error:
        return CELEvalError(f"{pattern!r} is no pattern", error.__class__, error.args)


def _fail(field: str) -> Any:
    return CELEvalError(f"{field} cannot be read", ValueError, (field,))


@lru_cache(maxsize=1000)  # some are made of what a manifest holds
def _pattern(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    return re2.compile(pattern, options)


@cache
def _environment() -> Any:
    return celpy.Environment()


@cache
def _program(rule: str) -> Any:
    environment = _environment()
    return environment.program(environment.compile(rule), functions={"matches": _matches, "unreadable": _fail})


def _schema_of(key: str, schema: Schema) -> Schema:
    inner: Schema = schema.get("properties", {}).get(key, schema.get("additionalProperties", {}))
    return inner


@cache
def _names(rule: str) -> frozenset[str]:
    """The fields that a rule may ask for; all others are nothing to it, for no rule compares objects."""
    return frozenset(_NAME.findall(rule))


def _visible(value: Any, schema: Schema, names: frozenset[str]) -> Any:
    """Of an object the fields with these names, of a map everything."""
    if isinstance(value, dict):
        known = "additionalProperties" not in schema
        fields = ((key, item, _schema_of(key, schema)) for key, item in value.items() if key in names or not known)
        return celtypes.MapType(
            {celtypes.StringType(key): _visible(item, inner, names) for key, item, inner in fields if "type" in inner}
        )
    if isinstance(value, list):
        return celtypes.ListType([_visible(item, schema.get("items", {}), names) for item in value])
    if isinstance(value, str) and schema.get("format") == "date-time" and (at := instant(value)):
        return celtypes.TimestampType(at)
    return json_to_cel(value)
