from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from tests.support.fakes import START
from tests.support.stores import (
    DAY,
    NS,
    SECOND,
    accepted,
    changed,
    delivered,
    endpoint,
    failed,
    firing,
    grant,
    leased,
    postponed,
    publication,
    retry,
    schedule,
    topic,
)

from angarium.domain.declarations import ConcurrencyPolicy, Declared, Destination, Rejection, Timing
from angarium.domain.firing import DueSchedule, Fired
from angarium.domain.messages import LogState, MessageState, Trigger
from angarium.domain.ports import Store
from angarium.domain.views import HistoryFilter, ScheduleView

MINUTE = timedelta(minutes=1)
REJECTED = Rejection("InvalidCron", "spec.cron: no")


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


class TestFirstSightAndEdits:
    async def test_a_new_schedule_is_due_at_once_and_counts_from_now(self, store: Store) -> None:
        found = await begun(store, schedule(run_now="there already"))
        assert (found.state.considered_until, found.state.run_now_seen) == (START, "there already")

    async def test_a_known_last_slot_or_deadline_reaches_back(self, store: Store) -> None:
        found = await begun(store, schedule(last_slot=START - MINUTE))
        assert found.state.considered_until == START - MINUTE
        other = await begun(store, schedule(uid="new", starting_deadline=10 * MINUTE))
        assert other.state.considered_until == START - 10 * MINUTE

    async def test_the_last_slot_is_kept_from_first_sight_on_unless_it_lies_ahead(self, store: Store) -> None:
        found = await begun(store, schedule(last_slot=START - MINUTE))
        assert (await shown(store)).last_slot == START - MINUTE
        await store.apply([changed(schedule(last_slot=START + 365 * DAY))], START)
        assert (await shown(store)).last_slot == START - MINUTE, "a later status is not believed"
        await store.remove([(found.declared.ref, None)], START)
        ahead = await begun(store, schedule(uid="restored", last_slot=START + 365 * DAY))
        await fire(store, ahead, considered_until=START)
        assert (await shown(store)).last_slot is None

    async def test_an_edit_of_timing_voids_past_slots_and_one_of_labels_does_not(self, store: Store) -> None:
        first = schedule()
        await begun(store, first)
        labelled = replace(first, labels={"a": "b"}, fingerprint="labels")
        assert (await begun(store, labelled, START + MINUTE)).state.considered_until == START
        retimed = changed(first, spec=replace(first.spec, timing=Timing(every=5 * MINUTE, anchor=START)))
        found = await begun(store, retimed, START + 2 * MINUTE)
        assert found.state.considered_until == START + 2 * MINUTE

    async def test_suspended_slots_are_not_missed(self, store: Store) -> None:
        first = schedule()
        await begun(store, first)
        held = changed(first, spec=replace(first.spec, suspend=True))
        await store.apply([held], START + MINUTE)
        assert await due(store, START + DAY) == ()
        found = await begun(store, changed(held, spec=first.spec), START + 9 * MINUTE)
        assert found.state.considered_until == START + 9 * MINUTE

    async def test_a_rejected_schedule_is_never_due(self, store: Store) -> None:
        await store.apply([schedule(spec=REJECTED, run_now="x")], START)
        assert await due(store, START + DAY) == ()
        found = await begun(store, changed(schedule()), START + MINUTE)
        assert found.state.considered_until == START + MINUTE

    async def test_run_now_makes_it_due_even_when_suspended(self, store: Store) -> None:
        held = schedule(suspend=True)
        await store.apply([held], START)
        assert await due(store, START) == ()
        asked = replace(held, run_now="1", fingerprint="asked")
        found = await begun(store, asked, START + MINUTE)
        assert (found.declared.run_now, found.state.run_now_seen) == ("1", None)
        fired = await fire(store, found, manual=True, wake_at=None, now=START + MINUTE)
        assert fired.runs[0].run.trigger is Trigger.MANUAL and fired.runs[0].acceptance
        assert await due(store, START + DAY) == ()
        await store.apply([replace(asked, labels={"a": "b"}, fingerprint="labelled")], START + 2 * MINUTE)
        assert await due(store, START + DAY) == ()

    async def test_a_removed_schedule_is_forgotten_and_its_messages_stay(self, store: Store) -> None:
        found = await begun(store, schedule())
        fired = await fire(store, found, START)
        await store.remove([(schedule().ref, None)], START)
        assert await due(store, START + DAY) == ()
        assert fired.runs[0].acceptance
        message = fired.runs[0].acceptance.messages[0]
        assert await store.message(NS, message.id, START) is not None
        assert (await fire(store, found, START + MINUTE)).stale
        found = await begun(store, schedule(), START + 2 * MINUTE)
        assert found.state.considered_until == START + 2 * MINUTE

    async def test_when_the_next_one_wakes(self, store: Store) -> None:
        first, second = schedule("a"), schedule("b")
        await store.apply([first, second], START)
        one, other = await due(store)
        await store.fire([firing(one, wake_at=START + MINUTE), firing(other, wake_at=START + 5 * MINUTE)], None)
        found = await store.due_schedules(START, 100)
        assert (found.schedules, found.next_wake) == ((), START + MINUTE)
        found = await store.due_schedules(START + MINUTE, 100)
        assert [item.declared.ref.name for item in found.schedules] == ["a"]
        assert found.next_wake == START + 5 * MINUTE


