"""What an exporter takes of a transcript, one after the other: values, as they were read."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from palaver.model import Message

__all__ = ["Damage", "Entry", "Item", "Unreadable"]


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A message, and what belongs to it."""

    message: Message
    live: bool = True
    """False: it was undone or replaced."""
    versions: tuple[Message, ...] = ()
    """What it said before each of its edits, oldest first."""
    lost_versions: int = 0
    """How many of those could not be decoded."""
    media: dict[str, bytes] = {}  # msgspec gives every value its own copy
    """Content that the message or its versions refer to, by address, as far as it was asked for."""
    missing: tuple[str, ...] = ()
    """Addresses of content that was asked for and is damaged or gone."""
    user_seq: int = 0
    """Position of the newest user message at or before it, as it was when it was stored; 0: there was none."""
    turn_seq: int = 0
    """Where the turn begins that it belongs to; 0: it belongs to none."""
    named: bool = True
    """False: its id names a later message by now, which replaced it."""
    edits: tuple[tuple[int, int], ...] = ()
    """Of each edit, the session's `rev` that it made, and when (microseconds)."""


class Unreadable(msgspec.Struct, frozen=True, kw_only=True):
    """A stored message that cannot be decoded."""

    seq: int


class Damage(msgspec.Struct, frozen=True, kw_only=True):
    """Something beside the messages that cannot be read."""

    seq: int
    """Where it stands, or the first position that it may stand at."""
    what: str


Item: TypeAlias = Entry | Unreadable
