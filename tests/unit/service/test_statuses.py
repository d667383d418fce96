"""What statuses are made of: problems by name, a few reads for many objects, and no flapping."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.support.fakes import START, FakeClock, FakeReferences
from tests.support.resources import NOW, declared_of, status_errors
from tests.support.stores import accepted, publication

from angarium.domain.declarations import Declared, ObjectRef, Origin
from angarium.domain.views import EndpointView, QueueView, ScheduleView, TopicView
from angarium.resources import manifest
from angarium.resources.conditions import Problem
from angarium.service.statuses import UNREADABLE, Statuses, StatusInput
from angarium.store.sqlite import SqliteStore


class Counting:
    """The store, counting calls by name."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self.calls: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method: Callable[..., Any] = getattr(self._store, name)

        def counted(*args: Any, **kwargs: Any) -> Any:
            self.calls[name] += 1
            return method(*args, **kwargs)

        return counted


class CountingReferences(FakeReferences):
    def __init__(self) -> None:
        super().__init__()
        self.reads: list[str] = []

    async def secret(self, namespace: str, ref: Any) -> bytes:
        self.reads.append(f"{namespace}/{ref.name}/{ref.key}")
        return await super().secret(namespace, ref)


@pytest.fixture
def counting(store: SqliteStore) -> Counting:
    return Counting(store)


@pytest.fixture
def references() -> CountingReferences:
    return CountingReferences()


@pytest.fixture
def statuses(counting: Counting, references: CountingReferences) -> Statuses:
    return Statuses(counting, references, FakeClock())  # type: ignore[arg-type]  # it answers to every method of the store


def secret_header(secret: str, name: str = "Authorization") -> dict[str, Any]:
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": "header"}}}


def endpoint(name: str, **spec: Any) -> Declared:
    return declared_of("Endpoint", spec, name=name, uid=f"uid-{name}")


def schedule(name: str, **spec: Any) -> Declared:
    return declared_of("Schedule", spec, name=name, uid=f"uid-{name}")


def topic(name: str, *endpoints: str, **spec: Any) -> Declared:
    members = [{"name": member, "endpointRef": {"name": member}} for member in endpoints]
    return declared_of("Topic", {"endpoints": members, **spec}, name=name, uid=f"uid-{name}")


def problems(one: StatusInput) -> list[tuple[str, str]]:
    return [(problem.reason, problem.message) for problem in one.problems]


async def only(statuses: Statuses, store: SqliteStore, *declared: Declared) -> StatusInput:
    """The input of the first of these objects, which are stored before."""
    await store.apply(declared, START)
    return (await statuses.desired([declared[0].ref]))[declared[0].ref]


async def test_an_endpoint_without_references_reads_none(
    statuses: Statuses, store: SqliteStore, references: CountingReferences
) -> None:
    declared = endpoint("a")
    assert await only(statuses, store, declared) == StatusInput(declared, EndpointView())
    assert references.reads == []


async def test_what_does_not_exist_is_left_out(statuses: Statuses) -> None:
    assert await statuses.desired([endpoint("a").ref]) == {}
    assert await statuses.desired([]) == {}


async def test_missing_secrets_of_an_endpoint_in_the_order_of_the_spec(
    statuses: Statuses, store: SqliteStore, references: CountingReferences
) -> None:
    tls = {"caSecretRef": {"name": "ca"}, "clientCertificateSecretRef": {"name": "client"}}
    declared = endpoint("a", headers=[secret_header("one"), secret_header("two", "X-Key")], tls=tls)
    references.secrets["shop", "two", "header"] = b"x"
    references.secrets["shop", "client", "tls.crt"] = b"x"
    one = await only(statuses, store, declared)
    assert problems(one) == [
        ("SecretNotFound", "one with key header does not exist in shop"),
        ("SecretNotFound", "ca with key ca.crt does not exist in shop"),
        ("SecretNotFound", "client with key tls.key does not exist in shop"),
    ]
    assert one.recheck
    for name, key in (("one", "header"), ("ca", "ca.crt"), ("client", "tls.key")):
        references.secrets["shop", name, key] = b"x"
    assert (await statuses.desired([declared.ref]))[declared.ref] == StatusInput(declared, EndpointView())


