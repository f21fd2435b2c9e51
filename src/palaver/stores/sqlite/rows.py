"""Rows of SQLite's tables as the values that they stand for, and back."""

from __future__ import annotations

from typing import Any

import msgspec

from palaver.erasure import Erasure, Target
from palaver.rows import (
    MOST,
    CompactionRow,
    CutRow,
    Head,
    Holder,
    SessionRow,
    TodoRow,
    TurnRow,
    TurnState,
    UsageRow,
)
from palaver.times import SECOND
from palaver.titles import folded

__all__ = [
    "DELETED",
    "LAST",
    "SESSION_COLUMNS",
    "TURN_COLUMNS",
    "compaction_row",
    "cut_row",
    "erasure_row",
    "erasure_values",
    "head_row",
    "holder_of",
    "newer_head",
    "session_row",
    "session_values",
    "todo_row",
    "todo_values",
    "turn_row",
    "usage_row",
    "usage_values",
]

LAST = MOST
SESSION_COLUMNS = 29
DELETED = 21
"""Which of them says when it was deleted."""
TURN_COLUMNS = 19
_tags = msgspec.json.Decoder(tuple[str, ...])
_holds = msgspec.json.Decoder(tuple[tuple[str, int], ...])
_taken = msgspec.json.Decoder(tuple[int, ...])
_holder = msgspec.json.Decoder(Holder)
_target: msgspec.json.Decoder[Target] = msgspec.json.Decoder(Target)
_counts = msgspec.json.Decoder(dict[str, int])
_encode = msgspec.json.encode


def session_row(row: tuple[Any, ...]) -> SessionRow:
    """A row of `sessions`, in the order of the queries."""
    return SessionRow(
        number=row[0],
        id=row[1],
        owner=row[2],
        created_at=row[3],
        rev=row[4],
        explicit=row[5] != 0,
        parent=row[6],
        parent_kind=row[7],
        reset_reason=row[8],
        notice=row[9],
        origin=row[10],
        title=row[11],
        preview=row[12],
        metadata=row[13],
        tags=_tags.decode(row[14]) if row[14] is not None else (),
        holds=_holds.decode(row[15]) if row[15] is not None else (),
        archived=row[16] != 0,
        pinned=row[17] != 0,
        hidden=row[18] != 0,
        ended_at=row[19],
        end_reason=row[20],
        deleted_at=row[DELETED],
        leading_seq=row[22],
        cut_count=row[23],
        compaction=row[24],
        stored_at=row[25],
        guarded_until=row[26],
        title_source=row[27],
        settings=row[28],
    )


def session_values(row: SessionRow, head: Head) -> tuple[Any, ...]:
    """A session and its head, in the order of `put_session`."""
    return (
        row.number,
        row.id,
        row.owner,
        row.created_at,
        row.rev,
        row.explicit,
        row.parent,
        row.parent_kind,
        row.reset_reason,
        row.notice,
        row.origin,
        row.title,
        row.preview,
        row.metadata,
        _encode(row.tags).decode() if row.tags else None,
        _encode(row.holds).decode() if row.holds else None,
        row.archived,
        row.pinned,
        row.hidden,
        row.ended_at,
        row.end_reason,
        row.deleted_at,
        row.leading_seq,
        row.cut_count,
        row.compaction,
        row.stored_at,
        row.guarded_until,
        row.title_source,
        row.settings,
        head.last_seq,
        head.message_count,
        head.last_active,
        head.user_seq,
        folded(row.title) if row.title is not None and row.deleted_at is None else None,
    )


def head_row(row: tuple[Any, ...]) -> Head:
    """last_seq, message_count, last_active, user_seq."""
    return Head(row[0], row[1], row[2], row[3])


def newer_head(head: Head, newest: tuple[Any, ...] | None) -> Head:
    """The head completed by the newest message, which the session's row may not know of yet."""
    if newest is None:
        return head
    seq = newest[0] & LAST
    # The row is rewritten when a second has passed; a message that brought a time of its own proves nothing.
    last_active = min(max(head.last_active, newest[2]), head.last_active + SECOND)
    back = newest[1]
    return Head(seq, head.message_count + seq - head.last_seq, last_active, seq - back if back >= 0 else 0)


