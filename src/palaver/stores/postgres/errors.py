"""The one place where PostgreSQL's errors become Palaver's.

What an error class says: https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

from __future__ import annotations

import errno
import os

import psycopg
from psycopg import errors

from palaver.errors import Outcome, SchemaMismatch, StoreBusy, StoreError, StoreFull, StoreUnavailable

__all__ = ["FORGOTTEN", "REPEATABLE", "is_unknown", "said", "translate", "unreachable"]

REPEATABLE = (
    errors.SerializationFailure,
    errors.DeadlockDetected,
    errors.UniqueViolation,  # another server stored it after this one had looked
)
"""Before COMMIT: nothing was done, and the same operations may be run again on fresh rows."""
FORGOTTEN = errors.InvalidSqlStatementName
"""psycopg takes a statement for prepared that it sent behind one that failed; on another connection it is not so."""
_FULL = (errors.DiskFull, errors.OutOfMemory, errors.ConfigurationLimitExceeded)
_NO_ROOM = os.strerror(errno.ENOSPC)
"""What a server said last that ended before its class was read."""
_BUSY = (errors.LockNotAvailable, errors.TooManyConnections, errors.QueryCanceled)
_CROWDED = ("too many clients", "too many connections", "remaining connection slots", "no more connections allowed")


def is_unknown(exc: Exception) -> bool:
    """Whether an error leaves open what was done: the connection is lost, or the server had trouble with its files.

    A server that has no room for its log ends with a PANIC, whatever the class of the error: it may have written that
    of the COMMIT before, and finds it when it recovers.
    """
    if isinstance(exc, (errors.SystemError, errors.IoError)):
        return True
    if isinstance(exc, psycopg.Error) and exc.diag.severity_nonlocalized in {"FATAL", "PANIC"}:
        return True
    return isinstance(exc, (psycopg.OperationalError, psycopg.InterfaceError)) and (
        exc.sqlstate is None or exc.sqlstate.startswith(("08", "57P", "58", "XX"))
    )


def said(exc: BaseException | None) -> str:
    """What an error says, in one line."""
    return " ".join(str(exc).split()) or type(exc).__name__


def translate(exc: Exception, name: str, outcome: Outcome = "not_written") -> StoreError:
    """The StoreError for an error of PostgreSQL; chain it `from` the error."""
    why = said(exc)
    if isinstance(exc, errors.OutOfMemory) and exc.diag.message_hint and "max_locks" in exc.diag.message_hint:
        return StoreBusy(f"{name}: {why}; raise max_locks_per_transaction", outcome=outcome)
    if isinstance(exc, _FULL) or (isinstance(exc, psycopg.Error) and exc.sqlstate is None and _NO_ROOM in why):
        return StoreFull(f"{name}: no room left on the server ({why}); free some and try again", outcome=outcome)
    if isinstance(exc, _BUSY):
        return StoreBusy(
            f"{name}: {why}; try again, or find what holds it (an open transaction, too few connections?)",
            outcome=outcome,
        )
    if isinstance(exc, (*REPEATABLE,)):
        return StoreBusy(f"{name}: others kept changing the same: {why}; try again", outcome=outcome)
    if isinstance(exc, (errors.UndefinedTable, errors.UndefinedColumn, errors.UndefinedFunction)):
        return SchemaMismatch(f"{name}: the schema was changed while the store was open ({why}); open it again")
    if isinstance(exc, errors.ReadOnlySqlTransaction):
        return StoreUnavailable(
            f"{name}: this server only reads (a standby?); name the primary, or all hosts with "
            "target_session_attrs=read-write",
            outcome=outcome,
        )
    if isinstance(exc, errors.InsufficientPrivilege):
        return StoreUnavailable(f"{name}: {why}; grant this user what the store's schema needs", outcome=outcome)
    if is_unknown(exc):
        after = "read the ids to know what was written" if outcome == "unknown" else "nothing was written; try again"
        msg = f"{name}: the connection was lost: {why}; {after}"
        return StoreUnavailable(msg, outcome=outcome, retryable=outcome == "not_written")
    return StoreUnavailable(f"{name}: {type(exc).__name__}: {why}", outcome=outcome)


def unreachable(exc: psycopg.Error, name: str) -> StoreError:
    """The StoreError for a connection that could not be made; chain it `from` the error.

    libpq does not pass on the class of what a server says to a new client: whether it has too many is known by its
    words, where these are English, or a pooler's.
    """
    why = said(exc)
    if any(each in why for each in _CROWDED):
        return StoreBusy(f"{name}: the server takes no more connections: {why}; try again, or raise its limits")
    msg = f"{name}: the server cannot be reached: {why}; start it, or look at the URL and the way there, and try again"
    return StoreUnavailable(msg, retryable=True)
