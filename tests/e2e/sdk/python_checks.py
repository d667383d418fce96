"""What the sync and the async client are both checked for."""

import re
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from qstash import AsyncQStash, QStash, Receiver
from qstash.errors import QStashError, SignatureError
from tests.e2e.sdk.python_cases import SUCCESSES
from tests.e2e.sdk.python_failures import FAILURES
from tests.support.angarium import Angarium
from tests.support.receiver import Receiver as Destination
from tests.support.sdk import Scene, Sdk

from angarium.files.users import USERS, User

# What touches everything of a user, or changes what other cases stand on, gets a user of its own.
OTHER_USERS = {"message.cancel_all": USERS[1], "signing_key.rotate": USERS[3]}
MakeClient = Callable[..., QStash | AsyncQStash]


class Checks:
    """Calls of one client class at one server; `delivery` and `failure` are judged by the SDK itself."""

    def __init__(self, make: MakeClient, angarium: Angarium, destination: Destination) -> None:
        self._make, self._angarium, self._destination = make, angarium, destination

    async def succeeds(self, method: str) -> None:
        async with self._scene(OTHER_USERS.get(method, USERS[0])) as scene:
            await SUCCESSES[method](scene)

    async def fails(self, method: str) -> None:
        failure = FAILURES[method]
        async with self._sdk(USERS[0].token if failure.known else "unknown") as sdk:
            with pytest.raises(QStashError, match=re.escape(f"status: {failure.status}")) as raised:
                await sdk(method, *failure.args, **failure.options)
        assert failure.says in str(raised.value)
        assert '"error"' in str(raised.value)

    async def signs(self) -> None:
        """A delivery carries a signature that the SDK's Receiver accepts, and accepts for nothing else."""
        async with self._scene(USERS[0]) as scene:
            await scene.sdk("message.publish_json", url=scene.url() + "?a=1", body={"text": "größer"})
            (request,) = await scene.arrived()
            keys = await scene.sdk("signing_key.get")
            receiver = Receiver(keys.current, keys.next)
            signature, body = request.header("Upstash-Signature"), request.body.decode()
            receiver.verify(signature=signature, body=body, url=scene.url() + "?a=1")
            Receiver("sig_of_another_time_00000000000000", keys.current).verify(signature=signature, body=body)
            for wrong in ({"body": body + " "}, {"url": scene.url()}, {"signature": signature[:-2] + "AA"}):
                with pytest.raises(SignatureError):
                    receiver.verify(**{"signature": signature, "body": body, **wrong})

    @asynccontextmanager
    async def _scene(self, user: User) -> AsyncIterator[Scene]:
        async with self._sdk(user.token) as sdk:
            yield Scene(sdk, self._destination, f"case-{secrets.token_hex(6)}", user)

    @asynccontextmanager
    async def _sdk(self, token: str) -> AsyncIterator[Sdk]:
        # The base URL is given with a slash at its end, as people do.
        sdk = Sdk(self._make(token, base_url=self._angarium.url + "/", retry=False))
        try:
            yield sdk
        finally:
            await sdk.close()
