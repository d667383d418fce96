"""Reads the SQL of the store from `sql/*.sql`, where each statement stands under a line `-- name: <name>`."""

import re
from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


def load(file: str) -> Mapping[str, str]:
    """The statements of `sql/<file>.sql` by name."""
    text = files(__package__).joinpath("sql", f"{file}.sql").read_text("utf-8")
    _, *parts = _NAME.split(text)
    return MappingProxyType({name: sql.strip().rstrip(";") for name, sql in zip(parts[::2], parts[1::2], strict=True)})


def file_names() -> list[str]:
    """Every file that `load` knows."""
    return sorted(
        entry.name.removesuffix(".sql")
        for entry in files(__package__).joinpath("sql").iterdir()
        if entry.name.endswith(".sql")
    )
