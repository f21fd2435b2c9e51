"""Answering a message once more: the answer before stays stored, and comes back in place of the new one if asked for.

The message is stored again at the end, without its id, and what stood from it on is cut. So the new turn is a turn like
any other; the cut knows where the message stands now, and the id leads there.
"""

from __future__ import annotations

import msgspec

from palaver import codec
from palaver.errors import SessionConflict
from palaver.operations.base import Operation, open_session, require_no_turn
from palaver.operations.beginning import Begin, Begun, Lease
from palaver.operations.ledger import Ledger
from palaver.operations.lifting import RETRY
from palaver.operations.ranges import cut_range, merged, newest_user
from palaver.rows import ChangeKind, CutRow, Draft, SessionRow

__all__ = ["Retry"]


class Retry(Operation, frozen=True, kw_only=True, tag="retry"):
    """Begin a turn that answers the newest message of the user again, in one transaction.

    The message is stored again, with its time and without its id; what stood from it on is cut, and Redo brings it back
    in place of the new answer while nothing else came. Who delivers the message again gets the new turn.

    Raises SessionConflict where no message could be answered, or where messages wait; SessionBusy while another turn
    holds the lease, SessionEnded, SessionNotFound.
    """

    owner: str | None = None
    session_id: str
    lease: Lease
    budget: str | None = None
    """As in `Begin`."""

    def apply(self, ledger: Ledger) -> Begun:
        row = open_session(ledger, self.session_id, self.owner, writing=True)
        begin = Begin(at=self.at, owner=self.owner, session_id=row.id, lease=self.lease, budget=self.budget)
        mine = begin.running_already(ledger)
        if mine is not None:
            return mine
        row, message, cut = _take_back(ledger, row, self.at)
        begun: Begun = msgspec.structs.replace(begin, message=message).apply(ledger)
        _again(ledger, row.number, cut, begun.seq)
        return begun


def _take_back(ledger: Ledger, row: SessionRow, at: int) -> tuple[SessionRow, Draft, CutRow]:
    """Cut the newest message of the user with all that follows it; gives the message to be stored again."""
    number = row.number
    head = ledger.head(number)
    if ledger.queued(number):
        msg = f"messages wait in session {row.id!r}: begin a turn without a message to answer them"
        raise SessionConflict(msg)
    require_no_turn(ledger, row, head.last_seq, at)
    row = ledger.session(number)
    seq = newest_user(ledger, number, head.last_seq, merged(ledger.cuts(number)))
    stored = ledger.message(number, seq) if seq else None
    if stored is None:
        msg = f"session {row.id!r} has no message of the user that could be answered again"
        raise SessionConflict(msg, actual=head.last_seq)
    message = codec.restore(seq, stored.kind, stored.at, stored.body, location=f"session {row.id} seq {seq}")
    row = cut_range(ledger, row, seq, head.last_seq, RETRY)
    ledger.add_change(number, row.rev, ChangeKind.CUT, seq, head.last_seq)
    return row, codec.draft(message.replace(seq=0, id=None)), ledger.cuts(number)[-1]


def _again(ledger: Ledger, number: int, cut: CutRow, seq: int) -> None:
    """Note where the message of a cut was stored again."""
    noted = msgspec.structs.replace(cut, last_seq=seq)
    ledger.put_cuts(number, tuple(noted if c.id == cut.id else c for c in ledger.cuts(number)))
