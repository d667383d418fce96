"""The envelope of a batch (contract 8.4): forms that are taken, and what names the element that is wrong."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from angarium.api import batch
from angarium.api.batch import read_batch
from angarium.api.errors import Refusal
from angarium.domain.errors import InvalidInput


@pytest.mark.parametrize(
    ("body", "content"),
    [
        ('"text"', b"text"),
        ('""', b""),
        ("null", b""),
        (" null ", b""),
        ('"gr\\u00f6\\u00dfe \\ud83d\\ude00\\n"', "größe 😀\n".encode()),
        ('"größe"', "größe".encode()),
        ('{ "a" : [1, 2.50, 10000000000000000000001] }', b'{"a":[1,2.50,10000000000000000000001]}'),
        ("[ ]", b"[]"),
        ("7", b"7"),
        ("false", b"false"),
        ('"{\\"n\\": 1}"', b'{"n": 1}'),
    ],
)
def test_bodies_of_every_json_type(body: str, content: bytes) -> None:
    [element] = read_batch(f'[{{"destination": "https://a.test", "body": {body}}}]'.encode())
    assert element.content() == content


@pytest.mark.parametrize(
    "element", ['{"destination":"a"}', '{"destination":"a","headers":null,"body":null,"queue":null}']
)
def test_what_is_absent_or_null_is_nothing(element: str) -> None:
    [read] = read_batch(f"[{element}]".encode())
    assert (read.destination, read.header_lines(), read.content(), read.queue) == ("a", [], b"", None)


def test_unknown_fields_are_ignored_and_no_element_is_no_error() -> None:
    assert read_batch(b"[]") == []
    [element] = read_batch(b'[{"destination":"a","more":[1],"headers":{"B":"2","a":"1"},"queue":"q"}]')
    assert (element.header_lines(), element.queue) == ([("B", "2"), ("a", "1")], "q")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", "batch"),
        (b"{}", "batch"),
        (b"null", "batch"),
        (b'[{"destination":"a"}', "batch"),
        (b'[{"destination":"a"}]x', "batch"),
        (b"[1]", "batch[0]"),
        (b"[null]", "batch[0]"),
        (b'[{"destination":"a"},{}]', "batch[1]"),
        (b'[{"destination":"a"},{"destination":1}]', "batch[1].destination"),
        (b'[{"destination":null}]', "batch[0].destination"),
        (b'[{"destination":"a","queue":3}]', "batch[0].queue"),
        (b'[{"destination":"a"},{"destination":"a","headers":{"a":1}}]', "batch[1].headers"),
        (b'[{"destination":"a","headers":[]}]', "batch[0].headers"),
        (b'[{"destination":"a","body":"\xff"}]', "batch"),
        (b'[{"destination":"a","body":"\xc3', "batch"),
        (b'[{"destination":"a","body":"\x00"}]', "batch"),
        (b'[{"destination":"a","body":"\\ud800"}]', "batch"),
        (b"[" * 100_000, "batch[0]"),
        (b'[{"destination":"a","body":' + b"[" * 100_000 + b"]" * 100_000 + b"}]", "batch"),
        (b'[{"destination":"a","headers":{"a":"' + b"x" * 70_000 + b'"}}]', "batch[0].headers"),
    ],
)
def test_a_malformed_envelope_says_where(body: bytes, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_batch(body)
    assert caught.value.field == field
    assert len(str(caught.value)) < 300


def test_so_many_elements_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "MAX_ELEMENTS", 3)
    assert len(read_batch(b'[{"destination":"a"},{"destination":"a"},{"destination":"a"}]')) == 3
    with pytest.raises(Refusal, match="more than 3 elements") as caught:
        read_batch(b'[{"destination":"a"},{"destination":"a"},{"destination":"a"},{"destination":"a"}]')
    assert caught.value.status == 413


TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.lists(st.tuples(TEXT, TEXT, st.dictionaries(TEXT, TEXT, max_size=3), st.none() | TEXT), max_size=4))
def test_what_is_written_is_read(written: list[tuple[str, str, dict[str, str], str | None]]) -> None:
    elements = [
        {"destination": destination, "body": body, "headers": headers, "queue": queue}
        for destination, body, headers, queue in written
    ]
    for ascii_only in (True, False):
        read = read_batch(json.dumps(elements, ensure_ascii=ascii_only).encode())
        assert [
            (one.destination, one.content().decode(), dict(one.header_lines()), one.queue) for one in read
        ] == written


@given(st.binary(max_size=60) | st.text(st.sampled_from('[]{}",:\\ destination1ud8'), max_size=60).map(str.encode))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        for element in read_batch(b'[{"destination":"a","body":' + body + b"}]"):
            element.content()
    except InvalidInput as error:
        assert error.field.startswith("batch")
