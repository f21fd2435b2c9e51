"""How the pages say numbers, times and amounts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

__all__ = ["ago", "amount", "day", "lasted", "moment", "money", "plural", "short", "size"]

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))


def amount(number: int) -> str:
    """A number, whole."""
    return f"{number:,}"


def short(number: int) -> str:
    """A number in at most five characters."""
    for power, suffix in ((1_000_000_000, "B"), (1_000_000, "M"), (10_000, "k")):
        if number >= power:
            scaled = number / (1_000 if suffix == "k" else power)
            return f"{scaled:.0f}{suffix}" if scaled >= 100 else f"{scaled:.1f}".removesuffix(".0") + suffix
    return f"{number:,}"


def money(cost: Decimal | None) -> str:
    """US dollars; a small amount has the digits that it needs."""
    if cost is None:
        return ""
    if cost == 0 or cost >= 1:
        return f"${cost:,.2f}"
    return f"${cost:.4f}" if cost >= Decimal("0.0001") else "<$0.0001"


def moment(at: datetime) -> str:
    """A time, in UTC."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M")


def day(at: datetime) -> str:
    """A day, in UTC, as a heading."""
    at = at.astimezone(UTC)
    return f"{at:%A}, {at.day} {at:%B %Y}"


def ago(at: datetime, now: datetime) -> str:
    """How long ago that was, roughly."""
    seconds = (now - at).total_seconds()
    if seconds < 45:
        return "just now"
    for unit, name in _UNITS:
        if seconds >= unit * (30 if name == "d" else 1):
            return moment(at)[:10] if name == "d" else f"{seconds / unit:.0f} {name} ago"
        if name == "d" and seconds >= unit:
            return f"{seconds / unit:.0f} d ago"
    return "1 min ago"


def lasted(span: timedelta) -> str:
    """How long something took."""
    seconds = span.total_seconds()
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{seconds // 60:.0f} min {seconds % 60:.0f} s"
    return f"{seconds // 3600:.0f} h {seconds % 3600 // 60:.0f} min"


def size(count: int) -> str:
    """Bytes, roughly."""
    if count < 1024:
        return f"{count} B"
    value = float(count)
    for unit in ("KiB", "MiB", "GiB"):
        value /= 1024
        if value < 1024 or unit == "GiB":
            return f"{value:.1f} {unit}" if value < 10 else f"{value:.0f} {unit}"
    return ""


def plural(count: int, word: str) -> str:
    """A number of things."""
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"
