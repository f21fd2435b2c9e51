"""What can still be said about a database file that is damaged: SQLite's own check, past our schema and statements."""

from __future__ import annotations

import re
from typing import Any, cast

import apsw

from palaver.errors import StoreError
from palaver.findings import Finding, finding
from palaver.stores.sqlite.errors import translated

__all__ = ["damage", "integrity", "is_damage"]

MOST = 100
"""Findings that SQLite lists at most: a file with more is not mended by hand."""
_WAIT_MS = 5_000
_TREE = re.compile(r"\bTree (\d+) ")


def is_damage(error: StoreError) -> bool:
    """Whether the store failed because SQLite could not make sense of its file."""
    return isinstance(error.__cause__, apsw.CorruptError | UnicodeDecodeError)  # the latter: text that is none any more


def damage(path: str) -> list[Finding]:
    """Everything that SQLite's integrity check says about a file, one finding for each; an empty list: it is whole.

    Opens the file for reading alone. Where the check itself cannot go on, its last finding says so. Raises StoreError
    where there is no database to check.
    """
    name = f"sqlite:///{path}"
    with translated(name):
        connection = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READONLY)
        try:
            connection.set_busy_timeout(_WAIT_MS)
            said = integrity(connection)
        finally:
            connection.close()
    return [finding("database", name, each) for each in said]


def integrity(connection: apsw.Connection) -> list[str]:
    """What SQLite's integrity check says about the file behind a connection, with tables by their names."""
    tables = _tables(connection)
    said: list[str] = []
    try:
        for row in cast("Any", connection).execute(f"PRAGMA integrity_check({MOST})"):
            # One row may hold many findings, under a heading that names the database.
            said += [line for line in str(row[0]).splitlines() if line not in {"ok", "*** in database main ***"}]
    except apsw.CorruptError as exc:
        said.append(f"the check could not go on from here: {exc}")
    return [_TREE.sub(lambda match: f"{tables.get(int(match[1]), match[0].rstrip())}, ", each) for each in said]


def _tables(connection: apsw.Connection) -> dict[int, str]:
    """What begins at which page: the check names pages alone. Nothing where the list itself is damaged."""
    try:
        rows = cast("Any", connection).execute("SELECT rootpage, name FROM sqlite_master WHERE rootpage > 0")
        return {int(page): str(name) for page, name in rows}
    except apsw.CorruptError:
        return {}
