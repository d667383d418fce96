"""docs/resources.md: text from resources.md beside this file, what each kind is from the CRDs, complete examples."""

import re
import textwrap
from collections.abc import Callable
from pathlib import Path

from tools.docs.crds import KINDS, ROOT, cell, crd_of, schema_of

PAGE = ROOT / "docs" / "resources.md"

_TEMPLATE = Path(__file__).with_suffix(".md")
_PLACE = re.compile(r"^\{(\w+)(?:: (\w+))?\}$", re.MULTILINE)


def text() -> str:
    """The whole page. Raises KeyError for a place in the template that names nothing we have."""
    return "<!-- Made by `make docs` from tools/docs/resources.md and crds/. -->\n\n" + _PLACE.sub(
        lambda place: _PARTS[place[1]](place[2]), _TEMPLATE.read_text(encoding="utf-8")
    )


def _kinds(_: str) -> str:
    rows = []
    for kind in KINDS:
        short_name = crd_of(kind)["spec"]["names"]["shortNames"][0]
        first = schema_of(kind)["description"].removeprefix(f"{kind} is ").removeprefix(f"{kind} ").partition(": ")[0]
        rows.append(f"| [{kind}](#{kind.lower()}) | `{short_name}` | {cell(first)} |")
    return "\n".join(rows)


def _about(kind: str) -> str:
    return textwrap.fill(cell(schema_of(kind)["description"]), 120)


def _example(kind: str) -> str:
    return (ROOT / "examples" / "reference" / f"{kind.lower()}.yaml").read_text(encoding="utf-8").rstrip("\n")


_PARTS: dict[str, Callable[[str], str]] = {"kinds": _kinds, "about": _about, "example": _example}
