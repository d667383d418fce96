from typing import Any

import pytest

from angarium.domain.declarations import KeyRef
from angarium.domain.errors import InvalidInput, ReferenceMissing
from angarium.files.references import FileReferences, source_values


def secret(**fields: Any) -> dict[str, Any]:
    return {"kind": "Secret", **fields}


def test_secret_values() -> None:
    values = source_values(secret(data={"a": "aGVs\nbG8=\n", "b": "AA=="}, stringData={"b": "ü", "c": ""}))
    assert values == {"a": b"hello", "b": "ü".encode(), "c": b""}
    assert source_values(secret(data=None)) == {}


def test_config_map_values() -> None:
    assert source_values({"kind": "ConfigMap", "data": {"a": "x"}, "binaryData": {"b": "AA=="}}) == {
        "a": b"x",
        "b": b"\x00",
    }


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"data": {"a": "no base64"}}, "data.a"),
        ({"data": {"a": "ü"}}, "data.a"),
        ({"stringData": {"a": 5}}, "stringData.a"),
        ({"stringData": ["a"]}, "stringData"),
    ],
)
def test_bad_values(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        source_values(secret(**fields))
    assert raised.value.field == field


async def test_references() -> None:
    references = FileReferences()
    references.replace([(("Secret", "shop", "auth"), {"key": b"one"}), (("ConfigMap", "shop", "auth"), {"key": b"2"})])
    assert await references.secret("shop", KeyRef("auth", "key")) == b"one"
    assert await references.config_map("shop", KeyRef("auth", "key")) == b"2"
    references.replace([])
    for read, reason in ((references.secret, "SecretNotFound"), (references.config_map, "ConfigMapNotFound")):
        with pytest.raises(ReferenceMissing) as raised:
            await read("shop", KeyRef("auth", "key"))
        assert raised.value.reason == reason


async def test_a_missing_key() -> None:
    references = FileReferences()
    references.replace([(("Secret", "shop", "auth"), {"key": b"one"})])
    with pytest.raises(ReferenceMissing, match="Secret 'auth' has no key 'other'"):
        await references.secret("shop", KeyRef("auth", "other"))
    with pytest.raises(ReferenceMissing, match="in none of the files for namespace 'default'"):
        await references.secret("default", KeyRef("auth", "key"))
