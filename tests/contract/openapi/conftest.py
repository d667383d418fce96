"""The API over the real store, as the other contract tests have it, and its description."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from tests.contract.api.conftest import api, clock, limits, store  # noqa: F401
from tests.contract.openapi.description import Description
from tests.support.api import TOKEN, Api, Reply

from angarium.api.exchange import parse_target
from angarium.api.routes import resolve

_PARAMETER = re.compile(r"\{[^}]*\}")


def shape(path: str) -> str:
    """A path without the names of its parameters: two operations of one path must call them the same."""
    return _PARAMETER.sub("{}", path)


@dataclass
class Checked:
    """Requests whose answers have to be described, down to every field."""

    api: Api
    description: Description

    async def __call__(self, method: str, target: str, *headers: tuple[str, str], body: bytes = b"") -> Reply:
        reply = await self.api.request(method, target, *headers, body=body)
        self.check(method, target, reply)
        return reply

    def check(self, method: str, target: str, reply: Reply) -> None:
        route, _ = resolve(self.api.server.routes, method, parse_target(target).path)
        paths = {shape(path): path for _, path, _ in self.description.operations()}
        is_json = reply.body and reply.headers["content-type"] == "application/json"
        self.description.check(method, paths[shape(route.path)], reply.status, reply.json if is_json else None)


@pytest.fixture(scope="session")
def whole() -> Description:
    """The description, parsed once."""
    return Description()


@pytest.fixture
def description(whole: Description) -> Iterator[Description]:
    """The description, of which nothing has been seen yet."""
    whole.seen.clear()
    whole.answered.clear()
    yield whole


@pytest.fixture
def checked(api: Api, description: Description) -> Checked:  # noqa: F811
    return Checked(api, description)


def bearer(token: str = TOKEN) -> tuple[str, str]:
    return ("Authorization", f"Bearer {token}")
