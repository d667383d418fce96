"""When a Secret of ours is somebody else's, and what is taken off it then."""

from typing import Any

import pytest

from angarium.kube.handover import LAST_APPLIED, is_applied, release

LABEL = "angarium.dev/token"


def managed(manager: str, field: str, *keys: str, operation: str = "Update") -> dict[str, Any]:
    return {"manager": manager, "operation": operation, "fieldsV1": {field: {f"f:{key}": {} for key in keys}}}


def last_applied(text: str) -> dict[str, Any]:
    return {"annotations": {LAST_APPLIED: text}}


@pytest.mark.parametrize(
    ("metadata", "applied"),
    [
        ({}, False),
        ({"managedFields": [managed("angarium", "f:data", "QSTASH_TOKEN")]}, False),
        ({"managedFields": [managed("kubectl", "f:data", "QSTASH_URL")]}, False),
        ({"managedFields": [managed("kubectl", "f:metadata", "QSTASH_TOKEN")]}, False),
        ({"managedFields": [managed("kubectl", "f:data", "QSTASH_TOKEN")]}, True),
        ({"managedFields": [managed("kustomize-controller", "f:stringData", "QSTASH_TOKEN")]}, True),
        ({"managedFields": [managed("angarium", "f:data"), managed("helm", "f:data", "QSTASH_TOKEN")]}, True),
        ({"managedFields": [{"manager": "odd"}], "annotations": None}, False),
        # Whoever applies on the server is not us, whatever name they take.
        ({"managedFields": [managed("angarium", "f:data", "QSTASH_TOKEN", operation="Apply")]}, True),
        # Somebody has emptied managedFields, then applied a label: nobody knows any more who said what.
        ({"managedFields": [managed("before-first-apply", "f:data", "QSTASH_TOKEN")]}, False),
        ({"managedFields": [{"manager": "odd", "fieldsV1": {"f:data": None}}]}, False),
        (last_applied('{"data": {"QSTASH_TOKEN": "dGV4dA=="}}'), True),
        (last_applied('{"stringData": {"QSTASH_TOKEN": "text"}, "data": null}'), True),
        # A label or an annotation for the tool that copies Secrets to other namespaces, kept in Git.
        (last_applied('{"metadata": {"labels": {"copy": "yes"}}}'), False),
        (last_applied('{"data": {"QSTASH_URL": "aHR0cA=="}}'), False),
        # What cannot be read is somebody's all the same, and must not hold back other Tokens.
        (last_applied("{"), True),
        (last_applied("[]"), True),
        (last_applied("[" * 200_000), True),
        ({"annotations": {"example.com/note": "ours"}}, False),
    ],
)
def test_it_is_applied_when_somebody_else_says_what_the_token_is(metadata: dict[str, Any], applied: bool) -> None:
    assert is_applied({"metadata": metadata}, "QSTASH_TOKEN") == applied


def test_our_marks_are_taken_off_and_no_others() -> None:
    theirs = {"kind": "ExternalSecret", "uid": "theirs"}
    owners = [{"kind": "Token", "uid": "ours"}, theirs]
    labels = {LABEL: "app", "app": "shop"}
    manifest = {"metadata": {"resourceVersion": "7", "ownerReferences": owners, "labels": labels}}
    assert release(manifest, "ours", LABEL) == [
        {"op": "test", "path": "/metadata/resourceVersion", "value": "7"},
        {"op": "replace", "path": "/metadata/ownerReferences", "value": [theirs]},
        {"op": "remove", "path": "/metadata/labels/angarium.dev~1token"},
    ]
    manifest["metadata"]["labels"] = {"app": "shop"}
    assert [step["op"] for step in release(manifest, "ours", LABEL)] == ["test", "replace"]
