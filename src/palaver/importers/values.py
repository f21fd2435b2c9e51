"""What a reader makes of a source: plain values, without a store and without a file."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, TypeAlias

import msgspec

from palaver.keys import Origin
from palaver.model import Message

__all__ = ["Action", "Note", "SourceSession", "note"]

Action: TypeAlias = Literal["repaired", "skipped", "aside"]
"""`repaired`: imported, but not as it stood there. `skipped`: a damaged record that could not be imported.
`aside`: what is no conversation, and was left where it is."""

_EXCERPT = 80


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one record that was not simply imported, and where it stands."""

    action: Action
    file: str
    line: int | None = None
    """From 1; None: the file, or the session, as a whole."""
    reason: str
    excerpt: str | None = None
    """How the record begins."""


def note(action: Action, file: str, line: int | None, reason: str, raw: bytes | None = None) -> Note:
    """A note, with the beginning of what it is about."""
    excerpt = None if raw is None else raw[:_EXCERPT].decode("utf-8", "replace")
    return Note(action=action, file=file, line=line, reason=reason, excerpt=excerpt)


class SourceSession(msgspec.Struct, kw_only=True):
    """One conversation, as its source has it. Messages have their ids and times; they are in order."""

    system: str
    id: str
    """The source's own, stable from one import to the next: with the system before it, the session's alias."""
    file: str
    place: str
    """Which of several stores of that system it comes from: two of them may use one id for different sessions."""
    key: str | None = None
    origin: Origin | None = None
    title: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    metadata: dict[str, Any] = {}
    facts: dict[str, Any] = {}
    """What else there is to know of the source, kept in the session's metadata under `imported`."""
    messages: list[Message] = []
    lines: list[int] = []
    """Where each message stands in the file."""
    summary: str | None = None
    compacted_through: int = 0
    """How many of the messages the source had summarised, or archived."""
    records: int = 0
    """How many records of messages there are, damaged ones included."""
    notes: list[Note] = []

    @property
    def alias(self) -> str:
        """What the session is called in the store, beside its id there."""
        return f"{self.system}:{self.id}".replace("\0", "\N{REPLACEMENT CHARACTER}")
