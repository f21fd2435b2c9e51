"""Times on the command line: how they are written by people, and shown to them."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

__all__ = ["parse_since", "parse_span", "shown"]

_SPAN = re.compile(r"(?:(\d{1,5})w)?(?:(\d{1,6})d)?(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6})s)?", re.IGNORECASE)


def parse_since(text: str, now: datetime) -> datetime:
    """The instant that `2h`, `1d12h`, `2026-05-01` or `2026-05-01T09:00+02:00` means; `now` is aware.

    A span counts back from now. A time without a zone is local. Raises ValueError for anything else.
    """
    value = text.strip()
    span = _span(value)
    if span is not None:
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


def parse_span(text: str) -> timedelta | None:
    """The length of time that `30d` or `1d12h` means; None for `never`. Raises ValueError for anything else."""
    value = text.strip()
    if value.casefold() == "never":
        return None
    span = _span(value)
    if span is None:
        msg = f"{text!r} is no length of time: write a span such as 2h, 30d or 1d12h, or never"
        raise ValueError(msg)
    return span


def _span(value: str) -> timedelta | None:
    match = _SPAN.fullmatch(value)
    if not value or match is None:
        return None
    weeks, days, hours, minutes, seconds = (int(n or 0) for n in match.groups())
    return timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)


def shown(at: datetime) -> str:
    """A time for a person: local, to the minute."""
    return at.astimezone().strftime("%Y-%m-%d %H:%M")
