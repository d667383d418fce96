"""Manifests that differ from a sound one in one place or two: what people get wrong, at every field of a schema.

Made by walking a manifest beside its CRD's schema, so that a new field is covered as soon as a sound manifest has it.
"""

import copy
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import yaml
from tests.support.cluster import ROOT
from tests.support.crd_cases import CASES

Path = tuple[str | int, ...]
Manifest = dict[str, Any]
Schema = dict[str, Any]

# One of each kind that JSON has, and what is easily taken for another one.
ODD: tuple[Any, ...] = (
    None, True, 0, -1, 1.5, 2**31, float(2**63), 1e300, "", " ", "x", "5", "true", "a\n", "\u0000", "é", "K", "ſ",
    "😀", "\u2028", [], [None], ["x"], [{}], [[]], {}, {"a": None}, {"": "x"}, {"a": {"b": []}},
)  # fmt: skip
TIMES = (
    "2026-12-24T18:00:00Z", "2026-12-24t18:00:00z", "2026-12-24 18:00:00Z", "2026-12-24T18:00:00", "2026-12-24",
    "2026-12-24T18:00Z", "2026-12-24T24:00:00Z", "2026-12-24T23:59:60Z", "2026-12-24T18:00:00,5Z",
    "2026-12-24T18:00:00.Z", "2026-12-24T18:00:00.123456789012Z", "2026-12-24T18:00:00+24:00",
    "2026-12-24T18:00:00+23:59", "2026-12-24T18:00:00+0100", "2026-12-24T18:00:00-00:00", "2024-02-29T00:00:00Z",
    "2026-02-29T00:00:00Z", "0000-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59",
    "20261224T180000Z", "2026-12-24T18:00:00Z\n", "2026-12-24T1८:00:00Z", "2026-12-24T18:00:00+01:60",
)  # fmt: skip
NAMES = (
    "a", "A", "a.", ".a", "a..b", "a-", "-a", "a_b", "a b", "a/b", "5", "é", "a\n", "", "%2F", ".", "..",
    "a" * 63, "a" * 64, "a" * 253, "a" * 254,
)  # fmt: skip
KEYS = (
    "a", "A", "a.b_c-d", "a/b", "A/b", "a/", "/a", "a/b/c", "", " ", "é", "-a", "a-", "a" * 63, "a" * 64,
    "a/" + "b" * 64, "a" * 253 + "/b", "a" * 254 + "/b", "a..b/c", "kubernetes.io/a",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Variation:
    """A manifest, and what was done to a sound one to get it."""

    what: str
    manifest: Manifest


def single(bases: tuple[Manifest, ...]) -> Iterator[Variation]:
    """Each field of each base: dropped, replaced by all that is odd, one past its bounds; unknown ones added."""
    kinds = set()
    for base in bases:
        yield from _at_fields(base)
        if base["kind"] not in kinds:
            kinds.add(base["kind"])
            yield from _of_metadata(base)
            yield from _of_envelope(base)


def double(bases: tuple[Manifest, ...], count: int, seed: int) -> Iterator[Variation]:
    """`count` manifests in which two places of the spec are odd; the same for the same seed."""
    choose = random.Random(seed)
    specs = [base for base in bases if "spec" in base]
    for _ in range(count):
        first = _some(Variation("", choose.choice(specs)), choose)
        yield _some(first, choose)


def _some(before: Variation, choose: random.Random) -> Variation:
    base = before.manifest
    places = list(_walk(base["spec"], schema_of(base["kind"])["properties"]["spec"], ("spec",)))[1:]
    if not places:
        return before
    path, value, inner = choose.choice(places)
    changes = [change for change in _changes(base, path, value, inner)]
    what, manifest = choose.choice(changes)
    return Variation(f"{before.what} {path}: {what}", manifest())


@cache
def full_manifests() -> tuple[Manifest, ...]:
    """Sound manifests of every kind, those in which every field is set among them."""
    names = ("every field", "an interval", "one time, unquoted", "a text body", "a base64 body",
             "a body from a ConfigMap", "a callback to an Endpoint", "no spec")  # fmt: skip
    return tuple(case.manifest for case in CASES if case.refusal is None and case.name in names)


@cache
def schema_of(kind: str) -> Schema:
    file = ROOT / "crds" / f"{kind.lower()}s.yaml"
    schema: Schema = yaml.safe_load(file.read_text())["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def _at_fields(base: Manifest) -> Iterator[Variation]:
    if "spec" not in base:
        return
    for path, value, inner in _walk(base["spec"], schema_of(base["kind"])["properties"]["spec"], ("spec",)):
        for what, manifest in _changes(base, path, value, inner):
            yield Variation(f"{base['kind']} {path}: {what}", manifest())


def _changes(base: Manifest, path: Path, value: Any, schema: Schema) -> Iterator[tuple[str, Callable[[], Manifest]]]:
    """What may happen to one field of a manifest."""
    yield "dropped", partial(_without, base, path)
    for odd in (*ODD, *_beyond(value, schema)):
        yield repr(str(odd)[:40]), partial(_with, base, path, odd)
    if isinstance(value, dict):
        yield "an unknown field", partial(_with, base, (*path, "extra"), 1)
        yield "an empty field name", partial(_with, base, (*path, ""), 1)
        yield "an unknown null", partial(_with, base, (*path, "extra"), None)
        for name, field in schema.get("properties", {}).items():
            if name not in value:
                yield f"{name} too", partial(_with, base, (*path, name), _sample(field))
    if isinstance(value, list) and value:
        yield "the first twice", partial(_with, base, path, [*value, value[0]])
        yield "null too", partial(_with, base, path, [*value, None])


def _of_metadata(base: Manifest) -> Iterator[Variation]:
    kind = base["kind"]
    for field in ("name", "namespace", "generateName"):
        for name in NAMES:
            yield Variation(f"{kind} metadata.{field}: {name[:40]!r}", _with(base, ("metadata", field), name))
    for field in ("labels", "annotations"):
        for key in KEYS:
            yield Variation(f"{kind} metadata.{field} key {key[:40]!r}", _with(base, ("metadata", field), {key: "x"}))
        for name in NAMES:
            yield Variation(f"{kind} metadata.{field} = {name[:40]!r}", _with(base, ("metadata", field), {"k": name}))
    fields = (
        "name", "namespace", "labels", "annotations", "generateName", "uid", "resourceVersion", "generation", "extra",
        "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "ownerReferences", "finalizers",
        "managedFields", "selfLink",
    )  # fmt: skip
    for field in fields:
        for odd in ODD:
            yield Variation(f"{kind} metadata.{field}: {str(odd)[:40]!r}", _with(base, ("metadata", field), odd))
    for odd in ODD:
        yield Variation(f"{kind} a label: {str(odd)[:40]!r}", _with(base, ("metadata", "labels"), {"a": odd}))
        yield Variation(
            f"{kind} an annotation: {str(odd)[:40]!r}", _with(base, ("metadata", "annotations"), {"a": odd})
        )
    yield Variation(f"{kind} without a name", _without(base, ("metadata", "name")))
    nameless = _without(base, ("metadata", "name"))
    yield Variation(f"{kind} with generateName alone", _with(nameless, ("metadata", "generateName"), "sample-"))


def _of_envelope(base: Manifest) -> Iterator[Variation]:
    kind = base["kind"]
    for part in ("metadata", "spec", "status"):
        for odd in ODD:
            yield Variation(f"{kind} {part}: {str(odd)[:40]!r}", _with(base, (part,), odd))
        yield Variation(f"{kind} without {part}", _without(base, (part,)))
    yield Variation(f"{kind} an unknown part", _with(base, ("extra",), 1))
    yield Variation(f"{kind} an unknown null part", _with(base, ("extra",), None))
    yield Variation(f"{kind} a status", _with(base, ("status",), {"conditions": []}))
    yield Variation(f"{kind} an odd status", _with(base, ("status",), {"conditions": "x", "extra": 1}))


def _walk(value: Any, schema: Schema, path: Path) -> Iterator[tuple[Path, Any, Schema]]:
    """Every value of a manifest with its path and schema, untyped JSON left alone."""
    yield path, value, schema
    if isinstance(value, dict):
        for key, item in value.items():
            inner = schema.get("properties", {}).get(key) or schema.get("additionalProperties")
            if inner:
                yield from _walk(item, inner, (*path, key))
    elif isinstance(value, list) and "items" in schema:
        for place, item in enumerate(value):
            yield from _walk(item, schema["items"], (*path, place))


def _beyond(value: Any, schema: Schema) -> Iterator[Any]:
    """On each bound, one past it, and what a format or an enum has to say about."""
    if "maxLength" in schema:
        for letter in ("a", "é", "😀"):
            yield letter * schema["maxLength"]
            yield letter * (schema["maxLength"] + 1)
    for keyword, step in (("minimum", -1), ("maximum", 1)):
        if keyword in schema:
            yield schema[keyword]
            yield schema[keyword] + step
            yield schema[keyword] + step / 2
    if "maxItems" in schema and isinstance(value, list):
        yield [*value, *([_sample(schema["items"])] * (schema["maxItems"] + 1 - len(value)))]
        yield [_numbered(schema["items"], number) for number in range(schema["maxItems"])]
        yield [_numbered(schema["items"], number) for number in range(schema["maxItems"] + 1)]
    if "maxProperties" in schema and "additionalProperties" in schema:
        yield {f"k{number}": "v" for number in range(schema["maxProperties"] + 1)}
    if schema.get("format") == "date-time":
        yield from TIMES
    if "enum" in schema:
        yield from (word.swapcase() for word in schema["enum"])
    if "pattern" in schema:
        yield from NAMES
    yield from _breaking_rules(schema)


def _breaking_rules(schema: Schema) -> Iterator[Any]:
    """Texts that our rules of one field speak of."""
    rules = " ".join(rule["rule"] for rule in schema.get("x-kubernetes-validations", ()))
    if "d|h|m|s" in rules:
        yield from ("1h30m", "1H", "1.5s", "30", "1234567s", "s", "1h 30m", "30s\n", "-1s", "0s", "१s", "999999d")
    if "https?" in rules:
        yield from (
            "HTTP://a", "http://", "http://:8", "http:///a", "http://?", "http://a#", "http://u:p@a/", "http://a/@",
            "http://a@", "http://a b", "http://a\n", "http://é", "http://[::1]", "ftp://a", "http:/a", "http://a?@#",
            "httpſ://a", "http://\u00a0", "http://a\x7f", "//a", "http://a/\\", "http://a/%zz",
        )  # fmt: skip
    if "content-length" in rules or "A-Za-z-]+$" in rules:
        yield from (
            "Host", "HOST", "hoſt", "Upstash-X", "upstash", "TE", "Te", "Tea", "Proxy-X", "proxy", "a b", "a:", "é",
            "X\n", "\u212aeep-Alive", "Keep-Alive", "*", "", "A.B", "A\\E", "\\Q", "Content-Type", "cookie",
        )  # fmt: skip
    if r"\x00-\x08" in rules or r"\x00-\x1f" in rules:
        yield from ("a\tb", "a\nb", "a\rb", "\x7f", "\x80", "\u2028", " a ", "endpoint/a", "schedule/", "endpoint")
    if "CRON_" in rules:
        yield from (
            "* * * * *", "* * * *", "* * * * * *", "@daily", "@Daily", "@every 1h", "TZ=UTC * * * * *", "? * * * *",
            "R * * * *", "0,r/5 6 * * *", "MAR * * * *", "@", "@daily ", " * * * * * ", "*\t*\n*\v*\f*",
            "*\u00a0* * * * *", "* * * * *\n", "*\u2003* * * *", "CRON_TZ=", "TZ=?", "R", "* * * * R(1-2)",
        )  # fmt: skip
    if "," in rules and "label" in str(schema.get("description", "")).lower():
        yield from ("a,b", " a", "a ", "a\u00a0", "a\nb", "a b", ",")


def _sample(schema: Schema) -> Any:
    """Some value of the right type, which may break bounds and rules."""
    match schema.get("type"):
        case "string":
            return schema.get("enum", ["a"])[0]
        case "integer":
            return 1
        case "boolean":
            return True
        case "array":
            return [_sample(schema["items"])]
        case "object":
            return {name: _sample(schema["properties"][name]) for name in schema.get("required", ())}
        case _:
            return {"any": ["thing"]}


def _numbered(schema: Schema, number: int) -> Any:
    item = _sample(schema)
    return {**item, "name": f"n{number}"} if isinstance(item, dict) else f"{item}{number}"


def _with(base: Manifest, path: Path, value: Any) -> Manifest:
    changed = copy.deepcopy(base)
    at: Any = changed
    for part in path[:-1]:
        at = at[part]
    at[path[-1]] = copy.deepcopy(value)
    return changed


def _without(base: Manifest, path: Path) -> Manifest:
    changed = copy.deepcopy(base)
    at: Any = changed
    for part in path[:-1]:
        at = at[part]
    if isinstance(at, list):
        at.pop(int(path[-1]))
    else:
        at.pop(path[-1], None)
    return changed
