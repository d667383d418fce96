"""Signing keys (contract 14)."""

from angarium.api.context import Context
from angarium.api.exchange import Answer, Call
from angarium.api.routes import Need, Route


class KeyHandlers:
    """Reading the pair that signs a tenant's deliveries."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> tuple[Route, ...]:
        return (Route("GET", "/v2/keys", Need.KEYS, self.signing_keys),)

    async def signing_keys(self, call: Call) -> Answer:
        """Contract 14."""
        keys = await self._context.keys.signing_keys(call.namespace)
        return Answer({"current": keys.current, "next": keys.next})
