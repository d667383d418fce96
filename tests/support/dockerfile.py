"""The Dockerfiles of the examples as data: no test can build them, so tests run and compare what they say."""

import fnmatch
import json
from dataclasses import dataclass
from pathlib import Path

from tools.image.dockerfile import Instruction, instructions


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """That of one folder, which is also what a build of it is given."""

    folder: Path
    instructions: tuple[Instruction, ...]

    def all(self, word: str) -> list[str]:
        return [one.rest for one in self.instructions if one.word == word]

    @property
    def command(self) -> list[str]:
        """What the container starts."""
        (command,) = self.all("CMD")
        return list(json.loads(command))

    def copied(self) -> list[str]:
        """The sources that are taken from the folder, and not from another stage."""
        return [source for rest in self.all("COPY") if "--from=" not in rest for source in rest.split()[:-1]]

    def sent(self, name: str) -> bool:
        """Whether a file or folder beside the Dockerfile is there for COPY."""
        ignored = self.folder / ".dockerignore"
        patterns = ignored.read_text().split() if ignored.exists() else []
        return (self.folder / name).exists() and not any(fnmatch.fnmatch(name, pattern) for pattern in patterns)


def read_dockerfile(folder: Path) -> Dockerfile:
    return Dockerfile(folder, tuple(instructions(folder / "Dockerfile")))
