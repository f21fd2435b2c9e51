"""Cleaning the files of a SQLite store, so that nothing of what was removed is left in them.

SQLite leaves removed bytes where they were: in free pages, in the free parts of pages (also of pages whose rows only
moved), in the log, and, of words, in the search index until its parts are merged. Overwriting on removal
(`secure_delete`) misses what had moved before. So the index is merged, in short steps, and the database is written
anew by VACUUM, which is one transaction: others wait to write meanwhile, and read on. Then the log is emptied.

https://sqlite.org/lang_vacuum.html, https://sqlite.org/fts5.html#the_merge_command
"""

from __future__ import annotations

import os
import time

import apsw

from palaver.erasure import ScrubReport
from palaver.stores.sqlite.connection import Opener
from palaver.stores.sqlite.errors import translate
from palaver.stores.sqlite.statements import Statements

__all__ = ["Scrubbing"]

_MERGE_PAGES = 500
"""Pages of the index that one step writes: others wait for about 20 ms to commit."""
_PATIENCE = 10.0
"""Seconds to wait for readers before the log is left as it is."""
_PAUSE = 0.02
_WAIT_MS = 50


class Scrubbing:
    """One cleaning, on a connection that does nothing else meanwhile."""

    def __init__(self, connection: apsw.Connection, opener: Opener) -> None:
        self._connection = connection
        self._sql = Statements(connection)
        self._opener = opener

    def run(self) -> ScrubReport:
        """Clean. What stands in the way (no room, a long reader) is said in the report; StoreError for anything else.

        A connection that reads alone raises StoreUnavailable.
        """
        before = self._size()
        try:
            self._merge_index()
            self._sql.script("VACUUM")
            emptied = self._empty_log()
        except apsw.FullError as exc:
            full = f"no room to write the database anew ({exc}): free as much as it takes, and scrub again"
            return ScrubReport(done=False, size_before=before, size_after=self._size(), reason=full)
        except apsw.Error as exc:
            raise translate(exc, self._opener.name) from exc
        reason = None if emptied else "somebody reads the log still: scrub again when long reads have ended"
        return ScrubReport(done=emptied, size_before=before, size_after=self._size(), reason=reason)

    def _merge_index(self) -> None:
        """Merge the parts of the index into one, in steps, each a commit of its own; deleted words are left behind."""
        pages = -_MERGE_PAGES
        while True:
            changes = self._connection.total_changes()
            self._sql.run("merge_index", (pages,))
            if self._connection.total_changes() - changes < 2:  # as FTS5 says that nothing was left to do
                return
            pages = _MERGE_PAGES
            time.sleep(0)

    def _empty_log(self) -> bool:
        """Copy the log into the database, and cut it off; False where readers need it."""
        if self._opener.exclusive:
            return True
        self._connection.set_busy_timeout(_WAIT_MS)  # it holds writers up: it gives short reads the time to end
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
            except (apsw.BusyError, apsw.LockedError):
                if time.monotonic() >= deadline:
                    return False
                time.sleep(_PAUSE)
            else:
                return True

    def _size(self) -> int:
        paths = (self._opener.path, f"{self._opener.path}-wal")
        return sum(os.stat(path).st_size for path in paths if os.path.exists(path))  # noqa: PTH110, PTH116
