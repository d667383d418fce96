"""Folders outside of the project that are filled once for what they depend on: installed projects, built programs."""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "angarium"
COMPLETE = ".complete"


def cached(name: str, parts: Iterable[bytes], fill: Callable[[Path], None]) -> Path:
    """A folder that `fill` makes once for these parts. Test processes that ask at the same time wait for each other;
    a folder that was left half made is made again."""
    folder = CACHE / name / _fingerprint(parts)
    with _locked(folder.with_suffix(".lock")):
        if not (folder / COMPLETE).exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            fill(folder)
            (folder / COMPLETE).touch()
    return folder


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
