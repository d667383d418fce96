"""`make image`: writes build/angarium-image.tar and says how large it is, and what makes it so."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tools.image import oci
from tools.image.build import ROOT, CannotBuild, build, obstacle_to_tests
from tools.image.dockerfile import DockerfileError
from tools.image.shares import shares

SMALL = 50_000
"""Packages of fewer bytes are not listed."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the image of Angarium without an engine, as an OCI archive.")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "angarium-image.tar")
    parser.add_argument("--kept", action="store_true", help="use what the tests have kept; else all is made anew")
    parser.add_argument("--keep", action="store_true", help="write nothing, only make what the tests keep, if possible")
    arguments = parser.parse_args()
    if arguments.keep:
        keep()
        return
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="angarium-layers-") as fresh:
        try:
            image = build(cache=None if arguments.kept else Path(fresh))
        except (CannotBuild, DockerfileError) as error:
            sys.exit(f"no image: {error}")
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        digest = oci.write(image, arguments.output)
        oci.read(arguments.output)
        print(f"{image.name} {digest}")
        for layer in image.layers:
            print(f"{layer.size / 1e6:7.2f} MB  {layer.text}")
            for package, size in shares(oci.entries_in(layer.file)).items():
                if size >= SMALL:
                    print(f"{size / 1e6:15.2f} MB  {package}")
        print(f"{sum(layer.size for layer in image.layers) / 1e6:7.2f} MB  in all, compressed")
    print(f"{arguments.output}: made in {time.monotonic() - begun:.0f} s")


def keep() -> None:
    """Before the tests, which wait for nothing as long as this may take. Where it cannot be, they say so."""
    if why := obstacle_to_tests():
        print(f"the tests of the image will not run: {why}", file=sys.stderr)
        return
    try:
        build()
    except (CannotBuild, DockerfileError) as error:
        sys.exit(f"no image: {error}")


if __name__ == "__main__":
    main()
