"""The clock of a program that runs under `launcher`: where it stands, and moving it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.support.launcher import set_clock


class Clock:
    """Begins two and a half minutes after a multiple of five minutes, so that nothing comes due by itself for long."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        now = datetime.now(UTC)
        self._ahead = timedelta(minutes=2.5) - timedelta(minutes=now.minute % 5, seconds=now.second)
        self.move(timedelta(0))

    def move(self, step: timedelta) -> None:
        self._ahead += step
        set_clock(self.folder, self._ahead)

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def align(self) -> None:
        """On to the next two and a half minutes after a multiple of five."""
        now = self.now()
        into = timedelta(minutes=now.minute % 5, seconds=now.second, microseconds=now.microsecond)
        self.move((timedelta(minutes=7.5) - into) % timedelta(minutes=5))
