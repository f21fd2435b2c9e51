"""What a reader makes of a source: plain values, without a store and without a file."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Literal, TypeAlias

import msgspec

from palaver.info import LineageKind
from palaver.keys import Origin
from palaver.model import Message, Usage
from palaver.records import Chunk, SessionRecord
from palaver.rows import SessionRow

__all__ = ["Action", "Found", "Note", "SavedSession", "SourceSession", "UsageLine", "note"]

Action: TypeAlias = Literal["repaired", "skipped", "aside"]
"""`repaired`: imported, but not as it stood there. `skipped`: a damaged record that could not be imported.
`aside`: what is no conversation, and was left where it is."""

_EXCERPT = 80


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one record that was not simply imported, and where it stands."""

    action: Action
    file: str
    line: int | None = None
    """From 1, in a database the number of the row; None: the file, or the session, as a whole."""
    reason: str
    excerpt: str | None = None
    """How the record begins."""


def note(action: Action, file: str, line: int | None, reason: str, raw: bytes | None = None) -> Note:
    """A note, with the beginning of what it is about."""
    excerpt = None if raw is None else raw[:_EXCERPT].decode("utf-8", "replace")
    return Note(action=action, file=file, line=line, reason=reason, excerpt=excerpt)


class UsageLine(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a session used, and was charged for."""

    id: str
    """Which of the session's lines it is, the same in each import: of what it has grown by, only that is charged."""
    usage: Usage
    """All that was counted so far."""
    at: datetime | None = None


class SourceSession(msgspec.Struct, kw_only=True):
    """One conversation, as its source has it. Messages have their ids and times; they are in order."""

    system: str
    id: str
    """The source's own, stable from one import to the next: with the system before it, the session's alias."""
    file: str
    place: str
    """Which of several stores of that system it comes from: two of them may use one id for different sessions."""
    owner: str | None = None
    """Whose it is in its source; None: nobody's in particular."""
    key: str | None = None
    more_keys: tuple[str, ...] = ()
    """Further keys that point at it."""
    origin: Origin | None = None
    title: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    metadata: dict[str, Any] = {}
    facts: dict[str, Any] = {}
    """What else there is to know of the source, kept in the session's metadata under `imported`."""
    messages: list[Message] = []
    lines: list[int] = []
    """Where each message stands in the file: its line, or the number of its row, or which one it is."""
    summary: str | None = None
    compacted_through: int = 0
    """How many of the messages the source had summarised, or archived."""
    aliases: tuple[str, ...] = ()
    """Other names of the session's in its source; it is found by them as they are."""
    parent: str | None = None
    """The `id` of the session of the same store of that system that this one follows."""
    parent_kind: LineageKind = "import"
    copies: dict[int, tuple[str, str]] = {}
    """Messages that its agent copied from earlier ones, by their index: the `id` of the session (its own, or another
    of the same store of that system) and of the message that each is a copy of."""
    cuts: list[tuple[int, int]] = []
    """Messages that the source had taken back: ranges of indices into `messages`, the second one not included."""
    archived: bool = False
    pinned: bool = False
    hidden: bool = False
    tags: tuple[str, ...] = ()
    ended_at: datetime | None = None
    ended_reason: str | None = None
    usage: list[UsageLine] = []
    """What the source counted for the session as a whole; that of single messages is theirs."""
    records: int = 0
    """How many records of messages there are, damaged ones included."""
    notes: list[Note] = []

    @property
    def alias(self) -> str:
        """What the session is called in the store, beside its id there."""
        return f"{self.system}:{self.id}".replace("\0", "\N{REPLACEMENT CHARACTER}")


class SavedSession:
    """A session that Palaver itself had written. Its `pieces` are read as they are asked for, once."""

    def __init__(self, row: SessionRow, file: str, pieces: Iterator[Chunk | SessionRecord], notes: list[Note]) -> None:
        self.row = row
        """The session, as far as its first line tells."""
        self.file = file
        self.pieces = pieces
        """Its chunks, in order, and in the end its record."""
        self.notes = notes
        """Grows while the pieces are read."""
        self.skipped = 0
        """How many messages could not be read by now."""


Found: TypeAlias = SourceSession | SavedSession | Note
"""What comes of reading a source: sessions, and notes on what belongs to none."""