class TestFire:
    async def test_a_slot_becomes_a_run_with_messages(self, store: Store) -> None:
        found = await begun(store, schedule())
        fired = await fire(store, found, START, START + SECOND, room=1)
        assert [run.run.slot for run in fired.runs] == [START, START + SECOND]
        (item,) = fired.leased
        assert item.message.run == fired.runs[0].run and item.message.body == b"report"
        view = await store.message(NS, item.message.id, START)
        assert view is not None and view.message == item.message
        page = await store.log(HistoryFilter(NS, schedules=["report"], states=[LogState.CREATED]))
        assert len(page.items) == 2
        (claimed,) = (await store.claim(grant(), START)).leased
        assert claimed.message.run == fired.runs[1].run

    async def test_a_slot_is_stored_once_ever(self, store: Store) -> None:
        found = await begun(store, schedule())
        await fire(store, found, START, considered_until=found.state.considered_until)
        found = await again(store)
        fired = await fire(store, found, START, START + SECOND)
        assert [run.run.slot for run in fired.runs] == [START + SECOND]

    async def test_a_run_now_value_fires_once(self, store: Store) -> None:
        first = replace(schedule(), run_now="1", fingerprint="asked")
        await store.apply([schedule()], START)
        found = await begun(store, first)
        assert len((await fire(store, found, manual=True)).runs) == 1
        found = await begun(store, replace(first, run_now="2", fingerprint="again"))
        await fire(store, found, manual=True)
        found = await begun(store, replace(first, fingerprint="back"))
        assert (await fire(store, found, manual=True)).runs == ()

    @pytest.mark.parametrize("what", ["state", "fingerprint", "gone"])
    async def test_a_stale_decision_stores_nothing(self, store: Store, what: str) -> None:
        found = await begun(store, schedule())
        if what == "state":
            await fire(store, found, START + SECOND)
        elif what == "fingerprint":
            await store.apply([changed(schedule())], START)
        else:
            await store.remove([(schedule().ref, None)], START)
        before = len((await store.log(HistoryFilter(NS))).items)
        fired = await fire(store, found, START + 2 * SECOND, room=1)
        assert fired.stale and fired.runs == () and fired.leased == ()
        assert len((await store.log(HistoryFilter(NS))).items) == before

    async def test_forbid_skips_while_a_run_is_active(self, store: Store) -> None:
        found = await begun(store, schedule(policy=ConcurrencyPolicy.FORBID))
        fired = await fire(store, found, START, START + SECOND, room=9)
        assert [run.forbidden for run in fired.runs] == [False, True]
        fired_again = await fire(store, await again(store), START + 2 * SECOND, skipped=3)
        assert [run.forbidden for run in fired_again.runs] == [True]
        await store.record([delivered(fired.leased[0])], START)
        fired = await fire(store, await again(store), START + 3 * SECOND)
        assert [run.forbidden for run in fired.runs] == [False]
        view = (await store.schedule_views([schedule().ref]))[schedule().ref]
        assert view.skipped == 1 + 1 + 3 and len(view.runs) == 2
        assert view.last_slot == START + 3 * SECOND

    async def test_run_now_minds_no_policy(self, store: Store) -> None:
        first = schedule(policy=ConcurrencyPolicy.FORBID)
        await fire(store, await begun(store, first), START)
        found = await begun(store, replace(first, run_now="1", fingerprint="asked"))
        fired = await fire(store, found, manual=True)
        assert fired.runs[0].acceptance and not fired.runs[0].forbidden

    async def test_replace_cancels_what_is_active(self, store: Store) -> None:
        found = await begun(store, schedule(policy=ConcurrencyPolicy.REPLACE))
        fired = await fire(store, found, START, room=1)
        (old,) = fired.leased
        fired = await fire(store, await again(store), START + SECOND, START + 2 * SECOND, room=9)
        first, second = fired.runs
        assert first.canceled_ids == (old.message.id,)
        assert first.acceptance and second.canceled_ids == (first.acceptance.messages[0].id,)
        assert [item.message.run for item in fired.leased] == [second.run], "a canceled message is not handed out"
        assert await store.record([delivered(old)], START) == [False]
        view = await store.message(NS, old.message.id, START)
        assert view is not None and view.state is MessageState.CANCELED
        page = await store.log(HistoryFilter(NS, message_ids=[old.message.id]))
        assert [entry.state for entry in page.items[:2]] == [LogState.CANCELED, LogState.CANCEL_REQUESTED]
        assert (await store.backlog()).delivering == 1 and (await store.backlog()).waiting == 0

    async def test_a_missing_destination_is_a_failed_run(self, store: Store) -> None:
        found = await begun(store, schedule(destination=Destination(endpoint="gone")))
        fired = await fire(store, found, START, now=START + SECOND)
        assert fired.runs[0].problem is not None and fired.runs[0].problem[0] == "RefNotFound"
        view = (await store.schedule_views([schedule().ref]))[schedule().ref]
        assert (view.runs[0].reason, view.runs[0].members) == ("RefNotFound", ())
        assert "gone" in view.runs[0].error
        assert view.last_failure == START + SECOND and view.last_success is None

    async def test_a_problem_is_a_failed_run(self, store: Store) -> None:
        found = await begun(store, schedule())
        problem = ("ConfigMapNotFound", "ConfigMap 'report' does not exist")
        fired = await fire(store, found, START, publication=None, problem=problem)
        assert fired.runs[0].problem == problem
        view = (await store.schedule_views([schedule().ref]))[schedule().ref]
        assert (view.runs[0].reason, view.runs[0].error) == problem


