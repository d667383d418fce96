"""Angarium's image without a node: its root file system, read-only, with a pod's volumes, for a user that is not root.

What a container engine does beside that (namespaces, limits, seccomp) is left to the tests of the node.
"""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support.angarium import Angarium
from tests.support.controlplane import ControlPlane
from tools.image import oci

USER = 65532
DATA = "/var/lib/angarium"

ENTER = """
root=$1 data=$2; shift 2
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount --bind "$data" "$root/var/lib/angarium"
mount --rbind /proc "$root/proc"
mount --rbind /dev "$root/dev"
exec env -i "$@"
"""


class Root:
    """An image, unpacked."""

    def __init__(self, archive: Path, folder: Path) -> None:
        oci.unpack(archive, folder)
        folder.chmod(0o755)  # the root itself is in no layer
        self.folder = folder
        self.config: Mapping[str, Any] = oci.read(archive).config["config"]

    def launch(self, data: Path) -> Sequence[str | Path]:
        """What runs its entrypoint, followed by arguments, with this folder as its volume."""
        return [*self._enter(data), *self.config["Entrypoint"]]

    def python(self, data: Path, code: str) -> subprocess.CompletedProcess[str]:
        """Run a piece of Python in it."""
        command = [*self._enter(data), "python3.11", "-c", code]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    def _enter(self, data: Path) -> list[str | Path]:
        os.chown(data, USER, USER)
        chroot = shutil.which("chroot", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
        assert chroot is not None
        into = [chroot, f"--userspec={self.config['User']}", self.folder]
        return ["unshare", "--mount", "sh", "-euc", ENTER, "enter", self.folder, data, *self.config["Env"], *into]

    def angarium(self, data: Path, control_plane: ControlPlane, token: str, **settings: str) -> Angarium:
        """The program as its pod runs it, on the control plane of the test."""
        kubeconfig = control_plane.write_kubeconfig(data / "kubeconfig", token)
        kubeconfig.write_text(kubeconfig.read_text().replace(str(control_plane.ca_file), f"{DATA}/ca.crt"))
        shutil.copy(control_plane.ca_file, data / "ca.crt")
        for file in (kubeconfig, data / "ca.crt"):
            os.chown(file, USER, USER)
        inside = {"database": f"{DATA}/angarium.db", "kubeconfig": f"{DATA}/kubeconfig"}
        return Angarium(data, settings=inside | settings, launch=self.launch(data))
