"""Backups of a PostgreSQL store: a SQLite store with the same rows, in one file.

PostgreSQL's own tools (`pg_basebackup`, WAL archives) back up the server, and are what a service relies on. This one
needs nothing but the store's own connection, is one moment of it, and can be opened, searched, and copied back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from typing import Any, cast

import apsw
import psycopg

from palaver.backups import Backup
from palaver.errors import StoreUnavailable
from palaver.findings import Progress
from palaver.stores.postgres.queries import Statement, backup_statements
from palaver.stores.sqlite.backup import destination, digest, finished, partial_file
from palaver.stores.sqlite.connection import Opener as FileOpener
from palaver.stores.sqlite.errors import translated
from palaver.stores.sqlite.statements import Statements as FileStatements
from palaver.stores.statements import Row, Statements

__all__ = ["make"]

_AT_ONCE = 500


def make(
    sql: Statements,
    connection: psycopg.Connection[Any],
    schema: str,
    path: str,
    at: datetime,
    *,
    sound: bool,
    progress: Progress | None,
) -> Backup:
    """Copy what a connection sees, inside a snapshot of the caller's, to a file.

    Raises FileExistsError; StoreFull, StoreUnavailable where the file cannot be written, or is not what was read.
    """
    file = destination("palaver", path, at)
    statements = backup_statements(schema)
    tables = [name.removeprefix("read_") for name in statements if name.startswith("read_")]
    with partial_file(file) as partial, translated(f"the backup {file}"):
        copy = FileOpener(str(partial), name=f"the backup {file}", durable=False).writer()
        with closing(copy):
            [(position,)] = sql.all("highest_change")
            [(sessions, _, messages)] = sql.all("totals", {"owner": None})
            [(total,)] = sql.all("check_size")
            written = _Copying(connection, copy, statements)
            for table in tables:
                written.table(table, lambda done: progress(min(done, total), total) if progress is not None else None)
            written.finish(position)
            file_sql = FileStatements(copy)
            wanted = digest(file_sql)
            file_sql.pragma("PRAGMA journal_mode=DELETE")
        made = Backup(
            path=str(file),
            made_at=at,
            cursor=f"{position:x}",
            sessions=sessions,
            messages=messages,
            size_bytes=0,
            content_digest=wanted,
        )
        return finished(partial, file, made, sound=sound)


class _Copying:
    """Rows on their way from the server to the file."""

    def __init__(
        self, source: psycopg.Connection[Any], copy: apsw.Connection, statements: dict[str, Statement]
    ) -> None:
        self._source = source
        self._copy = cast("Any", copy)
        self._statements = statements

    def table(self, table: str, told: Callable[[int], None]) -> None:
        """Copy a table."""
        count = 0
        write = self._statements[f"write_{table}"].text
        self._copy.execute("BEGIN")
        for rows in self._rows(table):
            self._copy.executemany(write, rows)
            count += len(rows)
            if table == "messages":
                told(count)
        self._copy.execute("COMMIT")
        if count != self._copy.execute(f"SELECT count(*) FROM {table}").fetchone()[0] and table != "meta":  # noqa: S608 - our own table
            msg = f"the copy of {table} has not what the store holds; no backup was made"
            raise StoreUnavailable(msg)

    def _rows(self, table: str) -> Iterator[list[Row]]:
        cursor = cast("Any", psycopg.RawServerCursor(self._source, f"palaver_{table}"))
        with cursor:
            cursor.execute(self._statements[f"read_{table}"].text, (), binary=True)
            while rows := cursor.fetchmany(_AT_ONCE):
                yield rows

    def finish(self, position: int) -> None:
        """Note where the store stood."""
        self._copy.execute(self._statements["write_position"].text, (str(position),))
        self._copy.execute(self._statements["write_search_state"].text, (position,))
