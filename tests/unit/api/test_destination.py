"""The table of contract 1.1: what a request target's rest means."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from angarium.api.destination import MAX_URL_CHARACTERS, parse_destination
from angarium.api.exchange import parse_target
from angarium.domain.addresses import AddressPolicy
from angarium.domain.declarations import Destination
from angarium.domain.errors import InvalidInput


def parse(rest: str) -> Destination:
    target = parse_target("/v2/publish/" + rest)
    return parse_destination(target.path.removeprefix("/v2/publish/"), target, AddressPolicy())


@pytest.mark.parametrize(
    ("rest", "url"),
    [
        ("https://example.com", "https://example.com"),
        ("https://example.com/", "https://example.com/"),
        (
            "https://example.com/a%20b/%C3%BC?x=1&y=a%20b&upstash-retries=3",
            "https://example.com/a%20b/%C3%BC?x=1&y=a%20b",
        ),
        ("https://example.com/b//c/d", "https://example.com/b//c/d"),
        ("https://example.com/a/../b/./c", "https://example.com/a/../b/./c"),
        (
            "https://user:pa@ex.com:8443/p%2Fq?u=https://z.com/?k=1",
            "https://user:pa@ex.com:8443/p%2Fq?u=https://z.com/?k=1",
        ),
        ("HTTP://EXAMPLE.com/A", "HTTP://EXAMPLE.com/A"),
        ("https:/example.com/a", "https://example.com/a"),
        ("HTTP:/example.com", "HTTP://example.com"),
        ("https://a.test/?qstash_token=abc==", "https://a.test/"),
        ("https://a.test/?b=2&qstash_token=abc&a=1&upstash-delay=5s&c", "https://a.test/?b=2&a=1&c"),
        ("https://a.test/?", "https://a.test/?"),
        ("http://10.0.0.1:9000/x", "http://10.0.0.1:9000/x"),
        ("http://203.0.112.9/latest", "http://203.0.112.9/latest"),  # judged at delivery, not here
        ("http://[2606:4700::1]:9000/x", "http://[2606:4700::1]:9000/x"),
    ],
)
def test_a_url_is_kept_byte_for_byte(rest: str, url: str) -> None:
    assert parse(rest) == Destination(url=url)


@pytest.mark.parametrize(
    ("rest", "topic"),
    [
        ("orders", "orders"),
        ("orders?upstash-retries=1&qstash_token=x", "orders"),
        ("my%2Dtopic", "my-topic"),
        ("orders?", "orders"),
    ],
)
def test_anything_else_is_the_name_of_a_topic(rest: str, topic: str) -> None:
    assert parse(rest) == Destination(topic=topic)


@pytest.mark.parametrize(
    "rest",
    [
        "",
        "my%20group",
        "my%252Dtopic",  # decoded once only
        "ftp://example.com",
        "example.com/path",
        "api/llm",
        "https%3A%2F%2Fexample.com",
        "https://",
        "https:///path",
        "https://a b.test",
        "https://a.test:0/",
        "https://a.test:99999/",
        "https://a.test/ü",
        "https://a.test/#f",
        "https://a.test/\x00",
        "https://a.test/" + "x" * MAX_URL_CHARACTERS,
        "orders?x=1",
        "..",
    ],
)
def test_a_bad_destination_is_named(rest: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse(rest)
    assert str(caught.value).startswith("destination: ")


@given(st.text(max_size=60))
def test_no_text_breaks_the_parser(rest: str) -> None:
    with suppress(InvalidInput):
        found = parse(rest)
        assert (found.url is None) != (found.topic is None)


@pytest.mark.parametrize(
    "host", ["169.254.169.254", "127.0.0.1:8080", "127.1", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]"]
)
def test_an_address_that_is_never_called_is_no_destination(host: str) -> None:
    with pytest.raises(InvalidInput, match="destination: .*(link-local|metadata|loopback)"):
        parse(f"http://{host}/in")
