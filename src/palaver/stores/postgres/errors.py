"""The one place where PostgreSQL's errors become Palaver's.

What an error class says: https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

from __future__ import annotations

import errno
import os
import re

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
_CROWDED = "53300"
_WORDS = (
    ("57P03", re.compile("is starting up|is shutting down|in recovery mode|not yet accepting connections")),
    (_CROWDED, re.compile("too many c(?:lient|onnection)s|remaining connection slots|no more connections allowed")),
    (
        "28000",
        re.compile(
            "authentication failed|no password supplied|no pg_hba.conf entry|requires a valid client certificate|"
            'role ".*" (?:does not exist|is not permitted to log in)|no such user'
        ),
    ),
    ("3D000", re.compile('database ".*" does not exist|no such database')),
    ("42501", re.compile("permission denied for database")),
)
"""libpq does not pass on the class of what a server says to a new client, so its words are looked at, where these are
English, or a pooler's."""
_ANSWERED = re.compile(r"failed: \S+:  \S")
"""libpq's way to write what a server said, in whatever language."""
_REMEDIES = {
    "28": "look at the user and the password (in the URL, PGPASSWORD or ~/.pgpass), and at the server's pg_hba.conf",
    "3D000": "create this database, or look at its name in the URL",
    "42501": "let this user connect (GRANT CONNECT ON DATABASE), or look at the user and the database in the URL",
}


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

    Only what may be otherwise in a moment is `retryable`: a server that is away, starts or has no room for one more. A
    wrong password, or a database that is not there, is somebody's to mend.
    """
    why = said(exc)
    state = exc.sqlstate or _state_said(why)
    if state == _CROWDED:
        return StoreBusy(f"{name}: the server takes no more connections: {why}; try again, or raise its limits")
    remedy = _REMEDIES.get(state or "") or _REMEDIES.get((state or "")[:2])
    if remedy is not None:
        return StoreUnavailable(f"{name}: the server lets nobody in with this URL: {why}; {remedy}")
    if state is None and _ANSWERED.search(str(exc)):
        what = "look at the user, the password and the database, and where the server just starts, try again"
        return StoreUnavailable(f"{name}: the server refuses the connection: {why}; {what}", retryable=True)
    msg = f"{name}: the server cannot be reached: {why}; start it, or look at the URL and the way there, and try again"
    return StoreUnavailable(msg, retryable=True)


def _state_said(why: str) -> str | None:
    """The class of what a server, or one of several, says to a new client. That one of them only starts counts most."""
    return next((state for state, words in _WORDS if words.search(why)), None)
