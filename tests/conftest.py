"""What holds for every test of the project."""

import asyncio

import pytest
from tests.support.recording import NAME, Recording

pytest_plugins = ["pytester"]


def pytest_configure(config: pytest.Config) -> None:
    # The test plugins ask for "the current event loop" even around synchronous tests. Unless told that there is none,
    # Python up to 3.13 makes one, which nobody closes: its ResourceWarning then fails an unrelated test.
    asyncio.set_event_loop(None)
    config.pluginmanager.register(Recording(config), NAME)
