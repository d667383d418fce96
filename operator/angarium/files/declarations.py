"""Sound manifests to declarations, with the metadata that the API server would have given them.

A file has no uid, generation and creation time; they come from what the store knows, so that a restart changes nothing.
"""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime

from angarium.domain.declarations import Declared, Kind, ObjectRef, Rejection
from angarium.files.documents import Document, Finding, Manifest
from angarium.resources import manifest as manifests
from angarium.resources.times import format_time

DEFAULT_NAMESPACE = "default"

_UIDS = uuid.uuid5(uuid.NAMESPACE_URL, "https://angarium.dev/files")


def namespace_of(manifest: Manifest) -> str:
    return manifest["metadata"].get("namespace") or DEFAULT_NAMESPACE


def ref_of(manifest: Manifest) -> ObjectRef:
    """Which object a manifest with sound metadata declares."""
    return ObjectRef(Kind(manifest["kind"]), namespace_of(manifest), manifest["metadata"]["name"])


def declare(manifest: Manifest, stored: Declared | None, now: datetime) -> Declared:
    """The declaration of a sound manifest, of an object that the store knows as `stored`.

    The uid follows from kind, namespace and name. The generation grows when the spec means something else than before,
    so not with labels and annotations (Kubernetes API conventions, "Metadata").
    """
    generation = stored.generation if stored else 1
    declared = _decode(manifest, generation, stored.created_at if stored else now)
    if stored and declared.spec != stored.spec:
        return _decode(manifest, generation + 1, stored.created_at)
    return declared


def refusal(document: Document, rejection: Rejection) -> Finding:
    """Where a manifest breaks a rule that no schema can see."""
    field, _, message = rejection.message.partition(": ")
    return document.finding(field, message)


def _decode(manifest: Manifest, generation: int, created_at: datetime) -> Declared:
    ref = ref_of(manifest)
    given: Mapping[str, object] = manifest["metadata"]
    metadata = {
        "name": ref.name,
        "namespace": ref.namespace,
        "uid": str(uuid.uuid5(_UIDS, f"{ref.kind}/{ref.namespace}/{ref.name}")),
        "generation": generation,
        # To the second, as Kubernetes has it: an interval counts from here.
        "creationTimestamp": format_time(created_at.astimezone(UTC)),
        **{field: given[field] for field in ("labels", "annotations") if given.get(field)},
    }
    return manifests.decode({**manifest, "metadata": metadata})
