"""Operations that change what a transcript says, and can be undone: redo of a cut, and edits, which keep versions."""

from __future__ import annotations

import msgspec

from palaver import codec
from palaver.errors import InvalidMessage, SessionConflict
from palaver.operations.base import (
    Appended,
    Operation,
    admit_media,
    append,
    open_session,
    require_no_turn,
    require_rev,
)
from palaver.operations.continuations import MERGE
from palaver.operations.editing import put_content
from palaver.operations.ledger import Ledger
from palaver.operations.lifting import RETRY, lift, undo_retry
from palaver.operations.merging import unmerge
from palaver.operations.ranges import cut_range, merged
from palaver.rows import GONE, MEDIA, ROLE_MASK, UNSEEN, ChangeKind, Draft

__all__ = ["Edit", "Redo", "Redone", "Replace"]

NOT_LIFTED = GONE | {"rollback"}
"""Kinds of cuts that redo leaves alone: what is gone is gone, and a turn that was rolled back never was."""


class Redone(msgspec.Struct, frozen=True, gc=False):
    """The range that is live again."""

    from_seq: int
    through_seq: int
    count: int = 0
    """How many messages in it are live again: others were taken back before, or are gone."""


class Redo(Operation, frozen=True, kw_only=True, tag="redo"):
    """Make what the newest cut took away live again; summaries that the cut had made stale hold again.

    One that was made meanwhile, of a range without what comes back, is stale from now on.
    Where a message was answered again, the answer before comes back in place of the new one; where an answer was merged
    with its continuation, they are two again.
    SessionConflict where there is nothing to redo: nothing was cut, or a message came since.
    """

    owner: str | None = None
    session_id: str
    expected_rev: int | None = None

    def apply(self, ledger: Ledger) -> Redone:
        row = open_session(ledger, self.session_id, self.owner, writing=True)
        require_rev(row, self.expected_rev)
        number = row.number
        head = ledger.head(number)
        cuts = ledger.cuts(number)
        newest = next((cut for cut in reversed(cuts) if not cut.lifted), None)
        retried = newest is not None and newest.kind == RETRY
        if newest is None or newest.kind in NOT_LIFTED or (newest.last_seq != head.last_seq and not retried):
            msg = f"session {row.id!r} has nothing to redo: nothing was taken back, or something came after it"
            raise SessionConflict(msg, actual=head.last_seq)
        if retried:
            row = undo_retry(ledger, row, newest, self.at)
        if newest.kind == MERGE:
            row = unmerge(ledger, row, newest, self.at)
        _, count = lift(ledger, row, newest)
        return Redone(newest.from_seq, newest.through_seq, count)


class Replace(Operation, frozen=True, kw_only=True, tag="replace"):
    """Put messages in the place of all that is live. What they replace is cut, and stays stored.

    A message may have the id of one that it replaces. Raises SessionConflict if the session ends elsewhere than at
    `expected_seq`, SessionBusy while a turn runs.
    """

    owner: str | None = None
    session_id: str
    messages: tuple[Draft, ...]
    expected_seq: int | None = None

    def apply(self, ledger: Ledger) -> Appended:
        row = open_session(ledger, self.session_id, self.owner, writing=True)
        number = row.number
        last = ledger.head(number).last_seq
        if self.expected_seq is not None and self.expected_seq != last:
            msg = f"session {row.id!r} ends at seq {last}, not {self.expected_seq}: read what is new and retry"
            raise SessionConflict(msg, expected=self.expected_seq, actual=last)
        if last:
            require_no_turn(ledger, row, last, self.at)
            row = cut_range(ledger, row, 1, last, "replace")
            ledger.add_change(number, row.rev, ChangeKind.CUT, 1, last)
            for draft in self.messages:
                if draft.id is not None and ledger.message_seq(number, draft.id) is not None:
                    ledger.put_message_id(number, draft.id, None)
        done = append(ledger, row, self.messages, self.at)
        if done.fresh:
            ledger.add_change(number, row.rev, ChangeKind.APPENDED, last + 1, done.last_seq)
        return done


class Edit(Operation, frozen=True, kw_only=True, tag="edit"):
    """Put new content in the place of a message; what it said before is kept as a version.

    Position, time, role, id and visibility stay. A summary that covers the message is stale from now on. Returns how
    many earlier versions there are. Raises SessionConflict where the message is not live, SessionBusy where it
    belongs to a running turn, InvalidMessage for another role.
    """

    owner: str | None = None
    session_id: str
    seq: int
    message: Draft
    expected_rev: int | None = None

    def apply(self, ledger: Ledger) -> int:
        row = open_session(ledger, self.session_id, self.owner, writing=True)
        require_rev(row, self.expected_rev)
        number, seq = row.number, self.seq
        stored = ledger.message(number, seq)
        if stored is None or any(lo <= seq <= hi for lo, hi in merged(ledger.cuts(number))):
            msg = f"session {row.id!r} has no live message at seq {seq}"
            raise SessionConflict(msg, expected=seq, actual=ledger.head(number).last_seq)
        require_no_turn(ledger, row, seq, self.at)
        fixed = ROLE_MASK | UNSEEN
        if self.message.kind & fixed != stored.kind & fixed:
            msg = f"an edit keeps the role and the visibility of the message at seq {seq}: delete it and append another"
            raise InvalidMessage(msg)
        if self.message.id != codec.decode(stored.body).id:
            msg = f"an edit keeps the id of the message at seq {seq}: delete it and append another"
            raise InvalidMessage(msg)
        if self.message.kind & MEDIA:
            admit_media(ledger, row, seq, self.message)
        put_content(ledger, row, stored, self.message.kind, bytes(self.message.body), self.at)
        return len(ledger.versions(number, seq))
