"""`make node`: a node for a person who wants to look around. It lives as long as the shell that it opens."""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.kubenode import KubeNode
from tools.node import machine, parts

VOLUMES = 3


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.node", description=__doc__)
    parser.add_argument("image", nargs="*", type=Path, help="image archives (OCI) to import")
    arguments = parser.parse_args()
    obstacle = machine.this_machine().obstacle()
    if obstacle:
        sys.exit(f"no node here: {obstacle}")
    with tempfile.TemporaryDirectory(prefix="angarium-node-") as folder:
        node = KubeNode(Path(folder), parts.bring())
        try:
            node.start()
            for image in arguments.image:
                node.import_image(image.absolute())
            print(f"The node is Ready. kubectl and helm of this shell know it; logs are in {folder}.", file=sys.stderr)
            for number in range(1, VOLUMES + 1):
                node.add_volume(f"volume-{number}")
            print(f"There are {VOLUMES} volumes to claim. The node ends with this shell.", file=sys.stderr)
            subprocess.run([os.environ.get("SHELL", "/bin/sh")], env=node.shell_environment(), check=False)
        finally:
            node.stop()


if __name__ == "__main__":
    main()
