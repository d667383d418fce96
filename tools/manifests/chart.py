"""What stands in the chart but has its source elsewhere: the CRDs, and the README with its table of all values."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "angarium"
README = CHART / "README.md"
CRDS = CHART / "files" / "crds"
SOURCE = ROOT / "crds"

Schema = dict[str, Any]

_TEMPLATE = Path(__file__).with_suffix(".md")
_PROGRAM_DEFAULT = re.compile(r" Default: (.+)\.$")


@dataclass(frozen=True, slots=True)
class Value:
    """One value of the chart, `path` as `service.port`; a group of values has `leaf` False."""

    path: str
    schema: Schema
    leaf: bool

    @property
    def description(self) -> str:
        text: str = self.schema["description"]
        return text


def schema() -> Schema:
    read: Schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    return read


def defaults() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    return read


def values() -> Iterator[Value]:
    """Every value that the schema knows, groups before what is in them."""
    yield from _walk(schema(), "")


def _walk(part: Schema, path: str) -> Iterator[Value]:
    for name, inner in part["properties"].items():
        yield Value(f"{path}{name}", inner, "properties" not in inner)
        if "properties" in inner:
            yield from _walk(inner, f"{path}{name}.")


def default_of(path: str) -> Any:
    """What values.yaml says; None where it says nothing."""
    found: Any = defaults()
    for name in path.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return found


def readme() -> str:
    """The whole page."""
    notice = "<!-- Made by `make manifests` from tools/manifests/chart.md, values.yaml and values.schema.json. -->\n\n"
    return notice + _TEMPLATE.read_text(encoding="utf-8").replace("{values}", _table())


def _table() -> str:
    rows = ["| Value | Default | Meaning |", "|---|---|---|"]
    for value in values():
        meaning, default = value.description, ""
        if told := _PROGRAM_DEFAULT.search(meaning):
            meaning, default = meaning[: told.start()], f"`{told[1]}`"
        elif value.leaf and (given := default_of(value.path)) is not None:
            default = f"`{json.dumps(given)}`"
        rows.append(f"| `{value.path}` | {_cell(default)} | {_cell(meaning)} |")
    return "\n".join(rows)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def write() -> None:
    """README and CRDs; a CRD that is gone from its source goes from the chart too."""
    README.write_text(readme(), encoding="utf-8")
    CRDS.mkdir(parents=True, exist_ok=True)
    for stale in CRDS.iterdir():
        stale.unlink()
    for crd in SOURCE.glob("*.yaml"):
        (CRDS / crd.name).write_bytes(crd.read_bytes())
