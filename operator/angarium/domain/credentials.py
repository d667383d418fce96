"""Who may call the HTTP API, and the keys that sign a tenant's deliveries. No token text is kept, only its hash."""

import hashlib
from dataclasses import dataclass

from angarium.domain.declarations import Access


def token_hash(text: str) -> bytes:
    """SHA-256 of the token text, the only form in which a token is stored."""
    return hashlib.sha256(text.encode()).digest()


@dataclass(frozen=True, slots=True)
class Credential:
    """A token as the store knows it: `name` is the Token object's name, unique within the namespace."""

    namespace: str
    name: str
    hash: bytes
    access: Access


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """The pair of contract 14. `adopted` keys come from a Secret that is not ours, and cannot be rotated by us."""

    current: str
    next: str
    adopted: bool = False

    def __repr__(self) -> str:
        return f"SigningKeys(adopted={self.adopted})"
