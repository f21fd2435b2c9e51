"""What an erasure reads in the memory store."""

from __future__ import annotations

from collections.abc import Sequence

from palaver.erasure import Erasure, Marks
from palaver.stores.base import Erasable
from palaver.stores.memory.ledger import MemoryLedger

__all__ = ["erasable", "erased", "erasures", "marks"]


def erasable(
    ledger: MemoryLedger, after: int, *, limit: int, owner: str | None, session_id: str | None
) -> list[Erasable]:
    """See `Store.erasable`."""
    rows = sorted((n, r) for n, r in ledger.sessions.rows.items() if n > after and r is not None)
    out: list[Erasable] = []
    for number, row in rows:
        if (owner is None or row.owner == owner) and (session_id is None or row.id == session_id):
            first = ledger.messages.rows.get((number, 1))
            kind = first.kind if first is not None else None
            out.append(Erasable(row, ledger.head(number).last_seq, ledger.keys(number), kind))
    return out[:limit]


def erasures(ledger: MemoryLedger) -> list[Erasure]:
    """See `Store.erasures`."""
    return sorted((e for e in ledger.erasures.rows.values() if e is not None), key=lambda e: e.id)


def erased(ledger: MemoryLedger, marks: Sequence[bytes]) -> dict[bytes, int]:
    """See `Store.erased`."""
    return {each: at for each in marks if (at := ledger.erased_at(each)) is not None}


def marks(ledger: MemoryLedger, after: bytes, *, limit: int) -> Marks:
    """See `Store.marks`."""
    found = sorted((mark, at) for mark, at in ledger.erased.rows.items() if at is not None and mark > after)
    return Marks(ledger.secret(), tuple(found[:limit]))
