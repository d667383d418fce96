"""Who calls, and what that token may do (contract 2, 25). A token's text is never logged or repeated in an answer."""

import re
from collections.abc import Mapping
from typing import Protocol
from urllib.parse import unquote

from angarium.api.errors import Refusal
from angarium.api.exchange import TOKEN_PARAMETER, Target
from angarium.api.routes import Need
from angarium.domain.credentials import Credential, SigningKeys
from angarium.domain.declarations import Access

_UTF8 = re.compile(r"[^\ud800-\udfff]+")
_ALLOWED = {
    Access.READ_WRITE: frozenset(Need),
    Access.READ_ONLY: frozenset({Need.READ}),
    Access.PUBLISH_ONLY: frozenset({Need.PUBLISH}),
}


class KeyRing(Protocol):
    """Tokens and signing keys, as `service.keys` keeps them."""

    async def authenticate(self, token_text: str) -> Credential | None: ...

    async def signing_keys(self, namespace: str) -> SigningKeys: ...

    async def rotate(self, namespace: str) -> SigningKeys: ...


def token_of(headers: Mapping[str, str], target: Target) -> str | None:
    """The token of a request: the query parameter wins over `Authorization: Bearer` (contract 2, rule 3)."""
    for pair in target.pairs:
        # Split at the first "=": tokens end in one. Not form decoding: a "+" is part of a base64 token.
        name, _, value = pair.partition("=")
        if name == TOKEN_PARAMETER:
            return unquote(value) or None
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


async def authorize(keys: KeyRing, token: str | None, need: Need) -> Credential:
    """The credential behind a token that may do this. Raises Refusal: 401 if nobody's, 403 if it may not."""
    if token is None:
        raise _unauthorized("no token; send it as 'Authorization: Bearer <QSTASH_TOKEN>'")
    # Bytes that are not UTF-8 arrive as surrogates; no token has them, and none could be hashed.
    credential = await keys.authenticate(token) if _UTF8.fullmatch(token) else None
    if credential is None:
        raise _unauthorized("the token is not valid; use QSTASH_TOKEN from the Secret that belongs to a Token resource")
    demand(credential, need)
    return credential


def demand(credential: Credential, need: Need) -> None:
    """Raises Refusal (403) if this token may not do this; also for a route that turns out to need more."""
    if need not in _ALLOWED[credential.access]:
        may = " and ".join(sorted(_ALLOWED[credential.access]))
        who = f"the token {credential.name!r} is {credential.access.value}"
        raise Refusal(403, f"{who}: it may {may}, not {need}; use a token with another access")


def _unauthorized(text: str) -> Refusal:
    return Refusal(401, text, {"WWW-Authenticate": 'Bearer realm="angarium"'})
