"""The Dockerfiles of the examples as data: no test can build them, so tests run and compare what they say."""

import fnmatch
import json
import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """`instructions` are pairs of the word in capitals and the rest, with continued lines joined."""

    folder: Path
    instructions: tuple[tuple[str, str], ...]

    def all(self, word: str) -> list[str]:
        return [rest for one, rest in self.instructions if one == word]

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
    text = re.sub(r"\\\n", " ", (folder / "Dockerfile").read_text())
    lines = [line.split(maxsplit=1) for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return Dockerfile(folder, tuple((word.upper(), rest) for word, rest in lines))
