from urllib.parse import quote, urljoin

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from angarium.domain.errors import InvalidInput
from angarium.domain.names import check_name, check_opaque, parse_labels


@pytest.mark.parametrize("name", ["a", "V1StGXR8_Z5jdHi6B-myT", "orders.eu-1", "-", "...", "x" * 256, "0"])
def test_names_of_contract_4_9(name: str) -> None:
    check_name(name, "Upstash-Queue-Name")


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "not a name"),
        ("a b", "not a name"),
        ("a/b", "not a name"),
        ("ü", "not a name"),
        ("a\n", "not a name"),
        ("a:b", "not a name"),
        (".", "not a name"),
        ("..", "not a name"),
        ("x" * 257, "257 characters"),
    ],
)
def test_what_is_no_name(name: str, problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem) as caught:
        check_name(name, "Upstash-Queue-Name")
    assert caught.value.field == "Upstash-Queue-Name"


@pytest.mark.parametrize(
    ("text", "labels"),
    [  # contract 4.3
        ("daily", ("daily",)),
        (" daily , weekly ", ("daily", "weekly")),
        (",a,, b,", ("a", "b")),
        ("", ()),
        (" , ", ()),
        ("two words", ("two words",)),
        ("b,a,b", ("b", "a", "b")),
        ("ü" * 256, ("ü" * 256,)),
        (",".join("x" * 100), ("x",) * 100),
    ],
)
def test_labels(text: str, labels: tuple[str, ...]) -> None:
    assert parse_labels(text, "Upstash-Label") == labels


@pytest.mark.parametrize(
    ("text", "problem"),
    [("ü" * 257, "514 bytes"), (",".join("x" * 101), "101 labels"), ("a,\udcff", "UTF-8")],
)
def test_labels_out_of_bounds(text: str, problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem):
        parse_labels(text, "Upstash-Label")


@pytest.mark.parametrize("text", ["\x00", "a\nb", "a\tb", "\x7f"])
def test_an_opaque_text_has_no_control_character(text: str) -> None:
    with pytest.raises(InvalidInput, match="control character"):
        check_opaque(text, "Upstash-Deduplication-Id")


def test_an_opaque_text_is_not_empty() -> None:
    with pytest.raises(InvalidInput, match="is empty"):
        check_opaque("", "Upstash-Deduplication-Id")


@settings(deadline=None)
@given(st.text(alphabet=st.characters(), max_size=300))
def test_labels_can_be_stored_or_are_invalid(text: str) -> None:
    try:
        labels = parse_labels(text, "f")
    except InvalidInput:
        return
    assert all(label and label == label.strip() and len(label.encode()) <= 512 for label in labels)
    assert parse_labels(",".join(labels), "f") == labels


@given(st.text(st.characters(max_codepoint=0x17F), max_size=300))
def test_what_is_a_name_survives_a_path(text: str) -> None:
    """A name needs no encoding, and no client resolves it away."""
    try:
        check_name(text, "f")
    except InvalidInput:
        return
    assert quote(text, safe="") == text
    assert urljoin("http://h/v2/queues/", text) == f"http://h/v2/queues/{text}"
