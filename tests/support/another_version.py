"""The program as an earlier or a later version of it would be: with fewer migrations or more, and under its number.

`python -m tests.support.another_version SCHEMA VERSION run …` is `angarium run …` of a version that knows this schema.
A schema beyond those there are makes a table, so that a program of today could not go on with it.
"""

import sys
from pathlib import Path

from tests.support.programs import python_module

import angarium.app
import angarium.cli
from angarium.cli import main
from angarium.store import migration

NEWEST = migration.migrations()[-1][0]


def launch(schema: int, version: str) -> tuple[str | Path, ...]:
    """What starts it, as for an Angarium."""
    return python_module(sys.modules[__name__], str(schema), version)


def pretend(schema: int, version: str) -> None:
    steps = [step for step in migration.migrations() if step[0] <= schema]
    steps += [(number, f"CREATE TABLE of_schema_{number} (x);") for number in range(NEWEST + 1, schema + 1)]
    migration.migrations = lambda: steps
    migration.program = lambda: version
    angarium.app.version = angarium.cli.package_version = lambda _: version  # type: ignore[assignment]


if __name__ == "__main__":
    pretend(int(sys.argv[1]), sys.argv[2])
    main(sys.argv[3:])
