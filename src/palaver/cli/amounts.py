"""How much there is of something, as words."""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["counted", "parse_size", "size", "tally"]

_SIZE = re.compile(r"(\d{1,15})\s*(|[kmgt]i?b?|b)", re.IGNORECASE)
_FACTORS = {"k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}

_ONE = {
    "aliases": "alias",
    "keys": "key",
    "messages": "message",
    "sessions": "session",
    "summaries": "summary",
    "versions": "version",
}


def counted(count: int, noun: str) -> str:
    """`1 message`, `2,000 messages`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def tally(counts: Mapping[str, int]) -> str:
    """`1 alias, 2,000 messages`: counts under the names that they have in reports, which are plural."""
    return ", ".join(f"{n:,} {_ONE.get(name, name) if n == 1 else name}" for name, n in sorted(counts.items()))


def parse_size(text: str) -> int:
    """The bytes that `500MB`, `2GiB` or `1024` means, in steps of 1024. Raises ValueError for anything else."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        msg = f"{text!r} is no size: write a number with a unit, such as 500MB or 2GB"
        raise ValueError(msg)
    return int(match[1]) * _FACTORS.get(match[2][:1].lower(), 1)


def size(count: int) -> str:
    """Bytes, in the unit that suits them."""
    if count < 1024:
        return counted(count, "byte")
    amount, unit = count / 1024, "KiB"
    for larger in ("MiB", "GiB", "TiB"):
        if amount < 1024:
            break
        amount, unit = amount / 1024, larger
    return f"{amount:.1f} {unit}"
