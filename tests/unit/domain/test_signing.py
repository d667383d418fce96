import json
from base64 import urlsafe_b64decode
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qstash import Receiver
from qstash.errors import SignatureError

from angarium.domain.signing import encode, sign

CURRENT = "sig_7kYjw48mhY7kAjqNGcy6cr29RJ6r"
NEXT = "sig_5ZB6DVzB1wjE8S6rZ7eenA8Pdnhs"
URL = "https://dest.test/hook?a=1"
GOLDEN = (  # contract 17.4
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJVcHN0YXNoIiwic3ViIjoiaHR0cHM6Ly9kZXN0LnRlc3QvaG9vaz9hPTEiLCJleHAi"
    "OjQxMDI0NDQ4MDAsIm5iZiI6MCwiaWF0IjoxNzAwMDAwMDAwLCJqdGkiOiJqd3RfdmVjdG9yMSIsImJvZHkiOiJLXzBVOUQwWF9IenFKT0NSZW9oNX"
    "RMTDRnTGk2N3NHNTJRLTZyV1ZlY2IwPSJ9.LD_q0vt8NtsB75PUWReXImUjf5aTOo2udYtqhNLY5_o"
)


def claims(token: str) -> dict[str, object]:
    payload = token.split(".")[1]
    decoded: dict[str, object] = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return decoded


def test_golden_vector() -> None:
    token = encode(
        key=CURRENT,
        url=URL,
        body=b'{"n":1}',
        issued_at_s=1_700_000_000,
        expires_at_s=4_102_444_800,
        token_id="jwt_vector1",
    )
    assert token == GOLDEN


def test_claims_of_contract_17_1() -> None:
    issued_at = datetime(2026, 5, 4, 3, 2, 1, 999_999, tzinfo=UTC)
    token = sign(key=CURRENT, url=URL, body=b"", issued_at=issued_at, token_id="jwt_1")
    issued_at_s = int(datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC).timestamp())
    assert claims(token) == {
        "iss": "Upstash",
        "sub": URL,
        "exp": issued_at_s + 300,
        "nbf": 0,
        "iat": issued_at_s,
        "jti": "jwt_1",
        "body": "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU=",
    }


@pytest.mark.parametrize("url", ["https://a.test", "https://a.test/", 'https://a.test/"q"?x=\\', "https://a.test/ü😀"])
@pytest.mark.parametrize("body", ["", '{"n":1}', "grüße 😀"])
@pytest.mark.parametrize("key", [CURRENT, NEXT])
def test_the_sdk_verifies(url: str, body: str, key: str) -> None:
    token = sign(key=key, url=url, body=body.encode(), issued_at=datetime.now(UTC), token_id="jwt_1")
    Receiver(CURRENT, NEXT).verify(signature=token, body=body, url=url)


@pytest.mark.parametrize(
    ("body", "url", "key"), [("other", URL, CURRENT), ("body", URL + "/", CURRENT), ("body", URL, CURRENT + "x")]
)
def test_the_sdk_refuses_what_was_not_signed(body: str, url: str, key: str) -> None:
    token = sign(key=key, url=URL, body=b"body", issued_at=datetime.now(UTC), token_id="jwt_1")
    with pytest.raises(SignatureError):
        Receiver(CURRENT, NEXT).verify(signature=token, body=body, url=url)


def test_the_sdk_refuses_an_expired_signature() -> None:
    token = sign(key=CURRENT, url=URL, body=b"", issued_at=datetime(2026, 1, 1, tzinfo=UTC), token_id="jwt_1")
    with pytest.raises(SignatureError):
        Receiver(CURRENT, CURRENT).verify(signature=token, body="", url=URL)


@settings(deadline=None)
@given(url=st.text(), token_id=st.text(), body=st.binary())
def test_any_text_survives_in_the_claims(url: str, token_id: str, body: bytes) -> None:
    token = encode(key=CURRENT, url=url, body=body, issued_at_s=1, expires_at_s=2, token_id=token_id)
    assert (claims(token)["sub"], claims(token)["jti"]) == (url, token_id)
