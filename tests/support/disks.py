"""A small disk of its own for a program: a file system that only this program and the test see, gone with the test.

It is mounted in a mount namespace (Linux). Without root, a user namespace makes that possible too.
"""

import contextlib
import os
import subprocess
from pathlib import Path
from typing import Self

from tests.support.cluster import wait_for
from tests.support.programs import Program

MOUNTED = "mounted"
BLOCK = 4096


class Disk:
    """`with Disk(folder, "8m") as disk: … Angarium(…, launch=disk.launch(…))`, which finds it at `disk.point`."""

    def __init__(self, folder: Path, size: str) -> None:
        self.point = folder / "disk"
        self.point.mkdir()
        mount = f"mount -t tmpfs -o size={size} tmpfs '{self.point}' && echo {MOUNTED} && exec sleep infinity"
        self._as_user = () if os.geteuid() == 0 else ("--user", "--map-root-user")
        self._holder = Program(["unshare", "--mount", *self._as_user, "sh", "-c", mount], folder / "disk.log")

    @property
    def path(self) -> Path:
        """The disk as the test reaches it."""
        return Path(f"/proc/{self._holder.pid}/root{self.point}")

    def launch(self, *command: str | Path) -> tuple[str | Path, ...]:
        """How to run a command that sees the disk."""
        user = ("--user", "--preserve-credentials") if self._as_user else ()
        return ("nsenter", f"--target={self._holder.pid}", "--mount", *user, *command)

    def fill(self) -> None:
        """Until nothing is left."""
        with (self.path / "ballast").open("ab", buffering=0) as ballast, contextlib.suppress(OSError):
            while True:
                ballast.write(bytes(BLOCK))

    def free(self) -> None:
        (self.path / "ballast").unlink()

    def make_read_only(self) -> None:
        """Nobody may have a file of it open for writing."""
        subprocess.run(self.launch("mount", "-o", "remount,ro", self.point), check=True)

    def make_writable(self) -> None:
        subprocess.run(self.launch("mount", "-o", "remount,rw", self.point), check=True)

    def __enter__(self) -> Self:
        self._holder.start()
        wait_for(lambda: MOUNTED in self._holder.log.read_text(), describe=f"a disk is mounted at {self.point}")
        return self

    def __exit__(self, *_: object) -> None:
        self._holder.kill()
