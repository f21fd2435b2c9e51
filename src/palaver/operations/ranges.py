"""Ranges of positions: cuts that hide messages, and purges that remove them."""

from __future__ import annotations

from typing import Any

from palaver.errors import SessionConflict
from palaver.operations import summaries
from palaver.operations.base import Operation, bump, open_session, require_no_turn, require_rev
from palaver.operations.continuations import answers_saying
from palaver.operations.ledger import Ledger
from palaver.rows import GONE, ChangeKind, CutRow, Head, SessionRow

__all__ = ["Cut", "Purge", "cut_range", "cut_ranges", "joined", "merged", "newest_user", "runs", "without"]


class Cut(Operation, frozen=True, kw_only=True, tag="cut"):
    """Make the positions from `from_seq` through `through_seq` no longer live. They stay stored.

    Raises SessionConflict if the session has not the version in `expected_rev`, or ends elsewhere than at
    `expected_seq`; SessionBusy, where `unless_running`, if a running turn stands in the range.
    """

    owner: str | None = None
    session_id: str
    from_seq: int
    through_seq: int
    kind: str
    expected_rev: int | None = None
    expected_seq: int | None = None
    unless_running: bool = False

    def apply(self, ledger: Ledger) -> SessionRow:
        row = open_session(ledger, self.session_id, self.owner, writing=True)
        require_rev(row, self.expected_rev)
        last = ledger.head(row.number).last_seq
        if self.expected_seq is not None and self.expected_seq != last:
            msg = f"session {row.id!r} ends at seq {last}, not {self.expected_seq}: read what is new and retry"
            raise SessionConflict(msg, expected=self.expected_seq, actual=last)
        through = min(self.through_seq, last)
        if self.unless_running:
            require_no_turn(ledger, row, through, self.at)
        row = cut_range(ledger, row, self.from_seq, through, self.kind)
        ledger.add_change(row.number, row.rev, ChangeKind.CUT, self.from_seq, through)
        return row


class Purge(Operation, frozen=True, kw_only=True, tag="purge"):
    """Remove the messages of a range for good. Their numbers are never given out again.

    Summaries that cover any of it lose their text. Returns how many messages were removed. An ended session can be
    purged. SessionConflict where an answer outside of the range says, or as a version said, what was merged into it
    from the range: it would not be gone.
    """

    owner: str | None = None
    session_id: str
    from_seq: int
    through_seq: int
    expected_rev: int | None = None

    def apply(self, ledger: Ledger) -> int:
        row = open_session(ledger, self.session_id, self.owner)
        require_rev(row, self.expected_rev)
        through = min(self.through_seq, ledger.head(row.number).last_seq)
        self._require_said_nowhere(ledger, row)
        before = joined([(c.from_seq, c.through_seq) for c in ledger.cuts(row.number) if c.kind in GONE])
        gone = sum(hi - lo + 1 for lo, hi in without(before, self.from_seq, through))
        # The preview quotes a message that may be among the purged.
        row = cut_range(ledger, row, self.from_seq, through, "purge", preview=None)
        ledger.purge_messages(row.number, self.from_seq, through)
        summaries.forget(ledger, row.number, self.from_seq, through)
        ledger.add_change(row.number, row.rev, ChangeKind.PURGED, self.from_seq, through)
        return gone

    def _require_said_nowhere(self, ledger: Ledger, row: SessionRow) -> None:
        cuts = ledger.cuts(row.number)
        answers = answers_saying(cuts, lambda seq: self.from_seq <= seq <= self.through_seq)
        left = [seq for seq in answers if ledger.message(row.number, seq) is not None]
        if left:
            what = f"seq {self.from_seq}" if self.from_seq == self.through_seq else "a message of the range"
            where = f"the answer at seq {left[0]}" if len(left) == 1 else f"the answers at seq {left[:9]}"
            msg = (
                f"{what} of session {row.id!r} was merged into {where}, which would go on saying it, at least as a "
                f"version: purge seq {left[0]} first, or in one range with it"
            )
            raise SessionConflict(msg, expected=(self.from_seq, self.through_seq), actual=left[0])


