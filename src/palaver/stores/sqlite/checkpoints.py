"""When the write-ahead log is copied into the database, by how long it has become."""

from __future__ import annotations

import apsw

from palaver.stores.sqlite.connection import Opener

__all__ = ["Checkpoints"]

CHECKPOINT_PAGES = 1_000
"""When nobody commits, the WAL is copied into the database from this many pages on."""
CHECKPOINT_PAGES_BESIDE = 300
"""The same where no caller waits for it: a portion that is done before the next commit is there."""
CHECKPOINT_PAGES_BUSY = 4_000
"""From here on a commit does it itself: somebody commits all the time."""
MAX_WAL_PAGES = 16_000
"""From here on readers are waited for, so that the WAL can start over: 64 MiB."""


class Checkpoints:
    """Those of one store. Used by the thread that commits; `are_due` by anybody."""

    def __init__(self, opener: Opener) -> None:
        self._opener = opener
        self.pages = 0
        """How many the WAL has."""
        self._tried_at = 0
        """How many it had when it was last tried to copy it; 0 once it has begun anew."""
        self.shared = False
        """Whether another process had written before the last commit: small portions would not be whole."""

    def follow(self, connection: apsw.Connection) -> None:
        """Learn from the connection that commits how long the WAL is."""
        connection.set_wal_hook(self._on_wal)

    def _on_wal(self, _connection: apsw.Connection, _database: str, pages: int) -> int:
        if pages < self.pages:  # it has begun anew
            self._tried_at = 0
        self.pages = pages
        return apsw.SQLITE_OK

    def are_due(self, *, beside: bool) -> bool:
        """Whether it is time where nobody commits. `beside`: no caller waits for it either."""
        portion = CHECKPOINT_PAGES
        if beside and not self.shared:
            portion = min(CHECKPOINT_PAGES, CHECKPOINT_PAGES_BESIDE)
        return bool(self.pages) and self.pages >= self._tried_at + portion

    @property
    def are_overdue(self) -> bool:
        """Whether it is time although somebody commits all the time."""
        return self.pages >= max(CHECKPOINT_PAGES_BUSY, self._tried_at + CHECKPOINT_PAGES)

    def make(self, connection: apsw.Connection, *, alone: bool) -> None:
        """Copy what can be copied. `alone`: nobody of this process waits for the next commit.

        Where others are in the way that is no failure: the WAL holds everything and is tried again. Raises apsw.Error
        for everything else: what is on disk is then not known any more.
        """
        mode = apsw.SQLITE_CHECKPOINT_PASSIVE
        if self.pages >= MAX_WAL_PAGES:
            mode = apsw.SQLITE_CHECKPOINT_RESTART
        elif self.pages >= CHECKPOINT_PAGES_BUSY and alone:  # other processes write: they would never let it be whole
            mode = apsw.SQLITE_CHECKPOINT_FULL
        # Where it could not be whole, or a reader still needs the WAL, the next commit would find as much as this one.
        self._tried_at = self.pages
        self._opener.impatient = mode != apsw.SQLITE_CHECKPOINT_PASSIVE
        try:
            connection.wal_checkpoint(mode=mode)
        except (apsw.BusyError, apsw.LockedError, apsw.FullError):
            return
        finally:
            self._opener.impatient = False
