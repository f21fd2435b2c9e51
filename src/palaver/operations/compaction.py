"""Summaries that stand for messages: made by compare-and-set, and taken back."""

from __future__ import annotations

import msgspec

from palaver.errors import SessionConflict
from palaver.operations import summaries
from palaver.operations.base import Operation, bump, open_session
from palaver.operations.ledger import Ledger
from palaver.rows import WITHDRAWN, ChangeKind, CompactionRow, SessionRow

__all__ = ["Compact", "CompactedMeanwhile", "Withdraw"]


class CompactedMeanwhile(SessionConflict):
    """Another summary stands by now than the one that was expected: read what is due again."""


class Compact(Operation, frozen=True, kw_only=True, tag="compact"):
    """Let a summary stand for everything through `through_seq` in windows. The messages stay.

    Compare-and-set: SessionConflict unless `expected` is the id of the newest summary that is not stale (0: none),
    unless `through_seq` lies beyond that summary and inside the transcript, and before the running turn; and, with
    `drafted_rev`, if a message that it covers was edited, cut, brought back or purged since the session had that
    version. Returns the new summary's row.
    """

    owner: str | None = None
    session_id: str
    through_seq: int
    text: str
    expected: int = 0
    drafted_rev: int | None = None
    """The session's version when what the summary tells of was read."""

    def apply(self, ledger: Ledger) -> CompactionRow:
        row = open_session(ledger, self.session_id, self.owner, writing=True)
        number = row.number
        rows = ledger.compactions(number)
        _require_newest(row, self.expected)
        previous = next((c for c in rows if c.id == row.compaction), None)
        covered = previous.through_seq if previous is not None else 0
        last = ledger.head(number).last_seq
        turn = ledger.last_turn(number)
        limit = turn.first_seq - 1 if turn is not None and turn.state == "running" else last
        if not covered <= self.through_seq <= limit or (self.through_seq == covered and previous is not None):
            msg = (
                f"a summary of session {row.id!r} may end at seq {covered + 1} to {limit}, not {self.through_seq}: "
                "it begins where the one before ends, and leaves the running turn alone"
            )
            raise SessionConflict(msg, expected=self.through_seq, actual=limit)
        self._require_unchanged(ledger, row)
        new = CompactionRow(
            id=max((c.id for c in rows), default=0) + 1,
            text=self.text,
            from_seq=1,
            through_seq=self.through_seq,
            previous=self.expected,
            created_at=self.at,
        )
        ledger.put_compactions(number, (*rows, new))
        row = bump(ledger, row, compaction=new.id)
        ledger.add_change(number, row.rev, ChangeKind.COMPACTED, 1, self.through_seq)
        return new

    def _require_unchanged(self, ledger: Ledger, row: SessionRow) -> None:
        """A message that was changed while it was being summarised must not live on in the summary as it was."""
        rev, through = self.drafted_rev, self.through_seq
        if rev is None or rev >= row.rev:
            return
        if any(
            max(cut.rev, cut.lifted) > rev and cut.from_seq <= through for cut in ledger.cuts(row.number)
        ) or ledger.edited_since(row.number, 1, through, rev):
            msg = (
                f"messages of session {row.id!r} through seq {through} were changed after version {rev}, "
                "when they were read: draft the summary again"
            )
            raise SessionConflict(msg, expected=rev, actual=row.rev)


class Withdraw(Operation, frozen=True, kw_only=True, tag="withdraw"):
    """Take the newest summary back: windows have the one before again, or the messages.

    Compare-and-set: SessionConflict unless `expected` is the id of the newest summary that is not stale. Returns the
    row of the summary that stands now, or None; the change says through where it reaches.
    """

    owner: str | None = None
    session_id: str
    expected: int

    def apply(self, ledger: Ledger) -> CompactionRow | None:
        row = open_session(ledger, self.session_id, self.owner, writing=True)
        if not self.expected:
            msg = f"session {row.id!r} has no summary to take back"
            raise SessionConflict(msg, expected=self.expected, actual=row.compaction)
        _require_newest(row, self.expected)
        rows = tuple(
            msgspec.structs.replace(c, stale=WITHDRAWN) if c.id == self.expected else c
            for c in ledger.compactions(row.number)
        )
        ledger.put_compactions(row.number, rows)
        current = summaries.newest(rows)
        row = bump(ledger, row, compaction=current)
        standing = next((c for c in rows if c.id == current), None)
        covered = standing.through_seq if standing is not None else 0
        ledger.add_change(row.number, row.rev, ChangeKind.COMPACTED, 1 if covered else 0, covered)
        return standing


def _require_newest(row: SessionRow, expected: int) -> None:
    if row.compaction != expected:
        msg = f"session {row.id!r} was compacted meanwhile: its summary is {row.compaction}, not {expected}"
        raise CompactedMeanwhile(msg, expected=expected, actual=row.compaction)
