"""Request targets are split, never changed (contract 1.1, 2, 4.8)."""

import pytest

from angarium.api.exchange import Call, Target, parse_target
from angarium.domain.credentials import Credential
from angarium.domain.declarations import Access


@pytest.mark.parametrize(
    ("raw", "path", "pairs"),
    [
        ("/v2/keys", "/v2/keys", ()),
        ("/v2/keys?", "/v2/keys", ("",)),
        ("/v2/publish/https://a.test//x?b=1&&c", "/v2/publish/https://a.test//x", ("b=1", "", "c")),
        (
            "/v2/publish/https://a.test/?u=https://z.test/?k=1",
            "/v2/publish/https://a.test/",
            ("u=https://z.test/?k=1",),
        ),
        ("http://host:8080/v2/publish/https://a.test/x?y=1", "/v2/publish/https://a.test/x", ("y=1",)),
        ("*", "/", ()),
        ("host:443", "/", ()),
    ],
)
def test_a_target_is_split_at_its_first_question_mark(raw: str, path: str, pairs: tuple[str, ...]) -> None:
    assert parse_target(raw) == Target(path, pairs)


def test_own_parameters_stay_raw_and_in_order() -> None:
    target = parse_target("/x?b=%20&upstash-retries=3&a=+&qstash_token=t==&Upstash-Delay=1s&b=2&qstash_tokens=no")
    assert target.own() == ["b=%20", "a=+", "Upstash-Delay=1s", "b=2", "qstash_tokens=no"]


def test_option_values_are_decoded_as_forms_are() -> None:
    target = parse_target("/x?upstash-label=a+b%2Cc&upstash-retry-delay=1000%20*%20(1%2Bretried)&upstash-x")
    assert target.options() == [
        ("upstash-label", "a b,c"),
        ("upstash-retry-delay", "1000 * (1+retried)"),
        ("upstash-x", ""),
    ]


def test_filters_leave_out_the_token() -> None:
    target = parse_target("/v2/dlq?qstash_token=abc=&label=a%2Cb&&url=https%3A%2F%2Fa.test")
    assert target.filters() == [("label", "a,b"), ("url", "https://a.test")]


def test_a_call_that_is_logged_tells_no_token() -> None:
    credential = Credential("shop", "app", b"hash", Access.READ_WRITE)
    target = parse_target("/v2/publish/https://a.test/?qstash_token=secret")
    call = Call(
        credential,
        target,
        {"destination": "https://a.test/?key=secret"},
        (("Authorization", "Bearer secret"),),
        b"secret",
    )
    assert "shop" in repr(call)
    assert "secret" not in repr(call)
