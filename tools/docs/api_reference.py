"""docs/api-reference.md: every field, bound, rule and column of every kind, from the CRDs and nothing else."""

from collections.abc import Iterator, Sequence

from tools.docs.crds import (
    KINDS,
    ROOT,
    Schema,
    cell,
    code,
    crd_of,
    described,
    fields_of,
    nodes_of,
    version_of,
)

PAGE = ROOT / "docs" / "api-reference.md"

_HEAD = """\
<!-- Made by `make docs` from crds/. -->

# API reference

Every field, bound, rule and column of the kinds of `angarium.dev/v1alpha1`, as the API server has them. What the kinds
are for, with complete examples, conditions, and what a deletion does: [resources.md](resources.md). The same without a
browser: `kubectl explain {short}.spec --recursive`.

- A field that is not listed is refused. `[]` after a name stands for each item of a list.
- **Default** is what holds where nothing is written. *Stored* ones are written into the object by the API server, the
  others are applied by Angarium, so that they can be inherited.
- **Merged by** a field: with server-side apply, items of a list with another value there may have another owner.
  *Atomic* lists are replaced as a whole; in a *set* every value stands once.
- **Durations** are whole numbers with a unit, `d`, `h`, `m` or `s`, that may be combined: `90s`, `1h30m`. Their bounds,
  and what else no schema can see, are judged by the operator: the condition `Accepted` is then False with one of
  [these reasons](troubleshooting.md#accepted-is-false).
- Rules are [CEL](https://kubernetes.io/docs/reference/using-api/cel/); the message is what `kubectl apply` shows.
"""


def text() -> str:
    """The whole page."""
    short = crd_of(KINDS[0])["spec"]["names"]["shortNames"][0]
    contents = ", ".join(f"[{kind}](#{kind.lower()})" for kind in KINDS)
    return "\n".join([_HEAD.format(short=short), f"{contents}\n", "\n".join(map(_section, KINDS))])


def _section(kind: str) -> str:
    about = f"For what it is there: [resources.md](resources.md#{kind.lower()})."
    parts = {
        "": _names(kind),
        "spec": _spec(kind),
        "rules": _rules(kind),
        "status": _status(kind),
        "columns": _columns(kind),
    }
    text = [f"## {kind}\n\n{about}\n"]
    text += [f"### {kind} {part}\n\n{table}\n" if part else f"{table}\n" for part, table in parts.items() if table]
    return "\n".join(text)


def _table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Nothing if there are no rows."""
    lines = [f"| {' | '.join(row)} |" for row in (heads, *rows)]
    return "\n".join([lines[0], "|---" * len(heads) + "|", *lines[1:]]) if rows else ""


def _names(kind: str) -> str:
    spec, version = crd_of(kind)["spec"], version_of(kind)
    names = spec["names"]
    rows = [
        ("Group and version", code(f"{spec['group']}/{version['name']}")),
        ("Scope", spec["scope"]),
        ("Plural, singular, list", ", ".join(code(names[name]) for name in ("plural", "singular", "listKind"))),
        ("Short names", ", ".join(map(code, names["shortNames"]))),
        ("Categories", ", ".join(map(code, names["categories"]))),
        ("Subresources", ", ".join(map(code, version["subresources"]))),
    ]
    return _table(("Name", "Value"), rows)


def _spec(kind: str) -> str:
    rows = []
    for path, schema, required in fields_of(kind, "spec"):
        meaning, default, example = described(schema["description"])
        shown = ("required" if required else _stored(schema) or cell(default), _bounds(schema))
        rows.append((code(path), _type(schema), *shown, code(example) if example else "", cell(meaning)))
    return _table(("Field", "Type", "Default", "Bounds", "Example", "Meaning"), rows)


def _status(kind: str) -> str:
    rows = []
    for path, schema, required in fields_of(kind, "status"):
        given = "always" if required else _stored(schema)
        rows.append((code(path), _type(schema), given, _bounds(schema), cell(schema["description"])))
    return _table(("Field", "Type", "Presence", "Bounds", "Meaning"), rows)


def _stored(schema: Schema) -> str:
    """Such as `RunLatest`, stored."""
    return f"{code(_value(schema['default']))}, stored" if "default" in schema else ""


def _value(value: object) -> str:
    """As it is written in YAML, on one line."""
    match value:
        case bool():
            return str(value).lower()
        case dict():
            return f"{{{', '.join(f'{name}: {_value(inner)}' for name, inner in value.items())}}}"
        case list():
            return f"[{', '.join(map(_value, value))}]"
        case _:
            return str(value)


_TYPES = {"string": "text", "integer": "integer", "boolean": "true or false", "object": "object"}


def _type(schema: Schema) -> str:
    if "items" in schema:
        return f"list of {_TYPES[schema['items']['type']]}s"
    if "additionalProperties" in schema:
        return f"map of {_TYPES[schema['additionalProperties']['type']]}s"
    return _TYPES[schema["type"]] if "type" in schema else "any JSON"


def _bounds(schema: Schema) -> str:
    bounds = list(_limits(schema))
    for inner in ("items", "additionalProperties"):
        if inner in schema and schema[inner]["type"] != "object":
            bounds += [f"each {bound}" for bound in _limits(schema[inner])]
    return "; ".join(bounds)


def _limits(schema: Schema) -> Iterator[str]:
    if "enum" in schema:
        yield "one of " + ", ".join(code(str(value)) for value in schema["enum"])
    for least, most, unit in _RANGES:
        yield from _range(schema.get(least), schema.get(most), unit)
    if "format" in schema:
        yield _FORMATS[schema["format"]]
    if "pattern" in schema:
        yield f"matches {code(schema['pattern'])}"
    if "x-kubernetes-list-type" in schema:
        keys = ", ".join(map(code, schema.get("x-kubernetes-list-map-keys", ())))
        yield f"merged by {keys}" if keys else schema["x-kubernetes-list-type"]
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        yield "unknown fields are kept"


_RANGES = (
    ("minimum", "maximum", ""),
    ("minLength", "maxLength", " characters"),
    ("minItems", "maxItems", " items"),
    ("minProperties", "maxProperties", " fields"),
)
_FORMATS = {"date-time": "RFC 3339 time", "int32": "32 bits", "int64": "64 bits"}


def _range(least: int | None, most: int | None, unit: str) -> Iterator[str]:
    if least is not None and most is not None:
        yield f"{least} to {most}{unit}"
    elif least is not None:
        yield f"at least {least}{unit}"
    elif most is not None:
        yield f"at most {most}{unit}"


def _rules(kind: str) -> str:
    """The places that share a rule and its message in one row."""
    places: dict[tuple[str, str], list[str]] = {}
    for path, schema in nodes_of(kind):
        for rule in schema.get("x-kubernetes-validations", ()):
            found = places.setdefault((rule["rule"], rule["message"]), [])
            found.append(path + rule.get("fieldPath", ""))
    rows = [
        (", ".join(code(place) if place else "the object" for place in found), code(rule), cell(message))
        for (rule, message), found in places.items()
    ]
    return _table(("At", "Rule", "Message"), rows)


def _columns(kind: str) -> str:
    rows = [
        (
            column["name"].upper(),
            column["type"],
            "with `-o wide`" if column.get("priority") else "always",
            code(column["jsonPath"]),
            cell(column.get("description", "Age of the object.")),
        )
        for column in version_of(kind)["additionalPrinterColumns"]
    ]
    return _table(("Column", "Type", "Shown", "From", "Meaning"), rows)
