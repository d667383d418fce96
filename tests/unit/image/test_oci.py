"""Archives of images: the same bytes each time, read back with nothing lost, and nothing believed."""

import io
import json
import os
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from tools.image import oci
from tools.image.derived import of_files
from tools.image.oci import ArchiveError, Entry, Image

LABEL = "org.opencontainers.image.title"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    (tree / "usr/bin").mkdir(parents=True)
    (tree / "usr/bin/program").write_bytes(b"run")
    (tree / "usr/bin/program").chmod(0o755)
    (tree / "usr/bin/again").symlink_to("program")
    (tree / "tmp").mkdir()
    (tree / "tmp").chmod(0o1777)
    (tree / ("long" * 40)).write_text("x")
    return tree


@pytest.fixture
def image(tree: Path, tmp_path: Path) -> Image:
    layers = (
        oci.pack(oci.entries_of(tree), tmp_path / "1", "the tree"),
        oci.pack(oci.entries_of(tmp_path / "none", "data", 7, 8), tmp_path / "2", "the data"),
    )
    return Image("example.test/a:1", layers, {"User": "7:8", "Labels": {LABEL: "A"}}, created=1_700_000_000)


def test_what_was_written_is_read_back(image: Image, tmp_path: Path) -> None:
    digest = oci.write(image, tmp_path / "image.tar")
    found = oci.read(tmp_path / "image.tar")
    assert (found.name, found.digest) == ("example.test/a:1", digest)
    assert found.config["config"] == image.config
    assert found.config["os"] == "linux"
    assert found.config["created"] == "2023-11-14T22:13:20Z"
    assert [one["created_by"] for one in found.config["history"]] == ["the tree", "the data"]
    assert [layer["size"] for layer in found.manifest["layers"]] == [layer.size for layer in image.layers]
    assert found.manifest["annotations"][LABEL] == "A", "what a registry shows"
    assert found.paths == (("long" * 40, "tmp", "usr", "usr/bin", "usr/bin/again", "usr/bin/program"), ("data",))


def test_older_engines_find_it_too(image: Image, tmp_path: Path) -> None:
    oci.write(image, tmp_path / "image.tar")
    with tarfile.open(tmp_path / "image.tar") as tar:
        names = tar.getnames()
        file = tar.extractfile("manifest.json")
        assert file is not None
        (older,) = json.loads(file.read())
    assert older["RepoTags"] == ["example.test/a:1"]
    assert {older["Config"], *older["Layers"]} <= set(names)


def test_times_users_and_order_of_the_machine_do_not_show(tree: Path, tmp_path: Path) -> None:
    first = oci.pack(oci.entries_of(tree), tmp_path / "1", "")
    os.utime(tree / "usr/bin/program", (1, 1))
    (tree / "tmp").rmdir()
    (tree / "tmp").mkdir()
    (tree / "tmp").chmod(0o1777)
    second = oci.pack(oci.entries_of(tree), tmp_path / "2", "")
    assert (first.digest, first.diff_id) == (second.digest, second.diff_id)
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()
    (tree / "usr/bin/program").chmod(0o700)
    assert oci.pack(oci.entries_of(tree), tmp_path / "3", "").digest != first.digest


def test_unpacking_gives_the_tree_again(image: Image, tmp_path: Path) -> None:
    oci.write(image, tmp_path / "image.tar")
    oci.unpack(tmp_path / "image.tar", tmp_path / "root")
    root = tmp_path / "root"
    assert (root / "usr/bin/program").read_bytes() == b"run"
    assert os.readlink(root / "usr/bin/again") == "program"
    assert stat.S_IMODE((root / "tmp").stat().st_mode) == 0o1777
    assert stat.S_IMODE((root / "usr/bin/program").stat().st_mode) == 0o755


def test_entries_tell_what_they_are(image: Image) -> None:
    (data,) = oci.entries_in(image.layers[1].file)
    assert data == Entry("data", 0o755, folder=True, owner=7, group=8)
    found = {entry.path: entry for entry in oci.entries_in(image.layers[0].file)}
    assert found["usr/bin/program"] == Entry("usr/bin/program", 0o755, b"run")
    assert found["usr/bin/again"].link == "program"


def test_what_is_no_file_is_refused(tree: Path, tmp_path: Path) -> None:
    os.mkfifo(tree / "pipe")
    with pytest.raises(ArchiveError, match="pipe: neither file"):
        oci.pack(oci.entries_of(tree), tmp_path / "1", "")


def test_an_image_of_a_few_files(tmp_path: Path) -> None:
    image = of_files("example.test/b:2", {"bin/pause": b"\x7fELF"}, {"Entrypoint": ["/bin/pause"]}, tmp_path)
    oci.write(image, tmp_path / "b.tar")
    found = oci.read(tmp_path / "b.tar")
    assert found.paths == (("bin", "bin/pause"),)
    assert found.config["config"] == {"Entrypoint": ["/bin/pause"]}
    (_, pause) = oci.entries_in(image.layers[0].file)
    assert pause.mode == 0o755


def rewritten(archive: Path, change: Callable[[str, bytes], bytes | None]) -> Path:
    """The archive with each member as `change` gives it back; None leaves it out."""
    changed = archive.with_suffix(".changed")
    with tarfile.open(archive) as old, tarfile.open(changed, "w") as new:
        for info in old:
            file = old.extractfile(info)
            assert file is not None
            content = change(info.name, file.read())
            if content is not None:
                info.size = len(content)
                new.addfile(info, io.BytesIO(content))
    return changed


@pytest.mark.parametrize("part", ["layer", "config", "manifest"])
def test_one_changed_byte_is_found(image: Image, tmp_path: Path, part: str) -> None:
    archive = tmp_path / "image.tar"
    digest = oci.write(image, archive)
    config = oci.read(archive).manifest["config"]["digest"]
    broken = {"layer": image.layers[0].digest, "config": config, "manifest": digest}[part]

    def change(name: str, content: bytes) -> bytes:
        return content[:-1] + b"?" if name == f"blobs/{broken.replace(':', '/')}" else content

    with pytest.raises(ArchiveError, match=f"{broken}: its content has another size or digest"):
        oci.read(rewritten(archive, change))


def test_another_type_is_found(image: Image, tmp_path: Path) -> None:
    def change(name: str, content: bytes) -> bytes:
        return content.replace(oci.MANIFEST_TYPE.encode(), oci.INDEX_TYPE.encode()) if name == "index.json" else content

    oci.write(image, tmp_path / "image.tar")
    with pytest.raises(ArchiveError, match="instead of"):
        oci.read(rewritten(tmp_path / "image.tar", change))


def test_a_missing_layer_is_found(image: Image, tmp_path: Path) -> None:
    gone = f"blobs/{image.layers[1].digest.replace(':', '/')}"
    oci.write(image, tmp_path / "image.tar")
    with pytest.raises(ArchiveError, match=f"{gone} is missing"):
        oci.read(rewritten(tmp_path / "image.tar", lambda name, content: None if name == gone else content))
