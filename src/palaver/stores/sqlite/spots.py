"""What a check finds before it is told to anybody: a problem, and where it is."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

from palaver.stores.statements import Statements

__all__ = ["Sink", "Source", "Spot"]


class Spot(NamedTuple):
    """A problem of `palaver.findings`, and where it is."""

    problem: str
    number: int | None
    """Of the session."""
    seq: int | None
    place: str | None
    """Where it is, in words, if it is in no session or beside one."""
    detail: str


Sink = Callable[[Spot], None]


class Source(Protocol):
    """The reads that a check needs; see `palaver.stores.sqlite.reads.Reads`."""

    name: str
    sql: Statements

    @property
    def unreadable(self) -> tuple[type[Exception], ...]:
        """The driver's errors which say that what is stored cannot be read."""
        ...

    def snapshot(self) -> AbstractContextManager[None]:
        """Several statements that see one state."""
        ...

    def integrity(self) -> list[str]:
        """What the database itself says of its tables and indexes; nothing: all is well."""
        ...

    def lost(self, number: int) -> str:
        """Which messages of a session cannot be read, in words; nothing where that is not known."""
        ...
