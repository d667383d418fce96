from angarium.domain.credentials import SigningKeys, token_hash
from angarium.domain.ports import Store
from angarium.files.users import DEFAULT_USER, USERS, ensure_users

# Contract 26.1, as it stands there.
TOKENS = {
    "default": "eyJVc2VySUQiOiJkZWZhdWx0VXNlciIsIlBhc3N3b3JkIjoiZGVmYXVsdFBhc3N3b3JkIn0=",
    "test-user-1": "eyJVc2VySUQiOiJ0ZXN0VXNlcjEiLCJQYXNzd29yZCI6InRlc3RQYXNzd29yZCJ9",
    "test-user-2": "eyJVc2VySUQiOiJ0ZXN0VXNlcjIiLCJQYXNzd29yZCI6InRlc3RQYXNzd29yZCJ9",
    "test-user-3": "eyJVc2VySUQiOiJ0ZXN0VXNlcjMiLCJQYXNzd29yZCI6InRlc3RQYXNzd29yZCJ9",
}
KEYS = {
    "default": ("sig_7kYjw48mhY7kAjqNGcy6cr29RJ6r", "sig_5ZB6DVzB1wjE8S6rZ7eenA8Pdnhs"),
    "test-user-1": ("sig_7GVPjvuwsfqF65iC8fSrs1dfYruM", "sig_5NoELc3EFnZn4DVS5bDs2Nk4b7Ua"),
    "test-user-2": ("sig_6jWGaWRxHsw4vMSPJprXadyvrybF", "sig_7qHbvhmahe5GwfePDiS5Lg3pi6Qx"),
    "test-user-3": ("sig_5T8FcSsynBjn9mMLBsXhpacRovJf", "sig_7GFR4YaDshFcqsxWRZpRB161jguD"),
}


async def test_predefined_users(store: Store) -> None:
    await ensure_users(store)
    assert {user.namespace: user.token for user in USERS} == TOKENS
    credentials = {one.namespace: one.hash for one in await store.credentials()}
    assert credentials == {namespace: token_hash(text) for namespace, text in TOKENS.items()}
    assert {name: (keys.current, keys.next) for name, keys in (await store.signing_keys()).items()} == KEYS


async def test_users_are_written_once(store: Store) -> None:
    await ensure_users(store)
    version = store.credentials_version()
    await ensure_users(store)
    assert store.credentials_version() == version


async def test_other_keys_are_replaced(store: Store) -> None:
    await store.put_signing_keys("default", SigningKeys("sig_a", "sig_b"), replace=True)
    await ensure_users(store)
    assert (await store.signing_keys())["default"] == DEFAULT_USER.keys
