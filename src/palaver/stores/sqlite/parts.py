"""Sessions of a damaged file, read in parts: one statement that asks for all of a session gives nothing of it.

Of a session there is its own row, its newest turn, and its newest message, each on a page of its own. What cannot be
read is left out and named. How far the session had come, where its messages do not tell, the feed and the ids that
callers gave do. Only where a statement has failed: a sound file costs nothing of this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from palaver.stores.sqlite.fields import PartRow, bad_turn, without_bad
from palaver.stores.sqlite.rows import LAST, SESSION_COLUMNS, TURN_COLUMNS
from palaver.stores.statements import Row, Statements

__all__ = ["Parts"]

T = TypeVar("T")
_NO_TURN: Row = (None,) * TURN_COLUMNS
_ASKED = ("platform", "agent", "account", "tag", "title", "pinned", "is_archived", "is_hidden", "parent", "owner")
"""What `part_listed` may be asked for and need not be."""
_AT_ONCE = 50


class Parts:
    """Reads by the statements of one connection, whose errors of these types say that something cannot be read."""

    def __init__(self, sql: Statements, unreadable: tuple[type[Exception], ...]) -> None:
        self._sql = sql
        self._unreadable = unreadable

    def session_by_id(self, session_id: str) -> Row | None:
        """As the statement of that name; None where there is no such session."""
        found = self._sql.one("number_by_id", (session_id,))
        return self._session(found[0]) if found is not None else None

    def session_by_key(self, owner: str, key: str) -> Row | None:
        """As the statement of that name; None where there is no such session."""
        found = self._sql.one("binding", (owner, key))
        return self._session(found[0], found[2]) if found is not None else None

    def listed(self, values: Mapping[str, Any]) -> list[Row]:
        """The sessions of a page of a list, as `list_all` has them."""
        numbers = self._sql.all("part_listed", {**dict.fromkeys(_ASKED), **values})
        rows = [self._session(number) for (number,) in numbers]
        return [_listed(row) for row in rows if row is not None]

    def running(self) -> dict[int, Row]:
        """Sessions with a turn that is said to run: their numbers, who holds it and until when, where that is known."""
        found: dict[int, Row] = {}
        for (place,) in self._sql.all("part_running"):
            row = self._guarded(lambda place=place: self._sql.one("part_turn", (place,)))  # type: ignore[misc]
            if row is not None:
                found[place >> 32] = (place >> 32, _text(row[3]), row[4])
        return found

    def lost(self, number: int) -> str:
        """Which messages of a session cannot be read, in words; nothing where none is known."""
        row = self._guarded(lambda: self._session(number))
        if row is None:
            return ""
        last_seq, newest = row[SESSION_COLUMNS], row[SESSION_COLUMNS + 4 + TURN_COLUMNS]
        through = newest & LAST if newest is not None else last_seq
        places = [f"{low}" if low == high else f"{low} to {high}" for low, high in self._lost(number, through)]
        return f"of session {row[1]!r}, the messages at seq {', '.join(places)}" if places else ""

    def _lost(self, number: int, last_seq: int) -> Iterator[tuple[int, int]]:
        """Positions of a session, from where to where, at which the file cannot be read."""
        after = lost = 0
        while after < last_seq:
            through = self._readable(number, after + 1, last_seq)
            if through is None:
                after += 1
                lost = lost or after
                continue
            if lost:
                yield lost, after
                lost = 0
            after = through
        if lost:
            yield lost, after

    def _readable(self, number: int, low: int, high: int) -> int | None:
        """Through which position messages from a place on can be read; None: not even the first."""
        base = number << 32
        for limit in (_AT_ONCE, 1):
            try:
                rows = self._sql.all("page", (base | low, base | high, limit))
            except self._unreadable:
                continue
            return int(rows[-1][0]) if len(rows) == limit else high
        return None

    def _guarded(self, read: Callable[[], T]) -> T | None:
        try:
            return read()
        except self._unreadable:
            return None

    def _session(self, number: int, *more: Any) -> PartRow | None:
        """A session with its head, its newest turn, its newest message, and more, in the order of `session_by_id`."""
        row = self._sql.one("part_session", (number,))
        if row is None:
            return None
        row = tuple(map(_text, row))
        turn, is_turn_whole = self._turn(number)
        newest, is_end_whole = self._newest(number, *row[-4:])
        found = PartRow((*row, *turn, *newest, *more))
        whole = {"messages": is_end_whole, "turn_running": is_turn_whole}
        found.unread = tuple(name for name, is_whole in whole.items() if not is_whole)
        return found

    def _turn(self, number: int) -> tuple[Row, bool]:
        """The newest turn, as far as it can be read, and whether all of it can."""
        try:
            last = self._sql.one("last_turn", (number << 32, number << 32 | LAST))
            row = self._sql.one("part_turn", (last[0],)) if last is not None and last[0] is not None else None
        except self._unreadable:
            return _NO_TURN, False
        if row is None:
            return _NO_TURN, True
        state = str(row[1], "utf-8", "replace")
        row = (row[0], state, *map(_text, row[2:]))
        bad = bad_turn(row)
        return without_bad(row, bad), not bad

    def _newest(self, number: int, last_seq: int, _count: int, active: int, user_seq: int) -> tuple[Row, bool]:
        """The newest message, see `newest_after`, and whether it can be read; else what is known of it elsewhere."""
        base = number << 32
        try:
            row = self._sql.one("newest_after", (base | last_seq, base | LAST))
        except self._unreadable:
            pass
        else:
            return row or (None, None, None), True
        told = self._guarded(lambda: self._sql.one("part_through", {"number": number}))
        seq = max(last_seq, told[0] if told is not None else 0)
        return (base | seq, seq - user_seq if user_seq else -1, active), False


def _listed(row: PartRow) -> PartRow:
    """A session as lists have it: without its turn, and of its newest message the position."""
    found = PartRow((*row[: SESSION_COLUMNS + 4], row[SESSION_COLUMNS + 4 + TURN_COLUMNS]))
    found.unread = tuple(name for name in row.unread if name != "turn_running")
    return found


def _text(value: Any) -> Any:
    """Bytes that are text as text; others as they are, which no reader of theirs takes for text."""
    if not isinstance(value, bytes):
        return value
    try:
        return str(value, "utf-8")
    except UnicodeDecodeError:
        return value
