"""Writes to what a resource declares are refused with what does what was asked: a kubectl command (DESIGN 5), or, in
dev mode, a change of the manifest file.
"""

from collections.abc import Mapping

from angarium.api.context import Context
from angarium.api.errors import Refusal
from angarium.api.wire import encode
from angarium.domain.declarations import Declared, ObjectRef
from angarium.domain.edits import SpecChange
from angarium.domain.errors import OwnedByResource

EDIT = "edit"
DELETE = "delete"

Action = str | Mapping[str, object]
"""What was asked for: EDIT, DELETE, or the fields of `spec` that it sets."""


async def change(context: Context, ref: ObjectRef, wanted: SpecChange, action: Action) -> Declared | None:
    """Edit an object of the API. Raises Refusal (409) with how to do `action` if a resource owns it."""
    try:
        return await context.objects.edit(ref, wanted)
    except OwnedByResource as error:
        how = f"run: {kubectl(ref, action)}" if context.home is None else by_hand(context.home(ref), action)
        raise Refusal(409, f"{error}; {how}") from None


def kubectl(ref: ObjectRef, action: Action) -> str:
    """The command line. A declared object's name is a Kubernetes name, so that it needs no quotes."""
    about = f"{ref.kind.value.lower()}s.angarium.dev {ref.name}"
    if isinstance(action, str):
        return f"kubectl -n {ref.namespace} {action} {about}"
    patch = encode({"spec": action}).decode()
    return f"kubectl -n {ref.namespace} patch {about} --type merge -p '{patch}'"


def by_hand(file: str, action: Action) -> str:
    """What to do with the file that declares it: `angarium dev` takes a change over by itself."""
    if isinstance(action, str):
        return f"remove it from {file}" if action == DELETE else f"edit {file}"
    fields = " and ".join(f"spec.{name} to {encode(value).decode()}" for name, value in action.items())
    return f"set {fields} in {file}"
