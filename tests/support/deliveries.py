"""What the API took goes out through the real attempts, to a sender that answers as it is told."""

import os

from tests.support.api import Api
from tests.support.fakes import FakeReferences, FakeSender

from angarium.domain.messages import LeaseGrant, Response, Result
from angarium.domain.requests import OutgoingRequest
from angarium.engine.attempt import Attempts
from angarium.service.keys import Keys


async def deliver(api: Api, *answers: Response | Exception) -> list[OutgoingRequest]:
    """One attempt at everything that is due, in turn answered so (200 unless said); the requests that were made."""
    sender = FakeSender([*answers] or [Response(200)], clock=api.clock)
    attempts = Attempts(sender, FakeReferences(), Keys(api.store, os.urandom), api.clock)
    claim = await api.store.claim(LeaseGrant("test", until=1e12, room=1000, lane_room=1000), api.clock.now())
    outcomes = [await attempts.perform(leased) for leased in claim.leased]
    assert Result.POSTPONED not in {outcome.result for outcome in outcomes}
    assert all(await api.store.record(outcomes, api.clock.now()))
    return sender.requests


def line(request: OutgoingRequest, name: str) -> str | None:
    """The value of a header of a request."""
    return next((value for key, value in request.headers if key.lower() == name.lower()), None)
