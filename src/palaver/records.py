"""A session as it stands in one store, told so that any store can take it: ids instead of the store's own numbers."""

from __future__ import annotations

import msgspec

from palaver.media import Blob
from palaver.rows import CompactionRow, CutRow, Head, SessionRow, StoredMessage, TodoRow, TurnRow, UsageRow, VersionRow

__all__ = ["Chunk", "ImportMark", "KeyRecord", "MessageRecord", "Piece", "SessionRecord"]


class KeyRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A key that points at the session."""

    owner: str = ""
    key: str
    since: int
    """Microseconds, as all times here."""
    previous: str | None = None
    """Id of the session that it pointed at before."""


class SessionRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All of a session but its messages and turns.

    `number`, `session` and what only its own store can say (`stored_at`, `guarded_until`) are 0 in its rows.
    """

    row: SessionRow
    head: Head
    keys: tuple[KeyRecord, ...] = ()
    aliases: tuple[str, ...] = ()
    cuts: tuple[CutRow, ...] = ()
    compactions: tuple[CompactionRow, ...] = ()
    queued: tuple[int, ...] = ()
    usage: tuple[UsageRow, ...] = ()
    purged_ids: tuple[tuple[str, int], ...] = ()
    """Ids of messages that were purged, with their positions: they do not come back."""
    todo: TodoRow | None = None
    """What is to be done before its reset; a claim on it is not taken along."""


class MessageRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A stored message, live or not."""

    row: StoredMessage
    id: str | None = None
    """The caller's id, where it names this message; another may have it by now."""
    versions: tuple[VersionRow, ...] = ()


class Chunk(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All that a session has at the positions from `from_seq` through `through_seq`."""

    from_seq: int
    through_seq: int
    messages: tuple[MessageRecord, ...] = ()
    turns: tuple[TurnRow, ...] = ()
    """Turns that began there."""
    blobs: tuple[Blob, ...] = ()
    """Content that the messages refer to, each once; what is damaged or gone is not among them."""
    unread: tuple[str, ...] = ()
    """What stands there beside the messages and cannot be read, in words: a copy of this chunk is not whole."""


class Piece(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A session, and of its messages those after a position."""

    record: SessionRecord
    turn: TurnRow | None = None
    """Its newest turn, without the store's own number; None also for a deleted session."""
    chunk: Chunk | None = None
    """None where no messages were asked for."""


class ImportMark(msgspec.Struct, frozen=True, gc=False):
    """How far an imported session had come when its import last wrote to it."""

    last_seq: int
    rev: int
    settled: bool = False
    """False: its import has not come to its end."""
