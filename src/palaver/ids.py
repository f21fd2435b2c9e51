"""Ids that Palaver makes: session ids ordered by time, and tokens that fence a turn's lease."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime
from typing import TypeAlias

from palaver.times import to_micros

__all__ = ["IdMaker", "session_id", "token"]

IdMaker: TypeAlias = Callable[[datetime], str]
"""Gives a new session id for a session made at that time."""

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's: no letter that reads as a digit


def session_id(at: datetime) -> str:
    """A new session id: 10 characters of time in milliseconds, 12 of chance (60 bits). Sorts by creation time."""
    return _encode(to_micros(at) // 1000, 10) + _encode(_chance(), 12)


def token() -> str:
    """A new lease token: 12 characters of chance (60 bits)."""
    return _encode(_chance(), 12)


def _encode(number: int, length: int) -> str:
    out = [""] * length
    for i in range(length - 1, -1, -1):
        out[i] = _ALPHABET[number & 31]
        number >>= 5
    return "".join(out)


def _chance() -> int:
    """60 bits from the system's source of secrets."""
    return int.from_bytes(os.urandom(8)) >> 4
