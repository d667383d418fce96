"""The pod that Angarium runs in, as the downward API names it: what Events about Angarium itself are about."""

import re
from dataclasses import dataclass

NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
"""A name of a namespace (RFC 1123 label)."""

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_UID = re.compile(r"[0-9A-Za-z]([-0-9A-Za-z]{0,126}[0-9A-Za-z])?")


@dataclass(frozen=True, slots=True)
class Pod:
    """Its uid is a part of it: a StatefulSet gives the same name to one pod after the other."""

    namespace: str
    name: str
    uid: str

    def __str__(self) -> str:
        return f"Pod {self.namespace}/{self.name}"


def parse_pod(text: str) -> Pod:
    """From NAMESPACE/NAME/UID. Raises ValueError that says what is wrong."""
    parts = text.split("/")
    if len(parts) != 3:
        raise ValueError("a pod is named NAMESPACE/NAME/UID, as angarium/angarium-0/9a6cf2d4-…")
    for part, form, what in zip(parts, (NAMESPACE, _NAME, _UID), ("namespace", "pod's name", "uid"), strict=True):
        if not form.fullmatch(part):
            raise ValueError(
                f"{part!r} is no {what}; NAMESPACE/NAME/UID is needed, in a pod from the fields metadata.namespace, "
                "metadata.name and metadata.uid"
            )
    return Pod(*parts)
