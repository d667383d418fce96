"""Who a token belongs to, and with which keys a tenant's deliveries are signed: the store's answers, kept in memory.

Both are asked for on every request or attempt, so the store is read again only when its version changes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from angarium.domain.credentials import Credential, SigningKeys, token_hash
from angarium.domain.ids import SECRET_ENTROPY, signing_key
from angarium.domain.notices import KeysRotated, Observer
from angarium.domain.ports import CredentialStore


@dataclass(slots=True)
class _Snapshot:
    """What the store held at `version`, as far as it was asked for."""

    version: int
    credentials: dict[bytes, Credential] | None = None
    signing_keys: dict[str, SigningKeys] | None = field(default=None, repr=False)


class Keys:
    """Tokens and signing keys, cached. `entropy` gives so many random bytes."""

    def __init__(
        self, store: CredentialStore, entropy: Callable[[int], bytes], observers: Sequence[Observer] = ()
    ) -> None:
        self._store = store
        self._entropy = entropy
        self._observers = tuple(observers)
        self._held = _Snapshot(store.credentials_version())

    async def authenticate(self, token_text: str) -> Credential | None:
        """Whose token this is, None if nobody's.

        Tokens are found by their SHA-256, so how long it takes says nothing about how close a guess is.
        """
        held = self._snapshot()
        if held.credentials is None:
            held.credentials = {credential.hash: credential for credential in await self._store.credentials()}
        return held.credentials.get(token_hash(token_text))

    async def signing_keys(self, namespace: str) -> SigningKeys:
        """The pair in force in this namespace; a namespace without one gets a new one, stored before it is used."""
        held = self._snapshot()
        if held.signing_keys is None:
            held.signing_keys = dict(await self._store.signing_keys())
        keys = held.signing_keys.get(namespace)
        return keys or await self._generate(namespace)

    async def rotate(self, namespace: str) -> SigningKeys:
        """`next` becomes `current`, which signs from now on, and a new key `next` (contract 14). Returns the pair.

        Raises Conflict if the keys come from a Secret that is not ours.
        """
        await self.signing_keys(namespace)  # so that there is a pair
        rotated = await self._store.rotate_signing_keys(namespace, self._fresh())
        for observer in self._observers:
            observer.notice([KeysRotated(namespace)])
        return rotated

    def _snapshot(self) -> _Snapshot:
        # The version is taken before the rows are read: a change in between makes the next call read again.
        version = self._store.credentials_version()
        if self._held.version != version:
            self._held = _Snapshot(version)
        return self._held

    async def _generate(self, namespace: str) -> SigningKeys:
        pair = SigningKeys(self._fresh(), self._fresh())
        return await self._store.put_signing_keys(namespace, pair, replace=False)

    def _fresh(self) -> str:
        return signing_key(self._entropy(SECRET_ENTROPY))
