"""Archives of images for the test node: the one that `make image` writes, and others on top of it."""

from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement
from tools.image import oci
from tools.image.build import build

SDK = "opt/sdk"
CLIENT = "angarium.test/client:1"


def write(folder: Path) -> list[Path]:
    """The image under test; the same with the tag of another version; one with the QStash Python SDK too."""
    image = build()
    images = {
        "angarium": image,
        "other": replace(image, name=other_tag(image.name)),
        "client": with_sdk(image, folder),
    }
    for name, found in images.items():
        oci.write(found, folder / f"{name}.tar")
    return [folder / f"{name}.tar" for name in images]


def other_tag(name: str) -> str:
    return f"{name}-other"


def with_sdk(image: oci.Image, folder: Path) -> oci.Image:
    """The SDK as the tests have it installed, with what it needs: all of it is plain Python."""
    files = [file for name in sorted(needed("qstash")) for file in files_of(name)]
    layer = oci.pack(files, folder / "sdk.layer", "the QStash SDK")
    config = {**image.config, "Env": [*image.config["Env"], f"PYTHONPATH=/{SDK}"]}
    return replace(image, name=CLIENT, layers=(*image.layers, layer), config=config)


def needed(name: str) -> set[str]:
    """The distributions that one needs here, itself among them."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        one = waiting.pop()
        if one in found:
            continue
        found.add(one)
        for text in distribution(one).requires or ():
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name.lower())
    return found


def files_of(name: str) -> Iterator[oci.Entry]:
    for file in distribution(name).files or ():
        if ".." not in file.parts and file.suffix != ".pyc":
            yield oci.Entry(f"{SDK}/{file}", 0o644, Path(str(file.locate())))
