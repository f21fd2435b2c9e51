"""Making what was cut live again, and what that means where the cut was made to answer a message once more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from palaver.errors import SessionConflict
from palaver.operations import summaries
from palaver.operations.base import bump, close_turn, require_no_turn
from palaver.operations.ranges import cut_range, merged, newest_user, without
from palaver.rows import ChangeKind, CutRow, Head, SessionRow, TurnRow

if TYPE_CHECKING:
    from palaver.operations.ledger import Ledger

__all__ = ["RETRY", "lift", "retried_as", "retry_cut", "undo_retry"]

RETRY = "retry"
"""Kind of a cut that was made to answer a message again; its `last_seq` is where that message was stored again."""


def retry_cut(cuts: tuple[CutRow, ...], turn: TurnRow) -> CutRow | None:
    """The cut that a turn's retry made, if it is one and the cut still holds."""
    return next((c for c in cuts if c.kind == RETRY and not c.lifted and c.last_seq == turn.message_seq), None)


def retried_as(cuts: tuple[CutRow, ...], seq: int) -> int:
    """Where a message stands now: its newest copy, if it was answered again."""
    for cut in cuts:
        if cut.kind == RETRY and not cut.lifted and cut.from_seq == seq:
            seq = cut.last_seq
    return seq


def undo_retry(ledger: Ledger, row: SessionRow, cut: CutRow, at: int) -> SessionRow:
    """Cut a retry's turn, as if it had never been. SessionConflict if anything else came since, SessionBusy if it runs.

    The caller lifts the cut that the retry made.
    """
    number = row.number
    last = ledger.head(number).last_seq
    require_no_turn(ledger, row, last, at)
    turn = ledger.turn(number, cut.last_seq)
    own = ledger.turn_seqs(turn) if turn is not None else []
    if turn is None or own != list(range(cut.last_seq, last + 1)):
        msg = f"session {row.id!r} has nothing to redo: something came after the message was answered again"
        raise SessionConflict(msg, actual=last)
    row = cut_range(ledger, row, cut.last_seq, last, "rollback")
    ledger.add_change(number, row.rev, ChangeKind.CUT, cut.last_seq, last)
    close_turn(ledger, turn, "rolled_back", at, reason="the answer before was brought back", anchor=0)
    return row


def lift(ledger: Ledger, row: SessionRow, cut: CutRow) -> tuple[SessionRow, int]:
    """Make what a cut covers live again; gives how many messages are. Summaries are as if the cut had not been."""
    number = row.number
    head = ledger.head(number)
    cuts = tuple(msgspec.structs.replace(c, lifted=row.rev + 1) if c.id == cut.id else c for c in ledger.cuts(number))
    ledger.put_cuts(number, cuts)
    dead = merged(cuts)
    count = sum(hi - lo + 1 for lo, hi in without(dead, cut.from_seq, cut.through_seq))
    user_seq = newest_user(ledger, number, head.last_seq, dead)
    ledger.put_head(number, Head(head.last_seq, head.message_count + count, head.last_active, user_seq))
    row = bump(ledger, row, compaction=summaries.redone(ledger, number, cut))
    ledger.add_change(number, row.rev, ChangeKind.REDONE, cut.from_seq, cut.through_seq)
    return row, count
