"""Archives of images for the test node: the one that `make image` writes, and two made from it."""

from dataclasses import replace
from pathlib import Path

from tools.image import derived, oci
from tools.image.build import made

CLIENT = "angarium.test/client:1"


def write(folder: Path) -> list[Path]:
    """The image under test; the same with the tag of another version; one with the QStash Python SDK, too."""
    built = made()
    images = {
        "angarium": built.image,
        "other": replace(built.image, name=other_tag(built.image.name)),
        "client": derived.with_packages(built, CLIENT, ["qstash"]),
    }
    for name, image in images.items():
        oci.write(image, folder / f"{name}.tar")
    return [folder / f"{name}.tar" for name in images]


def other_tag(name: str) -> str:
    return f"{name}-other"
