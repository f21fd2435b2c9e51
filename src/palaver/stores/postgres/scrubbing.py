"""Cleaning the tables of a PostgreSQL store, so that nothing of what was removed is left in them.

Removed rows stay in a table's file until it is written anew: `VACUUM FULL` does that, table by table, and nobody uses
the table meanwhile. Rows that an older transaction may still see are kept, so those are waited for. Beyond the reach of
any client are the write-ahead log, its archive, standbys that lag, and copies that were made: the report names them.

https://www.postgresql.org/docs/current/sql-vacuum.html
"""

from __future__ import annotations

import time
from typing import Any, cast

import psycopg

from palaver.erasure import ScrubReport
from palaver.stores.postgres.statements import Statements

__all__ = ["OUT_OF_REACH", "scrub"]

_PATIENCE = 10.0
"""Seconds to wait for older transactions."""
_PAUSE = 0.05
OUT_OF_REACH = (
    "the tables are clean; the server's write-ahead log, its archive, standbys that lag and backups of the server are "
    "out of a client's reach: let them expire, or write them anew"
)


def scrub(sql: Statements, schema: str) -> ScrubReport:
    """Write every table anew, on a connection that does nothing else. What stands in the way is said in the report."""
    before = _size(sql, schema)
    [(began,)] = sql.all("newest_transaction")
    waited = _wait_for_older(sql, began)
    try:
        for (table,) in sql.all("tables", (schema,)):
            # FULL, as a plain VACUUM frees room and leaves the bytes in it.
            sql.connection.execute(cast("Any", f'VACUUM (FULL, ANALYZE) "{schema}"."{table}"'))
    except (psycopg.errors.DiskFull, psycopg.errors.InsufficientPrivilege, psycopg.errors.LockNotAvailable) as exc:
        why = f"the tables could not be written anew ({str(exc).strip()}): set that right, and scrub again"
        return ScrubReport(done=False, size_before=before, size_after=_size(sql, schema), reason=why)
    after = _size(sql, schema)
    if not waited:
        why = "an older transaction may still see what was removed: scrub again when it has ended"
        return ScrubReport(done=False, size_before=before, size_after=after, reason=why)
    return ScrubReport(done=True, size_before=before, size_after=after, reason=OUT_OF_REACH)


def _wait_for_older(sql: Statements, began: Any) -> bool:
    """Wait until no transaction that began before is left; False where one stays."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        [(older,)] = sql.all("older_transactions", (began,))
        if not older:
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(_PAUSE)


def _size(sql: Statements, schema: str) -> int:
    return int(sql.all("database_size", (schema,))[0][0])
