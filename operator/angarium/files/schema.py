"""A CRD's openAPIV3Schema as the API server applies it: what a value breaks, and the value with defaults.

The schema is judged by jsonschema, with the keywords that only Kubernetes has, or reads otherwise, put in their place.
CEL rules are not evaluated here.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from angarium.domain.errors import SettingsError
from angarium.resources.fields import shown

try:
    import jsonschema
    import re2  # type: ignore[import-untyped]
except ImportError as _error:
    raise SettingsError(f"manifests cannot be validated ({_error}): pip install 'angarium[dev]'") from _error

Schema = Mapping[str, Any]
Path = tuple[str | int, ...]

UNKNOWN = "unknown"
DUPLICATE = "duplicate"

_PRESERVE = "x-kubernetes-preserve-unknown-fields"
_LIST_TYPE = "x-kubernetes-list-type"
_LIST_KEYS = "x-kubernetes-list-map-keys"
# One breach is told of each place, the first of these: what keeps the API server from its rules goes before the rest.
_KEYWORDS = (
    "type", "enum", "required", "maxLength", "maxItems", "maxProperties", "format", "pattern", "minimum", "maximum",
    "minLength", "minItems", "minProperties",
)  # fmt: skip
_METADATA = {"type": "object", _PRESERVE: True, "properties": {"name": {"type": "string"}}}
_INT64 = range(-(2**63), 2**63)
_TYPES = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "object": "an object with fields",
    "array": "a list",
}
_TIME = re.compile(r"([0-9]{2}):([0-9]{2}):([0-9]{2})(.[0-9]+)?(z|[+-]([0-9]{2}):([0-9]{2}))")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_BITS = {"int32": 31, "int64": 63}


@dataclass(frozen=True, slots=True)
class Breach:
    """A place where a value breaks its schema. `keyword` is JSON Schema's, UNKNOWN for a field, DUPLICATE in a list."""

    path: Path
    keyword: str
    message: str


class ObjectSchema:
    """The schema of one kind of object. Of `metadata` rules see the name; all else in it is judged elsewhere."""

    def __init__(self, schema: Schema) -> None:
        self.schema = {**schema, "properties": {"metadata": _METADATA, **schema["properties"]}}
        self._validator = _Validator(_strict(self.schema))

    def breaches(self, value: Any) -> list[Breach]:
        """All that is wrong with a value without unknown fields, at most one per place."""
        found: dict[Path, Breach] = {}
        for error in self._validator.iter_errors(value):
            path = tuple(error.absolute_path)
            found.setdefault(path, Breach(path, _NAMES.get(error.validator, error.validator), error.message))
        return list(found.values())


def without_unknown(value: Any, schema: Schema, unknown: list[Breach], path: Path = ()) -> Any:
    """A copy with the fields that the schema knows; the others are added to `unknown`.

    Where no object may be, all its fields are unknown: the API server prunes before it looks at types.
    """
    if schema.get(_PRESERVE):
        return value
    if isinstance(value, list):
        items = schema.get("items", {})
        return [without_unknown(item, items, unknown, (*path, place)) for place, item in enumerate(value)]
    if not isinstance(value, dict):
        return value
    known, others = schema.get("properties", {}), schema.get("additionalProperties")
    kept = {}
    for name, item in value.items():
        inner = known.get(name, others)
        if inner is None:
            text = f"is no field; known here: {', '.join(known)}" if known else "is no field"
            unknown.append(Breach((*path, name), UNKNOWN, text))
        else:
            kept[name] = without_unknown(item, inner, unknown, (*path, name))
    return kept


def completed(value: Any, schema: Schema) -> Any:
    """A copy with defaults, and without nulls, which the API server drops where none is allowed ("Defaulting and
    Nullable" in the documentation of CustomResourceDefinitions)."""
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        others = schema.get("additionalProperties", {})
        given = {key: completed(item, properties.get(key, others)) for key, item in value.items() if item is not None}
        defaults = {key: inner["default"] for key, inner in properties.items() if "default" in inner}
        return {key: completed(item, properties[key]) for key, item in defaults.items() if key not in given} | given
    if isinstance(value, list):
        return [completed(item, schema.get("items", {})) for item in value]
    return value


def _strict(schema: Schema) -> dict[str, Any]:
    """The JSON Schema that refuses what the API server refuses, unknown fields apart."""
    strict = {keyword: schema[keyword] for keyword in (*_KEYWORDS, _LIST_TYPE, _LIST_KEYS) if keyword in schema}
    if "properties" in schema:
        strict["properties"] = {name: _strict(inner) for name, inner in schema["properties"].items()}
    if isinstance(schema.get("additionalProperties"), Mapping):
        strict["additionalProperties"] = _strict(schema["additionalProperties"])
    if "items" in schema:
        strict["items"] = _strict(schema["items"])
    return strict


Errors = Iterator[jsonschema.ValidationError]


def _type(validator: Any, wanted: str, value: Any, schema: Schema) -> Errors:
    # A whole number is one that 64 bits hold: files have no 5.0, which is a 5 on its way to the API server.
    if not (type(value) is int and value in _INT64 if wanted == "integer" else validator.is_type(value, wanted)):
        # The API server overlooks a list in the place of a time, so its rules are judged beside it.
        overlooked = isinstance(value, list) and schema.get("format") == "date-time"
        text = f"is {shown(value)}; write {_TYPES[wanted]}{_quotes(wanted, value)}"
        yield jsonschema.ValidationError(text, validator="list" if overlooked else "type")


