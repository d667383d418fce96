"""Namespaces and cgroups of its own for a node: it takes itself for a machine, and the real one stays as it is."""

import contextlib
import itertools
import os
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tests.support.processes import Process
from tests.support.processes import tree as processes_of
from tests.support.programs import Program
from tools.node.machine import NAMESPACES, folder_of, hierarchies_of

SCRIPTS = Path(__file__).resolve().parents[2] / "tools" / "node"
HIDDEN = ("/run", "/var/lib", "/var/log", "/proc", "/sys")
NAME = "angarium-node"
START_S = ENDED_S = 20.0
_NUMBERS = itertools.count(1)


class Enclosure:
    """`environment`: what all programs in it find; `settings`: what init.sh asks for besides."""

    def __init__(self, folder: Path, environment: Mapping[str, str], settings: Mapping[str, str]) -> None:
        hidden = [path for path in HIDDEN if folder.resolve().is_relative_to(path)]
        if hidden:
            raise ValueError(f"a node has a {hidden[0]} of its own, so its data cannot be in {folder}")
        self.folder = folder
        self.environment = {**environment, "HOME": str(folder)}
        hierarchies = hierarchies_of(Path("/proc/self/cgroup").read_text())
        # The name says whose it is: what a killed test run has left is known by it.
        (me, *_) = processes_of(os.getpid())
        name = f"{NAME}-{me.pid}-{me.started}-{next(_NUMBERS)}"
        self.cgroups = {hierarchy: folder_of(hierarchy, path, name) for hierarchy, path in hierarchies.items()}
        self._list = folder / "cgroups"
        arranging = {**self.environment, **settings, "STATE": str(folder), "HIERARCHIES": " ".join(hierarchies)}
        self._first = Program(
            ["unshare", *NAMESPACES, "--propagation=private", "--fork", "--kill-child", "sh", SCRIPTS / "init.sh"],
            folder / "init.log", arranging, self._joined(),
        )  # fmt: skip

    def start(self) -> None:
        """Returns when the network and the file systems are arranged."""
        remove_leftovers(self.cgroups.values())
        for hierarchy, folder in self.cgroups.items():
            folder.mkdir()
            if "cpuset" in hierarchy.split(","):
                for file in ("cpuset.cpus", "cpuset.mems"):
                    (folder / file).write_text((folder.parent / file).read_text())
        self._list.write_text("".join(f"{folder}\n" for folder in self.cgroups.values()))
        (self.folder / "arranged").unlink(missing_ok=True)  # of an earlier node with the same folder
        self._first.start()
        deadline = time.monotonic() + START_S
        while not (self.folder / "arranged").exists():
            if not self._first.running or time.monotonic() > deadline:
                raise RuntimeError(f"the namespaces of the node could not be arranged\n{self._first.last_words()}")
            time.sleep(0.01)

    def stop(self) -> None:
        """The first process takes all others with it, and the last of them all mounts and devices. Only cgroups stay
        until they are removed."""
        if self._first.running:
            self._first.kill()
        deadline = time.monotonic() + ENDED_S
        while left := [str(folder) for folder in self.cgroups.values() if not removed(folder)]:
            if time.monotonic() > deadline:
                raise RuntimeError(f"processes of the node have not ended: {', '.join(left)} cannot be removed")
            time.sleep(0.02)

    @property
    def pid(self) -> int:
        """The first process, as the machine numbers it."""
        (child,) = Path(f"/proc/{self._first.pid}/task/{self._first.pid}/children").read_text().split()
        return int(child)

    @property
    def network(self) -> Path:
        return Path(f"/proc/{self.pid}/ns/net")

    def launch(self) -> Sequence[str | Path]:
        """How to run a program in there. Paths have to be absolute."""
        return [*self._joined(), "nsenter", f"--target={self.pid}", *NAMESPACES, "--"]

    def run(self, *command: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a program to its end; `check` turns a failure into a RuntimeError with its words."""
        done = subprocess.run(
            [*self.launch(), *command],
            stdin=subprocess.DEVNULL, env=self.environment, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        if check and done.returncode:
            words = " ".join(map(str, command))
            raise RuntimeError(f"`{words}` in the node ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done

    def memory_mib(self) -> float:
        """Memory of all that runs in there, file caches included."""
        (folder,) = (folder for name, folder in self.cgroups.items() if "memory" in name.split(","))
        return int((folder / "memory.usage_in_bytes").read_text()) / 2**20

    def _joined(self) -> Sequence[str | Path]:
        return ["sh", SCRIPTS / "join.sh", self._list]


def remove_leftovers(ours: Iterable[Path]) -> None:
    """Cgroups of nodes whose test run was killed. Those of a run that goes on are left alone."""
    for folder in {folder.parent for folder in ours}:
        for found in folder.glob(f"{NAME}-*-*-*"):
            pid, started, _ = found.name.removeprefix(f"{NAME}-").split("-")
            if not Process(int(pid), started).exists:
                removed(found)


def removed(cgroup: Path) -> bool:
    """Whether it is gone, with all below it, once this was tried."""
    for folder, _, _ in os.walk(cgroup, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(folder)
    return not cgroup.exists()
