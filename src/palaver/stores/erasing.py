"""What all stores say of erasures."""

from __future__ import annotations

from collections.abc import Iterable

from palaver.erasure import Erasure
from palaver.stores.base import Finding
from palaver.times import from_micros

__all__ = ["unfinished"]


def unfinished(rows: Iterable[Erasure]) -> list[Finding]:
    """A finding for each erasure that was interrupted; one that is under way looks the same."""
    return [
        Finding(
            kind="erasure",
            where=f"erasure {row.id}",
            detail=f"it began at {from_micros(row.began_at).isoformat(timespec='seconds')} and has not ended: "
            "if nothing is erasing now, erase again, anything, and it is finished first",
        )
        for row in rows
        if row.ended_at is None
    ]
