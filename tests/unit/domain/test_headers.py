import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from angarium.domain.headers import canonical, is_forwardable, valid_name, valid_value


@pytest.mark.parametrize(
    ("name", "expected"),
    [  # contract 4.2
        ("bypass-tunnel-reminder", "Bypass-Tunnel-Reminder"),
        ("CONTENT-TYPE", "Content-Type"),
        ("x", "X"),
        ("x-4a-ID", "X-4a-Id"),
        ("x--y-", "X--Y-"),
        ("x_team", "X_team"),
    ],
)
def test_canonical(name: str, expected: str) -> None:
    assert canonical(name) == expected
    assert canonical(expected) == expected


@pytest.mark.parametrize(
    ("name", "forwarded"),
    [
        *(
            (name, True)
            for name in ("X-Team", "content-type", "Authorization", "Accept", "Cookie", "Upstash-Workflow-Id")
        ),
        *((name, False) for name in ("Connection", "keep-alive", "TE", "Trailer", "Transfer-Encoding", "Upgrade")),
        *((name, False) for name in ("Proxy-Authorization", "Proxy-Authenticate", "proxy-connection")),
        *((name, False) for name in ("HOST", "content-length", "Expect")),
        # what the server itself sets, contract 16
        *((name, False) for name in ("User-Agent", "upstash-signature", "Upstash-Message-Id", "Upstash-Retried")),
        *(
            (name, False)
            for name in ("Upstash-Caller-Ip", "Upstash-Topic-Name", "Upstash-Schedule-Id", "Upstash-Region")
        ),
    ],
)
def test_is_forwardable(name: str, forwarded: bool) -> None:
    assert is_forwardable(name) is forwarded


@pytest.mark.parametrize(
    ("name", "valid"),
    [
        ("X-Team", True),
        ("!#$%&'*+-.^_`|~09", True),
        ("", False),
        ("a b", False),
        ("a:", False),
        ("ü", False),
        ("a\n", False),
    ],
)
def test_valid_name(name: str, valid: bool) -> None:
    assert valid_name(name) is valid


@pytest.mark.parametrize(
    ("value", "valid"),
    [
        ("", True),
        ("a, b;\tc", True),
        ("grüße 😀", True),
        ("a\r\nX-Evil: 1", False),
        ("a\n", False),
        ("\0", False),
        ("\x1b[0m", False),
        ("\x7f", False),
        ("\udcff", False),
    ],
)
def test_valid_value(value: str, valid: bool) -> None:
    assert valid_value(value) is valid


@settings(deadline=None)
@given(st.text(alphabet=st.characters(codec="ascii")))
def test_spellings_of_one_name_have_one_canonical_form(name: str) -> None:
    assert canonical(name.upper()) == canonical(name.lower()) == canonical(canonical(name))
    assert is_forwardable(name.upper()) == is_forwardable(name.lower())


@settings(deadline=None)
@given(st.text(alphabet=st.characters()))
def test_a_valid_value_can_be_written(value: str) -> None:
    if valid_value(value):
        written = value.encode()
        assert not any(byte < 32 and byte != 9 or byte == 127 for byte in written)
