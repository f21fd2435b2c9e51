"""Times as sources write them: ISO text with or without a zone, seconds or milliseconds since 1970."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from typing import Any

__all__ = ["instant"]

_MILLIS = 100_000_000_000
"""Numbers from here on are milliseconds: as seconds they would lie beyond the year 5138."""


def instant(value: Any, zone: tzinfo | None) -> datetime | None:
    """The aware UTC time that a value means; None where it means none.

    A time without a zone is the local time of who wrote it: of `zone`, or (None) of this machine.
    """
    try:
        if isinstance(value, str):
            at = datetime.fromisoformat(value.strip())
            if at.tzinfo is None and zone is not None:
                at = at.replace(tzinfo=zone)
            return at.astimezone(UTC)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return datetime.fromtimestamp(value / 1000 if abs(value) >= _MILLIS else value, UTC)
    except (ValueError, OverflowError, OSError):
        pass
    return None
