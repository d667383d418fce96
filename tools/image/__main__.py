"""`make image`: writes build/angarium-image.tar and says how large it is, and what makes it so."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tools.image import oci
from tools.image.build import ROOT, CannotBuild, build
from tools.image.dockerfile import DockerfileError


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the image of Angarium without an engine, as an OCI archive.")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "angarium-image.tar")
    parser.add_argument("--kept", action="store_true", help="use what the tests have kept; else all is made anew")
    arguments = parser.parse_args()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="angarium-layers-") as fresh:
        try:
            image = build(cache=None if arguments.kept else Path(fresh)).image
        except (CannotBuild, DockerfileError) as error:
            sys.exit(f"no image: {error}")
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        digest = oci.write(image, arguments.output)
        oci.read(arguments.output)
        print(f"{image.name} {digest}")
        for layer in image.layers:
            print(f"  {layer.size / 1e6:6.1f} MB  {layer.text}")
        print(f"  {sum(layer.size for layer in image.layers) / 1e6:6.1f} MB  in all, compressed")
    print(f"{arguments.output}: made in {time.monotonic() - begun:.0f} s")


if __name__ == "__main__":
    main()
