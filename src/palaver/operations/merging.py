"""An answer that was cut short, and its continuation, made one; and two again."""

from __future__ import annotations

from palaver import codec
from palaver.errors import InvalidMessage, SessionConflict
from palaver.operations.base import Operation, admit_media, open_session, require_no_turn, require_rev
from palaver.operations.continuations import MERGE
from palaver.operations.editing import put_content
from palaver.operations.ledger import Ledger
from palaver.operations.ranges import cut_range, merged, without
from palaver.rows import MEDIA, ROLE_MASK, UNSEEN, USER_KIND, ChangeKind, CutRow, Draft, SessionRow, StoredMessage

__all__ = ["Merge", "unmerge"]

_ANSWER = 4
"""The assistant's kind."""
_BETWEEN = 50


class Merge(Operation, frozen=True, kw_only=True, tag="merge"):
    """Let an answer say what its continuation says too, and make that, and the request for it, live no more.

    What the answer said before is kept as a version. Between the two may stand messages of the user, hidden ones and
    commands: anything else would be lost, and is a SessionConflict, as is a message that is not live or no answer.
    SessionBusy where one belongs to a running turn, InvalidMessage for content that is no answer.
    """

    owner: str | None = None
    session_id: str
    seq: int
    continuation: int
    message: Draft
    """What both say together."""
    expected_rev: int | None = None

    def apply(self, ledger: Ledger) -> SessionRow:
        row = open_session(ledger, self.session_id, self.owner, writing=True)
        require_rev(row, self.expected_rev)
        number = row.number
        answer = _answer(ledger, row, self.seq)
        _answer(ledger, row, self.continuation)
        require_no_turn(ledger, row, max(self.seq, self.continuation), self.at)
        _require_requests(ledger, row, self.seq, self.continuation)
        kind = self.message.kind
        if kind & (ROLE_MASK | UNSEEN) != _ANSWER or self.message.id != codec.decode(answer.body).id:
            msg = f"what is merged into seq {self.seq} is an answer with the id of that one"
            raise InvalidMessage(msg)
        if kind & MEDIA:
            admit_media(ledger, row, self.seq, self.message)
        row = put_content(ledger, row, answer, kind, bytes(self.message.body), self.at)
        row = cut_range(ledger, row, self.seq + 1, self.continuation, MERGE)
        ledger.add_change(number, row.rev, ChangeKind.CUT, self.seq + 1, self.continuation)
        return row


def unmerge(ledger: Ledger, row: SessionRow, cut: CutRow, at: int) -> SessionRow:
    """Let the answer say what it said before; the caller lifts the cut. SessionConflict if it was edited since."""
    seq = cut.from_seq - 1
    stored = ledger.message(row.number, seq)
    cuts = [each for each in ledger.cuts(row.number) if each.kind == MERGE and each.from_seq == cut.from_seq]
    own = {each.rev - 1 for each in cuts} | {each.lifted - 1 for each in cuts}
    since = [each for each in ledger.versions(row.number, seq) if each.version >= cut.rev - 1]
    if stored is None or not since or not own.issuperset(each.version for each in since):
        msg = f"the answer at seq {seq} of session {row.id!r} was changed since it was merged: it stays as it is"
        raise SessionConflict(msg, actual=row.rev)
    return put_content(ledger, row, stored, since[0].kind, since[0].body, at)


def _answer(ledger: Ledger, row: SessionRow, seq: int) -> StoredMessage:
    stored = ledger.message(row.number, seq) if seq > 0 else None
    dead = stored is None or any(lo <= seq <= hi for lo, hi in merged(ledger.cuts(row.number)))
    if stored is None or dead or stored.kind & (ROLE_MASK | UNSEEN) != _ANSWER:
        msg = f"session {row.id!r} has no live answer at seq {seq}: both that are merged are the assistant's"
        raise SessionConflict(msg, expected=seq, actual=ledger.head(row.number).last_seq)
    return stored


def _require_requests(ledger: Ledger, row: SessionRow, first: int, last: int) -> None:
    live = without(merged(ledger.cuts(row.number)), first + 1, last - 1) if first < last else []
    between = [seq for low, high in live for seq in range(low, min(high, low + _BETWEEN) + 1)]
    others = [ledger.message(row.number, seq) for seq in between[: _BETWEEN + 1]]
    wrong = [m.seq for m in others if m is not None and not m.kind & UNSEEN and m.kind & ROLE_MASK != USER_KIND]
    if first >= last or wrong or len(between) > _BETWEEN:
        why = f"seq {wrong[0]} is no request for more" if wrong else "a continuation stands behind it, not far away"
        msg = f"what stands at seq {last} of session {row.id!r} does not continue seq {first}: {why}"
        raise SessionConflict(msg, expected=first, actual=last)
