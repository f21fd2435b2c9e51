"""What an import did: every record is accounted for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

import msgspec

from palaver.importers.values import Note

__all__ = ["Report", "SessionReport"]


class SessionReport(msgspec.Struct, kw_only=True):
    """What became of one conversation of the source. `records` = `imported` + `present` + `skipped`."""

    system: str
    source_id: str
    file: str
    key: str | None = None
    """The key that its next message will come by; None: it has none in the store."""
    title: str | None = None
    """What the source calls it."""
    session_id: str | None = None
    """In the store; None in a dry run of what is not there yet."""
    status: Literal["new", "grown", "changed", "unchanged", "refused"] = "new"
    """`grown`: with new messages. `changed`: other things were done to it since, such as undoing or archiving."""
    records: int = 0
    imported: int = 0
    """Messages that were stored, or would be."""
    present: int = 0
    """Messages that were stored already."""
    skipped: int = 0
    notes: tuple[Note, ...] = ()


class Report(msgspec.Struct, kw_only=True):
    """What an import did, session by session, and what there was beside them."""

    source: str
    dry_run: bool = False
    sessions: list[SessionReport] = []
    notes: list[Note] = []
    """About files that hold no conversation."""

    def every_note(self) -> Iterator[Note]:
        """All notes, in order."""
        for session in self.sessions:
            yield from session.notes
        yield from self.notes

    def count(self, action: str) -> int:
        """How many notes there are of a kind."""
        return sum(note.action == action for note in self.every_note())

    def total(self, name: Literal["records", "imported", "present", "skipped"]) -> int:
        """The sum over all sessions."""
        counts: Iterable[int] = (getattr(session, name) for session in self.sessions)
        return sum(counts)
