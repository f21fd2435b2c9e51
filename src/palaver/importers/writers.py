"""Whose the conversations become: a writer for each owner that a source names."""

from __future__ import annotations

from palaver.importers.values import SourceSession, note
from palaver.importers.writer import Writer
from palaver.manager import SessionManager

__all__ = ["Writers"]


class Writers:
    """The writers of one import; there is one where the manager is scoped to an owner, whose all of it becomes."""

    def __init__(self, manager: SessionManager | None, *, dry_run: bool) -> None:
        self._manager = manager
        self._dry_run = dry_run
        self._writers: dict[str | None, Writer] = {}

    def of(self, session: SourceSession) -> Writer:
        """Who is to write a session; where it does not become its owner's, the session's notes say so."""
        owner = self._owner(session)
        if owner not in self._writers:
            manager = self._manager
            if manager is not None and owner is not None:
                manager = manager.for_owner(owner)
            self._writers[owner] = Writer(manager, dry_run=self._dry_run)
        return self._writers[owner]

    def _owner(self, session: SourceSession) -> str | None:
        scope = self._manager.owner if self._manager is not None else None
        if scope is None:
            return session.owner
        if session.owner is not None and session.owner != scope:
            told = (
                f"{session.id} is {session.owner!r}'s in the source, and becomes {scope!r}'s, for whom this import is"
            )
            session.notes.append(note("aside", session.file, None, told))
        return None