def _quotes(wanted: str, value: Any) -> str:
    return " (in quotes)" if wanted == "string" and isinstance(value, (bool, int, float)) else ""


def _enum(validator: Any, allowed: list[Any], value: Any, schema: Schema) -> Errors:
    if value not in allowed:
        yield jsonschema.ValidationError(f"is {shown(value)}; write one of {', '.join(map(str, allowed))}")


def _required(validator: Any, names: list[str], value: Any, schema: Schema) -> Errors:
    for name in names:
        if isinstance(value, dict) and name not in value:
            yield jsonschema.ValidationError("is missing", path=(name,))


def _pattern(validator: Any, pattern: str, value: Any, schema: Schema) -> Errors:
    # RE2, as in the API server: in Python's own dialect a $ also matches before a line break at the end.
    if isinstance(value, str) and not re2.search(pattern, value):
        yield jsonschema.ValidationError(f"is {shown(value)}; it has to match {pattern}")


def _format(validator: Any, wanted: str, value: Any, schema: Schema) -> Errors:
    if wanted == "date-time" and isinstance(value, str) and instant(value) is None:
        text = f"is {shown(value)}; write a time in RFC 3339, for example 2026-12-24T18:00:00Z"
        yield jsonschema.ValidationError(text)
    bits = _BITS.get(wanted)
    if bits and isinstance(value, int) and not -(2**bits) <= value < 2**bits:
        # As if it were above a maximum: the API server goes on to its rules.
        yield jsonschema.ValidationError(f"is {shown(value)}; {wanted} does not hold that", validator="maximum")


def instant(text: str) -> datetime | None:
    """What the API server takes for a date-time (kube-openapi, pkg/validation/strfmt): not quite RFC 3339. Else None.

    What lies before the year 1, or after 9999 for its offset, becomes the nearest that Python knows.
    """
    day, _, time = text.lower().partition("t")
    found = _TIME.fullmatch(time)
    if found is None or not _DATE.fullmatch(day) or found[1] > "23" or found[2] > "59" or found[3] > "59":
        return None
    year_zero = day.startswith("0000")  # a leap year, as 4 is
    try:
        local = datetime.fromisoformat(f"{day.replace('0000', '0004', year_zero)}T{time[:8]}+00:00")
    except ValueError:
        return None
    ahead = timedelta(hours=int(found[6] or 0), minutes=int(found[7] or 0)) * (-1 if found[5][0] == "-" else 1)
    try:
        return _FIRST if year_zero else local + timedelta(seconds=float(f"0.{(found[4] or '.0')[1:]}")) - ahead
    except OverflowError:
        return _FIRST if ahead > timedelta(0) else _LAST


def _list_type(validator: Any, list_type: str, value: Any, schema: Schema) -> Errors:
    if list_type == "atomic" or not isinstance(value, list):
        return
    if list_type == "map" and not all(isinstance(item, dict) for item in value):
        return
    seen: list[Any] = []
    for place, item in enumerate(value):
        key = _list_key(item, schema.get(_LIST_KEYS, ())) if list_type == "map" else item
        if seen.count(key) == 1:  # the API server names each but once too
            yield jsonschema.ValidationError(f"{_key_text(key)} stands there twice; remove one", path=(place,))
        seen.append(key)


def _list_key(item: dict[str, Any], names: list[str]) -> tuple[Any, ...]:
    return tuple(item.get(name) for name in names)


def _key_text(key: Any) -> str:
    return ", ".join(map(shown, key)) if isinstance(key, tuple) else shown(key)


def _bound(keyword: str, text: str) -> Any:
    """JSON Schema's own judgement in our words, which never quote a value of a megabyte."""
    judge = jsonschema.Draft202012Validator.VALIDATORS[keyword]

    def check(validator: Any, bound: int, value: Any, schema: Schema) -> Errors:
        if any(judge(validator, bound, value, schema) or ()):
            size = value if keyword in ("minimum", "maximum") else len(value)
            yield jsonschema.ValidationError(text.format(size=size, bound=bound))

    return check


_NAMES = {_LIST_TYPE: DUPLICATE}
_Validator = jsonschema.validators.extend(  # type: ignore[no-untyped-call]
    jsonschema.Draft202012Validator,
    {
        "type": _type,
        "enum": _enum,
        "required": _required,
        "pattern": _pattern,
        "format": _format,
        _LIST_TYPE: _list_type,
        "minimum": _bound("minimum", "is {size}; write at least {bound}"),
        "maximum": _bound("maximum", "is {size}; write at most {bound}"),
        "minLength": _bound("minLength", "is {size} characters long; write at least {bound}"),
        "maxLength": _bound("maxLength", "is {size} characters long; write at most {bound}"),
        "minItems": _bound("minItems", "has {size} items; write at least {bound}"),
        "maxItems": _bound("maxItems", "has {size} items; write at most {bound}"),
        "minProperties": _bound("minProperties", "has {size} fields; write at least {bound}"),
        "maxProperties": _bound("maxProperties", "has {size} fields; write at most {bound}"),
    },
)
