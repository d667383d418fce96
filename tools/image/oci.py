"""OCI image archives: written without an engine, and read back strictly.

The formats are those of the OCI image specification 1.1 (image-layout, manifest, config, layer). A `manifest.json`
beside them serves engines that know the older archive only.
"""

import gzip
import hashlib
import io
import json
import os
import stat
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


class ArchiveError(Exception):
    """An archive is not what it says; the text names the part."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file, folder or link of a layer. `path` is relative, `content` the bytes of a file or where they lie."""

    path: str
    mode: int
    content: bytes | Path = b""
    link: str = ""
    folder: bool = False
    owner: int = 0
    group: int = 0


@dataclass(frozen=True, slots=True)
class Layer:
    """A packed layer: the file with it, what it is called packed and unpacked, and where it came from."""

    file: Path
    digest: str
    diff_id: str
    text: str

    @property
    def size(self) -> int:
        """In bytes, packed."""
        return self.file.stat().st_size


@dataclass(frozen=True, slots=True)
class Image:
    """An image as it is written: `name` is REPOSITORY:TAG, `config` what OCI calls so, `created` seconds since 1970."""

    name: str
    layers: tuple[Layer, ...]
    config: Mapping[str, Any]
    created: int = 0
    architecture: str = ARCHITECTURES.get(os.uname().machine, os.uname().machine)


def entries_of(folder: Path, target: str = "", owner: int = 0, group: int = 0) -> Iterator[Entry]:
    """All that is in a folder, as entries below `target`; the folder itself too if that is not the root."""
    if target:
        yield Entry(target, 0o755, folder=True, owner=owner, group=group)
    for path in sorted(folder.rglob("*")):
        name = str(Path(target) / path.relative_to(folder))
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            yield Entry(name, 0o777, link=os.readlink(path), owner=owner, group=group)
        elif stat.S_ISDIR(mode):
            yield Entry(name, stat.S_IMODE(mode), folder=True, owner=owner, group=group)
        elif stat.S_ISREG(mode):
            yield Entry(name, stat.S_IMODE(mode), path, owner=owner, group=group)
        else:
            raise ArchiveError(f"{path}: neither file nor folder nor link")


def entries_in(layer: Path) -> Iterator[Entry]:
    """What a packed layer holds."""
    with tarfile.open(layer) as tar:
        for info in tar:
            content = tar.extractfile(info) if info.isfile() else None
            yield Entry(
                info.name,
                info.mode,
                content.read() if content else b"",
                info.linkname,
                info.isdir(),
                info.uid,
                info.gid,
            )


def pack(entries: Iterable[Entry], file: Path, text: str) -> Layer:
    """Write a layer into `file`. The same entries give the same bytes: no names of users, no times."""
    unpacked = hashlib.sha256()
    with (
        file.open("wb") as raw,
        gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=9, mtime=0, filename="") as zipped,
        tarfile.open(fileobj=_Hashed(zipped, unpacked), mode="w|", format=tarfile.PAX_FORMAT) as tar,
    ):
        for entry in entries:
            _add(tar, entry)
    with file.open("rb") as packed:
        digest = hashlib.file_digest(packed, "sha256").hexdigest()
    return Layer(file, f"sha256:{digest}", f"sha256:{unpacked.hexdigest()}", text)


def write(image: Image, file: Path) -> str:
    """Write the archive; returns the digest of its manifest, by which the image is known."""
    config, manifest = _config(image), _manifest(image)
    described = _described(manifest, MANIFEST_TYPE) | {
        "platform": {"architecture": image.architecture, "os": "linux"},
        "annotations": {
            "io.containerd.image.name": image.name,
            "org.opencontainers.image.ref.name": image.name.rpartition(":")[2],
        },
    }
    blobs: dict[str, bytes | Path] = {_blob(_digest_of(content)): content for content in (config, manifest)}
    blobs |= {_blob(layer.digest): layer.file for layer in image.layers}
    files = {
        "oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
        "index.json": _json({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [described]}),
        "manifest.json": _json(_older(image, config)),
    }
    draft = file.with_suffix(".draft")
    with tarfile.open(draft, "w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in (*files.items(), *blobs.items()):
            _add(tar, Entry(name, 0o644, content))
    draft.rename(file)
    return str(described["digest"])


def _config(image: Image) -> bytes:
    return _json(
        {
            "created": _instant(image.created),
            "architecture": image.architecture,
            "os": "linux",
            "config": image.config,
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in image.layers]},
            "history": [{"created_by": layer.text, "created": _instant(0)} for layer in image.layers],
        }
    )


