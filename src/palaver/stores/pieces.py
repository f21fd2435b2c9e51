"""What `Store.pieces` gives, asked for one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from palaver.errors import PalaverError, StoreError
from palaver.records import Chunk, Piece, SessionRecord
from palaver.rows import TurnRow
from palaver.stores.recording import MAX_BYTES, size_of

__all__ = ["pieces_of"]


class _Source(Protocol):
    def record(self, session_id: str, owner: str | None) -> SessionRecord: ...
    def chunk(self, session_id: str, owner: str | None, *, after: int, limit: int) -> Chunk: ...
    def turn(self, session_id: str, owner: str | None, first_seq: int | None = None) -> TurnRow | None: ...


def pieces_of(store: _Source, asked: Sequence[tuple[str, int]], limit: int) -> list[Piece | PalaverError]:
    """See `Store.pieces`."""
    found: list[Piece | PalaverError] = []
    size = 0
    for session_id, after in asked:
        try:
            piece = _piece(store, session_id, after, limit)
        except StoreError:
            raise
        except PalaverError as refusal:
            found.append(refusal)
            continue
        found.append(piece)
        size += sum(size_of(each.row) for each in piece.chunk.messages) if piece.chunk is not None else 0
        if size >= MAX_BYTES:
            break
    return found


def _piece(store: _Source, session_id: str, after: int, limit: int) -> Piece:
    record = store.record(session_id, None)
    turn = store.turn(session_id, None) if record.row.deleted_at is None else None
    return Piece(
        record=record,
        turn=msgspec.structs.replace(turn, session=0) if turn is not None else None,
        chunk=store.chunk(session_id, None, after=after, limit=limit) if limit else None,
    )