def without(ranges: list[tuple[int, int]], low: int, high: int) -> list[tuple[int, int]]:
    """What is left of low..high between disjoint ascending ranges."""
    out: list[tuple[int, int]] = []
    for start, end in ranges:
        if start > low:
            out.append((low, min(start - 1, high)))
        low = max(low, end + 1)
    return [r for r in (*out, (low, high)) if r[0] <= r[1]]


def cut_range(
    ledger: Ledger, row: SessionRow, from_seq: int, through_seq: int, kind: str, **changes: Any
) -> SessionRow:
    """Record a cut, and set right what depends on what is live.

    That is the count, the newest user message, the summary, and what waits. `changes` go into the session's row.
    """
    head = ledger.head(row.number)
    through_seq = min(through_seq, head.last_seq)
    if not 1 <= from_seq <= through_seq:
        msg = f"session {row.id!r} has positions 1 to {head.last_seq}; {from_seq} to {through_seq} is no range of them"
        raise SessionConflict(msg, expected=(from_seq, through_seq), actual=head.last_seq)
    return cut_ranges(ledger, row, [(from_seq, through_seq)], kind, **changes)


def cut_ranges(ledger: Ledger, row: SessionRow, ranges: list[tuple[int, int]], kind: str, **changes: Any) -> SessionRow:
    """The same for several ranges of positions that there are, disjoint and ascending, at once."""
    number = row.number
    head = ledger.head(number)
    cuts = ledger.cuts(number)
    dead = merged(cuts)
    taken = sum(high - low + 1 for start, end in ranges for low, high in without(dead, start, end))
    first = len(cuts) + 1
    new = tuple(
        CutRow(first + index, start, end, kind, row.rev + 1, head.last_seq) for index, (start, end) in enumerate(ranges)
    )
    cuts = (*cuts, *new)
    ledger.put_cuts(number, cuts)
    user_seq = newest_user(ledger, number, head.user_seq, merged(cuts))
    ledger.put_head(number, Head(head.last_seq, head.message_count - taken, head.last_active, user_seq))
    for each in new:
        summaries.cut(ledger, row, each)
    compaction = summaries.newest(ledger.compactions(number))
    queued = ledger.queued(number)
    waiting = tuple(seq for seq in queued if not any(start <= seq <= end for start, end in ranges))
    if waiting != queued:
        ledger.put_queued(number, waiting)
    return bump(ledger, row, cut_count=len(cuts), compaction=compaction, **changes)


def merged(cuts: tuple[CutRow, ...]) -> list[tuple[int, int]]:
    """The ranges that are not live, disjoint and ascending."""
    return joined([(c.from_seq, c.through_seq) for c in cuts if not c.lifted])


def joined(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same positions as ranges that are disjoint and ascending."""
    out: list[tuple[int, int]] = []
    for lo, hi in sorted(ranges):
        if out and lo <= out[-1][1] + 1:
            if hi > out[-1][1]:
                out[-1] = (out[-1][0], hi)
        else:
            out.append((lo, hi))
    return out


def newest_user(ledger: Ledger, number: int, seq: int, dead: list[tuple[int, int]]) -> int:
    """The newest live replayable user message at or before `seq`; 0: none. One step per range that is in the way."""
    while seq > 0:
        for lo, hi in reversed(dead):
            if lo <= seq <= hi:
                seq = lo - 1
                break
        else:
            stored = ledger.message(number, seq)
            if stored is None:
                seq -= 1
            elif stored.back < 0:
                return 0
            elif stored.back == 0:
                return seq
            else:
                seq -= stored.back
    return 0


def runs(seqs: list[int]) -> list[tuple[int, int]]:
    """Ascending positions as ranges without gaps."""
    out: list[tuple[int, int]] = []
    for seq in seqs:
        if out and seq == out[-1][1] + 1:
            out[-1] = (out[-1][0], seq)
        else:
            out.append((seq, seq))
    return out
