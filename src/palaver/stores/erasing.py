"""What all stores say of erasures."""

from __future__ import annotations

from collections.abc import Iterable

from palaver.erasure import Erasure
from palaver.findings import Finding, finding
from palaver.times import from_micros

__all__ = ["unfinished"]


def unfinished(rows: Iterable[Erasure]) -> list[Finding]:
    """A finding for each erasure that was interrupted; one that is under way looks the same."""
    return [
        finding(
            "erasure_unfinished",
            f"erasure {row.id}",
            f"it began at {from_micros(row.began_at):%Y-%m-%d %H:%M:%S} UTC and has not ended",
        )
        for row in rows
        if row.ended_at is None
    ]
