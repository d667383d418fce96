"""Pin all dependencies with hashes. No index URL may get into the files: they have to work behind any mirror."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
UV = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--universal", "--python-version", "3.11",
      "--generate-hashes", "--no-emit-index-url", "--no-emit-find-links", "--no-header"]  # fmt: skip


def pin(output: str, *sources: str) -> None:
    subprocess.run([*UV, *sources, "--output-file", output], cwd=HERE.parent, check=True)


pin("requirements/run.txt", "pyproject.toml", "--extra", "dev")
pin("requirements/image.txt", "pyproject.toml", "--constraint", "requirements/run.txt")
pin("requirements/build.txt", "requirements/build.in", "--constraint", "requirements/run.txt")
TEST = ("--extra", "dev", "--group", "test", "--constraint", "requirements/run.txt")
pin("requirements/test.txt", "pyproject.toml", *TEST)
