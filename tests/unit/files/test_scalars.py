"""Unquoted words, as kubectl 1.36 reads them (`kubectl patch --local -o json` on a file with each of these)."""

import pytest

from angarium.files.scalars import key_text, resolve, tagged

WORDS = [
    ("yes", True), ("on", True), ("y", True), ("True", True), ("Off", False), ("N", False), ("tRue", "tRue"),
    ("~", None), ("", None), ("NULL", None),
    ("2026-12-24", "2026-12-24"), ("2026-12-24T18:00:00Z", "2026-12-24T18:00:00Z"),
    ("12:30", "12:30"), ("1:30:00", "1:30:00"), ("190:20:30.15", "190:20:30.15"),
    ("010", 8), ("0o10", 8), ("-010", -8), ("08", 8), ("0o", "0o"),
    ("0x1F", 31), ("0X1F", 31), ("-0x1F", -31), ("0b11", 3), ("-0b11", -3),
    ("1_000", 1000), ("1__0", 10), ("_1", "_1"), ("+5", 5),
    ("1e3", 1000), ("1e+3", 1000), ("0.1e3", 100), ("5.0", 5), ("1.", 1),
    ("1.5", 1.5), ("1.5_0", 1.5), (".5", 0.5), ("-.5", -0.5), ("+.5", 0.5), ("1e-7", 1e-7), ("1e30", 1e30),
    ("9007199254740993", 9007199254740993), ("9223372036854775807", 2**63 - 1),
    ("18446744073709551615", 18446744073709551615.0), ("99999999999999999999", 1e20),
    *((text, text) for text in ("1e999", "-1e999", "9" * 400, "-" + "9" * 399, "0x" + "f" * 398)), ("1e-999", 0),
    ("=", "="), ("<<", "<<"), ("-", "-"), (".", "."), ("1.2.3", "1.2.3"), ("0 6 * * *", "0 6 * * *"), ("５", "５"),
]  # fmt: skip


@pytest.mark.parametrize(("word", "value"), WORDS)
def test_words(word: str, value: object) -> None:
    resolved = resolve(word)
    assert (resolved, type(resolved)) == (value, type(value))


@pytest.mark.parametrize("word", [".inf", "-.INF", ".nan"])
def test_json_has_no_such_numbers(word: str) -> None:
    with pytest.raises(ValueError, match="number"):
        resolve(word)


@pytest.mark.parametrize(
    ("tag", "text", "value"),
    [
        ("str", "5", "5"),
        ("int", "5", 5),
        ("float", "5", 5),
        ("bool", "yes", True),
        ("null", "~", None),
        ("timestamp", "2026-12-24", "2026-12-24"),
        ("binary", "aGVs\nbG8=", "hello"),
    ],
)
def test_tags(tag: str, text: str, value: object) -> None:
    assert tagged(f"tag:yaml.org,2002:{tag}", text) == value


@pytest.mark.parametrize(("tag", "text"), [("int", "five"), ("binary", "no base64"), ("binary", "/w==")])
def test_tags_that_lie(tag: str, text: str) -> None:
    with pytest.raises(ValueError, match="is not"):
        tagged(f"tag:yaml.org,2002:{tag}", text)


def test_keys_are_texts() -> None:
    assert [key_text(key) for key in ("a", True, 1, 2.5)] == ["a", "true", "1", "2.5"]
    with pytest.raises(ValueError, match="key is missing"):
        key_text(None)