def holder_of(text: str | None) -> Holder | None:
    """The `holder` column of a turn."""
    return _holder.decode(text) if text is not None else None


def turn_row(row: tuple[Any, ...]) -> TurnRow:
    """A row of `turns`."""
    state: TurnState = row[1]
    return TurnRow(
        session=row[0] >> 32,
        first_seq=row[0] & LAST,
        state=state,
        token=row[2],
        holder=holder_of(row[3]),
        expires_at=row[4],
        began_at=row[5],
        ended_at=row[6],
        end_seq=row[7],
        anchor=row[8],
        reason=row[9],
        session_is_new=row[10] != 0,
        first_contact=row[11] != 0,
        taken=_taken.decode(row[12]) if row[12] is not None else (),
        notice=row[13],
        message_seq=row[14],
        steps_from=row[15],
        budget=row[16],
        calibration=row[17],
        usage=row[18],
    )


def todo_row(row: tuple[Any, ...]) -> TodoRow:
    """A row of `todos`."""
    return TodoRow(
        session=row[0],
        reason=row[1],
        state=row[2],
        made_at=row[3],
        after_seq=row[4],
        through_seq=row[5],
        failures=row[6],
        error=row[7],
        token=row[8],
        holder=holder_of(row[9]),
        until=row[10],
    )


def todo_values(row: TodoRow) -> tuple[Any, ...]:
    """A to-do, in the order of `put_todo`."""
    holder = _encode(row.holder).decode() if row.holder is not None else None
    return (
        row.session,
        row.reason,
        row.state,
        row.made_at,
        row.after_seq,
        row.through_seq,
        row.failures,
        row.error,
        row.token,
        holder,
        row.until,
    )


def cut_row(row: tuple[Any, ...]) -> CutRow:
    """A row of `cuts`."""
    return CutRow(row[0], row[1], row[2], row[3], row[4], row[5], row[6])


def compaction_row(row: tuple[Any, ...]) -> CompactionRow:
    """A row of `compactions`."""
    return CompactionRow(
        id=row[0],
        text=row[1],
        from_seq=row[2],
        through_seq=row[3],
        previous=row[4],
        stale=row[5],
        created_at=row[6],
    )


def erasure_row(row: tuple[Any, ...]) -> Erasure:
    """A row of `erasures`."""
    return Erasure(
        id=row[0],
        began_at=row[1],
        target=_target.decode(row[2]) if row[2] is not None else None,
        scope=row[3],
        ended_at=row[4],
        scrubbed_at=row[5],
        counts=_counts.decode(row[6]),
    )


def erasure_values(row: Erasure) -> tuple[Any, ...]:
    """A row of `erasures`, in the order of `put_erasure`."""
    return (
        row.id,
        row.began_at,
        _encode(row.target).decode() if row.target is not None else None,
        row.scope,
        row.ended_at,
        row.scrubbed_at,
        _encode(row.counts).decode(),
    )


def usage_values(row: UsageRow | None) -> tuple[Any, ...]:
    """A row of `usage`, in the order of `put_usage`."""
    if row is None:  # usage is only ever added to
        msg = "usage rows are not removed"
        raise AssertionError(msg)
    return (
        row.session,
        row.day,
        row.model,
        row.calls,
        row.input_tokens,
        row.output_tokens,
        row.cached_tokens,
        row.cache_write_tokens,
        row.reasoning_tokens,
        row.prompt_tokens,
        row.cost,
        row.updated_at,
        row.priced,
        row.cost_source,
    )


def usage_row(number: int, row: tuple[Any, ...]) -> UsageRow:
    """What a session used on one day with one model, in the order of `usage_of_session`."""
    return UsageRow(
        session=number,
        day=row[0],
        model=row[1],
        calls=row[2],
        input_tokens=row[3],
        output_tokens=row[4],
        cached_tokens=row[5],
        cache_write_tokens=row[6],
        reasoning_tokens=row[7],
        prompt_tokens=row[8],
        cost=row[9],
        updated_at=row[10],
        priced=row[11],
        cost_source=row[12],
    )
