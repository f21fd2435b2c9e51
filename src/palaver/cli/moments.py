"""Times on the command line: how they are written by people, and shown to them."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

__all__ = ["parse_since", "shown"]

_SPAN = re.compile(r"(?:(\d{1,5})w)?(?:(\d{1,6})d)?(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6})s)?", re.IGNORECASE)


def parse_since(text: str, now: datetime) -> datetime:
    """The instant that `2h`, `1d12h`, `2026-05-01` or `2026-05-01T09:00+02:00` means; `now` is aware.

    A span counts back from now. A time without a zone is local. Raises ValueError for anything else.
    """
    value = text.strip()
    match = _SPAN.fullmatch(value)
    if value and match is not None:
        weeks, days, hours, minutes, seconds = (int(n or 0) for n in match.groups())
        span = timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
        try:
            return now - span
        except OverflowError:
            pass
    else:
        try:
            return datetime.fromisoformat(value).astimezone(now.tzinfo)
        except (ValueError, OverflowError):
            pass
    msg = f"{text!r} is no time: write a span such as 2h, 3d or 1d12h, or a time such as 2026-05-01T09:00"
    raise ValueError(msg)


def shown(at: datetime) -> str:
    """A time for a person: local, to the minute."""
    return at.astimezone().strftime("%Y-%m-%d %H:%M")
