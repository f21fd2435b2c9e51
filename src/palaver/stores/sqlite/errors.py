"""The one place where SQLite's errors become Palaver's."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import apsw

from palaver.errors import Outcome, SchemaMismatch, StoreBusy, StoreError, StoreFull, StoreUnavailable

__all__ = ["translate", "translated"]


def is_full(exc: apsw.Error) -> bool:
    """Whether there was no room for the shared memory of the log: SQLite reports that as an I/O error."""
    return isinstance(exc, apsw.IOError) and getattr(exc, "extendedresult", 0) == apsw.SQLITE_IOERR_SHMSIZE


def translate(exc: apsw.Error, name: str, outcome: Outcome = "not_written") -> StoreError:
    """The StoreError for an error of SQLite; chain it `from` the error."""
    if isinstance(exc, apsw.BusyError | apsw.LockedError):
        return StoreBusy(
            f"{name}: another process kept the database locked for too long; try again, "
            "or find what holds it (an open transaction in another program?)",
            outcome=outcome,
        )
    if isinstance(exc, apsw.FullError) or is_full(exc):
        return StoreFull(
            f"{name}: no room left on the disk (or the store's own limit is reached); free some and try again",
            outcome="not_written",  # SQLite has rolled the whole transaction back
        )
    if isinstance(exc, apsw.ReadOnlyError):
        return StoreUnavailable(
            f"{name}: the file is read-only; make it and its directory writable for this user", outcome="not_written"
        )
    if isinstance(exc, apsw.NotADBError):
        return StoreUnavailable(
            f"{name}: this file is not a database; it was left as it is: choose another path", outcome="not_written"
        )
    if isinstance(exc, apsw.CorruptError):
        return StoreUnavailable(
            f"{name}: the database file is damaged ({exc}); run `palaver check`, then restore a backup",
            outcome=outcome,
        )
    if isinstance(exc, apsw.CantOpenError):
        return StoreUnavailable(
            f"{name}: the file cannot be opened ({exc}); does its directory exist, and may this user write there?",
            outcome="not_written",
        )
    if isinstance(exc, apsw.SchemaChangeError):
        return SchemaMismatch(f"{name}: the schema was changed while the store was open; open it again")
    return StoreUnavailable(f"{name}: {type(exc).__name__}: {exc}", outcome=outcome)


@contextmanager
def translated(name: str) -> Generator[None]:
    """Errors of SQLite inside come out as StoreErrors, for reads: nothing was written."""
    try:
        yield
    except apsw.Error as exc:
        raise translate(exc, name) from exc
