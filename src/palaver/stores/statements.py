"""Named statements on one connection: what the stores that keep rows in a database read and write through."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

__all__ = ["Ask", "Row", "Statements", "Values"]

Row = tuple[Any, ...]
Values = Sequence[Any] | Mapping[str, Any]
Ask = tuple[str, Values]
"""A statement to run, by its name, and its values."""


class Statements(Protocol):
    """The statements of one store, by name, on one connection. Errors are the driver's."""

    def run(self, name: str, values: Values = ()) -> None:
        """Run a statement that gives no rows."""
        ...

    def many(self, name: str, rows: Iterable[Values]) -> None:
        """Run a statement once per row of values."""
        ...

    def one(self, name: str, values: Values = ()) -> Row | None:
        """The first row, or None."""
        ...

    def all(self, name: str, values: Values = ()) -> list[Row]:
        """All rows."""
        ...

    def each(self, name: str, values: Values = ()) -> Iterator[Row]:
        """The rows as they come: memory does not grow with them."""
        ...

    def script(self, text: str) -> None:
        """Run text that is no named statement: transaction control."""
        ...

    def changed(self) -> int:
        """How many rows the last statement changed."""
        ...
