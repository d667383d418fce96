"""What the scheduler asks of a store, short to write: the Schedules that are due, and firing one of them."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from tests.support.fakes import START
from tests.support.stores import firing, grant, schedule

from angarium.domain.declarations import Declared
from angarium.domain.firing import DueSchedule, Fired
from angarium.domain.ports import Store
from angarium.domain.views import ScheduleView

MINUTE = timedelta(minutes=1)


async def due(store: Store, now: datetime = START) -> Sequence[DueSchedule]:
    return (await store.due_schedules(now, 100)).schedules


async def begun(store: Store, declared: Declared, now: datetime = START) -> DueSchedule:
    """The Schedule as the scheduler gets it after this apply."""
    await store.apply([declared], now)
    (found,) = await due(store, now)
    return found


async def fire(store: Store, due_: DueSchedule, *slots: datetime, room: int = 0, **given: object) -> Fired:
    (fired,) = await store.fire([firing(due_, *slots, **given)], grant(room) if room else None)
    return fired


async def again(store: Store, after: datetime = START + MINUTE) -> DueSchedule:
    """The only Schedule, when it is looked at next."""
    (found,) = await due(store, after)
    return found


async def shown(store: Store) -> ScheduleView:
    return (await store.schedule_views([schedule().ref]))[schedule().ref]
