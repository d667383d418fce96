"""A server in a process of its own, that what the fuzzer sends could really end."""

from collections.abc import Iterator

import pytest
from tests.support.angarium import Angarium
from tests.support.sdk import dev_server


@pytest.fixture(scope="session")
def angarium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Angarium]:
    with dev_server(tmp_path_factory.mktemp("fuzzed")) as angarium:
        yield angarium
