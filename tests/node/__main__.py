"""`make node`: a node for a person who wants to look around. It lives as long as the shell that it opens."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.kubenode import KubeNode
from tools.controlplane.build import say
from tools.image import oci
from tools.image.build import build
from tools.node import machine, parts

VOLUMES = 3


def main() -> None:
    obstacle = machine.this_machine().obstacle()
    if obstacle:
        sys.exit(f"no node here: {obstacle}")
    with tempfile.TemporaryDirectory(prefix="angarium-node-") as folder:
        node = KubeNode(Path(folder), parts.bring())
        try:
            node.start()
            image = Path(folder, "image.tar")
            oci.write(build(), image)
            name = node.import_image(image)
            for number in range(1, VOLUMES + 1):
                node.add_volume(f"volume-{number}")
            say(f"The node is Ready. kubectl and helm of this shell know it; its logs are in {folder}.")
            say(f"It has the image {name} and {VOLUMES} volumes to claim. It ends with this shell. To begin with:")
            say("  helm install angarium charts/angarium --namespace angarium --create-namespace --wait")
            subprocess.run([os.environ.get("SHELL", "/bin/sh")], env=node.shell_environment(), check=False)
        finally:
            node.stop()


if __name__ == "__main__":
    main()
