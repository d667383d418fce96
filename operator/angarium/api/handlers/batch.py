"""Batch (contract 8.4): an item for each element, in their order; an element that cannot be sent stops no other."""

import asyncio
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial

from angarium.api import wire
from angarium.api.batch import Element, read_batch
from angarium.api.context import Context
from angarium.api.defaults import default_headers
from angarium.api.destination import read_destination
from angarium.api.errors import answer_of
from angarium.api.exchange import Answer, Call
from angarium.api.options import Lines, Options, read_options
from angarium.api.publications import publication_of
from angarium.api.routes import Need, Route
from angarium.domain.addresses import AddressPolicy
from angarium.domain.declarations import Destination
from angarium.domain.errors import AngariumError, InvalidInput, StoreError
from angarium.domain.messages import Acceptance, Publication
from angarium.domain.names import check_name
from angarium.service.admission import Overloaded
from angarium.service.publishing import Draining

_Addressed = tuple[Element, Destination | InvalidInput]

READ_AT_ONCE = 2**20
"""Bytes of a batch that are read without giving the loop up."""


class BatchHandlers:
    """The way into the queue for many messages at once."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> tuple[Route, ...]:
        most = self._context.limits.batch
        return (Route("POST", "/v2/batch", Need.PUBLISH, self.batch, most_bytes=most),)

    async def batch(self, call: Call) -> Answer:
        """Contract 8.4."""
        context = self._context
        read = partial(_read, call.body, context.policy)
        # What takes long is read beside the loop, on which deliveries wait for their turns.
        addressed = read() if len(call.body) <= READ_AT_ONCE else await asyncio.to_thread(read)
        topics = [destination for _, destination in addressed if isinstance(destination, Destination)]
        defaults = await default_headers(context.store, call.namespace, topics)
        batch = _Batch(context, call, addressed, defaults)
        async for answer in context.publishing.publish_many(batch.publications()):
            batch.take(answer)
        return Answer(batch.items())


def _read(body: bytes, policy: AddressPolicy) -> list[_Addressed]:
    return [(element, _destination(element, policy)) for element in read_batch(body)]


def _destination(element: Element, policy: AddressPolicy) -> Destination | InvalidInput:
    try:
        return read_destination(str(element.destination), policy)
    except InvalidInput as error:
        return error


class _Batch:
    """The elements on their way to being items: publications are asked for, and answered, in the elements' order."""

    def __init__(
        self, context: Context, call: Call, elements: Sequence[_Addressed], defaults: Mapping[str, Lines]
    ) -> None:
        self._context = context
        self._call = call
        self._elements = elements
        self._defaults = defaults
        self._items: list[object] = [None] * len(elements)
        self._asked: deque[tuple[int, Destination]] = deque()
        self._stored = 0
        self._unavailable: AngariumError | None = None
        self._refused: list[AngariumError] = []

    def publications(self) -> Iterator[Publication]:
        """One by one, as they are stored, so that few bodies are decoded at once."""
        for index, (element, destination) in enumerate(self._elements):
            if isinstance(destination, InvalidInput):
                self._refuse(index, destination)
                continue
            try:
                publication = self._publication(element, destination)
            except InvalidInput as error:
                self._refuse(index, error)
                continue
            self._asked.append((index, destination))
            yield publication

    def take(self, answer: Acceptance | AngariumError) -> None:
        """What became of the oldest publication that has no answer yet."""
        index, destination = self._asked.popleft()
        if isinstance(answer, Acceptance):
            self._stored += 1
            self._items[index] = wire.acceptance(answer, group=destination.topic is not None)
            return
        if isinstance(answer, StoreError | Draining | Overloaded):
            self._unavailable = answer
        self._refuse(index, answer)

    def items(self) -> list[object]:
        """An item for each element.

        Raises StoreError, Draining or Overloaded if that kept every message from being stored: the batch may be sent
        again.
        """
        if self._unavailable is not None and not self._stored:
            raise self._unavailable
        for error in self._refused:
            self._context.refusals.note(answer_of(error, self._context.clock.now()).status)
        return self._items

    def _refuse(self, index: int, error: AngariumError) -> None:
        self._items[index] = {"error": f"batch[{index}]: {error}"}
        self._refused.append(error)

    def _publication(self, element: Element, destination: Destination) -> Publication:
        context = self._context
        now = context.clock.now()
        options = _options(element, now, context, self._defaults.get(destination.topic or "", ()))
        return publication_of(self._call, destination, options, _body(element, context), now)


def _options(element: Element, now: datetime, context: Context, defaults: Lines) -> Options:
    # What the element's own headers say is all there is: those of the batch are about the batch.
    lines = element.header_lines()
    options = read_options(lines, (), now, context.limits, defaults=defaults, forward_authorization=True)
    if options.cron is not None:
        raise InvalidInput("Upstash-Cron", "does not belong into a batch; make a schedule with POST /v2/schedules/…")
    if element.queue is None:
        return options
    check_name(element.queue, "queue")
    return options.into(element.queue)


def _body(element: Element, context: Context) -> bytes:
    body = element.content()
    if len(body) > context.limits.body:
        raise InvalidInput("body", f"is {len(body)} bytes long; at most {context.limits.body} bytes are allowed")
    return body
