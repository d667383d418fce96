"""The pods that the pages of docs/ have somebody start beside Angarium's, with its volume."""

import pytest
import yaml
from tests.support.cluster import ROOT, Object, apply
from tests.support.controlplane import ControlPlane
from tests.support.helm import NAMESPACE
from tests.support.markdown import blocks
from tests.support.rights import create_service_account

PODS = [
    (page.name, one)
    for page in sorted((ROOT / "docs").glob("*.md"))
    for block in blocks(page.read_text())
    if "\nkind: Pod\n" in block.text
    for one in yaml.safe_load_all(block.text)
]


@pytest.mark.parametrize("pod", [one for _, one in PODS], ids=[page for page, _ in PODS])
def test_a_pod_may_run_where_the_chart_may(control_plane: ControlPlane, namespaces: None, pod: Object) -> None:
    """docs/install.md has Angarium's namespace enforce the restricted Pod Security Standard."""
    create_service_account(control_plane, NAMESPACE, "default")
    apply(control_plane, pod | {"metadata": {**pod["metadata"], "namespace": NAMESPACE}}, dryRun="All")


def test_there_are_some() -> None:
    assert {page for page, _ in PODS} >= {"upgrade.md"}
