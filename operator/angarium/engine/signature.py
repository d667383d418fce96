"""The header by which a destination knows who called it, made when the request is sent (contract 17)."""

import os

from angarium.domain.entropy import Entropy
from angarium.domain.ids import ID_ENTROPY, new_id
from angarium.domain.instants import to_ms
from angarium.domain.ports import Clock
from angarium.domain.requests import OutgoingRequest
from angarium.domain.signing import sign

_entropy = Entropy(os.urandom)


def signature_line(request: OutgoingRequest, clock: Clock) -> tuple[tuple[str, str], ...]:
    """The signature as a header line, a fresh one each time; none for a request without a signing key."""
    if request.signing_key is None:
        return ()
    now = clock.now()
    token_id = new_id("jwt_", to_ms(now), _entropy(ID_ENTROPY))
    text = sign(key=request.signing_key, url=request.url, body=request.body, issued_at=now, token_id=token_id)
    return (("Upstash-Signature", text),)
