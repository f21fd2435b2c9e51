"""Whether sessions are in two stores just the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from palaver.errors import PalaverError, SessionNotFound
from palaver.records import Chunk, Piece, SessionRecord
from palaver.rows import TurnRow
from palaver.stores.base import Store

__all__ = ["CHUNK", "differences", "newest_turn", "pieces", "record_of"]

CHUNK = 500
"""Messages that are read at a time."""


def record_of(store: Store, session_id: str) -> SessionRecord | None:
    """All of a session but its messages and turns; None where it is not there."""
    try:
        return store.record(session_id, None)
    except SessionNotFound:
        return None


def newest_turn(store: Store, session_id: str) -> TurnRow | None:
    """A session's newest turn, without the store's own number; None also for a deleted session."""
    try:
        turn = store.turn(session_id, None)
    except SessionNotFound:
        return None
    return msgspec.structs.replace(turn, session=0) if turn is not None else None


def pieces(store: Store, asked: Sequence[tuple[str, int]], limit: int = CHUNK) -> Iterator[Piece | PalaverError]:
    """Sessions, each with what comes after a position, in this order; read some at a time as they are taken."""
    left = list(asked)
    while left:
        found = store.pieces(left, limit=limit)
        yield from found
        del left[: len(found)]


def differences(source: Store, target: Store, asked: Sequence[tuple[str, int]]) -> Iterator[tuple[str | None, int]]:
    """What is not the same in both, in words, or None; and how many messages after a position were compared.

    Of each session that is named, in this order. Raises the error for one that the source does not give.
    """
    both = zip(asked, pieces(source, asked), pieces(target, asked), strict=True)
    for (session_id, _), theirs, mine in both:
        if isinstance(mine, SessionNotFound):
            yield "it is not there", 0
        elif isinstance(theirs, PalaverError):
            raise theirs
        elif isinstance(mine, PalaverError):
            raise mine
        elif mine.record != theirs.record:
            yield f"not the same: {', '.join(_fields(mine.record, theirs.record))}", 0
        else:
            yield _compared(source, target, session_id, theirs, mine)


def _compared(source: Store, target: Store, session_id: str, theirs: Piece, mine: Piece) -> tuple[str | None, int]:
    """The same of two sessions whose records are the same: of their first chunks, and of those that follow."""
    chunk, other = theirs.chunk, mine.chunk
    compared, last = 0, theirs.record.head.last_seq
    while chunk is not None and other is not None and chunk.from_seq <= last:
        if chunk != other:
            return _place(chunk, other), compared
        compared += len(chunk.messages)
        after = chunk.through_seq
        if after >= last:
            break
        chunk = source.chunk(session_id, None, after=after, limit=CHUNK)
        other = target.chunk(session_id, None, after=after, limit=CHUNK)
    return None, compared


def _fields(one: msgspec.Struct, other: msgspec.Struct) -> list[str]:
    """Names of the fields in which two values differ, those of values in them too."""
    out: list[str] = []
    for name in one.__struct_fields__:
        a: Any = getattr(one, name)
        b: Any = getattr(other, name)
        if a == b:
            continue
        inner = _fields(a, b) if isinstance(a, msgspec.Struct) and type(a) is type(b) else []
        out += [f"{name}.{each}" for each in inner] or [name]
    return out


def _place(chunk: Chunk, other: Chunk) -> str:
    """Where two chunks begin to differ."""
    for one, two in zip(chunk.messages, other.messages, strict=False):
        if one != two:
            return f"not the same: the message at {one.row.seq}"
    if len(chunk.messages) != len(other.messages):
        return f"not the same: {len(chunk.messages)} and {len(other.messages)} messages from {chunk.from_seq} on"
    if chunk.turns != other.turns:
        return f"not the same: the turns from {chunk.from_seq} on"
    return f"not the same: the content of messages from {chunk.from_seq} on"
