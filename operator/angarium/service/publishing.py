"""Publishing: a publication becomes stored messages before its publisher gets an answer.

What waits at the same time is stored in one transaction, and what is due goes straight to the dispatcher. Runs on the
delivery loop, because room in the dispatcher is granted there.
"""

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence

from angarium.domain.errors import AngariumError
from angarium.domain.messages import Acceptance, Leased, Publication
from angarium.domain.notices import Accepted, MembersMissing, Notice, Observer
from angarium.domain.ports import Dispatch, MessageStore
from angarium.service.admission import Admission, Overloaded
from angarium.service.grouping import Group

MOST_AT_ONCE = 500
"""Publications in one transaction: large enough for any rate, small enough to keep the answer quick."""

MOST_BYTES_AT_ONCE = 4 * 2**20
"""Bytes of bodies that one caller brings into a transaction, for the same reason."""

TOPIC_ROOM = 10
"""Leases asked for per Topic, whose members are counted only in the store; the rest is claimed a moment later."""


class Draining(AngariumError):
    """The program is ending and takes nothing more; the publisher may try again in a moment."""


class Publishing:
    """The one way into the queue for publishers."""

    def __init__(
        self,
        store: MessageStore,
        dispatch: Dispatch,
        observers: Sequence[Observer] = (),
        admission: Admission | None = None,
    ) -> None:
        self._store = store
        self._dispatch = dispatch
        self._observers = tuple(observers)
        self._admission = admission
        self._group: Group[Publication, Acceptance] = Group(self._accept, most=MOST_AT_ONCE)
        self._closed = False

    async def publish(self, publication: Publication) -> Acceptance:
        """Store the publication's messages; they are safe when this returns.

        Raises NotFound (no such Topic, or one without members), LimitExceeded, StoreError, Draining, Overloaded.
        """
        await self._await_turn([publication])
        return await self._group.put(publication)

    async def publish_many(self, publications: Iterable[Publication]) -> AsyncIterator[Acceptance | AngariumError]:
        """Store many in this order, in few transactions, between those of others; says what became of each.

        They are asked for as they are stored, so that few need to exist at once. What comes after the end of the
        service gets Draining, what comes when there is too much to do gets Overloaded, and so does all that follows:
        nobody waits for each portion anew, and nothing overtakes what was refused.
        """
        refusal: AngariumError | None = None
        for portion in _portions(publications):
            if refusal is None:
                try:
                    await self._await_turn(portion)
                except (Draining, Overloaded) as error:
                    refusal = error
            answers = await self._group.put_many(portion) if refusal is None else [refusal] * len(portion)
            for answer in answers:
                yield answer

    async def close(self) -> None:
        """Take nothing more, and store what had been taken."""
        self._closed = True
        await self._group.close()

    async def _await_turn(self, publications: Sequence[Publication]) -> None:
        self._demand_open()
        if self._admission is not None:
            size = sum(len(publication.body) for publication in publications)
            await self._admission.admit(len(publications), size)
            self._demand_open()

    def _demand_open(self) -> None:
        if self._closed:
            raise Draining("Angarium is shutting down and takes no new messages; try again in a few seconds")

    async def _accept(self, publications: Sequence[Publication]) -> Sequence[Acceptance | AngariumError]:
        rooms = [(_room(publication), len(publication.body)) for publication in publications]
        grant = self._dispatch.grant(sum(room for room, _ in rooms), sum(room * size for room, size in rooms))
        leased: Sequence[Leased] = ()
        try:
            answers, leased = await self._store.accept(publications, grant)
        finally:
            self._dispatch.offer(grant, leased)
        accepted = [answer for answer in answers if isinstance(answer, Acceptance)]
        if sum(len(acceptance.messages) for acceptance in accepted) > len(leased):
            self._dispatch.wake()
        if self._admission is not None:
            self._admission.accepted(_due(publications, answers))
        self._tell(publications, answers)
        return answers

    def _tell(self, publications: Sequence[Publication], answers: Sequence[Acceptance | AngariumError]) -> None:
        if not self._observers:
            return
        notices: list[Notice] = []
        for publication, answer in zip(publications, answers, strict=True):
            if isinstance(answer, Acceptance):
                notices += map(Accepted, answer.messages, answer.urls)
                if answer.missing:
                    topic = publication.destination.topic or ""
                    notices.append(MembersMissing(publication.namespace, topic, answer.missing))
        if notices:
            for observer in self._observers:
                observer.notice(notices)


def _portions(publications: Iterable[Publication]) -> Iterator[list[Publication]]:
    portion: list[Publication] = []
    size = 0
    for publication in publications:
        portion.append(publication)
        size += len(publication.body)
        if len(portion) == MOST_AT_ONCE or size >= MOST_BYTES_AT_ONCE:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion


def _due(publications: Sequence[Publication], answers: Sequence[Acceptance | AngariumError]) -> int:
    """Messages that were accepted and are not delayed."""
    both = zip(publications, answers, strict=True)
    return sum(len(a.messages) for p, a in both if p.not_before is None and isinstance(a, Acceptance))


def _room(publication: Publication) -> int:
    return TOPIC_ROOM if publication.destination.topic is not None else 1
