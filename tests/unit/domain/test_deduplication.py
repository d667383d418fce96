"""What makes two publications the same (contract 22.1)."""

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from angarium.domain.declarations import Destination, Header
from angarium.domain.deduplication import key_of_content, key_of_id, key_of_member


@dataclass(frozen=True)
class Content:
    destination: Destination = Destination(url="https://e.test/x")
    queue: str | None = None
    headers: tuple[Header, ...] = (Header("Content-Type", "text/plain"), Header("X-A", "1"), Header("X-A", "2"))
    body: bytes = b"body"

    @property
    def key(self) -> bytes:
        return key_of_content(self.destination, self.queue, self.headers, self.body)


CONTENT = Content()


@pytest.mark.parametrize(
    "headers",
    [
        (Header("content-type", "text/plain"), Header("x-a", "1"), Header("X-a", "2")),
        (Header("X-A", "1"), Header("X-A", "2"), Header("Content-Type", "text/plain")),
    ],
)
def test_case_and_order_of_names_do_not_count(headers: tuple[Header, ...]) -> None:
    assert replace(CONTENT, headers=headers).key == CONTENT.key


@pytest.mark.parametrize(
    "other",
    [
        replace(CONTENT, destination=Destination(url="https://e.test/y")),
        replace(CONTENT, destination=Destination(topic="orders")),
        replace(CONTENT, destination=Destination(endpoint="orders")),
        replace(CONTENT, queue="q"),
        replace(CONTENT, queue=""),
        replace(CONTENT, body=b"body "),
        replace(CONTENT, body=b""),
        replace(CONTENT, headers=CONTENT.headers[1:]),
        replace(CONTENT, headers=(*CONTENT.headers[:1], Header("X-A", "2"), Header("X-A", "1"))),
        replace(CONTENT, headers=(*CONTENT.headers[:1], Header("X-A", "1, 2"))),
        replace(CONTENT, headers=(*CONTENT.headers[:1], Header("X-A", "12"), Header("X-A", ""))),
        replace(CONTENT, headers=(*CONTENT.headers[:1], Header("X-A1", ""), Header("X-A", "2"))),
    ],
)
def test_any_part_makes_a_difference(other: Content) -> None:
    assert other.key != CONTENT.key


def test_an_id_is_no_content_and_no_member() -> None:
    key = key_of_id("order-1")
    members = {key_of_member(key, "https://a.test", None), key_of_member(key, None, "a"), key_of_member(key, "a", None)}
    assert len({key, key_of_id("order-2"), CONTENT.key, *members}) == 6
    assert {len(one) for one in (key, CONTENT.key, *members)} == {32}


PARTS = st.lists(st.text(st.sampled_from("ab:\x00"), max_size=3), max_size=3)


@given(PARTS, PARTS)
def test_no_two_lists_of_parts_run_together(left: list[str], right: list[str]) -> None:
    def key(parts: list[str]) -> bytes:
        return replace(CONTENT, headers=tuple(Header("a", part) for part in parts)).key

    assert (key(left) == key(right)) == (left == right)
