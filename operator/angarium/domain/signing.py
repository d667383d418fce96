"""The signature by which a destination knows who called it: a compact JWT, a fresh one per attempt (contract 17).

It is on the path of every attempt, so the payload is put together as text instead of being serialized.
"""

import hashlib
import hmac
import json
from base64 import urlsafe_b64encode
from datetime import datetime, timedelta
from functools import lru_cache

LIFETIME = timedelta(minutes=5)

_HEADER = urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').rstrip(b"=")


_quoted = lru_cache(maxsize=1024)(json.dumps)


def sign(*, key: str, url: str, body: bytes, issued_at: datetime, token_id: str) -> str:
    """Sign one attempt: valid from always (`nbf` 0, for receivers whose clock is behind) to `issued_at` + 5 minutes.

    `key` is the whole text of the signing key (`sig_…`), `url` the destination exactly as stored, `token_id` a fresh
    `jwt_…` text, `body` the bytes that are sent. There is no `aud`: Python receivers would refuse it (contract 17.3).
    """
    issued_at_s = int(issued_at.timestamp())
    expires_at_s = issued_at_s + LIFETIME // timedelta(seconds=1)
    return encode(key=key, url=url, body=body, issued_at_s=issued_at_s, expires_at_s=expires_at_s, token_id=token_id)


def encode(*, key: str, url: str, body: bytes, issued_at_s: int, expires_at_s: int, token_id: str) -> str:
    """The token of contract 17.1 with its claims in the order of 17.4; times are Unix seconds."""
    digest = urlsafe_b64encode(hashlib.sha256(body).digest()).decode()
    payload = (
        f'{{"iss":"Upstash","sub":{_quoted(url)},"exp":{expires_at_s},"nbf":0,"iat":{issued_at_s},'
        f'"jti":{json.dumps(token_id)},"body":"{digest}"}}'
    )
    signed = _HEADER + b"." + urlsafe_b64encode(payload.encode()).rstrip(b"=")
    signature = urlsafe_b64encode(hmac.digest(key.encode(), signed, "sha256")).rstrip(b"=")
    return (signed + b"." + signature).decode()
