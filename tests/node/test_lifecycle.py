"""Two nodes at once, and what is left of one that was stopped, or whose test run was killed: nothing."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support import processes
from tests.support.cluster import wait_for
from tests.support.enclosure import Enclosure
from tests.support.kubenode import KubeNode
from tests.support.programs import ROOT

# Without the programs of Kubernetes a node takes milliseconds to start; what it leaves is the same.
CHILD = """
import sys, time
from pathlib import Path
from tests.support.enclosure import Enclosure
enclosure = Enclosure(Path(sys.argv[1]), eval(sys.argv[2]), eval(sys.argv[3]))
enclosure.start()
print(enclosure.pid, flush=True)
time.sleep(600)
"""


def another(node: KubeNode, folder: Path) -> Enclosure:
    folder.mkdir()
    return Enclosure(folder, node.parts.environment, node.settings)


def test_two_at_once_do_not_disturb_each_other(node: KubeNode, tmp_path: Path) -> None:
    first, second = another(node, tmp_path / "first"), another(node, tmp_path / "second")
    first.start()
    try:
        second.start()
        assert set(first.cgroups.values()).isdisjoint(second.cgroups.values())
        second.stop()
        assert first.run("hostname").stdout == "node-1\n"
        assert all(folder.exists() for folder in first.cgroups.values())
        assert node.ready()
    finally:
        first.stop()
        second.stop()


def test_stopped_it_leaves_nothing(node: KubeNode, tmp_path: Path) -> None:
    enclosure = another(node, tmp_path / "other")
    enclosure.start()
    sleeper = subprocess.Popen([*enclosure.launch(), "sleep", "600"], env=enclosure.environment)
    enclosure.run("mkdir", *(f"/sys/fs/cgroup/{name}/below" for name in ("memory", "cpu")))
    (first,) = processes.tree(enclosure.pid)
    enclosure.stop()
    assert sleeper.wait(10) != 0
    assert not first.exists
    assert not [folder for folder in enclosure.cgroups.values() if folder.exists()]


def test_a_folder_serves_a_second_time(node: KubeNode, tmp_path: Path) -> None:
    first = another(node, tmp_path / "again")
    first.start()
    first.stop()
    second = Enclosure(first.folder, node.parts.environment, node.settings)
    second.start()
    try:
        assert second.run("hostname").stdout == "node-1\n"
    finally:
        second.stop()


def test_what_a_killed_run_left_is_removed_by_the_next(node: KubeNode, tmp_path: Path) -> None:
    (tmp_path / "killed").mkdir()
    arguments = (tmp_path / "killed", repr(node.parts.environment), repr(node.settings))
    run = subprocess.Popen(
        [sys.executable, "-c", CHILD, *map(str, arguments)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert run.stdout is not None
    (first,) = processes.tree(int(run.stdout.readline()))
    cgroups = [Path(line) for line in (tmp_path / "killed" / "cgroups").read_text().splitlines()]
    run.send_signal(signal.SIGKILL)
    run.wait(10)
    run.stdout.close()
    wait_for(lambda: not first.exists, describe="the node of a killed run has ended")
    wait_for(lambda: not any((folder / "cgroup.procs").read_text() for folder in cgroups), describe="so has all in it")
    assert all(folder.exists() for folder in cgroups)
    following = another(node, tmp_path / "next")
    following.start()
    try:
        assert not [folder for folder in cgroups if folder.exists()]
        assert node.ready(), "a node of a run that goes on is left alone"
    finally:
        following.stop()


def test_it_says_where_its_data_cannot_be(node: KubeNode) -> None:
    with pytest.raises(ValueError, match="a node has a /var/lib of its own, so its data cannot be in /var/lib/x"):
        Enclosure(Path("/var/lib/x"), {}, {})
