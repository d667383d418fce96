"""What two renderings of the chart differ in, path by path."""

from typing import Any

from tests.support.cluster import Object

GONE = "GONE"
"""In the place of a value that is not there any more."""

Difference = dict[str, Any]


def difference(before: list[Object], after: list[Object], namespace: str) -> Difference:
    """New value by path, such as `Service/angarium.spec.ports[http].port`; an object that comes or goes is one entry.

    What has a name goes by it in lists; other lists count as one value. Objects of another namespace than `namespace`
    are `Kind/their-namespace/name`.
    """
    old, new = (by_id(objects, namespace) for objects in (before, after))
    found: Difference = {name: GONE for name in old.keys() - new.keys()}
    found |= {name: new[name] for name in new.keys() - old.keys()}
    for name in old.keys() & new.keys():
        found |= inside(old[name], new[name], name)
    return found


def by_id(objects: list[Object], namespace: str) -> dict[str, Object]:
    found = {identity(one, namespace): one for one in objects}
    if len(found) != len(objects):
        raise AssertionError("two objects have the same kind, namespace and name")
    return found


def identity(one: Object, namespace: str) -> str:
    where = one["metadata"].get("namespace", namespace)
    return "/".join([one["kind"], *([] if where == namespace else [where]), one["metadata"]["name"]])


def inside(old: Any, new: Any, path: str) -> Difference:
    if old == new:
        return {}
    if is_map(old) and is_map(new) and (old or new):
        return below(old or {}, new or {}, path, ".{}")
    if is_named(old) and is_named(new):
        return below(*({one["name"]: one for one in side or []} for side in (old, new)), path, "[{}]", whole=True)
    return {path: GONE if new is None else new}


def below(old: Object, new: Object, path: str, form: str, *, whole: bool = False) -> Difference:
    """`whole`: what is new in a list is one entry."""
    found: Difference = {}
    for name in dict.fromkeys([*old, *new]):
        place = path + form.format(name)
        if whole and (name not in old or name not in new):
            found[place] = new.get(name, GONE)
        else:
            found |= inside(old.get(name), new.get(name), place)
    return found


def is_map(value: Any) -> bool:
    return value is None or isinstance(value, dict)


def is_named(value: Any) -> bool:
    return value is None or (isinstance(value, list) and all(isinstance(one, dict) and "name" in one for one in value))
