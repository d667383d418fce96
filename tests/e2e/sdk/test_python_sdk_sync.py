"""Every public method of the official Python SDK's sync client, at a server as a developer starts it."""

import pytest
from qstash import QStash
from tests.e2e.sdk.python_cases import SUCCESSES
from tests.e2e.sdk.python_checks import Checks
from tests.e2e.sdk.python_failures import FAILURES
from tests.support.angarium import Angarium
from tests.support.receiver import Receiver
from tests.support.sdk import public_methods

METHODS = public_methods(QStash("any token"))


@pytest.fixture
def checks(angarium: Angarium, destination: Receiver) -> Checks:
    return Checks(QStash, angarium, destination)


def test_every_public_method_has_its_cases() -> None:
    assert set(METHODS) == set(SUCCESSES) == set(FAILURES)


@pytest.mark.parametrize("method", METHODS)
async def test_what_succeeds(method: str, checks: Checks) -> None:
    await checks.succeeds(method)


@pytest.mark.parametrize("method", METHODS)
async def test_what_fails(method: str, checks: Checks) -> None:
    await checks.fails(method)


async def test_the_signature_of_a_delivery_is_accepted(checks: Checks) -> None:
    await checks.signs()
