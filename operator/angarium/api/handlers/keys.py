"""Signing keys (contract 14)."""

from angarium.api.context import Context
from angarium.api.exchange import Answer, Call
from angarium.api.routes import Need, Route
from angarium.domain.credentials import SigningKeys


class KeyHandlers:
    """The pair that signs a tenant's deliveries."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("GET", "/v2/keys", Need.KEYS, self.signing_keys),
            Route("POST", "/v2/keys/rotate", Need.WRITE, self.rotate),
        )

    async def signing_keys(self, call: Call) -> Answer:
        """The pair in force."""
        return _shown(await self._context.keys.signing_keys(call.namespace))

    async def rotate(self, call: Call) -> Answer:
        """Sign with the next key from now on. Conflict (409) if the keys come from a Secret that is not ours."""
        return _shown(await self._context.keys.rotate(call.namespace))


def _shown(keys: SigningKeys) -> Answer:
    return Answer({"current": keys.current, "next": keys.next})
