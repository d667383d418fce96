"""From a publication to its messages: who is a member, and which value of each leaf field a message gets."""

from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from tests.support.fakes import START
from tests.support.stores import endpoint, topic

from angarium.domain.declarations import (
    Declared,
    DeliveryOptions,
    Destination,
    Endpoint,
    FlowControl,
    Header,
    Rejection,
    Topic,
    TopicMember,
)
from angarium.domain.errors import NotFound
from angarium.domain.fanout import expand, lane_of, lane_under, url_now
from angarium.domain.messages import Acceptance, Message, Publication

SECOND = timedelta(seconds=1)


class Declarations:
    """Some declared objects, found by name."""

    def __init__(self, *declared: Declared) -> None:
        self._declared = {(one.ref.kind, one.ref.name): one for one in declared}

    def endpoint(self, name: str) -> Declared | None:
        return next((one for one in self._of("Endpoint") if one.ref.name == name), None)

    def topic(self, name: str) -> Declared | None:
        return next((one for one in self._of("Topic") if one.ref.name == name), None)

    def endpoints_matching(self, labels: dict[str, str]) -> Sequence[Declared]:
        found = [one for one in self._of("Endpoint") if labels.items() <= one.labels.items()]
        return sorted(found, key=lambda one: one.ref.name)

    def _of(self, kind: str) -> list[Declared]:
        return [one for (of, _), one in self._declared.items() if of == kind]


def published(destination: Destination, *declared: Declared, **given: Any) -> Acceptance:
    number = count(1)
    publication = Publication("shop", destination, START, **given)
    return expand(publication, Declarations(*declared), lambda _: f"msg_{next(number)}")


def to_endpoint(given: DeliveryOptions, declared: DeliveryOptions) -> Message:
    target = endpoint("billing")
    assert isinstance(target.spec, Endpoint)
    target = replace(target, spec=replace(target.spec, options=declared))
    (message,) = published(Destination(endpoint="billing"), target, options=given).messages
    return message


# Leaf field of DeliveryOptions, the message's field, what the request says, what the Endpoint says, the default.
LEAVES: list[tuple[str, str, Any, Any, Any]] = [
    ("method", "method", "PUT", "PATCH", "POST"),
    ("timeout", "timeout", 7 * SECOND, 30 * SECOND, timedelta(minutes=15)),
    ("retry_limit", "max_retries", 0, 5, 3),
    ("retry_limit", "max_retries", 100, 0, 3),
    ("retry_delay", "retry_delay", "0", "1000", None),
]


def test_every_leaf_field_has_a_row() -> None:
    assert {leaf for leaf, *_ in LEAVES} | {"headers", "flow_control"} == {
        field.name for field in fields(DeliveryOptions)
    }


@pytest.mark.parametrize("leaf, field, own, declared, default", LEAVES)
def test_precedence(leaf: str, field: str, own: Any, declared: Any, default: Any) -> None:
    """Request or Schedule, then Endpoint, then default: for this field, whatever the others are."""
    of_request, of_endpoint = DeliveryOptions(**{leaf: own}), DeliveryOptions(**{leaf: declared})
    none = DeliveryOptions()
    others = DeliveryOptions("GET", (Header("X-A", "1"),), SECOND, 9, "9")
    assert getattr(to_endpoint(of_request, of_endpoint), field) == own
    assert getattr(to_endpoint(of_request, others), field) == own
    assert getattr(to_endpoint(none, of_endpoint), field) == declared
    assert getattr(to_endpoint(replace(others, **{leaf: None}), of_endpoint), field) == declared
    assert getattr(to_endpoint(none, none), field) == default
    (to_url,) = published(Destination(url="https://e.test/"), options=of_request).messages
    assert getattr(to_url, field) == own


def test_flow_control_is_the_requests_or_else_that_of_the_endpoint_under_the_endpoints_key() -> None:
    own, declared = FlowControl("mine", 1), FlowControl("", rate=7, period=SECOND)
    none = DeliveryOptions()
    of_request, of_endpoint = replace(none, flow_control=own), replace(none, flow_control=declared)
    assert to_endpoint(of_request, of_endpoint).flow_control == own
    assert to_endpoint(none, of_endpoint).flow_control == replace(declared, key="endpoint/billing")
    assert to_endpoint(none, none).flow_control is None
    (to_url,) = published(Destination(url="https://e.test/"), options=of_request).messages
    assert to_url.flow_control == own


def test_a_lane_is_a_destination_and_a_key_of_ones_own() -> None:
    assert lane_under("e.test", None, None) == "e.test"
    assert lane_under("e.test", None, "mine") == "e.test#mine"
    lane = "endpoint/billing"
    assert lane_under(lane, "billing", None) == lane_under(lane, "billing", "endpoint/billing") == lane
    assert lane_under(lane, "billing", "endpoint/other") == "endpoint/billing#endpoint/other"


