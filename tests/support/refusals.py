"""Who refuses a manifest, where, and in which words: the API server, and `angarium check` as a program."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import yaml
from tests.support.angarium import run
from tests.support.cluster import ROOT, Object, path_of
from tests.support.controlplane import ControlPlane

UNCHECKED = "some validation rules were not checked because the object was invalid"
WRONG_TYPE = "Checked value must be of type"  # said of the whole object, beside what is said of the field
NOT_JUDGED = "evaluating rule: "
_UNKNOWN = re.compile(r'unknown field "((?:[^"\\]|\\.)*)"')
_FIELD = re.compile(r"((?:apiVersion|kind|metadata|spec|status|extra)(?:[.\[].*?)?): (.*)")
_NAMED_WHOLE = re.compile(r"(metadata\.[A-Za-z]+).*")

Told = tuple[str, str]
"""A field, and the words of our CEL rule if it is one that is broken."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`told` is empty for what is accepted; `lines` are those that the program names, by field."""

    accepted: bool
    told: frozenset[Told]
    words: str = ""
    lines: tuple[tuple[str, int], ...] = ()


def of_api_server(control_plane: ControlPlane, manifest: Object) -> Verdict:
    """Strict field validation ends at unknown fields: what else is wrong is asked for without it, rules apart."""
    strict = _create(control_plane, manifest, "Strict")
    if strict.is_success:
        return Verdict(True, frozenset())
    status = strict.json()
    told = _causes(status)
    if strict.status_code == 400:
        rest = _causes(_create(control_plane, manifest, "Ignore").json())
        told = {(field, "") for field in _UNKNOWN.findall(status["message"])} | {one for one in rest if not one[1]}
    return Verdict(False, frozenset(told), status["message"])


def of_program(folder: Path, manifests: Sequence[Object]) -> list[Verdict]:
    """One run of `angarium check` for all, each in a file and folder of its own below `folder`."""
    texts: dict[Path, str] = {}
    for number, manifest in enumerate(manifests):
        file = folder / f"{number:06}" / "manifest.yaml"
        file.parent.mkdir()
        texts[file] = yaml.dump(manifest, Dumper=_Quoting, sort_keys=False, allow_unicode=True)
        file.write_text(texts[file])
    done = run("check", "--recursive", "--folders-apart", "--api-server-only", str(folder))
    found: dict[Path, list[tuple[str, str, int]]] = {file: [] for file in texts}
    for line in done.stdout.splitlines():
        file, number, rest = line.split(":", 2)
        match = _FIELD.fullmatch(rest[1:])
        field, message = match.groups() if match else ("", rest[1:])
        found[Path(file)].append((field, message, int(number)))
    assert done.returncode == (1 if done.stdout else 0), done
    return [_of_lines(lines, texts[file]) for file, lines in found.items()]


def agree(server: Verdict, program: Verdict) -> bool:
    """The same verdict, the same fields, the same words of CEL rules; but for three habits of the API server.

    It names metadata only as a whole in places. Where it cannot evaluate a rule, it names the rule and not the field
    that the rule reads. And it overlooks a list in the place of a time, unless a rule reads it.
    """
    if server.accepted != program.accepted:
        return False
    wrong_metadata = "cannot be handled as" in server.words and not server.told
    if wrong_metadata or "cannot unmarshal" in server.words:
        return any(field.startswith("metadata") for field, _ in program.told)
    theirs = {_whole(one) for one in server.told if not _is_read_by(one, program)}
    ours = {_whole(one) for one in program.told if not _is_overlooked(one, server)}
    return theirs == ours


def line_of(text: str, field: str) -> int:
    """Where a field stands in a YAML text, or the innermost part of it that is there: by PyYAML's own nodes."""
    node = yaml.compose(text, Loader=yaml.CSafeLoader)
    line = node.start_mark.line + 1
    while field:
        if isinstance(node, yaml.MappingNode):
            steps = [(key.value, key.start_mark.line + 1, value) for key, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            steps = [(f"[{place}]", item.start_mark.line + 1, item) for place, item in enumerate(node.value)]
        else:
            return line
        for key, at, value in sorted(steps, key=lambda step: -len(step[0])):
            if field.startswith(key) and field[len(key) : len(key) + 1] in ("", ".", "["):
                node, line, field = value, at, field[len(key) :].removeprefix(".")
                break
        else:
            return line
    return line


class _Quoting(yaml.CSafeDumper):
    """Texts in quotes: PyYAML leaves some bare that kubectl takes for numbers."""


_Quoting.add_representer(str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"'))


def _create(control_plane: ControlPlane, manifest: Object, validation: str) -> httpx.Response:
    return control_plane.client.post(
        path_of(manifest["kind"], namespace="default"),
        content=json.dumps(manifest, ensure_ascii=False).encode(),
        params={"fieldValidation": validation, "dryRun": "All"},
        headers={"Content-Type": "application/json"},
    )


def _causes(status: Any) -> set[Told]:
    causes = status.get("details", {}).get("causes", ())
    told = set()
    for cause in causes:
        message = cause["message"]
        rule = next((words for words in _rules() if message.endswith(words)), "")
        field = cause.get("field", "").replace("<nil>", "")
        if UNCHECKED not in message and WRONG_TYPE not in message:
            told.add((field, f"{NOT_JUDGED}{rule}" if NOT_JUDGED in message else rule))
    return told


def _of_lines(lines: list[tuple[str, str, int]], text: str) -> Verdict:
    told = set()
    for field, message, number in lines:
        assert number == line_of(text, field), f"{field} stands in line {line_of(text, field)}, not {number}:\n{text}"
        rule = next((words for words in _rules() if message.endswith(words)), "")
        told.add((field, f"{NOT_JUDGED}{rule}" if "cannot be judged" in message else rule))
    return Verdict(not lines, frozenset(told), "\n".join(message for _, message, _ in lines))


def _whole(told: Told) -> Told:
    return _NAMED_WHOLE.sub(r"\1", told[0]), told[1]


def _is_read_by(told: Told, program: Verdict) -> bool:
    """Of the server: a rule that it could not evaluate, where the program names a field below."""
    return told[1].startswith(NOT_JUDGED) and any(
        field.startswith(told[0]) and not words for field, words in program.told
    )


def _is_overlooked(told: Told, server: Verdict) -> bool:
    """Of the program: a list where a time belongs."""
    times = ("spec.at", "spec.startTime", "spec.endTime")
    return told in {(time, "") for time in times} and told not in server.told


@cache
def _rules() -> frozenset[str]:
    """The messages of all CEL rules."""
    found: set[str] = set()

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            found.update(rule["message"] for rule in value.get("x-kubernetes-validations", ()))
            value = list(value.values())
        if isinstance(value, list):
            for item in value:
                walk(item)

    for file in (ROOT / "crds").glob("*.yaml"):
        walk(yaml.safe_load(file.read_text()))
    return frozenset(found)
