"""Operations on to-dos: what is to be done about a session before it is reset for good.

A to-do is made by the reset or by the sweep that comes before it, claimed by one worker at a time, and ends as done, or
given up after its third failure (as hermes does with its memory flush): work that cannot be done must not keep a
conversation from ever being reset. A claim whose worker has gone is free again, and counts as a failure.
"""

from __future__ import annotations

from typing import Any

import msgspec

from palaver.errors import SessionBusy, SessionConflict
from palaver.operations.base import Operation, holds_nothing_of_its_own, open_session, require_text
from palaver.operations.ledger import Ledger
from palaver.rows import ChangeKind, Holder, SessionRow, TodoRow
from palaver.times import SECOND

__all__ = ["FAILURES", "ClaimTodo", "EndTodo", "add_todo", "is_settled"]

FAILURES = 3
"""With so many a to-do is given up (hermes)."""
_PAUSE = 300 * SECOND
"""How long a to-do that failed waits before it is due again (hermes looks every five minutes)."""
_LONGEST = 500
GONE = "its worker went away, or let the claim run out"


def is_settled(todo: TodoRow | None, through_seq: int) -> bool:
    """Whether nothing is left to be done about a session that ends there."""
    return todo is not None and todo.state in ("done", "given_up") and todo.through_seq >= through_seq


def add_todo(ledger: Ledger, row: SessionRow, reason: str, at: int) -> bool:
    """See to it that a to-do waits for all that a session holds; gives whether there was something to add.

    There is none for a session that holds nothing of its own, and none twice for the same messages.
    """
    last = ledger.head(row.number).last_seq
    was = ledger.todo(row.number)
    if holds_nothing_of_its_own(ledger, row.number) or (was is not None and was.through_seq >= last):
        return False
    todo = TodoRow(session=row.number, reason=reason, made_at=at, through_seq=last)
    if was is not None and was.state in ("waiting", "claimed"):  # who works on it finds that more has come
        todo = msgspec.structs.replace(was, through_seq=last)
    elif was is not None:
        todo = msgspec.structs.replace(todo, after_seq=was.through_seq)
    ledger.put_todo(todo)
    ledger.add_change(row.number, row.rev, ChangeKind.TODO_ADDED)
    return True


class ClaimTodo(Operation, frozen=True, kw_only=True, tag="claim_todo"):
    """Take a session's to-do for `micros`, so that no other worker does it.

    Gives the to-do. One whose claim has run out before fails by that, and where it was its third failure what is given
    says that it is given up. Raises SessionBusy while another holds it, SessionConflict where there is none.
    """

    owner: str | None = None
    session_id: str
    token: str
    holder: Holder | None = None
    micros: int

    def apply(self, ledger: Ledger) -> TodoRow:
        row = open_session(ledger, self.session_id, self.owner)
        todo = ledger.todo(row.number)
        if todo is None or todo.state in ("done", "given_up"):
            state = "none" if todo is None else f"one that is {todo.state.replace('_', ' ')}"
            msg = f"session {row.id!r} has no to-do that waits, but {state}: due() lists those that do"
            raise SessionConflict(msg)
        if todo.state == "claimed":
            if todo.token == self.token:
                return todo
            if todo.until > ledger.now(self.at) and ledger.alive(todo.holder):
                msg = f"another worker has claimed the to-do of session {row.id!r}: take one that due() lists"
                raise SessionBusy(msg)
            todo = _failed(ledger, row, todo, GONE, self.at)
            if todo.state == "given_up":
                return todo
        todo = msgspec.structs.replace(
            todo, state="claimed", token=self.token, holder=self.holder, until=ledger.now(self.at) + self.micros
        )
        ledger.put_todo(todo)
        ledger.add_change(row.number, row.rev, ChangeKind.TODO_CLAIMED)
        return todo


class EndTodo(Operation, frozen=True, kw_only=True, tag="end_todo"):
    """Say that a claimed to-do is done through a position, or (`error`) that it failed.

    Where the session has grown past that position and was reset again meanwhile, the rest waits. A claim that ran out
    is good while nobody else has taken it. Without a token, done: a to-do that was given up is off the table.
    Raises SessionConflict where the claim is another's. Doing it twice is doing it once.
    """

    owner: str | None = None
    session_id: str
    token: str = ""
    through_seq: int = 0
    error: str | None = None

    def apply(self, ledger: Ledger) -> TodoRow:
        row = open_session(ledger, self.session_id, self.owner)
        todo = ledger.todo(row.number)
        if todo is not None and todo.state == "given_up" and not self.token and self.error is None:
            return _put(ledger, row, todo, ChangeKind.TODO_DONE, state="done")
        if todo is None or todo.token != self.token or not self.token:
            msg = f"the to-do of session {row.id!r} is not claimed with this token: another worker may have it"
            raise SessionConflict(msg)
        if todo.state != "claimed":
            return todo
        if self.error is not None:
            require_text(self.error, "reason")
            return _failed(ledger, row, todo, self.error[:_LONGEST], self.at)
        if self.through_seq < todo.through_seq:
            rest: dict[str, Any] = {"state": "waiting", "after_seq": self.through_seq, "failures": 0, "error": None}
            return _put(ledger, row, todo, ChangeKind.TODO_DONE, holder=None, until=0, **rest)
        return _put(ledger, row, todo, ChangeKind.TODO_DONE, state="done", holder=None, until=0)


def _failed(ledger: Ledger, row: SessionRow, todo: TodoRow, error: str, at: int) -> TodoRow:
    failures = todo.failures + 1
    last = failures >= FAILURES
    return _put(
        ledger,
        row,
        todo,
        ChangeKind.TODO_GIVEN_UP if last else ChangeKind.TODO_FAILED,
        state="given_up" if last else "waiting",
        failures=failures,
        error=error,
        holder=None,
        until=0 if last else ledger.now(at) + _PAUSE,
    )


def _put(ledger: Ledger, row: SessionRow, todo: TodoRow, kind: ChangeKind, **changes: Any) -> TodoRow:
    todo = msgspec.structs.replace(todo, **changes)
    ledger.put_todo(todo)
    ledger.add_change(row.number, row.rev, kind)
    return todo
