"""Keeps the database that this version of the program makes, and its CRDs, for the tests of all later versions.

`python -m tests.releases.record NAME` needs the control plane of the cluster tests, and takes two minutes.
"""

import json
import shutil
import sys
import tarfile
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

from tests.releases import contents
from tests.support import rights
from tests.support.angarium import Angarium
from tests.support.cluster import ROOT, apply, condition, create_namespace, get, wait_for
from tests.support.controlplane import ControlPlane
from tests.support.stage import Stage
from tools.controlplane import build

NAMESPACE = "shop"
FOLDER = Path(__file__).parent
LEFT = ("angarium.db", "angarium.db-wal", "angarium.db-shm")


def main(name: str) -> None:
    kept = FOLDER / name
    kept.mkdir()
    with tempfile.TemporaryDirectory() as folder:
        control_plane = ControlPlane(Path(folder) / "controlplane", build.locate(build.CONTROL_PLANE) or build.build())
        control_plane.start()
        try:
            for crd in apply(control_plane, ROOT / "crds"):
                await_established(control_plane, crd["metadata"]["name"])
            record(control_plane, Path(folder), kept)
        finally:
            control_plane.stop()
    shutil.copytree(ROOT / "crds", kept / "crds")


def await_established(control_plane: ControlPlane, name: str) -> None:
    def established(crd: dict[str, object]) -> bool:
        return (condition(crd, "Established") or {}).get("status") == "True"

    wait_for(lambda: get(control_plane, "CustomResourceDefinition", name), established)


def record(control_plane: ControlPlane, folder: Path, kept: Path) -> None:
    """The program is killed, so that its files are as a crash leaves them, with messages under way."""
    for namespace in (NAMESPACE, contents.OTHER):
        create_namespace(control_plane, namespace)
    token = rights.cluster_operator_token(control_plane, NAMESPACE)
    kubeconfig = control_plane.write_kubeconfig(folder / "kubeconfig", token)
    allowed = {"allow-address": f"{contents.HOST}/32", "orphan-grace": "30d"}
    with contents.receiver() as receiver, Angarium(folder, kubeconfig=kubeconfig, settings=allowed) as angarium:
        angarium.start()
        found = contents.fill(Stage(control_plane, NAMESPACE, angarium, receiver))
        angarium.kill()
        taken = time.time()
    told = {"program": version("angarium"), "taken": taken, "namespace": NAMESPACE, **found}
    (kept / "contents.json").write_text(json.dumps(told, indent=1, sort_keys=True) + "\n")
    with tarfile.open(kept / "database.tar.xz", "w:xz") as archive:
        for name in LEFT:
            archive.add(folder / name, name, filter=anonymous)


def anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Without who made it."""
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry


if __name__ == "__main__":
    main(sys.argv[1])
