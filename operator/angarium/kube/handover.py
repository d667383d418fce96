"""A Token's Secret that we made and somebody else has applied since, from Git for example: it is theirs from then on.

To go on writing it would be a quarrel with whoever applies it again, and to own it would take it away with its Token.
"""

from angarium.kube import nesting
from angarium.kube.client import FIELD_MANAGER, Manifest

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
"""What `kubectl apply` leaves on an object; that it agrees with what stood there shows in no managed field."""
NOBODY = "before-first-apply"
"""To whom the API server puts down what is there, if managed fields were emptied and somebody applies on the server."""


def is_applied(manifest: Manifest, key: str) -> bool:
    """Whether somebody but us says what stands under this key of a Secret that we have made."""
    metadata = manifest.get("metadata") or {}
    applied = (metadata.get("annotations") or {}).get(LAST_APPLIED)
    if applied is not None and _says(applied, key):
        return True
    return any(
        f"f:{key}" in ((entry.get("fieldsV1") or {}).get(field) or {})
        for entry in metadata.get("managedFields") or []
        for field in ("f:data", "f:stringData")
        if _is_foreign(entry)
    )


def _is_foreign(entry: Manifest) -> bool:
    """We never apply on the server, so whoever does is somebody else, by whatever name."""
    manager = entry.get("manager")
    return manager != NOBODY and (manager != FIELD_MANAGER or entry.get("operation") == "Apply")


def _says(applied: str, key: str) -> bool:
    """A manifest in Git may have a label alone for a Secret; one that cannot be read may have anything."""
    try:
        said = nesting.loads(applied.encode())
        return any(key in (said.get(field) or {}) for field in ("data", "stringData"))
    except (ValueError, AttributeError, TypeError):
        return True


def release(manifest: Manifest, uid: str, label: str) -> list[Manifest]:
    """A JSON patch that takes our marks off: the owner with this uid, and the label. What others have put there stays.

    Only if nobody else was faster: otherwise the next pass looks again.
    """
    metadata = manifest["metadata"]
    owners = [owner for owner in metadata.get("ownerReferences") or [] if owner.get("uid") != uid]
    patch: list[Manifest] = [
        {"op": "test", "path": "/metadata/resourceVersion", "value": metadata["resourceVersion"]},
        {"op": "replace", "path": "/metadata/ownerReferences", "value": owners},
    ]
    if label in (metadata.get("labels") or {}):
        patch.append({"op": "remove", "path": f"/metadata/labels/{label.replace('/', '~1')}"})
    return patch
