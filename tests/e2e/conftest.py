"""A receiver, and a client of a program of its own."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.support.angarium import Angarium
from tests.support.receiver import Receiver

from angarium.files.users import DEFAULT_USER


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def client(tmp_path: Path) -> Iterator[httpx.Client]:
    """The default user of an `angarium dev` that this test starts."""
    with Angarium(tmp_path, command="dev") as angarium:
        angarium.start()
        with angarium.client(DEFAULT_USER.token) as client:
            yield client
