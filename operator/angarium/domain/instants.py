"""Instants as the wire and the database have them: whole milliseconds since 1970, UTC."""

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)


def to_ms(time: datetime) -> int:
    """Rounded down."""
    return (time - EPOCH) // MILLISECOND


def due_to_ms(time: datetime) -> int:
    """Rounded up, so that nothing is due before its time."""
    return -((EPOCH - time) // MILLISECOND)


def from_ms(ms: int) -> datetime:
    return EPOCH + timedelta(milliseconds=ms)


def optional_ms(time: datetime | None) -> int | None:
    return None if time is None else to_ms(time)


def optional_time(ms: int | None) -> datetime | None:
    return None if ms is None else from_ms(ms)
