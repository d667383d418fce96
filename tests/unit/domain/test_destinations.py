from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from angarium.domain.destinations import authority_of, check_url, without_secrets
from angarium.domain.errors import InvalidInput

GOOD = [  # contract 1.1
    "https://example.com",
    "https://example.com/",
    "https://example.com/a%20b/%C3%BC?x=1&y=a%20b",
    "https://example.com/b//c/d",
    "HTTP://EXAMPLE.com/A",
    "HttpS://example.com:8443/p%2Fq?u=https://z.com/?k=1",
    "http://billing.shop.svc/hooks",
    "http://billing.shop.svc.cluster.local.:80",
    "http://localhost:1",
    "http://my_service:65535/",
    "http://a",
    "https://xn--bcher-kva.example/",
    "http://127.0.0.1:8080/x",
    "http://2130706433/",
    "http://[::1]:8080/",
    "http://[2001:db8::1]",
    "https://example.com?a@b",
    "https://example.com/user@host:99999",
    "https://example.com/[x]{y}|^`\\",
    "https://1.example.com/",
    "https://" + "a" * 63 + ".test/",
]


@pytest.mark.parametrize("url", GOOD)
def test_good_urls(url: str) -> None:
    check_url(url, "spec.url")


BAD = [
    ("", "starts with http"),
    ("example.com", "starts with http"),
    ("ftp://example.com", "starts with http"),
    ("http:/example.com", "starts with http"),
    ("http:example.com", "starts with http"),
    (" https://example.com", "starts with http"),
    ("javascript:alert(1)//http://", "starts with http"),
    ("http://", "no host"),
    ("http:///path", "no host"),
    ("http://:80/", "no host"),
    ("http://?x", "no host"),
    ("http://a b/", "' ' at position 9"),
    ("http://a/b c", "' ' at position 11"),
    ("http://a/\n", r"'\\n' at position 10"),
    ("http://a/\x00", r"'\\x00'"),
    ("http://a/\x7f", r"'\\x7f'"),
    ("http://bücher.example/", "xn--"),
    ("http://a/ü", "percent-encode"),
    ("http://127。0。0。1/", "position 11"),
    ("http://a/#f", "fragment"),
    ("http://a#", "fragment"),
    ("http://a:0/", "port '0'"),
    ("http://a:65536/", "port '65536'"),
    ("http://a:/", "port ''"),
    ("http://a:8o/", "port '8o'"),
    ("http://a:-1/", "port '-1'"),
    ("http://a:000080/", "port"),
    ("http://a:1:2/", "port '1:2'"),
    ("http://::1/", "no host"),
    ("http://[::1/", "is not a host"),
    ("http://[::1]x/", "is not a host"),
    ("http://[]/", "not a valid host"),
    ("http://[127.0.0.1]/", "not a valid host"),
    ("http://[fe80::1%25eth0]/", "not a valid host"),
    ("http://[v1.a]/", "not a valid host"),
    ("http://a..b/", "not a valid host"),
    ("http://.a/", "not a valid host"),
    ("http://a../", "not a valid host"),
    ("http://-a/", "not a valid host"),
    ("http://a-/", "not a valid host"),
    ("http://a%2eb/", "not a valid host"),
    ("http://a,b/", "not a valid host"),
    ("http://a\\b/", "not a valid host"),
    ("http://a\\@b/", "user or password"),
    ("http://1.2.3.256/", "not a valid host"),
    ("http://1.2.3.4.5/", "not a valid host"),
    ("http://example.0x/", "not a valid host"),
    ("http://" + "a" * 64 + "/", "not a valid host"),
    ("http://" + "a." * 127 + "ab/", "not a valid host"),
    ("http://user@a/", "user or password"),
    ("http://user:pa@ex.com:8443/", "user or password"),
    ("http://@a/", "user or password"),
    ("http://a/" + "x" * 2048, "2057 characters long; at most 2048"),
]


@pytest.mark.parametrize(("url", "problem"), BAD)
def test_bad_urls(url: str, problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem) as caught:
        check_url(url, "spec.url")
    assert caught.value.field == "spec.url"
    assert len(str(caught.value)) < 250


def test_userinfo_can_be_allowed() -> None:
    for url in ("https://user:pa@ex.com:8443/p%2Fq?u=https://z.com/?k=1", "http://@a/", "http://us%40er@a"):
        check_url(url, "url", allow_userinfo=True)
    for url in ("http://a\\@b/", "http://a@b@c/", "http://[x]@c/", "http://user@/"):
        with pytest.raises(InvalidInput):
            check_url(url, "url", allow_userinfo=True)


def test_the_longest_url_is_a_parameter() -> None:
    url = "http://a/" + "x" * 2048
    check_url(url, "url", max_characters=len(url))
    with pytest.raises(InvalidInput, match="at most 2056"):
        check_url(url, "url", max_characters=len(url) - 1)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://a.test/x", "http://a.test/x"),
        ("HTTPS://user:pa%40ss@a.test:8443/x@y?key=hunter2&u=http://b:c@d", "HTTPS://a.test:8443/x@y?..."),
        ("http://a.test?", "http://a.test?..."),
        ("http://@a.test", "http://a.test"),
        ("endpoint:billing", "endpoint:billing"),
    ],
)
def test_a_url_to_be_shown_holds_no_secrets(url: str, shown: str) -> None:
    assert without_secrets(url) == shown


pieces = st.sampled_from([*"ab1.:/@[]?#%-_\\ é\n", "https://", "::1", "[::1]", "0x7f", "xn--", "127.0.0.1", ":80"])


@settings(deadline=None)
@given(st.one_of(st.text(), st.lists(pieces, max_size=12).map(lambda found: "http://" + "".join(found))), st.booleans())
def test_accepted_urls_mean_the_same_to_the_standard_library(url: str, allow_userinfo: bool) -> None:
    try:
        check_url(url, "f", allow_userinfo=allow_userinfo)
    except InvalidInput:
        return
    parts = urlsplit(url)
    assert parts.scheme in ("http", "https")
    assert parts.hostname
    assert not parts.fragment
    assert parts.port is None or 1 <= parts.port <= 65535
    assert allow_userinfo or "@" not in parts.netloc


@pytest.mark.parametrize(
    "url, authority",
    [
        ("https://billing.test/in", "billing.test:443"),
        ("http://billing.test/in", "billing.test:80"),
        ("HTTPS://Billing.TEST", "billing.test:443"),
        ("https://billing.test.:0443?x=/y", "billing.test:443"),
        ("http://user:secret@billing.test:8080/in", "billing.test:8080"),
        ("http://a/", "a:80"),
        ("http://[::0001]:81/x", "[::1]:81"),
        ("http://[::1]", "[::1]:80"),
        ("http://2130706433/", "127.0.0.1:80"),
        ("http://127.1.:80/", "127.0.0.1:80"),
        ("endpoint:billing", "endpoint:billing"),
        ("http://[broken", "http://[broken"),
        ("", ""),
    ],
)
def test_the_authority_is_the_same_for_all_spellings(url: str, authority: str) -> None:
    assert authority_of(url) == authority


@given(st.text(max_size=40))
def test_whatever_the_text_there_is_an_authority(text: str) -> None:
    assert isinstance(authority_of(text) + authority_of(f"http://{text}") + authority_of(f"https://{text}/x"), str)
