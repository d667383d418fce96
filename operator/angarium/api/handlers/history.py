"""The log and the dead letters (contract 9, 15.2, 15.3)."""

from typing import TypeVar

from angarium.api import wire
from angarium.api.context import Context
from angarium.api.exchange import Answer, Call
from angarium.api.history import dead_letter_filter, log_filter
from angarium.api.routes import Need, Route
from angarium.domain.views import Page

T = TypeVar("T")


class HistoryHandlers:
    """Reading back what was."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("GET", "/v2/events", Need.READ, self.events),
            Route("GET", "/v2/logs", Need.READ, self.logs),
            Route("GET", "/v2/dlq", Need.READ, self.dead_letters),
        )

    async def events(self, call: Call) -> Answer:
        """The log under its old name, which both SDKs use (contract 15.2)."""
        return await self._log(call, "events")

    async def logs(self, call: Call) -> Answer:
        """The log under its documented name (contract 15.2)."""
        return await self._log(call, "logs")

    async def dead_letters(self, call: Call) -> Answer:
        """Contract 9.1."""
        page = await self._context.store.dead_letters(dead_letter_filter(call.namespace, call.target.filters()))
        return Answer({"messages": [wire.dead_letter(letter) for letter in page.items], **_cursor(page)})

    async def _log(self, call: Call, key: str) -> Answer:
        page = await self._context.store.log(log_filter(call.namespace, call.target.filters()))
        return Answer({key: [wire.log_entry(entry) for entry in page.items], **_cursor(page)})


def _cursor(page: Page[T]) -> wire.Json:
    # The key is absent on the last page: the SDKs tell that from null and from "" (contract 5).
    return {"cursor": page.cursor} if page.cursor else {}