def _manifest(image: Image) -> bytes:
    """The labels of the image are annotations of its manifest too: registries show those."""
    return _json(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": _described(_config(image), CONFIG_TYPE),
            "layers": [{"mediaType": LAYER_TYPE, "digest": layer.digest, "size": layer.size} for layer in image.layers],
            "annotations": {
                **image.config.get("Labels", {}),
                "org.opencontainers.image.created": _instant(image.created),
            },
        }
    )


def _older(image: Image, config: bytes) -> list[dict[str, Any]]:
    layers = [_blob(layer.digest) for layer in image.layers]
    return [{"Config": _blob(_digest_of(config)), "RepoTags": [image.name], "Layers": layers}]


def _add(tar: tarfile.TarFile, entry: Entry) -> None:
    info = tarfile.TarInfo(entry.path)
    info.mode, info.uid, info.gid, info.mtime = entry.mode, entry.owner, entry.group, 0
    if entry.folder or entry.link:
        info.type = tarfile.DIRTYPE if entry.folder else tarfile.SYMTYPE
        info.linkname = entry.link
        tar.addfile(info)
    elif isinstance(entry.content, bytes):
        info.size = len(entry.content)
        tar.addfile(info, io.BytesIO(entry.content))
    else:
        info.size = entry.content.stat().st_size
        with entry.content.open("rb") as content:
            tar.addfile(info, content)


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive that was read and found to be sound."""

    name: str
    digest: str
    manifest: Mapping[str, Any]
    config: Mapping[str, Any]
    paths: tuple[tuple[str, ...], ...]
    """Of each layer, what it holds."""


def read(file: Path) -> Archive:
    """Read an archive and check every digest, size and type in it. Raises ArchiveError."""
    with tarfile.open(file) as tar:
        if json.loads(_member(tar, "oci-layout"))["imageLayoutVersion"] != "1.0.0":
            raise ArchiveError("oci-layout: another version")
        index = json.loads(_member(tar, "index.json"))
        (described,) = index["manifests"]
        manifest = json.loads(_content(tar, described, MANIFEST_TYPE))
        config = json.loads(_content(tar, manifest["config"], CONFIG_TYPE))
        layers = [_content(tar, layer, LAYER_TYPE) for layer in manifest["layers"]]
        unpacked = [gzip.decompress(layer) for layer in layers]
        if [_digest_of(layer) for layer in unpacked] != config["rootfs"]["diff_ids"]:
            raise ArchiveError("config: rootfs.diff_ids are not those of the layers")
    return Archive(
        described["annotations"]["io.containerd.image.name"], described["digest"], manifest, config,
        tuple(_paths(layer) for layer in unpacked),
    )  # fmt: skip


def unpack(file: Path, folder: Path) -> None:
    """The root file system of an image: its layers, one over the other. Owners are kept where the user is root."""
    manifest = read(file).manifest
    with tarfile.open(file) as tar:
        for layer in manifest["layers"]:
            content = gzip.decompress(_content(tar, layer, LAYER_TYPE))
            with tarfile.open(fileobj=io.BytesIO(content)) as part:
                part.extractall(folder, numeric_owner=True)


def _paths(layer: bytes) -> tuple[str, ...]:
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        return tuple(tar.getnames())


def _content(tar: tarfile.TarFile, described: Mapping[str, Any], media_type: str) -> bytes:
    content = _member(tar, _blob(described["digest"]))
    if described["mediaType"] != media_type:
        raise ArchiveError(f"{described['digest']}: {described['mediaType']} instead of {media_type}")
    if (len(content), _digest_of(content)) != (described["size"], described["digest"]):
        raise ArchiveError(f"{described['digest']}: its content has another size or digest")
    return content


def _member(tar: tarfile.TarFile, name: str) -> bytes:
    try:
        found = tar.extractfile(name)
    except KeyError:
        found = None
    if found is None:
        raise ArchiveError(f"{name} is missing")
    return found.read()


def _described(content: bytes, media_type: str) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": _digest_of(content), "size": len(content)}


def _instant(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def _json(value: object) -> bytes:
    return json.dumps(value, indent=1, sort_keys=True).encode()


def _blob(digest: str) -> str:
    return "blobs/" + digest.replace(":", "/")


def _digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


class _Hashed(io.RawIOBase):
    """Passes on what is written, and counts it into a digest."""

    def __init__(self, target: gzip.GzipFile, digest: "hashlib._Hash") -> None:
        self._target = target
        self._hash = digest

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._hash.update(data)
        self._target.write(data)
        return len(data)
