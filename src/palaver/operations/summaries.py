"""What becomes of summaries when something happens to what they cover.

Windows have the newest summary that is not stale. Each gives the id of that one, for the session's row.
"""

from __future__ import annotations

import msgspec

from palaver.operations.ledger import Ledger
from palaver.rows import CHANGED, CompactionRow, CutRow, SessionRow

__all__ = ["cut", "edited", "forget", "newest", "redone"]


def newest(rows: tuple[CompactionRow, ...]) -> int:
    """Id of the newest summary that is not stale; 0: none."""
    return max((c.id for c in rows if not c.stale), default=0)


def cut(ledger: Ledger, row: SessionRow, made: CutRow) -> int:
    """A cut in its range makes a summary stale, until the cut is lifted."""
    rows = ledger.compactions(row.number)
    if not any(not c.stale and _meets(c, made.from_seq, made.through_seq) for c in rows):
        return row.compaction
    rows = tuple(
        msgspec.structs.replace(c, stale=made.id) if not c.stale and _meets(c, made.from_seq, made.through_seq) else c
        for c in rows
    )
    ledger.put_compactions(row.number, rows)
    return newest(rows)


def redone(ledger: Ledger, number: int, lifted: CutRow) -> int:
    """What a cut made stale holds again; what was made while it was in force says nothing of what comes back."""
    rows = ledger.compactions(number)
    if not rows:
        return 0
    rows = tuple(
        msgspec.structs.replace(c, stale=0)
        if c.stale == lifted.id
        else msgspec.structs.replace(c, stale=CHANGED)
        if not c.stale and _meets(c, lifted.from_seq, lifted.through_seq)
        else c
        for c in rows
    )
    ledger.put_compactions(number, rows)
    return newest(rows)


def edited(ledger: Ledger, row: SessionRow, seq: int) -> int:
    """An edit in its range makes a summary stale for good, also one that waits for the redo of a cut."""
    rows = ledger.compactions(row.number)
    if not any(c.stale >= 0 and _meets(c, seq, seq) for c in rows):
        return row.compaction
    rows = tuple(msgspec.structs.replace(c, stale=CHANGED) if c.stale >= 0 and _meets(c, seq, seq) else c for c in rows)
    ledger.put_compactions(row.number, rows)
    return newest(rows)


def forget(ledger: Ledger, number: int, from_seq: int, through_seq: int) -> None:
    """Of what was purged no summary tells any more: the text of those that cover it goes. They are stale already."""
    rows = ledger.compactions(number)
    if any(c.text and _meets(c, from_seq, through_seq) for c in rows):
        rows = tuple(msgspec.structs.replace(c, text="") if _meets(c, from_seq, through_seq) else c for c in rows)
        ledger.put_compactions(number, rows)


def _meets(row: CompactionRow, from_seq: int, through_seq: int) -> bool:
    return row.from_seq <= through_seq and row.through_seq >= from_seq
