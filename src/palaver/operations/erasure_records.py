"""What the steps of an erasure share: its record, what they count there, and messages as they look at them."""

from __future__ import annotations

import msgspec

from palaver import codec
from palaver.erasure import Erasure
from palaver.errors import CorruptRecord, SessionConflict
from palaver.model import Message
from palaver.operations.base import bump
from palaver.operations.ledger import Ledger
from palaver.rows import ChangeKind, SessionRow

__all__ = ["NOTHING_LEFT", "count", "decoded", "drop_summaries", "erasure_record"]

NOTHING_LEFT = "erased"
"""Why a session has ended that was erased."""


def erasure_record(ledger: Ledger, erasure_id: str) -> Erasure:
    """The record of an erasure that was begun, or SessionConflict."""
    row = ledger.erasure(erasure_id)
    if row is None:
        msg = f"no erasure {erasure_id!r} was begun here"
        raise SessionConflict(msg)
    return row


def count(ledger: Ledger, erasure_id: str, **more: int) -> None:
    """Add to what the record says was removed."""
    row = erasure_record(ledger, erasure_id)
    counts = {**row.counts, **{name: row.counts.get(name, 0) + n for name, n in more.items() if n}}
    if counts != row.counts:
        ledger.put_erasure(msgspec.structs.replace(row, counts=counts))


def drop_summaries(ledger: Ledger, row: SessionRow, erasure_id: str, seq: int) -> int:
    """Remove every summary that reaches a position: it may tell what stood there, and those after it go on from it."""
    rows = ledger.compactions(row.number)
    kept = tuple(c for c in rows if c.through_seq < seq)
    if len(kept) == len(rows):
        return 0
    ledger.put_compactions(row.number, kept)
    row = bump(ledger, row, compaction=max((c.id for c in kept if not c.stale), default=0))
    ledger.add_change(row.number, row.rev, ChangeKind.ERASED)
    count(ledger, erasure_id, summaries=len(rows) - len(kept))
    return len(rows) - len(kept)


def decoded(body: bytes) -> Message | None:
    """A stored message; None where it cannot be decoded."""
    try:
        return codec.decode(body)
    except CorruptRecord:
        return None
