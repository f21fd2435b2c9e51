"""One session from one store into another, just as it is there."""

from __future__ import annotations

from typing import Any

from palaver.errors import PalaverError
from palaver.operations import Import, Operation, Settle, Settled
from palaver.stores.base import Store

__all__ = ["copy_session"]

_CHUNK = 500


def copy_session(source: Store, target: Store, session_id: str, at: int) -> Settled:
    """Make the session in `target` what it is in `source`, and tell what of it is another one's there.

    Only what is new, or other than it was, is written. What changes while it is copied comes with the next time. `at`
    is the time, in microseconds. Raises SessionNotFound, SessionConflict where the target's was changed itself,
    StoreError.
    """
    record = source.record(session_id, None)
    after, last = 0, record.head.last_seq
    while after < last:
        chunk = source.chunk(session_id, None, after=after, limit=_CHUNK)
        _committed(target, Import(at=at, row=record.row, chunk=chunk))
        after = chunk.through_seq
    # What came meanwhile is copied too, so the record has to know of it.
    record = source.record(session_id, None) if after > last else record
    settled: Settled = _committed(target, Settle(at=at, record=record))
    return settled


def _committed(store: Store, operation: Operation) -> Any:
    [outcome] = store.commit([operation])
    if isinstance(outcome, PalaverError):
        raise outcome
    return outcome