@pytest.mark.parametrize(
    ("destination", "expected"),
    [
        ({"endpointRef": {"name": "reports"}}, [("EndpointNotFound", "Endpoint 'reports' does not exist")]),
        ({"topicRef": {"name": "orders"}}, [("TopicNotFound", "Topic 'orders' does not exist")]),
        ({"url": "http://receiver/"}, []),
    ],
)
async def test_missing_destinations(
    statuses: Statuses, store: SqliteStore, destination: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    declared = schedule("daily", destination=destination)
    one = await only(statuses, store, declared)
    assert problems(one) == expected
    assert not one.recheck
    assert isinstance(one.view, ScheduleView)
    await store.apply([endpoint("reports"), topic("orders", "reports")], START)
    assert (await statuses.desired([declared.ref]))[declared.ref].problems == ()


async def test_an_endpoint_of_another_namespace_is_none(statuses: Statuses, store: SqliteStore) -> None:
    elsewhere = declared_of("Endpoint", name="reports", namespace="bank")
    assert problems(await only(statuses, store, schedule("daily"), elsewhere))[0][0] == "EndpointNotFound"


async def test_a_rejected_topic_is_a_problem_and_a_rejected_endpoint_is_none(
    statuses: Statuses, store: SqliteStore
) -> None:
    bad_topic = declared_of("Topic", {"endpoints": [{"name": "a", "url": "nope"}]}, name="orders")
    to_topic = schedule("daily", destination={"topicRef": {"name": "orders"}})
    assert problems(await only(statuses, store, to_topic, bad_topic))[0][0] == "TopicNotAccepted"
    assert problems(await only(statuses, store, schedule("hourly"), endpoint("reports", url="nope"))) == []


async def test_missing_members_of_a_topic(statuses: Statuses, store: SqliteStore) -> None:
    one = await only(statuses, store, topic("orders", "billing", "audit", "stock"), endpoint("audit"))
    assert problems(one) == [
        ("EndpointNotFound", "Endpoint 'billing' does not exist"),
        ("EndpointNotFound", "Endpoint 'stock' does not exist"),
    ]
    assert one.view == TopicView((("audit", "audit"),), ("billing", "stock"))
    assert not one.recheck


async def test_headers_and_body_of_a_schedule(
    statuses: Statuses, store: SqliteStore, references: CountingReferences
) -> None:
    declared = schedule(
        "daily",
        destination={"url": "http://receiver/"},
        headers=[secret_header("auth")],
        body={"configMapKeyRef": {"name": "texts", "key": "daily"}},
    )
    one = await only(statuses, store, declared)
    assert [reason for reason, _ in problems(one)] == ["SecretNotFound", "ConfigMapNotFound"]
    assert one.recheck
    references.secrets["shop", "auth", "header"] = b"x"
    references.config_maps["shop", "texts", "daily"] = b"x"
    assert (await statuses.desired([declared.ref]))[declared.ref].problems == ()


async def test_destinations_come_before_secrets(statuses: Statuses, store: SqliteStore) -> None:
    one = await only(statuses, store, schedule("daily", headers=[secret_header("auth")]))
    assert [reason for reason, _ in problems(one)] == ["EndpointNotFound", "SecretNotFound"]


CALLED_BACK = {
    "destination": {"url": "http://receiver/"},
    "callback": {"endpointRef": {"name": "audit"}, "headers": [secret_header("one")]},
    "failureCallback": {"endpointRef": {"name": "alerts"}, "headers": [secret_header("two")]},
}


async def test_endpoints_and_secrets_of_callbacks(
    statuses: Statuses, store: SqliteStore, references: CountingReferences
) -> None:
    declared = schedule("daily", **CALLED_BACK)
    one = await only(statuses, store, declared)
    assert problems(one) == [
        ("EndpointNotFound", "Endpoint 'alerts' does not exist"),
        ("EndpointNotFound", "Endpoint 'audit' does not exist"),
        ("SecretNotFound", "one with key header does not exist in shop"),
        ("SecretNotFound", "two with key header does not exist in shop"),
    ]
    assert one.recheck
    references.secrets["shop", "one", "header"] = references.secrets["shop", "two", "header"] = b"x"
    await store.apply([endpoint("audit"), endpoint("alerts")], START)
    assert (await statuses.desired([declared.ref]))[declared.ref].problems == ()


def in_line() -> Declared:
    return schedule("daily", destination={"url": "http://receiver/"}, queueRef={"name": "line"})


def line(**spec: Any) -> Declared:
    return declared_of("Queue", spec, name="line", uid="uid-line")


async def test_a_queue_counts_as_missing_until_a_resource_declares_it(statuses: Statuses, store: SqliteStore) -> None:
    declared = in_line()
    missing = problems(await only(statuses, store, declared))
    assert missing[0][0] == "QueueNotFound"
    assert "a queue of this name that the API owns" in missing[0][1]
    await store.edit(line().ref, lambda _: replace(line(), uid="api_1", origin=Origin.API), START)
    assert problems((await statuses.desired([declared.ref]))[declared.ref]) == missing
    await store.apply([line()], START)
    assert (await statuses.desired([declared.ref]))[declared.ref].problems == ()


async def test_a_rejected_queue_is_a_problem(statuses: Statuses, store: SqliteStore) -> None:
    assert problems(await only(statuses, store, in_line(), line(parallelism=0)))[0][0] == "QueueNotAccepted"


async def test_what_was_made_over_the_api_has_no_status(statuses: Statuses, store: SqliteStore) -> None:
    for made in (line(), topic("orders"), schedule("daily")):
        await store.edit(made.ref, lambda _, made=made: replace(made, origin=Origin.API), START)  # type: ignore[misc]
        assert await statuses.desired([made.ref]) == {}


async def test_a_queue_in_which_messages_wait_is_looked_at_again(statuses: Statuses, store: SqliteStore) -> None:
    """Nobody tells it when the Endpoint that it waits for is resumed."""
    one = await only(statuses, store, line(suspend=True))
    assert (one.view, one.recheck) == (QueueView(), False)
    await accepted(store, publication(namespace="shop", queue="line"))
    one = (await statuses.desired([line().ref]))[line().ref]
    assert (one.view, one.recheck) == (QueueView(1, START), True)


async def test_a_rejected_object_has_no_problem_but_its_rejection(statuses: Statuses, store: SqliteStore) -> None:
    declared = endpoint("a", url="nope", headers=[secret_header("auth")])
    assert await only(statuses, store, declared) == StatusInput(declared, EndpointView())


async def test_a_token_is_left_to_who_keeps_its_secret(statuses: Statuses, store: SqliteStore) -> None:
    declared = declared_of("Token", name="app")
    assert await only(statuses, store, declared) == StatusInput(declared, None)


async def test_an_outage_changes_no_condition(
    statuses: Statuses, store: SqliteStore, references: CountingReferences
) -> None:
    declared = endpoint("a", headers=[secret_header("auth")])
    references.secrets["shop", "auth", "header"] = b"x"
    before = _status(await only(statuses, store, declared), [])
    references.unavailable = True
    one = (await statuses.desired([declared.ref]))[declared.ref]
    assert one.problems == (
        Problem("ReferenceUnavailable", f"Secret 'auth' cannot be read just now: {UNREADABLE}", retry=True),
    )
    assert one.recheck
    assert _status(one, before["conditions"]) == before


async def test_a_right_that_is_missing_is_told_to_whoever_can_grant_it(
    statuses: Statuses, store: SqliteStore, references: CountingReferences
) -> None:
    declared = endpoint("a", headers=[secret_header("auth")])
    references.secrets["shop", "auth", "header"] = b"x"
    before = _status(await only(statuses, store, declared), [])
    references.unavailable = references.forbidden = True
    one = (await statuses.desired([declared.ref]))[declared.ref]
    assert [problem.reason for problem in one.problems] == ["ReferenceForbidden"] and one.recheck
    resolved = next(c for c in _status(one, before["conditions"])["conditions"] if c["type"] == "ResolvedRefs")
    assert (resolved["status"], resolved["reason"]) == ("False", "ReferenceForbidden")
    assert "'auth'" in resolved["message"] and "get on secrets" in resolved["message"]


async def test_a_hundred_objects_cost_as_many_reads_as_one(
    statuses: Statuses, store: SqliteStore, counting: Counting, references: CountingReferences
) -> None:
    objects = [
        built
        for number in range(100)
        for built in (
            endpoint(f"e{number}", headers=[secret_header("shared"), secret_header(f"own-{number % 10}", "X-Own")]),
            schedule(f"s{number}", destination={"endpointRef": {"name": f"e{number}"}}),
            topic(f"t{number}", f"e{number}", "missing"),
        )
    ]
    await store.apply(objects, START)
    found = await statuses.desired([one.ref for one in objects])
    assert len(found) == 300
    assert counting.calls == {"declared_many": 2, "endpoint_views": 1, "topic_views": 1, "schedule_views": 1}
    assert len(references.reads) == len(set(references.reads)) == 11
    assert {ref: one.declared for ref, one in found.items()} == {one.ref: one for one in objects}


async def test_views_come_from_the_store(statuses: Statuses, store: SqliteStore) -> None:
    refs: list[ObjectRef] = []
    for declared in (endpoint("reports"), topic("orders", "reports"), schedule("daily"), declared_of("Token")):
        await store.apply([declared], START)
        refs.append(declared.ref)
    for ref, one in (await statuses.desired(refs)).items():
        status = _status(one, [])
        assert status_errors(ref.kind.value, status) == []
        if ref.kind != "Token":
            assert status["conditions"][0]["status"] == "True"


def _status(one: StatusInput, previous: list[dict[str, Any]]) -> dict[str, Any]:
    return manifest.status(one.declared, one.view, one.problems, previous, NOW)
