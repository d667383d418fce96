"""Holds the messages leased to this process and lets attempts run: within its capacity, and within each lane's.

Room is granted before messages are leased, so memory stays bounded however many wait in the store and however large
they are. A message is held until its outcome is written, it is given back, the lease is lost, or the message
ends without an outcome, canceled or purged: then its attempt ends too.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from angarium.domain.errors import StoreError
from angarium.domain.messages import Claim, Leased, LeaseGrant, Lost, Outcome
from angarium.domain.ports import Clock, MessageStore

from .flight import Flight
from .lanes import Lanes
from .outcomes import Outcomes
from .recalls import Recalls
from .room import Room, Share
from .supervisor import Pulse
from .waking import Waker

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DispatchSettings:
    """`capacity` bounds the messages held in memory, `per_lane` the attempts at once of one lane (see `lanes`).

    `per_host` bounds the attempts at once to one host and port: twice `per_lane`, one lane alone has all its places.

    `capacity_bytes` bounds the bodies held in memory, except that a larger one is held alone; a lane is closed while
    it holds an eighth of that. The answers come on top: one of the sender's `max_response` for each message.
    `claim_most` bounds one claim. `poll`: how long at most nothing is claimed, should a call to wake have been missed.
    `spacing`: the least time between a claim that found nothing, or left little room, and the next. `settling`: how
    long a drain waits for the store after its grace period.
    """

    capacity: int = 2048
    capacity_bytes: int = 64 * 2**20
    per_lane: int = 64
    per_host: int = 128
    claim_most: int = 500
    lease: timedelta = timedelta(seconds=30)
    heartbeat: timedelta = timedelta(seconds=10)
    poll: timedelta = timedelta(seconds=5)
    spacing: timedelta = timedelta(milliseconds=10)
    settling: timedelta = timedelta(seconds=5)


def frees(outcome: Outcome) -> bool:
    """Whether others may be claimable once this is recorded: next in its queue or its flow control, or callbacks."""
    leased, message = outcome.leased, outcome.leased.message
    if leased.gated or message.callback or message.failure_callback:
        return True
    return outcome.next_at is None and (message.queue is not None or message.source is not None)


class Dispatcher:
    """Implements `domain.ports.Dispatch` and `Alarm`. `owner` names this process's leases, new at each start.

    `claim` and `heartbeat` are its loops; `drain` ends it. `bindings` is the Alarm for changed Endpoints: messages that
    wait in memory for their lane are bound to them anew. `recall` is for `MessageStore.on_recall`. All but these two
    and `wake` belong to the event loop on which it is made.
    """

    def __init__(
        self,
        owner: str,
        store: MessageStore,
        perform: Callable[[Leased], Awaitable[Outcome]],
        outcomes: Outcomes,
        clock: Clock,
        settings: DispatchSettings | None = None,
    ) -> None:
        self._owner = owner
        self._store = store
        self._perform = perform
        self._outcomes = outcomes
        self._clock = clock
        self._settings = settings or DispatchSettings()
        self._room = Room(self._settings.capacity, self._settings.capacity_bytes)
        lane_bytes = max(1, self._settings.capacity_bytes // 8)
        self._lanes = Lanes(self._settings.per_lane, lane_bytes, self._room, clock, self._settings.per_host)
        self._flights: dict[str, Flight] = {}
        self._recalls = Recalls(self._settings.lease, clock)
        self._loop = asyncio.get_running_loop()
        self._portion = self._room.portion, self._room.portion_bytes is None
        self._starved = False
        self._draining = False
        self._all_offered = asyncio.Event()
        self._waker = Waker()
        self.bindings = Waker()

    @property
    def held(self) -> int:
        """Messages held in memory: waiting for their lane, being attempted, being written."""
        return len(self._flights)

    @property
    def held_bytes(self) -> int:
        """Bytes of their bodies."""
        return self._room.held_bytes

    def grant(self, wanted: int, wanted_bytes: int) -> LeaseGrant:
        """See the port. While draining there is no room."""
        return self._granted(Share(0, 0) if self._draining else self._room.share(wanted, wanted_bytes))

    def offer(self, grant: LeaseGrant, leased: Sequence[Leased]) -> None:
        """See the port. A message that is held already, because its lease had run out, goes on under the new one."""
        self._room.give_back(grant.room, grant.room_bytes)
        for one in leased:
            if one.message.id in self._recalls:
                continue
            held = self._flights.get(one.message.id)
            if held is None:
                self._take(one)
            else:
                # The message as it is held already: its body is not to be in memory twice.
                held.leased = replace(one, message=held.leased.message)
                self._rebind(held)
        if self._draining and self._room.reserved == 0:
            self._all_offered.set()
        self._tell_of_room()

    def wake(self) -> None:
        self._waker.wake()

    def recall(self, message_ids: Sequence[str]) -> None:
        """These messages have ended without an outcome. May be called from any thread."""
        with contextlib.suppress(RuntimeError):  # the loop has ended, and every attempt with it
            self._loop.call_soon_threadsafe(self._recall, message_ids)

    async def claim(self, pulse: Pulse) -> None:
        """The loop that leases due messages whenever there is room. Ends with `drain`."""
        while not self._draining:
            pulse.beat()
            self._starved = self._room.scarce
            await self._waker.wait(self._settings.poll if self._starved else await self._claim())

    async def heartbeat(self, pulse: Pulse) -> None:
        """The loop that renews the leases of all messages held, and what is bound late of those that wait."""
        while True:
            pulse.beat()
            pause = self._settings.heartbeat
            try:
                await self._renew()
            except StoreError as error:
                pause /= 10
                _log.warning(
                    "leases could not be renewed, that is tried again: %s", error, extra={"action": "lease.renew"}
                )
            await self.bindings.wait(pause)

    async def drain(self, grace: timedelta) -> None:
        """Lease nothing more, let attempts end within the grace period, then give back what is left.

        Outcomes on their way to the store are waited for a little longer. Raises StoreError if giving back fails:
        those leases end at the next start.
        """
        self._draining = True
        self.wake()
        await self._attempts_ended(grace)
        for flight in self._flights.values():
            if not flight.settling:
                flight.cut_off()
        await self._attempts_ended(self._settings.settling)
        await self._grants_ended(self._settings.settling)
        left = list(self._flights.values())
        for flight in left:
            flight.cut_off()
        if left:
            await self._store.release([flight.leased for flight in left])
        self._flights.clear()

    def _granted(self, share: Share) -> LeaseGrant:
        self._reopen()
        return LeaseGrant(
            owner=self._owner,
            until=self._clock.monotonic() + self._settings.lease.total_seconds(),
            room=share.places,
            lane_room=self._lanes.room,
            closed_lanes=self._lanes.closed(),
            room_bytes=share.size,
            lane_bytes=self._lanes.room_bytes,
            any_size=share.any_size,
        )

    def _take(self, leased: Leased) -> None:
        self._room.enter(leased.size)
        flight = self._flights[leased.message.id] = Flight(leased)
        if self._lanes.enter(flight):
            self._start(flight)

    def _start(self, flight: Flight) -> None:
        if not self._draining:
            flight.attempt = self._loop.create_task(self._carry_out(flight))

    async def _carry_out(self, flight: Flight) -> None:
        recorded = leased = flight.leased
        try:
            try:
                outcome = await self._perform(leased)
            finally:
                if not flight.is_cut_off:
                    self._leave_lane(flight)
            flight.settling = True
            recorded = await self._settle(flight, outcome)
        finally:
            if not flight.is_cut_off:
                self._finish(flight, recorded)

    async def _settle(self, flight: Flight, outcome: Outcome) -> Leased:
        """Write the outcome under the newest lease. Returns the lease under which it was written, or lost."""
        while True:
            leased = flight.leased
            if outcome.leased is not leased:
                outcome = replace(outcome, leased=leased)
            if await self._outcomes.record(outcome):
                self._wake_for(outcome)
                return leased
            if flight.leased is leased:
                _log.info(
                    "message %s was taken from this process before its attempt ended",
                    leased.message.id,
                    extra={"action": "lease.lose", "about": leased.message},
                )
                return leased

    def _leave_lane(self, flight: Flight) -> None:
        """The attempt is over, so others may run in its place; its outcome is written meanwhile."""
        if self._draining:
            return
        following, opened = self._lanes.leave(flight)
        for one in following:
            self._start(one)
        if opened:
            self.wake()

    def _finish(self, flight: Flight, recorded: Leased) -> None:
        del self._flights[recorded.message.id]
        self._room.leave(recorded.size)
        if self._draining:
            return
        if flight.leased is not recorded:
            # Due again, and leased again, before we had heard that the outcome was written.
            self._take(flight.leased)
        self._tell_of_room()

    def _reopen(self) -> None:
        """What a lane that opens has waiting in the store is claimed, whoever had the lane looked at."""
        if self._lanes.reopen():
            self.wake()

    def _tell_of_room(self) -> None:
        portion = self._room.portion, self._room.portion_bytes is None
        if portion != self._portion:
            self._portion = portion
            self._reopen()
        if self._starved and not self._room.scarce:
            self._starved = False
            self.wake()

    def _wake_for(self, outcome: Outcome) -> None:
        """Claim what the outcome may have set free, and in time for a retry that is due before the next poll."""
        if frees(outcome):
            self.wake()
        if outcome.next_at is None:
            return
        wait = outcome.next_at - self._clock.now()
        if wait < self._settings.poll:
            self._loop.call_later(max(0.0, wait.total_seconds()), self.wake)

    async def _claim(self) -> timedelta:
        """Lease what is due. Returns how long there will be nothing more, as far as is known."""
        grant = self._granted(self._room.share_for_claim(self._settings.claim_most))
        claim = Claim((), None)
        try:
            claim = await self._store.claim(grant, self._clock.now())
        except StoreError as error:
            _log.warning(
                "no messages could be claimed, that is tried again: %s", error, extra={"action": "message.claim"}
            )
        finally:
            self._room.claimed(claim.lacking)
            self.offer(grant, claim.leased)
        if not claim.leased or self._room.tight:
            await asyncio.sleep(self._settings.spacing.total_seconds())
        if self._left_some(claim, grant):
            return timedelta(0)
        if claim.next_due is None:
            return self._settings.poll
        return min(self._settings.poll, max(timedelta(0), claim.next_due - self._clock.now()))

    def _left_some(self, claim: Claim, grant: LeaseGrant) -> bool:
        """Whether the grant, not a lack of due messages, ended the claim. A closed lane wakes us when it opens."""
        if len(claim.leased) >= grant.room or claim.lacking:
            return True
        return not claim.full_lanes <= self._lanes.closed()

    async def _renew(self) -> None:
        flights = list(self._flights.values())
        leased = [flight.leased for flight in flights]
        if not leased:
            return
        until = self._clock.monotonic() + self._settings.lease.total_seconds()
        renewed = await self._store.renew(leased, until)
        for flight, old, new in zip(flights, leased, renewed, strict=True):
            if flight.leased is not old:
                continue  # leased anew meanwhile
            if new is Lost.ENDED:
                self._drop(flight)
            elif flight.attempt is not None:
                continue  # an attempt goes on when its lease runs out: its outcome is written under the next one
            elif isinstance(new, Leased):
                flight.leased = new
                self._rebind(flight)
            else:
                self._forget(flight)

    def _recall(self, message_ids: Sequence[str]) -> None:
        self._recalls.add(message_ids)
        for flight in filter(None, map(self._flights.get, message_ids)):
            self._drop(flight)

    def _drop(self, flight: Flight) -> None:
        """Its message has ended otherwise. An attempt under way ends at once, before what its end made way for begins;
        if it has ended already, the store refuses the outcome."""
        leased = flight.leased
        if flight.attempt is None:
            self._forget(flight)
        elif not flight.settling and self._flights.get(leased.message.id) is flight:
            _log.info(
                "message %s has ended, so the attempt that was under way is broken off",
                leased.message.id,
                extra={"action": "attempt.drop", "about": leased.message},
            )
            flight.cut_off()
            self._leave_lane(flight)
            self._finish(flight, leased)

    def _rebind(self, flight: Flight) -> None:
        """Its lease is a new one. If it waits, its Endpoint may lead elsewhere now."""
        held = self._flights.get(flight.leased.message.id) is flight
        if held and flight.attempt is None and not self._draining and self._lanes.rebind(flight):
            self._start(flight)

    def _forget(self, flight: Flight) -> None:
        if self._draining or self._flights.get(flight.leased.message.id) is not flight:
            return
        del self._flights[flight.leased.message.id]
        self._room.leave(flight.leased.size)
        if self._lanes.withdraw(flight):
            self.wake()
        self._tell_of_room()

    async def _attempts_ended(self, within: timedelta) -> None:
        attempts = [flight.attempt for flight in self._flights.values() if flight.attempt is not None]
        if attempts:
            await asyncio.wait(attempts, timeout=within.total_seconds())

    async def _grants_ended(self, within: timedelta) -> None:
        if self._room.reserved == 0:
            return
        try:
            async with asyncio.timeout(within.total_seconds()):
                await self._all_offered.wait()
        except TimeoutError:
            _log.warning(
                "room for messages was still reserved when the dispatcher ended", extra={"action": "dispatcher.drain"}
            )
