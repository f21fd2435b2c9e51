"""What all reads of a store that keeps rows have: named statements, snapshots, and one session with its messages."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import datetime

from palaver.errors import CorruptRecord, SessionNotFound
from palaver.rows import CutRow, Head, SessionRow, StoredMessage, TurnRow
from palaver.stores.sqlite.fields import bad_turn, legible, legible_turn
from palaver.stores.sqlite.rows import (
    DELETED,
    LAST,
    SESSION_COLUMNS,
    TURN_COLUMNS,
    cut_row,
    head_row,
    newer_head,
)
from palaver.stores.statements import Row, Statements
from palaver.stores.tails import TailRow

__all__ = ["TURN", "RowSource"]

TURN = SESSION_COLUMNS + 4
"""Where a row of a session has its newest turn."""
_NEWEST = TURN + TURN_COLUMNS
_TAKEN = 12
"""Where the row of a turn has them."""


class RowSource(ABC):
    """One connection, used by one thread at a time. Families of reads derive from it; `RowReads` has them all."""

    def __init__(self, sql: Statements, name: str) -> None:
        self.sql = sql
        self.name = name
        self._damaged: dict[str, bytes] = {}

    @abstractmethod
    def snapshot(self) -> AbstractContextManager[None]:
        """Several statements that see one state. One inside another is the same."""

    def lease_time(self, now: datetime) -> datetime:
        """The time by which leases are judged: the caller's, where only one machine writes."""
        return now

    def set_aside(self, location: str, body: bytes) -> None:
        """Keep the bytes of a record that cannot be decoded, as they were found."""
        self._damaged[location] = body

    def take_damaged(self) -> dict[str, bytes]:
        """What could not be decoded since this was last asked, by location."""
        damaged, self._damaged = self._damaged, {}
        return damaged

    # ------------------------------------------------------------------ one session
    def _found(self, session_id: str, owner: str | None) -> tuple[SessionRow, Head, TurnRow | None]:
        """A session, its head and newest turn; without what cannot be decoded of its own fields."""
        row = self._row(session_id, owner)
        return legible(row), *self.state(row)

    def _row(self, session_id: str, owner: str | None, *, deleted: bool = False) -> Row:
        return self._require(session_id, self._by_id(session_id), owner, deleted=deleted)

    def _require(self, session_id: str, row: Row | None, owner: str | None, *, deleted: bool) -> Row:
        """The row, if it is there and the owner's. Raises SessionNotFound."""
        gone = row is None or (row[DELETED] is not None and not deleted)
        if row is None or gone or (owner is not None and row[2] != owner):
            msg = f"no session {session_id!r}: check the id and the owner"
            raise SessionNotFound(msg)
        return row

    def _by_id(self, session_id: str) -> Row | None:
        """A session with its head, its newest turn and its newest message, by its id; as far as it can be read."""
        return self.sql.one("session_by_id", (session_id,))

    def _by_key(self, owner: str, key: str) -> Row | None:
        """The same by a key, and since when that points at it."""
        return self.sql.one("session_by_key", (owner, key))

    def state(self, row: Row) -> tuple[Head, TurnRow | None]:
        """The head and the newest turn in a session's row, without what of the turn cannot be decoded."""
        newest = row[_NEWEST : _NEWEST + 3] if row[_NEWEST] is not None else None
        turn = self.turn_of(row[TURN:]) if row[TURN] is not None else None
        return newer_head(head_row(row[SESSION_COLUMNS:]), newest), turn

    def turn_of(self, row: Row) -> TurnRow:
        """A turn without what of it cannot be decoded, which is set aside."""
        return legible_turn(row, self.set_aside)

    def whole_turn_of(self, row: Row, session_id: str) -> TurnRow:
        """A turn for who asks for its messages. Raises CorruptRecord where it is not known which those are."""
        turn = self.turn_of(row)
        if row[_TAKEN] is not None and "taken" in bad_turn(row):
            place = f"session {session_id} turn {turn.first_seq}"
            msg = (
                f"{self.name}: which messages the turn at seq {turn.first_seq} of session {session_id!r} took along "
                "cannot be decoded: `palaver check --repair` sets that aside"
            )
            raise CorruptRecord(msg, store=self.name, location=place, excerpt=str(row[_TAKEN])[:80])
        return turn

    def cuts_of(self, session: SessionRow) -> tuple[CutRow, ...]:
        if not session.cut_count:
            return ()
        return tuple(cut_row(r) for r in self.sql.all("cuts", (session.number,)))

    def _queued(self, number: int) -> tuple[int, ...]:
        """Positions of the messages that wait for a turn."""
        return tuple(r[0] for r in self.sql.all("queue", (number << 32, number << 32 | LAST)))

    # ------------------------------------------------------------------ its messages: see `TailSource`
    def newest(self, number: int, low: int, high: int, limit: int) -> Sequence[TailRow]:
        base = number << 32
        rows = self.sql.all("newest_messages", (base | low, base | high, limit))
        return [(r[0] & LAST, *r[1:]) for r in rows]

    def oldest(self, number: int, low: int, high: int, limit: int) -> Sequence[TailRow]:
        base = number << 32
        rows = self.sql.all("oldest_messages", (base | low, base | high, limit))
        return [(r[0] & LAST, *r[1:]) for r in rows]

    def one(self, number: int, seq: int) -> StoredMessage | None:
        row = self.sql.one("message", (number << 32 | seq,))
        return StoredMessage(seq, *row) if row is not None else None
