"""Images that tests need beside Angarium's own: with more Python packages in it, or of a few files."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tools.cache import cached
from tools.image import lock, oci
from tools.image.build import ROOT, Built, assemble, packed

OWN_LOCK = ROOT / "requirements" / "image.txt"
TEST_LOCK = ROOT / "requirements" / "test.txt"


def with_packages(built: Built, name: str, packages: Collection[str], source: Path = TEST_LOCK) -> oci.Image:
    """The image as REPOSITORY:TAG `name`, with these packages of a lock file and what they need; it starts Python."""
    requirements = lock.part(source, packages, without=OWN_LOCK)
    parts = [built.key, requirements]

    def fill(folder: Path) -> None:
        file = folder / "requirements.txt"
        file.write_text(requirements)
        assemble(("dependencies", str(folder / "packages"), str(built.tools), str(file)), ROOT)

    folder = cached("image", [part.encode() for part in parts], fill)
    layer = packed(oci.entries_of(folder / "packages"), parts, f"packages: {', '.join(sorted(packages))}")
    config = {**built.image.config, "Entrypoint": ["python3.11"], "Cmd": []}
    return replace(built.image, name=name, layers=(*built.image.layers, layer), config=config)


def of_files(name: str, files: Mapping[str, Path | bytes], config: Mapping[str, Any], folder: Path) -> oci.Image:
    """An image of these files only, by their paths in it, all executable. Its layer is written into `folder`."""
    folders = sorted({parent.as_posix() for path in files for parent in Path(path).parents} - {"."})
    entries = [oci.Entry(path, 0o755, folder=True) for path in folders]
    entries += [oci.Entry(path, 0o755, content) for path, content in sorted(files.items())]
    return oci.Image(name, (oci.pack(entries, folder / "layer.tar.gz", "files"),), config)
