"""Writes to what a resource declares are refused with the kubectl command that does what was asked (DESIGN 5)."""

from collections.abc import Mapping

from angarium.api.errors import Refusal
from angarium.api.wire import encode
from angarium.domain.declarations import Declared, ObjectRef
from angarium.domain.edits import SpecChange
from angarium.domain.errors import OwnedByResource
from angarium.service.objects import Objects

EDIT = "edit"
DELETE = "delete"

Action = str | Mapping[str, object]
"""What the command does: a verb, or the fields of `spec` that it sets."""


async def change(objects: Objects, ref: ObjectRef, wanted: SpecChange, action: Action) -> Declared | None:
    """Edit an object of the API. Raises Refusal (409) with the command that does `action` if a resource owns it."""
    try:
        return await objects.edit(ref, wanted)
    except OwnedByResource as error:
        raise Refusal(409, f"{error}; run: {kubectl(ref, action)}") from None


def kubectl(ref: ObjectRef, action: Action) -> str:
    """The command line. A declared object's name is a Kubernetes name, so that it needs no quotes."""
    about = f"{ref.kind.value.lower()}s.angarium.dev {ref.name}"
    if isinstance(action, str):
        return f"kubectl -n {ref.namespace} {action} {about}"
    patch = encode({"spec": action}).decode()
    return f"kubectl -n {ref.namespace} patch {about} --type merge -p '{patch}'"
