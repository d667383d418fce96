"""Every public method of the official Python SDK's clients, sync and async, at a server as a developer starts it."""

import pytest
from qstash import AsyncQStash, QStash
from tests.e2e.sdk.python_cases import SUCCESSES
from tests.e2e.sdk.python_checks import Checks
from tests.e2e.sdk.python_failures import FAILURES
from tests.support.angarium import Angarium
from tests.support.receiver import Receiver
from tests.support.sdk import public_methods

CLIENTS = {"sync": QStash, "async": AsyncQStash}
METHODS = {name: public_methods(client("any token")) for name, client in CLIENTS.items()}
CASES = [(name, method) for name, methods in METHODS.items() for method in methods]


@pytest.fixture
def checks(client: str, angarium: Angarium, destination: Receiver) -> Checks:
    return Checks(CLIENTS[client], angarium, destination)


@pytest.mark.parametrize("client", CLIENTS)
def test_every_public_method_has_its_cases(client: str) -> None:
    assert set(METHODS[client]) == set(SUCCESSES) == set(FAILURES)


@pytest.mark.parametrize(("client", "method"), CASES)
async def test_what_succeeds(method: str, checks: Checks) -> None:
    await checks.succeeds(method)


@pytest.mark.parametrize(("client", "method"), CASES)
async def test_what_fails(method: str, checks: Checks) -> None:
    await checks.fails(method)


@pytest.mark.parametrize("client", CLIENTS)
async def test_the_signature_of_a_delivery_is_accepted(checks: Checks) -> None:
    await checks.signs()
