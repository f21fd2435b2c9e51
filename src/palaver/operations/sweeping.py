"""What a sweep does to a session: each step small, and refused where the session is not as the sweep saw it."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from palaver.errors import SessionNotFound
from palaver.operations.base import KeyMoved, Operation, is_held, open_session
from palaver.operations.ledger import Ledger
from palaver.operations.removal import NOTHING_LEFT, PURGING, Delete, delete_subagents, purge_some
from palaver.operations.sessions import NewSession, Rotate, SetInfo
from palaver.operations.todos import add_todo, is_settled
from palaver.rows import ChangeKind, SessionRow

__all__ = ["Expire", "Expired", "Sweep", "SweepVerb"]

SweepVerb: TypeAlias = Literal["purge", "delete", "archive"]


class Expired(msgspec.Struct, frozen=True, gc=False):
    """What became of a session that is over."""

    session: str | None = None
    """The one that follows it; None: its to-do comes first."""
    added: bool = False
    """Whether that to-do was made now."""


class Expire(Operation, frozen=True, kw_only=True, tag="expire"):
    """Reset a session that its policy says is over, with all of its keys; its to-do, where there are such, first.

    The new session tells the next message what happened. Raises KeyMoved if the session is in use again: a message
    came, a turn runs, somebody holds or resumed it. Then the message wins.
    """

    owner: str | None = None
    session_id: str
    expected_seq: int
    expected_rev: int
    before_reset: bool = False
    new: NewSession

    def apply(self, ledger: Ledger) -> Expired:
        row = open_session(ledger, self.session_id, self.owner, writing=True)
        require_unchanged(ledger, row, self.expected_seq, self.expected_rev, self.at)
        number = row.number
        if self.before_reset and not is_settled(ledger.todo(number), ledger.head(number).last_seq):
            return Expired(added=add_todo(ledger, row, self.new.reset_reason or "", self.at))
        rotated = Rotate(
            at=self.at,
            owner=self.owner,
            session_id=row.id,
            all_keys=True,
            new=self.new,
            expected_seq=self.expected_seq,
        ).apply(ledger)
        ledger.add_change(number, ledger.session(number).rev, ChangeKind.EXPIRED)
        return Expired(session=rotated.session)


class Sweep(Operation, frozen=True, kw_only=True, tag="sweep"):
    """Archive, delete or purge a session, by what a sweep read of it. Gives how many positions are left to purge.

    A purge takes `most` positions at a time, so that nobody waits for a long one: with the first of them the session is
    gone for every reader, and it is done again until none is left. Raises KeyMoved where the session has changed or is
    in use, SessionNotFound where somebody was faster.
    """

    owner: str | None = None
    session_id: str
    verb: SweepVerb
    expected_seq: int = 0
    expected_rev: int = 0
    most: int = 500

    def apply(self, ledger: Ledger) -> int:
        row = ledger.find(self.session_id)
        if row is None or row.end_reason in NOTHING_LEFT or (self.owner is not None and row.owner != self.owner):
            msg = f"no session {self.session_id!r}: it was purged or erased meanwhile, or is another owner's"
            raise SessionNotFound(msg)
        if row.end_reason == PURGING and self.verb == "purge":
            return purge_some(ledger, row, self.at, self.most)
        require_unchanged(ledger, row, self.expected_seq, self.expected_rev, self.at)
        ledger.add_change(row.number, row.rev, ChangeKind.SWEPT)
        match self.verb:
            case "purge":
                delete_subagents(ledger, row, self.at)  # of an empty session; others went when it was deleted
                return purge_some(ledger, row, self.at, self.most)
            case "delete":
                Delete(at=self.at, owner=self.owner, session_id=row.id).apply(ledger)
            case "archive":
                SetInfo(at=self.at, owner=self.owner, session_id=row.id, archived=True).apply(ledger)
        return 0


def require_unchanged(ledger: Ledger, row: SessionRow, expected_seq: int, expected_rev: int, at: int) -> None:
    """KeyMoved unless a session is as it was read, and nobody uses it: no turn, no hold, nothing that waits."""
    turn = ledger.last_turn(row.number)
    used = turn is not None and turn.state == "running" and is_held(ledger, turn, at)
    kept = row.deleted_at is None and (ledger.queued(row.number) or any(until > at for _, until in row.holds))
    seq = ledger.head(row.number).last_seq
    if used or kept or (seq, row.rev) != (expected_seq, expected_rev):
        msg = f"session {row.id!r} is in use again: read it again and decide anew"
        raise KeyMoved(msg, expected=(expected_seq, expected_rev), actual=(seq, row.rev))
