"""Whether a machine can carry a Kubernetes node, and if not, why: what a test run says that leaves the node out."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
NEEDED = ("cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids")
# "systemd" manages nothing: runc wants the hierarchy there if the kernel names it.
NAMED = "name=systemd"
NAMESPACES = ("--mount", "--net", "--pid", "--cgroup", "--uts", "--ipc")
PROGRAMS = ("apt-get", "dpkg-deb", "unshare", "nsenter", "mount")
TRIAL_S = 20


@dataclass(frozen=True, slots=True)
class Machine:
    """What is known of a machine. `hierarchies` maps those of cgroup v1, named as the kernel mounts them ("cpu" or
    "cpu,cpuacct"), to the path of this process in them; `trial` is what making a cgroup and the namespaces failed with.
    """

    user: int
    system: Mapping[str, str]
    hierarchies: Mapping[str, str]
    missing: tuple[str, ...]
    trial: str

    def obstacle(self) -> str | None:
        """Why no node can run here, for the person who reads the end of a test run; None if one can."""
        if self.user != 0:
            return "a node needs root, for namespaces and cgroups; run it as root"
        if (self.system.get("ID"), self.system.get("VERSION_ID")) != ("debian", "12"):
            found = self.system.get("PRETTY_NAME", "another system")
            return f"a node takes containerd and runc from Debian 12, and this is {found}"
        if self.missing:
            return f"a node needs {', '.join(self.missing)}, not found in PATH"
        controllers = {name for hierarchy in self.hierarchies for name in hierarchy.split(",")}
        lacking = [name for name in NEEDED if name not in controllers]
        if lacking:
            return f"a node needs cgroup v1 (it was never tried with v2), and this machine has no {', '.join(lacking)}"
        if self.trial:
            return f"a node needs cgroups and namespaces of its own, and this machine refuses them: {self.trial}"
        return None


def this_machine() -> Machine:
    user = os.geteuid()
    hierarchies = hierarchies_of(Path("/proc/self/cgroup").read_text()) if Path("/proc/self/cgroup").exists() else {}
    return Machine(
        user,
        system_of(Path("/etc/os-release").read_text() if Path("/etc/os-release").exists() else ""),
        hierarchies,
        tuple(name for name in PROGRAMS if shutil.which(name) is None),
        try_out(hierarchies) if user == 0 else "",
    )


def system_of(text: str) -> dict[str, str]:
    """os-release(5), without the quotes."""
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line and not line.startswith("#"))
    return {name: value.strip("\"'") for name, _, value in pairs}


def hierarchies_of(text: str) -> dict[str, str]:
    """/proc/PID/cgroup, without the one hierarchy of cgroup v2, which has no name."""
    lines = (line.split(":", 2) for line in text.splitlines() if line.count(":") >= 2)
    return {name: path for _, name, path in lines if name}


def folder_of(hierarchy: str, path: str, name: str = "") -> Path:
    """Where the cgroup `name` below `path` is as a folder."""
    return CGROUPS / hierarchy.removeprefix("name=") / path.strip("/") / name


def try_out(hierarchies: Mapping[str, str]) -> str:
    """Make what every node needs, and take it away again; the words of what failed, or nothing."""
    try:
        for hierarchy, path in hierarchies.items():
            folder = folder_of(hierarchy, path, f"angarium-trial-{os.getpid()}")
            folder.mkdir()
            folder.rmdir()
        done = subprocess.run(
            ["unshare", *NAMESPACES, "--fork", "--kill-child", "mount", "-t", "proc", "proc", "/proc"],
            capture_output=True, text=True, timeout=TRIAL_S, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as refused:
        return str(refused)
    return done.stderr.strip() if done.returncode else ""
