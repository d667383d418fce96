"""The log (contract 15.2)."""

from angarium.api import wire
from angarium.api.context import Context
from angarium.api.exchange import Answer, Call
from angarium.api.history import log_filter
from angarium.api.routes import Need, Route


class HistoryHandlers:
    """Reading back what was."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("GET", "/v2/events", Need.READ, self.events),
            Route("GET", "/v2/logs", Need.READ, self.logs),
        )

    async def events(self, call: Call) -> Answer:
        """The log under its old name, which both SDKs use (contract 15.2)."""
        return await self._log(call, "events")

    async def logs(self, call: Call) -> Answer:
        """The log under its documented name (contract 15.2)."""
        return await self._log(call, "logs")

    async def _log(self, call: Call, key: str) -> Answer:
        page = await self._context.store.log(log_filter(call.namespace, call.target.filters()))
        return Answer({key: [wire.log_entry(entry) for entry in page.items], **wire.cursor(page.cursor)})
