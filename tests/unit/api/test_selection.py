"""What bulk routes read: the query and a JSON body with the same names (contract 8.3, 9.4, 9.5)."""

import pytest

from angarium.api.exchange import Call, parse_target
from angarium.api.selection import parameters_of, selects_nothing
from angarium.domain.errors import InvalidInput


def given(query: str, body: bytes = b"") -> list[tuple[str, str]]:
    return parameters_of(Call(None, parse_target(f"/v2/messages?{query}"), body=body))


def test_query_and_body_are_one_list() -> None:
    body = b'{"messageIds": ["m2", "m3"], "label": "y", "fromDate": 1700000000000}'
    assert given("label=x&label=a%20b", body) == [
        ("label", "x"),
        ("label", "a b"),
        ("messageIds", "m2"),
        ("messageIds", "m3"),
        ("label", "y"),
        ("fromDate", "1700000000000"),
    ]


def test_the_token_and_publish_options_select_nothing() -> None:
    assert given("qstash_token=x==&upstash-retries=0&label=a") == [("label", "a")]


@pytest.mark.parametrize("body", [b"", b" \n", b"{}"])
def test_an_empty_body_says_nothing(body: bytes) -> None:
    assert given("", body) == []


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b'["m1"]',
        b"null",
        b"m1",
        b'{"messageIds": null}',
        b'{"messageIds": [null]}',
        b'{"messageIds": [["m1"]]}',
        b'{"label": {"a": "b"}}',
        b'{"count": 1.5}',
        b'{"all": true}',
        b'{"label": "\xff"}',
        b'{"label": "x"',
        b'{"label": ' + b"[" * 100_000,
    ],
)
def test_a_body_that_is_not_an_object_of_filters_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidInput, match="^body: ") as caught:
        given("", body)
    assert len(str(caught.value)) < 400


def test_a_list_without_ids_selects_nothing_and_never_everything() -> None:
    assert selects_nothing(given("", b'{"messageIds": []}'), "messageIds")
    assert selects_nothing(given("messageIds="), "messageIds")
    assert not selects_nothing(given("", b'{"messageIds": ["", "m1"]}'), "messageIds")
    assert not selects_nothing(given("label=x"), "messageIds")
    assert not selects_nothing(given(""), "messageIds")
