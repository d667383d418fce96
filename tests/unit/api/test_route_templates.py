"""How paths are compared with the templates of routes (contract 1, 7): byte for byte, the first match."""

from collections.abc import Mapping

import pytest

from angarium.api.errors import Refusal
from angarium.api.exchange import Answer, Call
from angarium.api.routes import Need, Route, allowed, resolve


async def nobody(call: Call) -> Answer:
    return Answer()


def route(method: str, path: str, *, slash: bool = True) -> Route:
    return Route(method, path, Need.READ, nobody, slash)


ROUTES = (
    route("POST", "/v2/publish/{destination...}"),
    route("POST", "/v2/enqueue/{queue}/{destination...}"),
    route("DELETE", "/v2/messages"),
    route("GET", "/v2/messages/{id}"),
    route("DELETE", "/v2/messages/{id}"),
    route("GET", "/v2/dlq"),
    route("POST", "/v2/dlq/retry", slash=False),
    route("POST", "/v2/dlq/retry/{id}"),
    route("DELETE", "/v2/dlq"),
    route("POST", "/v2/schedules/{id}/pause"),
    route("POST", "/v2/schedules/{destination...}"),
    route("POST", "/v2/topics/{name}/endpoints"),
    route("DELETE", "/v2/topics/{name}/endpoints"),
    route("GET", "/v2/flow"),
    route("GET", "/v2/flow/{key...}"),
    route("POST", "/v2/flow/{key...}/pin"),
)


def found(method: str, path: str) -> tuple[str, Mapping[str, str]]:
    match, parameters = resolve(ROUTES, method, path)
    return match.path, parameters


@pytest.mark.parametrize(
    ("method", "path", "template", "parameters"),
    [
        ("POST", "/v2/publish/https://e.test//a/%2F\n", ROUTES[0], {"destination": "https://e.test//a/%2F\n"}),
        ("POST", "/v2/publish/", ROUTES[0], {"destination": ""}),
        ("POST", "/v2/enqueue/q%20/https://e.test", ROUTES[1], {"queue": "q%20", "destination": "https://e.test"}),
        ("GET", "/v2/messages/msg_1", ROUTES[3], {"id": "msg_1"}),
        ("HEAD", "/v2/messages/msg_1", ROUTES[3], {"id": "msg_1"}),
        ("GET", "/v2/dlq/", ROUTES[5], {}),
        ("POST", "/v2/dlq/retry", ROUTES[6], {}),
        ("POST", "/v2/schedules/daily/pause", ROUTES[9], {"id": "daily"}),
        ("POST", "/v2/schedules/daily/pause/", ROUTES[9], {"id": "daily"}),
        ("POST", "/v2/schedules/https://e.test/pause", ROUTES[10], {"destination": "https://e.test/pause"}),
        ("POST", "/v2/topics/t/endpoints/", ROUTES[11], {"name": "t"}),
        ("GET", "/v2/flow/", ROUTES[13], {}),
        ("GET", "/v2/flow/k/1/pin", ROUTES[14], {"key": "k/1/pin"}),
        ("POST", "/v2/flow/k/1/pin", ROUTES[15], {"key": "k/1"}),
        ("POST", "/v2/flow/pin/pin", ROUTES[15], {"key": "pin"}),
    ],
)
def test_a_path_finds_its_route(method: str, path: str, template: Route, parameters: dict[str, str]) -> None:
    assert found(method, path) == (template.path, parameters)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("DELETE", "/v2/messages/", 404),
        ("DELETE", "/v2/dlq/", 404),
        ("DELETE", "/v2/flow/", 404),
        ("PATCH", "/v2/dlq/", 405),
        ("POST", "/v2/dlq/retry/", 404),
        ("DELETE", "/v2/topics/t/endpoints/", 405),
        ("DELETE", "/v2/publish/https://e.test/", 405),
        ("GET", "/v2/messages/msg_1/", 404),
        ("GET", "/v2/messages//", 404),
        ("GET", "/v2/dlq//", 404),
        ("POST", "/v2/flow/pin", 405),
        ("POST", "/v2/flow//pin", 405),
        ("GET", "/v2//dlq", 404),
        ("GET", "/V2/dlq", 404),
        ("GET", "/v2/dlq\n", 404),
    ],
)
def test_a_path_without_a_route_is_refused(method: str, path: str, status: int) -> None:
    with pytest.raises(Refusal) as caught:
        resolve(ROUTES, method, path)
    assert caught.value.status == status
    assert ("Allow" in caught.value.headers) == (status == 405)


def test_the_methods_of_a_path() -> None:
    assert allowed(ROUTES, "/v2/messages/x") == "DELETE, GET, HEAD, OPTIONS"
    assert allowed(ROUTES, "/v2/messages") == "DELETE, OPTIONS"
