"""Operations that take a session away: so that it can be brought back, or for good."""

from __future__ import annotations

import msgspec

from palaver.errors import SessionConflict, SessionNotFound
from palaver.operations.base import Operation, bump, close_turn, open_session, require_rev
from palaver.operations.ledger import Ledger
from palaver.operations.ranges import cut_range, joined, without
from palaver.rows import GONE, ChangeKind, SessionRow

__all__ = ["NOTHING_LEFT", "PURGED", "PURGING", "Delete", "PurgeSession", "Restore", "delete_subagents", "purge_some"]

DELETED = "deleted"
"""Why a session has ended that was deleted while a key pointed at it."""
PURGED = "purged"
PURGING = "purging"
"""Purged for every reader, while the last of its messages are still being removed."""
_ALL = 1 << 62
NOTHING_LEFT = frozenset({PURGED, "erased"})
"""Why a session has ended of which nothing is left."""


class Delete(Operation, frozen=True, kw_only=True, tag="delete"):
    """Make a session not found from now on; all of it stays, and can be restored.

    Its keys point at nothing any more, so that the next message under one of them begins a new session. Its title is
    free for another. A turn that runs is closed as interrupted. Sessions of its subagents go with it. Raises
    SessionConflict for another version than `expected_rev`.
    """

    owner: str | None = None
    session_id: str
    expected_rev: int | None = None

    def apply(self, ledger: Ledger) -> SessionRow:
        row = open_session(ledger, self.session_id, self.owner)
        require_rev(row, self.expected_rev)
        delete_subagents(ledger, row, self.at)
        return _delete(ledger, row, self.at)


def delete_subagents(ledger: Ledger, row: SessionRow, at: int) -> None:
    """Delete the sessions of a session's subagents, and of theirs."""
    for each in _subagents(ledger, row):
        if each.deleted_at is None:
            _delete(ledger, each, at)


def _subagents(ledger: Ledger, row: SessionRow) -> list[SessionRow]:
    """Sessions of its subagents and of theirs, each once: what was imported may lead back to where it began."""
    seen = {row.number}
    found = [row]
    for each in found:
        below = [ledger.session(number) for number in ledger.subagents(each.id) if number not in seen]
        seen.update(other.number for other in below)
        found += [other for other in below if other.owner == row.owner]
    return [each for each in found[1:] if each.end_reason not in NOTHING_LEFT]


def _delete(ledger: Ledger, row: SessionRow, at: int) -> SessionRow:
    turn = ledger.last_turn(row.number)
    if turn is not None and turn.state == "running":
        close_turn(ledger, turn, "interrupted", at, reason="the session was deleted")
        ledger.add_change(row.number, row.rev, ChangeKind.TURN_INTERRUPTED)
    for owner, key in ledger.keys(row.number):
        ledger.drop_binding(owner, key)
    ledger.put_title(row.owner, row.title, None, row.number)
    ended = {} if row.ended_at is not None else {"ended_at": at, "end_reason": DELETED}
    row = bump(ledger, row, deleted_at=at, **ended)
    ledger.add_change(row.number, row.rev, ChangeKind.DELETED)
    return row


class PurgeSession(Operation, frozen=True, kw_only=True, tag="purge_session"):
    """Remove a session for good, deleted or not: its messages, versions, media, summaries, ids, names and keys.

    What stays says nothing: its id and numbers, which are never given out again, what it used, and the journal.
    Sessions of its subagents go with it. Returns how many messages were removed. Raises SessionNotFound for an unknown,
    foreign or purged session.
    """

    owner: str | None = None
    session_id: str
    expected_rev: int | None = None

    def apply(self, ledger: Ledger) -> int:
        row = ledger.find(self.session_id)
        if row is None or row.end_reason in NOTHING_LEFT or (self.owner is not None and row.owner != self.owner):
            msg = f"no session {self.session_id!r}: check the id and the owner"
            raise SessionNotFound(msg)
        require_rev(row, self.expected_rev)
        gone = 0
        for each in (*_subagents(ledger, row), row):
            gone += sum(hi - lo + 1 for lo, hi in _unpurged(ledger, each.number))
            purge_some(ledger, each, self.at, _ALL)
        return gone


def _unpurged(ledger: Ledger, number: int) -> list[tuple[int, int]]:
    """The positions that may still have messages."""
    before = joined([(c.from_seq, c.through_seq) for c in ledger.cuts(number) if c.kind in GONE])
    last = ledger.head(number).last_seq
    return without(before, 1, last) if last else []


def purge_some(ledger: Ledger, row: SessionRow, at: int, most: int) -> int:
    """Make a session a tombstone and remove the first of its messages; gives how many positions are left."""
    number = row.number
    left = _unpurged(ledger, number)
    taken: tuple[int, int] | None = None
    rest = 0
    if left:
        first = left[0][0]
        # One cut, over earlier ones too: a second pass over positions that are gone costs nothing.
        through = min(left[-1][1], first + most - 1)
        taken = first, through
        row = cut_range(ledger, row, first, through, "purge")
        ledger.purge_messages(number, first, through)
        rest = sum(hi - lo + 1 for lo, hi in _unpurged(ledger, number))
    if row.end_reason != PURGING:
        ledger.put_title(row.owner, row.title, None, number)
        ledger.purge_records(number)
    row = bump(
        ledger,
        SessionRow(
            number=number,
            id=row.id,
            owner=row.owner,
            created_at=row.created_at,
            stored_at=row.stored_at,
            rev=row.rev,
            cut_count=row.cut_count,
            parent=row.parent,
            parent_kind=row.parent_kind,
            ended_at=at,
            end_reason=PURGING if rest else PURGED,
            deleted_at=at,
        ),
    )
    ledger.add_change(number, row.rev, ChangeKind.PURGED, *(taken or (0, 0)))
    return rest


class Restore(Operation, frozen=True, kw_only=True, tag="restore"):
    """Bring a deleted session back. It has ended, and no key points at it: resume it to go on with it.

    It loses its title where another session of the owner has taken that meanwhile. Sessions of subagents that went
    with it come back with it. Raises SessionNotFound for an
    unknown or foreign session, SessionConflict for one that was not deleted.
    """

    owner: str | None = None
    session_id: str

    def apply(self, ledger: Ledger) -> SessionRow:
        row = ledger.find(self.session_id)
        if row is None or (self.owner is not None and row.owner != self.owner):
            msg = f"no session {self.session_id!r}: check the id and the owner"
            raise SessionNotFound(msg)
        if row.end_reason == PURGING or row.end_reason in NOTHING_LEFT:
            msg = f"session {row.id!r} was purged or erased: its number is all that is left of it"
            raise SessionNotFound(msg)
        if row.deleted_at is None:
            msg = f"session {row.id!r} was not deleted: there is nothing to restore"
            raise SessionConflict(msg)
        for each in _subagents(ledger, row):
            if each.deleted_at == row.deleted_at and each.end_reason != PURGING:
                _restore(ledger, each, self.at)
        return _restore(ledger, row, self.at)


def _restore(ledger: Ledger, row: SessionRow, at: int) -> SessionRow:
    title = row.title
    if title is not None and ledger.titled(row.owner, title) is not None:
        title = None
    ledger.put_title(row.owner, None, title, row.number)
    row = bump(ledger, msgspec.structs.replace(row, title=title), deleted_at=None, stored_at=at)
    ledger.add_change(row.number, row.rev, ChangeKind.RESTORED)
    return row
