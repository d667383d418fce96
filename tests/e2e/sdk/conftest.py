"""One server and one destination for each module of this folder."""

from collections.abc import Iterator

import pytest
from tests.support.angarium import Angarium
from tests.support.receiver import Receiver
from tests.support.sdk import dev_server


@pytest.fixture(scope="module")
def angarium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Angarium]:
    with dev_server(tmp_path_factory.mktemp("angarium")) as angarium:
        yield angarium


@pytest.fixture(scope="module")
def destination() -> Iterator[Receiver]:
    with Receiver() as destination:
        yield destination
