"""A release of the chart with its operator beside the cluster, in the place of the pod that no node runs.

The operator has the ServiceAccount's token of the release, so it can do what the release allows and nothing else.
"""

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from tests.support.angarium import Angarium
from tests.support.cluster import wait_for
from tests.support.controlplane import ControlPlane
from tests.support.helm import CHART, Helm
from tests.support.receiver import Receiver
from tests.support.rights import token_of
from tests.support.stage import Stage

KINDS = ("endpoints", "topics", "schedules", "queues", "tokens")
CRDS = [f"{plural}.angarium.dev" for plural in KINDS]
Crd = dict[str, Any]


class Released:
    """`helm` is a cluster admin's; the operator's files are in `folder`. Its `stage` plays in `namespace`, which alone
    is watched."""

    def __init__(
        self, helm: Helm, control_plane: ControlPlane, namespace: str, folder: Path, receiver: Receiver
    ) -> None:
        self.helm, self.control_plane, self.namespace, self.folder = helm, control_plane, namespace, folder
        self.receiver = receiver
        self.release = "angarium"
        self.values: Mapping[str, Any] = {"watchNamespaces": [namespace]}
        self._kubeconfig = folder / "kubeconfig"
        self.stage = self.another(folder)

    def another(self, folder: Path) -> Stage:
        """Stage of an operator with a database of its own; one at a time may run."""
        angarium = Angarium(folder, kubeconfig=self._kubeconfig, settings={"namespaces": self.namespace})
        return Stage(self.control_plane, self.namespace, angarium, self.receiver)

    def install(self, *flags: str, release: str = "angarium", chart: Path = CHART) -> None:
        """Also with the token of the ServiceAccount that comes with it."""
        self.release = release
        self._helm("install", chart, "--create-namespace", *flags)
        name = release if "angarium" in release else f"{release}-angarium"
        self.control_plane.write_kubeconfig(self._kubeconfig, token_of(self.control_plane, self.namespace, name))

    def upgrade(self, chart: Path = CHART) -> None:
        self._helm("upgrade", chart)

    def roll_back(self) -> None:
        self.helm.succeed("rollback", self.release, "-n", self.namespace)

    def uninstall(self) -> None:
        """The pod ends with it."""
        self.helm.succeed("uninstall", self.release, "-n", self.namespace)
        if self.stage.angarium.program.running:
            assert self.stage.angarium.stop() == 0

    def _helm(self, command: str, chart: Path, *flags: str) -> None:
        self.helm.succeed(command, self.release, chart, "-n", self.namespace, *flags, values=self.values)


@contextmanager
def released(helm: Helm, control_plane: ControlPlane, namespace: str, folder: Path) -> Iterator[Released]:
    """Installed; what is left of it afterwards goes, CRDs too."""
    with Receiver() as receiver:
        found = Released(helm, control_plane, namespace, folder, receiver)
        found.install()
        try:
            yield found
        finally:
            if found.stage.angarium.program.running:
                found.stage.angarium.stop()
            helm.run("uninstall", found.release, "-n", namespace)
            control_plane.kubectl("delete", "crd", *CRDS, "--ignore-not-found", "--wait=false")
            control_plane.kubectl("delete", "namespace", namespace, "--wait=false")
            await_gone(control_plane)


def await_gone(control_plane: ControlPlane) -> None:
    def left() -> str:
        return control_plane.kubectl("get", "crd", "-o", "name").stdout

    wait_for(left, lambda names: "angarium.dev" not in names, within=30, describe="the CRDs are gone")


def chart_with(folder: Path, change: Callable[[Crd], object], version: str) -> Path:
    """A copy of the chart, of another version and with other CRDs: `change` gets each of them."""
    copy = folder / f"chart-{version}"
    shutil.copytree(CHART, copy)
    for file in (copy / "files" / "crds").glob("*.yaml"):
        crd = yaml.safe_load(file.read_text())
        change(crd)
        file.write_text(yaml.safe_dump(crd, sort_keys=False, width=120))
    chart = yaml.safe_load((copy / "Chart.yaml").read_text())
    (copy / "Chart.yaml").write_text(yaml.safe_dump(chart | {"version": version, "appVersion": version}))
    return copy
