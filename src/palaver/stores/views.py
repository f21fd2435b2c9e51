"""Rows made into the values that reads return. Shared by all stores, so that they cannot disagree."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, cast

import msgspec

from palaver.errors import CursorExpired
from palaver.info import Hold, LineageKind, SessionInfo
from palaver.info import Summary as SummaryInfo
from palaver.keys import Origin
from palaver.model import Usage
from palaver.rows import CompactionRow, Head, Holder, SessionRow, TurnRow, UsageRow
from palaver.stores import holders
from palaver.stores.base import UsageLine
from palaver.times import from_micros, to_micros

__all__ = [
    "day_text",
    "held",
    "info",
    "is_held",
    "platform",
    "position",
    "sources",
    "summary",
    "usage_line",
    "usage_total",
]

_origin = msgspec.json.Decoder(Origin)
_metadata = msgspec.json.Decoder(dict[str, Any])
_EPOCH = date(1970, 1, 1)
_CURSOR = re.compile("[0-9a-f]{1,15}")
NANO = Decimal(10) ** -9
_SOURCES = 3


def info(
    row: SessionRow,
    head: Head,
    now: datetime,
    *,
    turn: TurnRow | None = None,
    keys: tuple[str, ...] = (),
    usage: Usage | None = None,
    bound_at: int | None = None,
) -> SessionInfo:
    """A session as a reader sees it."""
    return SessionInfo(
        id=row.id,
        owner=row.owner or None,
        keys=keys,
        title=row.title,
        preview=row.preview,
        origin=_origin.decode(row.origin) if row.origin is not None else None,
        created_at=from_micros(row.created_at),
        last_active_at=from_micros(head.last_active),
        ended_at=from_micros(row.ended_at) if row.ended_at is not None else None,
        end_reason=row.end_reason,
        parent=row.parent,
        parent_kind=cast("LineageKind | None", row.parent_kind),
        rev=row.rev,
        last_seq=head.last_seq,
        message_count=head.message_count,
        archived=row.archived,
        pinned=row.pinned,
        hidden=row.hidden,
        deleted_at=from_micros(row.deleted_at) if row.deleted_at is not None else None,
        tags=row.tags,
        holds=_holds(row, now) if row.holds else (),
        turn_running=held(turn, now),
        reset_reason=row.reset_reason,
        metadata=_metadata.decode(row.metadata) if row.metadata is not None else {},
        usage=usage,
        bound_at=from_micros(bound_at) if bound_at is not None else None,
    )


def platform(origin: str | None) -> str | None:
    """Where a session began, by the JSON of its origin."""
    return _origin.decode(origin).platform if origin is not None else None


def _holds(row: SessionRow, now: datetime) -> tuple[Hold, ...]:
    at = to_micros(now)
    return tuple(Hold(name=name, until=from_micros(until)) for name, until in row.holds if until > at)


def held(turn: TurnRow | None, now: datetime) -> bool:
    """Whether a turn runs and its lease still holds."""
    return turn is not None and turn.state == "running" and is_held(turn.expires_at, turn.holder, now)


def is_held(expires_at: int, holder: Holder | None, now: datetime) -> bool:
    """Whether a lease still holds: it has not run out, and its process may be running."""
    return expires_at > to_micros(now) and holders.alive(holder)


def summary(row: CompactionRow) -> SummaryInfo:
    """A stored compaction as windows and readers see it."""
    return SummaryInfo(
        id=row.id,
        text=row.text,
        from_seq=row.from_seq,
        through_seq=row.through_seq,
        previous=row.previous or None,
        stale=row.stale != 0,
        created_at=from_micros(row.created_at),
    )


def usage_total(rows: Iterable[UsageRow]) -> Usage | None:
    """The sum over days and models; the prompt size and the model are those of the latest. None: nothing recorded."""
    total: list[int] = [0] * 6
    newest: UsageRow | None = None
    priced = 0
    known: set[str] = set()
    for row in rows:
        priced += row.priced
        if row.cost_source is not None:
            known.add(row.cost_source)
        for i, n in enumerate(
            (
                row.input_tokens,
                row.output_tokens,
                row.cached_tokens,
                row.cache_write_tokens,
                row.reasoning_tokens,
                row.cost,
            )
        ):
            total[i] += n
        if newest is None or _recency(row) >= _recency(newest):
            newest = row
    if newest is None:
        return None
    return Usage(
        input_tokens=total[0],
        output_tokens=total[1],
        cached_tokens=total[2],
        cache_write_tokens=total[3],
        reasoning_tokens=total[4],
        prompt_tokens=newest.prompt_tokens,
        model=newest.model or None,
        cost=total[5] * NANO if priced else None,
        cost_source=sources(sorted(known)),
    )


def usage_line(session_id: str, owner: str, row: UsageRow) -> UsageLine:
    """What a session used on one day with one model, as reports have it."""
    return UsageLine(
        session_id=session_id,
        owner=owner,
        day=day_text(row.day),
        model=row.model,
        calls=row.calls,
        priced_calls=row.priced,
        usage=usage_total([row]) or Usage(),
    )


def sources(known: Sequence[str]) -> str | None:
    """Where several costs came from; more than a few are counted."""
    if len(known) > _SOURCES:
        return f"{'; '.join(known[:_SOURCES])}; and {len(known) - _SOURCES} more"
    return "; ".join(known) or None


def _recency(row: UsageRow) -> tuple[int, int, str]:
    return row.updated_at, row.day, row.model


def day_text(day: int) -> str:
    """ISO date of a day number."""
    return (_EPOCH + timedelta(days=day)).isoformat()


def position(cursor: str | None) -> int:
    """The position in a journal that a cursor names; None is its beginning. Raises CursorExpired for rubbish."""
    if cursor is None:
        return 0
    if not _CURSOR.fullmatch(cursor):
        msg = f"{cursor!r} is no cursor of this store: take one from an event, or leave it out to begin at the start"
        raise CursorExpired(msg)
    return int(cursor, 16)
