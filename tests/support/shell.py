"""Commands of documentation: a fenced `sh` block cut into commands, and some of them run as a reader would."""

import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_HEREDOC = re.compile(r"<<-?'?\"?(\w+)")


@dataclass(frozen=True, slots=True)
class Command:
    """`line` counts within the block, from 1."""

    line: int
    text: str


def commands(block: str) -> Iterator[Command]:
    """Each command with its continued lines and here-document; comments and empty lines are none."""
    lines = iter(enumerate(block.splitlines(), 1))
    for number, line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        text = line
        while text.endswith("\\"):
            text += "\n" + next(lines)[1]
        if found := _HEREDOC.search(text):
            for _, inner in lines:
                text += "\n" + inner
                if inner.strip() == found[1]:
                    break
        yield Command(number, text)


def run_all(texts: list[str], folder: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """In one shell, so that variables last; standard error tells each command before it, and it ends at a failure."""
    script = "\n".join(f"echo {shlex.quote('$ ' + text)} >&2\n{text}" for text in texts)
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=folder, env=dict(environment), stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
