"""What `kubectl get` prints, as cells, and what a CRD says should be in them."""

import re
from typing import Any

from tests.support.cluster import ROOT, Object, documents_of

Table = dict[str, dict[str, str]]

AGE = re.compile(r"([0-9]+[smhdy])+")
_FIND = re.compile(r'\.status\.conditions\[\?\(@\.type=="(\w+)"\)\]\.(\w+)')


def table(printed: str) -> Table:
    """Cells by heading, by name of the object."""
    heading, *lines = printed.splitlines()
    starts = [(found.start(), found[0]) for found in re.finditer(r"\S+( \S+)*", heading)]
    ends = [start for start, _ in starts[1:]] + [None]
    rows = [{name: line[start:end].strip() for (start, name), end in zip(starts, ends, strict=True)} for line in lines]
    return {row["NAME"]: row for row in rows}


def columns_of(kind: str) -> list[Object]:
    """The printed columns of a kind, as its CRD declares them; those of priority 1 with `-o wide` only."""
    (crd,) = documents_of(ROOT / "crds" / f"{kind.lower()}s.yaml")
    columns: list[Object] = crd["spec"]["versions"][0]["additionalPrinterColumns"]
    return columns


def value_of(obj: Object, column: Object) -> Any:
    """What a column is about in an object, None if it is not there."""
    path = str(column["jsonPath"])
    by_condition = _FIND.fullmatch(path)
    if by_condition:
        type_, field = by_condition.groups()
        found = [one for one in obj["status"]["conditions"] if one["type"] == type_]
        return found[0].get(field) if found else None
    value: Any = obj
    for name in path.removeprefix(".").split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value
