"""What a message says is changed in its place, and what it said before is kept."""

from __future__ import annotations

import msgspec

from palaver.operations import summaries
from palaver.operations.base import bump, preview_of
from palaver.operations.ledger import Ledger
from palaver.rows import ChangeKind, SessionRow, StoredMessage, VersionRow

__all__ = ["put_content"]


def put_content(ledger: Ledger, row: SessionRow, stored: StoredMessage, kind: int, body: bytes, at: int) -> SessionRow:
    """Let a stored message say something else; summaries that cover it are stale from now on."""
    number, seq = row.number, stored.seq
    before = VersionRow(row.rev + 1, at, stored.kind, stored.body)
    ledger.put_versions(number, seq, (*ledger.versions(number, seq), before))
    ledger.rewrite_message(number, msgspec.structs.replace(stored, kind=kind, body=body))
    changes: dict[str, object] = {}
    if row.preview is not None and row.preview == preview_of(stored.body):
        changes["preview"] = preview_of(body)
    row = bump(ledger, row, compaction=summaries.edited(ledger, row, seq), **changes)
    ledger.add_change(number, row.rev, ChangeKind.EDITED, seq, seq)
    return row
