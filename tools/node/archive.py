"""An image archive (OCI) with one static program in it: what the node's sandboxes are made of."""

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path

MEDIA = "application/vnd.oci.image"


def write(archive: Path, name: str, program: Path) -> None:
    """`name` with a tag other than `latest`, which would make the kubelet ask a registry."""
    layer = layer_of(program)
    blobs: dict[str, bytes] = {}
    content = put(blobs, gzip.compress(layer, 1, mtime=0), f"{MEDIA}.layer.v1.tar+gzip")
    config = put(
        blobs,
        encoded(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": {"Entrypoint": [f"/{program.name}"], "User": "65532"},
                "rootfs": {"type": "layers", "diff_ids": [digest_of(layer)]},
            }
        ),
        f"{MEDIA}.config.v1+json",
    )
    described = {"schemaVersion": 2, "mediaType": f"{MEDIA}.manifest.v1+json", "config": config, "layers": [content]}
    manifest = put(blobs, encoded(described), f"{MEDIA}.manifest.v1+json")
    manifest["annotations"] = {"io.containerd.image.name": name}
    with tarfile.open(archive, "w") as tar:
        add(tar, "oci-layout", encoded({"imageLayoutVersion": "1.0.0"}))
        add(tar, "index.json", encoded({"schemaVersion": 2, "manifests": [manifest]}))
        for digest, blob in blobs.items():
            add(tar, f"blobs/sha256/{digest.removeprefix('sha256:')}", blob)


def layer_of(program: Path) -> bytes:
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        add(tar, program.name, program.read_bytes(), 0o755)
    return layer.getvalue()


def put(blobs: dict[str, bytes], blob: bytes, media_type: str) -> dict[str, object]:
    blobs[digest_of(blob)] = blob
    return {"mediaType": media_type, "digest": digest_of(blob), "size": len(blob)}


def add(tar: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    tar.addfile(entry, io.BytesIO(content))


def digest_of(blob: bytes) -> str:
    return f"sha256:{hashlib.sha256(blob).hexdigest()}"


def encoded(document: object) -> bytes:
    return json.dumps(document).encode()
