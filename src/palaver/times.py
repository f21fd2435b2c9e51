"""Instants as the stores keep them: whole microseconds since 1970-01-01 UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

__all__ = ["EARLIEST", "LATEST", "SECOND", "from_micros", "to_micros"]

SECOND = 1_000_000
EARLIEST = -62_135_596_800_000_000
"""The first microsecond of the year 1."""
LATEST = 253_402_300_799_999_999
"""The last microsecond of the year 9999."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_micros(at: datetime) -> int:
    """Microseconds since the epoch. Raises ValueError for a time without a zone."""
    if at.tzinfo is None:
        msg = f"{at.isoformat()} has no time zone; give an aware time, such as datetime.now(timezone.utc)"
        raise ValueError(msg)
    return (at - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """The aware UTC time that many microseconds after the epoch."""
    return _EPOCH + timedelta(microseconds=micros)
