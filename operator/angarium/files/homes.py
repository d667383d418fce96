"""Which file declares an object: for those who tell a person what to edit. Light: it is there before all else."""

from collections.abc import Mapping
from pathlib import Path

from angarium.domain.declarations import ObjectRef


class Homes:
    """`of` has every object that files declare; None for one that an earlier start left: nobody knows its file."""

    def __init__(self) -> None:
        self.of: Mapping[ObjectRef, Path | None] = {}

    def told(self, ref: ObjectRef) -> str:
        """The file, as a message names it."""
        return str(self.of.get(ref) or "the file that declares it")
