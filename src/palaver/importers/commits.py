"""What an import commits: one transaction, and messages in pieces that are small enough for one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from palaver.core import Core
from palaver.errors import PalaverError
from palaver.operations import Operation
from palaver.rows import Draft

__all__ = ["CHUNK", "chunks", "committed"]

CHUNK = 500
"""Messages in one operation: others wait no longer than for that."""
_CHUNK_BYTES = 4 * 1024 * 1024


def committed(core: Core, *operations: Operation) -> list[Any]:
    """What came of operations in one transaction; the first that failed is raised."""
    outcomes = core.store.commit(list(operations))
    for outcome in outcomes:
        if isinstance(outcome, PalaverError):
            raise outcome
    return outcomes


def chunks(new: Sequence[tuple[int, Draft]], copies: Mapping[int, Any]) -> list[list[tuple[int, Draft]]]:
    """The same in pieces that are small enough for one operation. Copies come after what they are copies of."""
    out: list[list[tuple[int, Draft]]] = []
    size = 0
    for index, draft in new:
        weight = len(bytes(draft.body)) + sum(len(blob.data) for blob in draft.blobs)
        turns = bool(out) and (index in copies) != (out[-1][-1][0] in copies)
        if not out or turns or len(out[-1]) >= CHUNK or size + weight > _CHUNK_BYTES:
            out.append([])
            size = 0
        out[-1].append((index, draft))
        size += weight
    return out