def test_the_endpoints_headers_are_not_frozen() -> None:
    own, declared = (Header("X-A", "1"),), (Header("X-A", "2"), Header("X-B", "3"))
    message = to_endpoint(DeliveryOptions(headers=own), DeliveryOptions(headers=declared))
    assert message.headers == own


def test_a_message_to_an_endpoint_holds_its_name_and_no_url() -> None:
    accepted = published(Destination(endpoint="billing"), endpoint("billing", "https://b.test/"))
    (message,) = accepted.messages
    assert (message.url, message.endpoint, message.topic, message.endpoint_name) == (None, "billing", None, None)
    assert accepted.urls == ("https://b.test/",)


def test_members_by_list_and_by_selector() -> None:
    """List order, then the selected ones by name; one that is both counts once, under the list's name."""
    labels = {"events": "orders"}
    orders = topic("orders", match=labels)
    assert isinstance(orders.spec, Topic)
    listed = (TopicMember("second", endpoint="zeta"), TopicMember("first", url="https://a.test/"))
    orders = replace(orders, spec=replace(orders.spec, members=listed))
    selected = [replace(endpoint(name, f"https://{name}.test/"), labels=labels) for name in ("zeta", "beta", "alpha")]
    accepted = published(Destination(topic="orders"), orders, *selected, endpoint("other"))
    members = [(message.endpoint_name, message.endpoint, message.url) for message in accepted.messages]
    assert members == [
        ("second", "zeta", None),
        ("first", None, "https://a.test/"),
        ("alpha", "alpha", None),
        ("beta", "beta", None),
    ]
    assert accepted.urls == ("https://zeta.test/", "https://a.test/", "https://alpha.test/", "https://beta.test/")
    assert {message.topic for message in accepted.messages} == {"orders"}
    assert len({message.id for message in accepted.messages}) == 4


def test_members_have_their_own_options() -> None:
    slow = endpoint("slow")
    assert isinstance(slow.spec, Endpoint)
    slow = replace(slow, spec=replace(slow.spec, options=DeliveryOptions(timeout=99 * SECOND)))
    accepted = published(Destination(topic="orders"), topic("orders", "slow", "quick"), slow, endpoint("quick"))
    assert [message.timeout for message in accepted.messages] == [99 * SECOND, timedelta(minutes=15)]


def test_a_missing_member_gets_no_message_and_is_named() -> None:
    accepted = published(Destination(topic="orders"), topic("orders", "gone", "billing"), endpoint("billing"))
    assert [message.endpoint for message in accepted.messages] == ["billing"]
    assert accepted.missing == ("gone",)


def test_members_that_cannot_be_called_now_get_their_message() -> None:
    suspended = endpoint("suspended", "https://s.test/")
    assert isinstance(suspended.spec, Endpoint)
    suspended = replace(suspended, spec=replace(suspended.spec, suspend=True))
    rejected = replace(endpoint("rejected"), spec=Rejection("InvalidURL", "spec.url: is empty"))
    accepted = published(Destination(topic="orders"), topic("orders", "suspended", "rejected"), suspended, rejected)
    assert [message.endpoint for message in accepted.messages] == ["suspended", "rejected"]
    assert accepted.urls == ("https://s.test/", "endpoint:rejected")


@pytest.mark.parametrize(
    "destination, declared, named",
    [
        (Destination(endpoint="billing"), (), "Endpoint 'billing' does not exist"),
        (Destination(topic="orders"), (), "Topic 'orders' does not exist"),
        (Destination(topic="orders"), (topic("orders"),), "has no member"),
        (Destination(topic="orders"), (topic("orders", "gone"),), "has no member"),
        (Destination(topic="orders"), (replace(topic("orders"), spec=Rejection("X", "y")),), "is not accepted"),
        (Destination(topic="billing"), (endpoint("billing"),), "Topic 'billing' does not exist"),
    ],
)
def test_a_destination_that_is_not_there(destination: Destination, declared: tuple[Declared, ...], named: str) -> None:
    with pytest.raises(NotFound, match=named):
        published(destination, *declared)


@pytest.mark.parametrize("asked, due", [(None, START), (START - SECOND, START), (START + SECOND, START + SECOND)])
def test_the_past_means_now(asked: Any, due: Any) -> None:
    (message,) = published(Destination(url="https://e.test/"), not_before=asked).messages
    assert message.not_before == due


def test_the_url_now() -> None:
    assert url_now("https://own.test/", None, None) == "https://own.test/"
    assert url_now(None, Endpoint("https://b.test/"), "billing") == "https://b.test/"
    assert url_now(None, None, "billing") == "endpoint:billing"


@pytest.mark.parametrize(
    "url, name, lane",
    [
        (None, "billing", "endpoint/billing"),
        ("https://E.test:8443/a?b", None, "e.test:8443"),
        ("http://e.test/other", None, "e.test"),
        ("http://User:secret@e.test/", None, "e.test"),
    ],
)
def test_lanes(url: str | None, name: str | None, lane: str) -> None:
    assert lane_of(url, name) == lane
