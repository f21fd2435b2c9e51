"""A connection that runs named statements, with plain types: apsw's own are too wide to check against."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, cast

import apsw

from palaver.stores.sqlite.queries import queries
from palaver.stores.statements import Row, Values

__all__ = ["Row", "Statements", "Values"]


class Statements:
    """The statements of `queries.sql` on one connection, and those of other packages. Errors are apsw's."""

    __slots__ = ("_execute", "_executemany", "_named", "connection")

    def __init__(self, connection: apsw.Connection, *packages: str) -> None:
        self.connection = connection
        self._named = queries()
        for package in packages:
            self._named = self._named | queries(package)
        untyped = cast("Any", connection)
        self._execute = untyped.execute
        self._executemany = untyped.executemany

    def names(self, name: str, parameter: str) -> bool:
        """Whether a statement has a parameter of this name."""
        return f":{parameter}" in self._named[name]

    def run(self, name: str, values: Values = ()) -> None:
        """Run a statement that gives no rows."""
        self._execute(self._named[name], values)

    def many(self, name: str, rows: Iterable[Values]) -> None:
        """Run a statement once per row of values."""
        self._executemany(self._named[name], rows)

    def one(self, name: str, values: Values = ()) -> Row | None:
        """The first row, or None."""
        row: Row | None = self._execute(self._named[name], values).fetchone()
        return row

    def all(self, name: str, values: Values = ()) -> list[Row]:
        """All rows."""
        rows: list[Row] = self._execute(self._named[name], values).fetchall()
        return rows

    def each(self, name: str, values: Values = ()) -> Iterator[Row]:
        """The rows as they come: memory does not grow with them."""
        rows: Iterator[Row] = self._execute(self._named[name], values)
        return rows

    def changed(self) -> int:
        """How many rows the last statement changed."""
        return self.connection.changes()

    def script(self, text: str) -> None:
        """Run text that is no named statement: transaction control, pragmas, migrations."""
        self._execute(text)

    def pragma(self, text: str) -> Any:
        """The single value that a pragma, or a statement of the schema itself, gives; None if it gives none."""
        row: Row | None = self._execute(text).fetchone()
        return row[0] if row is not None else None
