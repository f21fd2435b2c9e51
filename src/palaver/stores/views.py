"""Rows made into the values that reads return. Shared by all stores, so that they cannot disagree."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, cast

import msgspec

from palaver.endpoints import settings_of
from palaver.errors import CursorExpired, InvalidKey
from palaver.findings import Finding, finding
from palaver.info import Hold, LineageKind, SessionInfo, Todo
from palaver.info import Summary as SummaryInfo
from palaver.keys import Origin
from palaver.model import Usage
from palaver.operations.removal import PURGING
from palaver.rows import COPY, CompactionRow, Head, Holder, SessionRow, TodoRow, TurnRow, UsageRow
from palaver.stores import holders
from palaver.stores.base import UsageLine
from palaver.sweeping import Standing
from palaver.times import from_micros, to_micros
from palaver.titles import folded

if TYPE_CHECKING:
    from palaver.search import SearchQuery
    from palaver.stores.base import SessionQuery

__all__ = [
    "beginning",
    "check_reach",
    "claimed",
    "day_text",
    "given_up",
    "held",
    "info",
    "is_held",
    "is_of",
    "is_wanted",
    "position",
    "sources",
    "standing",
    "summary",
    "todo",
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
    aliases: tuple[str, ...] = (),
    usage: Usage | None = None,
    bound_at: int | None = None,
    lease_time: datetime | None = None,
) -> SessionInfo:
    """A session as a reader sees it. `lease_time`: by which its turn's lease is judged, where that is not `now`."""
    return SessionInfo(
        id=row.id,
        owner=row.owner or None,
        keys=keys,
        aliases=aliases,
        title=row.title,
        title_source=cast("Literal['user', 'generated'] | None", row.title_source),
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
        turn_running=held(turn, lease_time or now),
        reset_reason=row.reset_reason,
        model=settings_of(row.settings),
        metadata=_metadata.decode(row.metadata) if row.metadata is not None else {},
        usage=usage,
        bound_at=from_micros(bound_at) if bound_at is not None else None,
    )


def todo(row: TodoRow, session_id: str, owner: str) -> Todo:
    """A to-do as workers and sweeps see it."""
    return Todo(
        session_id=session_id,
        owner=owner or None,
        reason=row.reason,
        state=row.state,
        made_at=from_micros(row.made_at),
        after_seq=row.after_seq,
        through_seq=row.through_seq,
        failures=row.failures,
        error=row.error,
        token=row.token,
        until=from_micros(row.until) if row.until else None,
    )


def claimed(row: TodoRow, now: datetime) -> bool:
    """Whether a worker has a to-do, and may still be at work on it."""
    return row.state == "claimed" and is_held(row.until, row.holder, now)


def given_up(todo: Todo) -> Finding:
    """What `check` says of a to-do that failed for the last time."""
    detail = f"its to-do of {todo.made_at:%Y-%m-%d} was given up after {todo.failures} failures: {todo.error}"
    return finding("todo_given_up", f"session {todo.session_id}", detail, session_id=todo.session_id)


def standing(
    row: SessionRow,
    head: Head,
    now: datetime,
    *,
    running: bool,
    keys: tuple[str, ...],
    bound_at: int | None,
    waiting: bool,
    newest_kind: int,
    to_do: TodoRow | None,
    imported: bool,
    size: int,
) -> Standing:
    """A session as a sweep sees it."""
    seen = info(row, head, now, keys=keys, bound_at=bound_at)
    # A long fork is made hidden and shown when it is whole. Nothing but its summary changes it before that. An import
    # is hidden until it is whole too: the next one goes on with it.
    untouched = row.rev == (1 if row.compaction else 0)
    return Standing(
        session=msgspec.structs.replace(seen, turn_running=True) if running else seen,
        stored_at=from_micros(row.stored_at),
        waiting=waiting,
        copies=newest_kind & COPY != 0,
        half_copied=row.hidden and row.parent_kind == "fork" and untouched and not imported,
        half_purged=row.end_reason == PURGING,
        todo=todo(to_do, row.id, row.owner) if to_do is not None else None,
        size=size,
    )


def beginning(origin: str | None) -> dict[str, str]:
    """Where a session began, by the JSON of its origin, as far as that is known: what it can be found by."""
    try:
        found = _origin.decode(origin) if origin is not None else None
    except (msgspec.MsgspecError, InvalidKey, RecursionError):  # `check` reports it; what was said there is found still
        return {}
    said = {name: getattr(found, name, None) for name in ("platform", "agent", "account")}
    return {name: value for name, value in said.items() if value is not None}


def is_of(row: SessionRow, query: SessionQuery | SearchQuery) -> bool:
    """Whether a session began where a query asks for, and has its tag."""
    asked = (("platform", query.platform), ("agent", query.agent), ("account", query.account))
    wanted = {name: value for name, value in asked if value is not None}
    return (query.tag is None or query.tag in row.tags) and (
        not wanted or wanted.items() <= beginning(row.origin).items()
    )


def is_wanted(row: SessionRow, query: SessionQuery) -> bool:
    """Whether a session is one that a narrowed query asks for."""
    title = folded(row.title) if row.title is not None and row.deleted_at is None else None
    return (
        is_of(row, query)
        and (query.title is None or (title is not None and query.title in title))
        and query.pinned in {None, row.pinned}
        and query.archived in {None, row.archived}
        and query.hidden in {None, row.hidden}
        and query.parent in {None, row.parent}
    )


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


def check_reach(after: str | None, start: int, *, pruned: int, newest: int) -> None:
    """Raise CursorExpired where the feed does not go on from `start`, which the cursor `after` names or led to.

    A position that the feed has not come to is of another store, or of this one before it was lost.
    """
    if after is None:
        return
    if start < pruned:
        msg = f"the feed was pruned past {after!r}: begin anew without a cursor, and read the sessions themselves"
        raise CursorExpired(msg)
    if start > max(pruned, newest):
        msg = f"{after!r} is no cursor of this store, whose feed ends before it: begin anew without a cursor"
        raise CursorExpired(msg)


def position(cursor: str | None) -> int:
    """The position in a journal that a cursor names; None is its beginning. Raises CursorExpired for rubbish."""
    if cursor is None:
        return 0
    if not _CURSOR.fullmatch(cursor):
        msg = f"{cursor!r} is no cursor of this store: take one from an event, or leave it out to begin at the start"
        raise CursorExpired(msg)
    return int(cursor, 16)
