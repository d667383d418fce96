"""Folders outside of the project that are filled once for what they depend on: installed projects, parts of images."""

import fcntl
import hashlib
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.controlplane.build import cache_root

COMPLETE = ".complete"
UNUSED_S = 14 * 24 * 3600
"""How long a folder is kept that nobody asks for: each change of the program makes a new one of some kinds."""


def cached(name: str, parts: Iterable[bytes], fill: Callable[[Path], None], root: Path | None = None) -> Path:
    """A folder that `fill` makes once for these parts, in the cache or in `root`. Processes that ask at the same time
    wait for each other; a folder that was left half made is made again. Old ones beside a new one make room."""
    folder = (root or cache_root()) / name / fingerprint(parts)
    with _locked(folder.with_suffix(".lock")):
        if not (folder / COMPLETE).exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            fill(folder)
            _remove_unused(folder.parent)
        (folder / COMPLETE).touch()
    return folder


def _remove_unused(siblings: Path) -> None:
    for mark in siblings.glob(f"*/{COMPLETE}"):
        if time.time() - mark.stat().st_mtime > UNUSED_S:
            shutil.rmtree(mark.parent, ignore_errors=True)


def fingerprint(parts: Iterable[bytes]) -> str:
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
