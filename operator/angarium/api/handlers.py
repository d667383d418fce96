"""What each route does: read the call, ask the service or the store, show the answer."""

from typing import TypeVar
from urllib.parse import unquote

from angarium.api import wire
from angarium.api.auth import KeyRing
from angarium.api.destination import parse_destination
from angarium.api.exchange import Answer, Call
from angarium.api.history import dead_letter_filter, log_filter
from angarium.api.options import OptionLimits, read_options
from angarium.api.routes import Need, Route, Shape
from angarium.domain.addresses import AddressPolicy
from angarium.domain.errors import NotFound
from angarium.domain.messages import Publication
from angarium.domain.ports import Clock, HistoryStore
from angarium.domain.views import Page
from angarium.service.publishing import Publishing

T = TypeVar("T")


class Handlers:
    """The routes of this version (contract 7)."""

    def __init__(
        self,
        publishing: Publishing,
        history: HistoryStore,
        keys: KeyRing,
        clock: Clock,
        limits: OptionLimits,
        policy: AddressPolicy,
    ) -> None:
        self._publishing = publishing
        self._history = history
        self._keys = keys
        self._clock = clock
        self._limits = limits
        self._policy = policy

    def routes(self) -> tuple[Route, ...]:
        """The route table, the busiest first."""
        return (
            Route("POST", "/v2/publish/", Shape.REST, Need.PUBLISH, self.publish),
            Route("GET", "/v2/messages/", Shape.SEGMENT, Need.READ, self.message),
            Route("GET", "/v2/events", Shape.EXACT, Need.READ, self.events),
            Route("GET", "/v2/logs", Shape.EXACT, Need.READ, self.logs),
            Route("GET", "/v2/dlq", Shape.EXACT, Need.READ, self.dead_letters),
            Route("GET", "/v2/keys", Shape.EXACT, Need.KEYS, self.signing_keys),
        )

    async def publish(self, call: Call) -> Answer:
        """Contract 8.1."""
        now = self._clock.now()
        destination = parse_destination(call.tail, call.target, self._policy)
        options = read_options(call.headers, call.target.options(), now, self._limits)
        publication = Publication(
            namespace=call.namespace,
            destination=destination,
            created_at=now,
            body=call.body,
            options=options.delivery,
            labels=options.labels,
            not_before=options.not_before,
            caller_ip=call.caller_ip,
        )
        return Answer(wire.acceptance(await self._publishing.publish(publication)))

    async def message(self, call: Call) -> Answer:
        """Contract 8.2."""
        message_id = unquote(call.tail)
        view = await self._history.message(call.namespace, message_id, self._clock.now())
        if view is None:
            raise NotFound(f"there is no message {message_id[:100]!r}: unknown, or ended longer ago than it is kept")
        return Answer(wire.message(view.message, view.url))

    async def events(self, call: Call) -> Answer:
        """The log under its old name, which both SDKs use (contract 15.2)."""
        return await self._log(call, "events")

    async def logs(self, call: Call) -> Answer:
        """The log under its documented name (contract 15.2)."""
        return await self._log(call, "logs")

    async def dead_letters(self, call: Call) -> Answer:
        """Contract 9.1."""
        page = await self._history.dead_letters(dead_letter_filter(call.namespace, call.target.filters()))
        return Answer({"messages": [wire.dead_letter(letter) for letter in page.items], **_cursor(page)})

    async def signing_keys(self, call: Call) -> Answer:
        """Contract 14."""
        keys = await self._keys.signing_keys(call.namespace)
        return Answer({"current": keys.current, "next": keys.next})

    async def _log(self, call: Call, key: str) -> Answer:
        page = await self._history.log(log_filter(call.namespace, call.target.filters()))
        return Answer({key: [wire.log_entry(entry) for entry in page.items], **_cursor(page)})


def _cursor(page: Page[T]) -> wire.Json:
    # The key is absent on the last page: the SDKs tell that from null and from "" (contract 5).
    return {"cursor": page.cursor} if page.cursor else {}
