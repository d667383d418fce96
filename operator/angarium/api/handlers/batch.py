"""Batch (contract 8.4): an item for each element, in their order; an element that cannot be sent stops no other."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from angarium.api import wire
from angarium.api.batch import Element, read_batch
from angarium.api.context import Context
from angarium.api.defaults import default_headers
from angarium.api.destination import read_destination
from angarium.api.exchange import Answer, Call
from angarium.api.options import Lines, Options, read_options
from angarium.api.publications import publication_of
from angarium.api.routes import Need, Route
from angarium.domain.declarations import Destination
from angarium.domain.errors import AngariumError, InvalidInput, StoreError
from angarium.domain.messages import Acceptance, Publication
from angarium.domain.names import check_name
from angarium.service.publishing import Draining


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
        sendings = [_addressed(element, context) for element in read_batch(call.body)]
        addressed = [sending.destination for sending in sendings if isinstance(sending.destination, Destination)]
        defaults = await default_headers(context.store, call.namespace, addressed)
        answers = await context.publishing.publish_many(_publications(context, call, sendings, defaults))
        if answers and all(isinstance(answer, StoreError | Draining) for answer in answers):
            # Nothing is stored, and not for what was sent: the whole batch may be sent again, as a publish may.
            raise next(answer for answer in answers if isinstance(answer, AngariumError))
        for sending, answer in zip((one for one in sendings if one.sent), answers, strict=True):
            sending.outcome = answer
        return Answer([_item(index, sending) for index, sending in enumerate(sendings)])


@dataclass(slots=True)
class _Sending:
    """An element and what becomes of it. `sent`: it was a publication, which the store has answered for."""

    element: Element
    destination: Destination | None = None
    sent: bool = False
    outcome: Acceptance | AngariumError | None = field(default=None)


def _addressed(element: Element, context: Context) -> _Sending:
    try:
        return _Sending(element, read_destination(str(element.destination), context.policy))
    except InvalidInput as error:
        return _Sending(element, outcome=error)


def _publications(
    context: Context, call: Call, sendings: Sequence[_Sending], defaults: Mapping[str, Lines]
) -> Iterator[Publication]:
    """One by one, as they are stored, so that few bodies are decoded at once."""
    for sending in sendings:
        destination = sending.destination
        if destination is None:
            continue
        try:
            now = context.clock.now()
            options = _options(sending.element, now, context, defaults.get(destination.topic or "", ()))
            publication = publication_of(call, destination, options, _body(sending.element, context), now)
        except InvalidInput as error:
            sending.outcome = error
            continue
        sending.sent = True
        yield publication


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


def _item(index: int, sending: _Sending) -> object:
    outcome = sending.outcome
    if isinstance(outcome, Acceptance):
        assert sending.destination is not None
        return wire.acceptance(outcome, group=sending.destination.topic is not None)
    return {"error": f"batch[{index}]: {outcome}"}
