"""A connection that runs named statements; see `palaver.stores.statements`."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import psycopg

from palaver.stores.postgres.queries import queries
from palaver.stores.statements import Ask, Row, Values

__all__ = ["Statements"]


class Statements:
    """The statements on one connection, which commits each by itself unless told otherwise. Errors are psycopg's.

    What `begin` was given goes out with the next statement: that saves a round trip.
    """

    __slots__ = ("_begin", "_changed", "_named", "_own", "connection", "prepare")

    def __init__(self, connection: psycopg.Connection[Any], schema: str, *, prepare: bool | None = None) -> None:
        self.connection = connection
        self.prepare = prepare
        """None: as psycopg sees fit; False: never, behind a pooler."""
        self._named = queries(schema)
        self._begin: str | None = None
        self._changed = 0
        self._own: psycopg.Cursor[Row] | None = None
        """Of statements whose rows are taken at once. A new cursor would look up again how each value is sent."""

    def begin(self, text: str) -> None:
        """Begin a transaction with the next statement."""
        self._begin = text

    def end(self, text: str = "COMMIT") -> None:
        """End the transaction, if any statement was run in it."""
        if self._begin is not None:
            self._begin = None
        else:
            self.script(text)

    @contextmanager
    def pipeline(self) -> Generator[None]:
        """Statements inside are sent without waiting for each other's answers; errors come at its end.

        The first error is the one that is told. psycopg's own pipeline would log what follows from it, if it heard of
        it: where a connection is lost, that is the same once more.
        """
        first: BaseException | None = None
        try:
            with self.connection.pipeline():
                try:
                    yield
                except BaseException as exc:  # noqa: BLE001 - raised below
                    first = exc
        except psycopg.Error:
            if first is None:
                raise
        if first is not None:
            raise first

    def run(self, name: str, values: Values = ()) -> None:
        """Run a statement that gives no rows. Inside a pipeline its answer is not waited for."""
        self._cursor(name, values)

    def start(self, name: str, values: Values = ()) -> psycopg.Cursor[Row]:
        """Run a statement inside a pipeline; its rows are asked of the cursor later."""
        return self._cursor(name, values)

    def together(self, asks: Sequence[Ask]) -> list[list[Row]]:
        """The rows of several statements, in one round trip."""
        if not asks:
            return []
        begin, self._begin = self._begin, None
        with self.pipeline():
            if begin is not None:
                self.script(begin)
            cursors = [self.start(*ask) for ask in asks]
        return [cursor.fetchall() for cursor in cursors]

    def many(self, name: str, rows: Iterable[Values]) -> None:
        """Run a statement once per row of values."""
        for values in rows:
            self._cursor(name, values)

    def one(self, name: str, values: Values = ()) -> Row | None:
        """The first row, or None."""
        return self._answered(name, values).fetchone()

    def all(self, name: str, values: Values = ()) -> list[Row]:
        """All rows."""
        return self._answered(name, values).fetchall()

    def each(self, name: str, values: Values = ()) -> Iterator[Row]:
        """The rows as they come. They are in memory by then: what can be long is asked for in pieces."""
        return iter(self._cursor(name, values))

    def changed(self) -> int:
        """How many rows the last statement changed."""
        return self._changed

    def script(self, text: str) -> None:
        """Run text that is no named statement: transaction control."""
        self.connection.execute(cast("Any", text))

    def _answered(self, name: str, values: Values) -> psycopg.Cursor[Row]:
        if self._own is None:
            self._own = cast("psycopg.Cursor[Row]", psycopg.RawCursor(self.connection))
        return self._execute(self._own, name, values)

    def _cursor(self, name: str, values: Values) -> psycopg.Cursor[Row]:
        return self._execute(cast("psycopg.Cursor[Row]", psycopg.RawCursor(self.connection)), name, values)

    def _execute(self, cursor: psycopg.Cursor[Row], name: str, values: Values) -> psycopg.Cursor[Row]:
        statement = self._named[name]
        if self._begin is None:
            cursor.execute(cast("Any", statement.text), statement.values(values), prepare=self.prepare, binary=True)
            self._changed = cursor.rowcount
            return cursor
        begin, self._begin = self._begin, None
        with self.pipeline():
            self.script(begin)
            cursor.execute(cast("Any", statement.text), statement.values(values), prepare=self.prepare, binary=True)
        return cursor
