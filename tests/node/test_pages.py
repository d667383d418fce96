"""What docs/ tells people to do with Angarium's volume while no Angarium runs: its commands and pods, on the node.

The namespaces let in none but restricted pods. What the same pages say to Helm is run elsewhere (tests/chart, and
test_disruptions.py).
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.node.conftest import restricted
from tests.support.cluster import ROOT
from tests.support.markdown import blocks
from tests.support.release import POD, Release
from tests.support.shell import commands, run_all

UPGRADE, OPERATIONS = ROOT / "docs" / "upgrade.md", ROOT / "docs" / "operations.md"
BY_HELM = ("helm ", "kubectl -n angarium rollout ")


@pytest.fixture
def stopped(release: Release) -> Iterator[Release]:
    """Whatever a page leaves behind, Angarium runs again afterwards."""
    before = release.pod()["metadata"]["uid"]
    yield release
    release.kubectl("scale", "statefulset", "angarium", "--replicas=1")
    release.await_ready(other_than=before)


def test_a_back_up_is_restored(stopped: Release, tmp_path: Path) -> None:
    said = follow(stopped, tmp_path, "Upgrade", "Downgrade by restoring")
    assert "/var/lib/angarium/angarium.db is copied to /var/lib/angarium/before.db" in said
    assert "what was there before is /var/lib/angarium/angarium.db.replaced" in said


def test_the_database_moves_to_another_namespace(stopped: Release, tmp_path: Path) -> None:
    stopped.node.add_volume("moved")
    try:
        said = follow(stopped, tmp_path, "Move to another namespace")
    finally:
        stopped.node.kubectl("delete", "namespace", "messaging", "--ignore-not-found", "--wait=false")
    assert (tmp_path / "moving.db").read_bytes().startswith(b"SQLite format 3")
    assert "/var/lib/angarium/angarium.db is /var/lib/angarium/moving.db now" in said


def test_a_namespace_that_is_gone_is_purged(stopped: Release, tmp_path: Path) -> None:
    stopped.kubectl("scale", "statefulset", "angarium", "--replicas=0")
    stopped.kubectl("wait", "--for=delete", f"pod/{POD}", "--timeout=90s")
    said = follow(stopped, tmp_path, "A namespace that is gone", page=OPERATIONS)
    assert "there is nothing of namespace shop in /var/lib/angarium/" in said


def follow(release: Release, folder: Path, *sections: str, page: Path = UPGRADE) -> str:
    """The commands of these sections, but those for Helm; what they print. The pod is that of docs/upgrade.md."""
    for block in blocks(UPGRADE.read_text()):
        if block.language == "yaml" and (named := re.match(r"# (\S+\.yaml)\n", block.text)):
            (folder / named[1]).write_text(block.text)
    texts = [
        command.text
        for section in sections
        for block in blocks(page.read_text())
        if (block.heading, block.language) == (section, "sh")
        for command in commands(block.text)
        if not command.text.startswith((*BY_HELM, "kubectl apply "))
    ]
    if "kubectl create namespace messaging" in texts:
        release.node.kubectl("create", "namespace", "messaging")
        restricted(release.node, "messaging")
        texts.remove("kubectl create namespace messaging")
    done = run_all(texts, folder, release.node.command_environment())
    assert done.returncode == 0, done.stderr
    return done.stdout