class TestViews:
    async def test_newest_runs_first_with_members_and_attempts(self, store: Store) -> None:
        await store.apply([endpoint("a"), endpoint("b"), topic("orders", "a", "b")], START)
        found = await begun(store, schedule(destination=Destination(topic="orders"), history_limit=2))
        for n in range(3):
            await fire(store, found, START + n * SECOND)
            found = await again(store)
        a, b = (await store.claim(grant(2), START)).leased
        await store.record([retry(a), retry(b)], START)
        for n in range(2, 9):
            item = next(i for i in (await store.claim(grant(), START + 60 * SECOND)).leased if i.message == b.message)
            await store.record([retry(item) if n < 8 else failed(item)], START + n * SECOND)
        view = (await store.schedule_views([schedule().ref]))[schedule().ref]
        assert [run.run.slot for run in view.runs] == [START + 2 * SECOND, START + SECOND]
        assert view.next_slot == START + MINUTE and view.last_slot == START + 2 * SECOND
        other = changed(schedule(destination=Destination(topic="orders")))
        await store.apply([other], START)
        first_run = (await store.schedule_views([other.ref]))[other.ref].runs[-1]
        worst, better = first_run.members
        assert (worst.name, worst.state, worst.attempts) == ("member-b", MessageState.FAILED, 8)
        assert [each.number for each in worst.recent_attempts] == [4, 5, 6, 7, 8]
        assert (worst.attempts_allowed, worst.finished_at) == (4, START + 8 * SECOND)
        assert better.state is not MessageState.FAILED and better.attempts >= 1

    async def test_a_run_with_more_members_than_are_listed_is_counted(self, store: Store) -> None:
        names = [f"e{n:03}" for n in range(130)]
        await store.apply([*map(endpoint, names), topic("orders", *names)], START)
        found = await begun(store, schedule(destination=Destination(topic="orders")))
        sent = (await fire(store, found, START, room=200)).leased
        await store.record([failed(sent[0]), *map(delivered, sent[1:120])], START + SECOND)
        (run,) = (await store.schedule_views([schedule().ref]))[schedule().ref].runs
        assert len(run.members) == 100 and run.members[0].state is MessageState.FAILED
        states = {MessageState.FAILED: 1, MessageState.DELIVERED: 119, MessageState.DELIVERING: 10}
        assert run.counts == states

    async def test_results_of_runs(self, store: Store) -> None:
        await store.apply([endpoint("a"), endpoint("b"), topic("orders", "a", "b")], START)
        found = await begun(store, schedule(destination=Destination(topic="orders")))
        a, b = (await fire(store, found, START, room=9)).leased
        await store.record([delivered(a)], START + SECOND)
        ref = found.declared.ref
        assert (await store.schedule_views([ref]))[ref].last_success is None, "the run is still active"
        await store.record([failed(b)], START + 2 * SECOND)
        view = (await store.schedule_views([ref]))[ref]
        assert (view.last_success, view.last_failure) == (None, START + 2 * SECOND)
        one, two = (await fire(store, await again(store), START + SECOND, room=9)).leased
        three, four = (await fire(store, await again(store), START + 2 * SECOND, room=9)).leased
        ends = [delivered(one), delivered(two), failed(three), delivered(four)]
        await store.record(ends, START + 5 * SECOND)
        view = (await store.schedule_views([ref]))[ref]
        assert (view.last_success, view.last_failure) == (START + 5 * SECOND, START + 5 * SECOND)

    async def test_suspended_and_unknown(self, store: Store) -> None:
        held, unknown = schedule(suspend=True), schedule("unknown")
        await store.apply([held], START)
        views = await store.schedule_views([held.ref, unknown.ref])
        assert list(views) == [held.ref] and views[held.ref].next_slot is None

    async def test_endpoint_views(self, store: Store) -> None:
        declared, quiet = endpoint("a"), endpoint("quiet")
        await store.apply([declared, quiet], START)
        one, two, three = await leased(store, *(publication(endpoint="a") for _ in range(3)))
        await store.record([delivered(one), failed(two, 503), retry(three, status=None)], START)
        views = await store.endpoint_views([declared.ref, quiet.ref, endpoint("unknown").ref])
        view = views[declared.ref]
        assert (view.consecutive_failures, view.last_message_id) == (2, three.message.id)
        assert view.last_attempt is not None
        assert (view.last_attempt.status, view.last_attempt.number) == (0, 1)
        assert view.last_attempt.error == "Timeout: no answer within 30s"
        assert views[quiet.ref].last_attempt is None and len(views) == 2
        (item,) = (await store.claim(grant(), START + 10 * SECOND)).leased
        await store.record([failed(item)], START)
        assert (await store.endpoint_views([declared.ref]))[declared.ref].consecutive_failures == 3
        await store.apply([endpoint("a", uid="another")], START)
        assert (await store.endpoint_views([declared.ref]))[declared.ref].last_attempt is None

    async def test_the_attempt_that_ended_last_counts_whichever_began_first(self, store: Store) -> None:
        """Two Endpoints under fan-out, outcomes in another order than the leases, in one write and in several."""
        await store.apply([endpoint("a"), endpoint("b"), topic("orders", "a", "b")], START)
        both = [publication(topic="orders") for _ in range(3)]
        held = {"a": [], "b": []}  # type: ignore[var-annotated]
        for one in await leased(store, *both):
            held[one.message.endpoint].append(one)
        first, second, third = held["a"]
        await store.record([failed(third), failed(held["b"][0], 503)], START)
        assert await self.seen(store, "a") == (1, 500, third.message.id)
        await store.record([delivered(first)], START)
        assert await self.seen(store, "a") == (0, 200, first.message.id)
        await store.record([failed(second, 502), failed(held["b"][2]), failed(held["b"][1], None)], START)
        assert await self.seen(store, "a") == (1, 502, second.message.id)
        assert await self.seen(store, "b") == (3, 0, held["b"][1].message.id)

    async def test_what_was_canceled_taken_or_postponed_does_not_count(self, store: Store) -> None:
        await store.apply([endpoint("a")], START)
        one, two, three = await leased(store, *(publication(endpoint="a") for _ in range(3)))
        await store.cancel(HistoryFilter(NS, message_ids=(one.message.id,)), 10, START)
        await store.record([failed(one), postponed(two)], START)
        assert await self.seen(store, "a") == (0, None, "")
        await store.void_leases("another")
        assert await store.record([failed(three)], START) == [False]
        assert await self.seen(store, "a") == (0, None, "")

    async def test_what_was_seen_of_another_url_is_forgotten(self, store: Store) -> None:
        """It says nothing of the URL that is declared now; what else is changed leaves it standing."""
        declared = endpoint("a", "https://old.test/")
        await store.apply([declared], START)
        one, two = await leased(store, publication(endpoint="a"), publication(endpoint="a"))
        await store.record([failed(one)], START)
        declared = changed(declared, labels={"events": "orders"})
        await store.apply([declared], START)
        assert await self.seen(store, "a") == (1, 500, one.message.id)
        declared = changed(declared, spec=endpoint("a", "https://new.test/").spec)
        await store.apply([declared], START)
        assert await self.seen(store, "a") == (0, None, "")
        (three,) = await leased(store, publication(endpoint="a"))
        await store.record([failed(two)], START)
        assert await self.seen(store, "a") == (0, None, ""), "it was on its way to the old one"
        await store.record([delivered(three)], START)
        assert await self.seen(store, "a") == (0, 200, three.message.id)
        await store.apply([changed(declared, spec=REJECTED)], START)
        assert await self.seen(store, "a") == (0, None, "")

    @staticmethod
    async def seen(store: Store, name: str) -> tuple[int, int | None, str]:
        ref = endpoint(name).ref
        view = (await store.endpoint_views([ref]))[ref]
        return view.consecutive_failures, view.last_attempt and view.last_attempt.status, view.last_message_id

    async def test_topic_views(self, store: Store) -> None:
        declared = topic("orders", "a", "gone", match={"events": "orders"})
        await store.apply([endpoint("a"), endpoint("b", labels={"events": "orders"}), declared], START)
        view = (await store.topic_views([declared.ref]))[declared.ref]
        assert view.members == (("member-a", "a"), ("b", "b")) and view.missing == ("gone",)


async def test_backlog_counts_kinds(store: Store) -> None:
    await store.apply([endpoint("a"), endpoint("b"), schedule()], START)
    await store.remove([(endpoint("b").ref, None)], START)
    await accepted(store, publication())
    backlog = await store.backlog()
    assert backlog.by_kind == {"Endpoint": 1, "Schedule": 1} and backlog.waiting == 1
