"""The users that the QStash SDKs' dev mode expects, with their public tokens and keys (contract 26.1).

Only for dev mode: everybody knows these secrets.
"""

import base64
from dataclasses import dataclass

from angarium.domain.credentials import Credential, SigningKeys, token_hash
from angarium.domain.declarations import Access
from angarium.domain.ports import CredentialStore


@dataclass(frozen=True, slots=True)
class User:
    """A predefined user: the tenant that it is here, its token text and its key pair."""

    name: str
    password: str
    namespace: str
    keys: SigningKeys

    @property
    def token(self) -> str:
        return base64.b64encode(f'{{"UserID":"{self.name}","Password":"{self.password}"}}'.encode()).decode()


DEFAULT_USER = User(
    "defaultUser",
    "defaultPassword",
    "default",
    SigningKeys("sig_7kYjw48mhY7kAjqNGcy6cr29RJ6r", "sig_5ZB6DVzB1wjE8S6rZ7eenA8Pdnhs"),
)
USERS = (
    DEFAULT_USER,
    User(
        "testUser1",
        "testPassword",
        "test-user-1",
        SigningKeys("sig_7GVPjvuwsfqF65iC8fSrs1dfYruM", "sig_5NoELc3EFnZn4DVS5bDs2Nk4b7Ua"),
    ),
    User(
        "testUser2",
        "testPassword",
        "test-user-2",
        SigningKeys("sig_6jWGaWRxHsw4vMSPJprXadyvrybF", "sig_7qHbvhmahe5GwfePDiS5Lg3pi6Qx"),
    ),
    User(
        "testUser3",
        "testPassword",
        "test-user-3",
        SigningKeys("sig_5T8FcSsynBjn9mMLBsXhpacRovJf", "sig_7GFR4YaDshFcqsxWRZpRB161jguD"),
    ),
)


async def ensure_users(store: CredentialStore) -> None:
    """Give every predefined user its token and key pair, and write nothing if they are there already.

    Other keys are replaced: the SDKs compare, and would start a server of their own (contract 26.3). The credentials
    are named as the users are, in capitals that no Token's name can have.
    """
    credentials = set(await store.credentials())
    keys = await store.signing_keys()
    for user in USERS:
        credential = Credential(user.namespace, user.name, token_hash(user.token), Access.READ_WRITE)
        if credential not in credentials:
            await store.put_credential(credential)
        if keys.get(user.namespace) != user.keys:
            await store.put_signing_keys(user.namespace, user.keys, replace=True)
