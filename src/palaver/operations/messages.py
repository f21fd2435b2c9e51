"""Operations that add to a transcript."""

from __future__ import annotations

import msgspec

from palaver.errors import SessionConflict
from palaver.model import Usage
from palaver.operations.base import Appended, Operation, add_usage, append, bump, open_session
from palaver.operations.ledger import Ledger
from palaver.operations.sessions import NewSession, add_session, bind
from palaver.operations.turns import held_turn
from palaver.rows import ChangeKind, Draft, SessionRow

__all__ = ["Append", "RecordUsage"]


class Append(Operation, frozen=True, kw_only=True, tag="append"):
    """Store messages at the end of a session, all or none.

    With a `token`, as part of the turn that holds it, whose lease then lasts `lease_micros` from now: TurnLost if it
    holds it no more. `expected_seq` is the last position that the caller saw: SessionConflict if there is a later
    one, unless every message is stored already under its id with the same content (a retry).
    """

    owner: str | None = None
    session_id: str
    key: str | None = None
    create: NewSession | None = None
    """With a key: what to make if it points at nothing yet; if it points at a session by now, that one is meant."""
    messages: tuple[Draft, ...]
    expected_seq: int | None = None
    token: str | None = None
    lease_micros: int = 0
    restoring: bool = False
    """These were said before, elsewhere, as in an import: ContentErased if one of them was erased from this store."""

    def apply(self, ledger: Ledger) -> Appended:
        row = self._session(ledger)
        number = row.number
        before = ledger.head(number).last_seq
        first = 0
        if self.token is not None:
            turn = held_turn(ledger, row, self.token)
            first = turn.first_seq
            # A lease is renewed in memory terms by every append and on disk when a tenth of it is gone:
            # rewriting the turn's row each time would cost a page per append.
            now = ledger.now(self.at)
            if turn.expires_at - now < self.lease_micros * 9 // 10:
                ledger.put_turn(msgspec.structs.replace(turn, expires_at=now + self.lease_micros))
        done = append(ledger, row, self.messages, self.at, turn=first, restoring=self.restoring)
        if self.expected_seq is not None and done.fresh and self.expected_seq != before:
            msg = f"session {row.id!r} ends at seq {before}, not {self.expected_seq}: read what is new and retry"
            raise SessionConflict(msg, expected=self.expected_seq, actual=before)
        if done.fresh:
            ledger.add_change(number, row.rev, ChangeKind.APPENDED, before + 1, done.last_seq)
        return done

    def _session(self, ledger: Ledger) -> SessionRow:
        if self.create is None or self.key is None:
            return open_session(ledger, self.session_id, self.owner, writing=self.token is None)
        owner = self.owner or ""
        bound = ledger.binding(owner, self.key)
        if bound is not None:
            return open_session(ledger, ledger.session(bound.session).id, self.owner, writing=True)
        row = add_session(ledger, self.create, owner, self.at)
        return bind(ledger, owner, self.key, row, self.at)


class RecordUsage(Operation, frozen=True, kw_only=True, tag="record_usage"):
    """Add to what a session has used. An ended session can still be charged.

    With an `id`, doing it twice charges once.
    """

    owner: str | None = None
    session_id: str
    usage: Usage
    id: str | None = None

    def apply(self, ledger: Ledger) -> None:
        row = open_session(ledger, self.session_id, self.owner)
        if self.id is not None:
            name = f"~usage {self.id}"  # no message's id begins with "~"
            if ledger.message_seq(row.number, name) is not None:
                return
            ledger.put_message_id(row.number, name, 0)
        add_usage(ledger, row, self.usage, self.at)
        row = bump(ledger, row)
        ledger.add_change(row.number, row.rev, ChangeKind.USAGE)
