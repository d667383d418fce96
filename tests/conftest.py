"""What holds for every test of the project."""

import asyncio


def pytest_configure() -> None:
    # The test plugins ask for "the current event loop" even around synchronous tests. Unless told that there is none,
    # Python up to 3.13 makes one, which nobody closes: its ResourceWarning then fails an unrelated test.
    asyncio.set_event_loop(None)
