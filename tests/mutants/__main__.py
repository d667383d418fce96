"""Breaks one named rule after the other in a copy of the project: each must turn a test red (`make mutants`).

Before that, all tests that are to judge must pass on the unbroken copy. Exit code 1 if a mutant survives.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.mutants.mutant import ROOT, Mutant
from tests.mutants.rules import MUTANTS

AT_ONCE = 2
LIMIT_S = 120
"""For the tests of one mutant."""
ALL_LIMIT_S = 900
"""For all of them, unbroken."""
PASSED, FAILED = 0, 1  # exit codes of pytest; any other says that the tests could not be run


def copy(folder: Path) -> Path:
    """What git knows of the project, as it is in the working tree."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True)
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


def run(project: Path, tests: Sequence[str], *options: str, limit_s: float = LIMIT_S) -> tuple[int, str]:
    """The exit code of pytest on these tests of a copy, and its output."""
    paths = [str(project / "tests" / test) for test in tests]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *options, *paths],
        cwd=project,
        # The copy, not the installed package, is what the tests import.
        env={**os.environ, "PYTHONPATH": str(project / "operator"), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=limit_s,
    )
    return done.returncode, done.stdout + done.stderr


def judge(mutant: Mutant) -> str:
    """What became of the mutant: `killed by <test>`, or why it was not."""
    with tempfile.TemporaryDirectory(prefix="angarium-mutant-") as folder:
        project = copy(Path(folder))
        broken = project / "operator" / "angarium" / mutant.file
        broken.write_text(mutant.broken(broken.read_text()))
        try:
            code, output = run(project, mutant.tests)
        except subprocess.TimeoutExpired:
            return "killed: its tests do not end"
    if code == FAILED:
        failed = re.search(r"^(?:FAILED|ERROR) \S*?([\w.]+\.py\S*)", output, re.MULTILINE)
        return f"killed by {failed[1] if failed else output[-500:]}"
    if code == PASSED:
        return "SURVIVED"
    return f"NOT JUDGED: pytest ended with {code}: {output[-500:]}"


def main() -> int:
    """Prints a line per rule and a sum."""
    with tempfile.TemporaryDirectory(prefix="angarium-mutant-") as folder:
        tests = sorted({test for one in MUTANTS for test in one.tests})
        code, output = run(copy(Path(folder)), tests, "-n", "2", limit_s=ALL_LIMIT_S)
        if code != PASSED:
            print(output[-3000:], "the tests that judge the mutants do not pass unbroken", sep="\n")
            return 1
    killed = 0
    with ThreadPoolExecutor(AT_ONCE) as turns:
        for mutant, verdict in zip(MUTANTS, turns.map(judge, MUTANTS), strict=True):
            killed += verdict.startswith("killed")
            print(f"{mutant.rule}: {verdict}", flush=True)
    print(f"{killed} of {len(MUTANTS)} mutants killed")
    return 0 if killed == len(MUTANTS) else 1


if __name__ == "__main__":
    sys.exit(main())
