"""Which machines carry a node, and what the others are told."""

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.programs import ROOT
from tools.node.machine import NEEDED, PROGRAMS, Machine, folder_of, hierarchies_of, system_of, this_machine

DEBIAN = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_ID="12"\n'
CGROUPS = """\
12:name=systemd:/
5:cpu,cpuacct:/box
4:memory:/box/a:b
3:cpuset:/
2:devices:/
1:freezer,blkio,pids:/
0::/
"""
ABLE = Machine(0, system_of(DEBIAN), hierarchies_of(CGROUPS), (), "")


def test_a_machine_that_can() -> None:
    assert ABLE.obstacle() is None


@pytest.mark.parametrize(
    ("machine", "says"),
    [
        (replace(ABLE, user=1000), "a node needs root, for namespaces and cgroups; run it as root"),
        (
            replace(ABLE, system=system_of('ID=fedora\nPRETTY_NAME="Fedora 43"\n')),
            "a node takes containerd and runc from Debian 12, and this is Fedora 43",
        ),
        (
            replace(ABLE, system=system_of('ID=debian\nVERSION_ID="13"\nPRETTY_NAME="Debian 13"')),
            "a node takes containerd and runc from Debian 12, and this is Debian 13",
        ),
        (replace(ABLE, system={}), "a node takes containerd and runc from Debian 12, and this is another system"),
        (replace(ABLE, missing=("unshare", "mount")), "a node needs unshare, mount, not found in PATH"),
        (
            replace(ABLE, hierarchies=hierarchies_of("0::/user.slice\n")),
            "a node needs cgroup v1 (it was never tried with v2), and this machine has no " + ", ".join(NEEDED),
        ),
        (
            replace(ABLE, hierarchies={name: path for name, path in ABLE.hierarchies.items() if name != "memory"}),
            "a node needs cgroup v1 (it was never tried with v2), and this machine has no memory",
        ),
        (
            replace(ABLE, trial="unshare: unshare failed: Operation not permitted"),
            "a node needs cgroups and namespaces of its own, and this machine refuses them: "
            "unshare: unshare failed: Operation not permitted",
        ),
    ],
)
def test_a_machine_that_cannot(machine: Machine, says: str) -> None:
    assert machine.obstacle() == says


def test_hierarchies_are_found_as_they_are_mounted() -> None:
    assert ABLE.hierarchies["cpu,cpuacct"] == "/box"
    assert ABLE.hierarchies["memory"] == "/box/a:b"
    assert "" not in ABLE.hierarchies
    assert folder_of("cpu,cpuacct", "/box", "mine") == Path("/sys/fs/cgroup/cpu,cpuacct/box/mine")
    assert folder_of("name=systemd", "/", "mine") == Path("/sys/fs/cgroup/systemd/mine")


def test_this_machine_is_looked_at(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whatever machine this is: what is not there is told, and nothing is left of the trial."""
    monkeypatch.setenv("PATH", str(tmp_path))
    found = this_machine()
    assert found.missing == PROGRAMS
    assert found.obstacle() is not None
    assert not list(Path("/sys/fs/cgroup").rglob(f"angarium-trial-{os.getpid()}"))


def test_the_node_tier_has_the_last_word_in_make_test() -> None:
    """Where it does not run, the last lines say so: nothing may come after it."""
    alone = {"PATH": os.environ["PATH"]}  # without what a make around this test has set
    steps = subprocess.check_output(["make", "-n", "test"], cwd=ROOT, env=alone, text=True).splitlines()
    runs = [step.split() for step in steps if "pytest" in step]
    assert [run[-1] for run in runs] == ["tests/contract", "tests/e2e", "tests/node"]
