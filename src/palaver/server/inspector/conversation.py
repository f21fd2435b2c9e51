"""The page of one conversation, and the content that it shows."""

from __future__ import annotations

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from palaver.aio import AsyncSession, AsyncSessionManager
from palaver.exporters import Item
from palaver.exporters.reading import entry_of
from palaver.info import SessionInfo
from palaver.operations.ranges import merged
from palaver.records import SessionRecord
from palaver.server.inspector.stored import chunk_of, record_of
from palaver.server.inspector.transcript import Line, Row, Run, lines_of, raster, rows_of
from palaver.server.inspector.visits import View, Visit, page
from palaver.server.lookup import session_named
from palaver.server.reach import running_turn

__all__ = ["PAGE", "VIEWS", "Stretch", "found", "items_between", "running_since", "stretch_of"]

PAGE = 100
"""Positions on a page."""
_BEFORE = 20
"""Positions that are shown before the one that was jumped to."""


class Stretch(msgspec.Struct, frozen=True, kw_only=True):
    """Which positions a page shows."""

    after: int
    through: int
    last: int
    """The session's last position."""

    @property
    def older(self) -> int | None:
        """What `before` of the page before says; None where this one has the first message."""
        return self.after + 1 if self.after else None

    @property
    def newer(self) -> int | None:
        """What `before` of the page after says; None where this one has the newest message."""
        return min(self.through + PAGE, self.last) + 1 if self.through < self.last else None


def stretch_of(last: int, *, before: int | None, at: int | None) -> Stretch:
    """The positions around `at`, or up to `before`, or the newest."""
    if at is not None:
        after = max(0, min(at, last) - _BEFORE - 1)
        return Stretch(after=after, through=min(after + PAGE, last), last=last)
    through = last if before is None else min(before - 1, last)
    return Stretch(after=max(0, through - PAGE), through=max(through, 0), last=last)


async def items_between(
    sessions: AsyncSessionManager, record: SessionRecord, *, after: int, through: int
) -> list[Item]:
    """The messages at these positions, live or not."""
    dead = merged(record.cuts)
    items: list[Item] = []
    while after < through:
        chunk = await chunk_of(sessions, record.row.id, after=after, limit=through - after)
        items += [entry_of(each, dead) for each in chunk.messages if each.row.seq <= through]
        after = chunk.through_seq
    return items


async def found(visit: Visit) -> tuple[AsyncSession, SessionInfo]:
    """The session that the path names, and what is known of it. Raises SessionNotFound."""
    session = await session_named(visit.sessions, visit.path["session_id"])
    return session, await session.info()


async def running_since(visit: Visit, info: SessionInfo) -> int:
    """The position where the turn that runs began; 0 where none runs."""
    turn = await running_turn(visit.sessions, info.id)
    return turn.first_seq if turn is not None and info.turn_running else 0


async def show(visit: Visit) -> Response:
    """A stretch of the transcript, the newest unless another is asked for."""
    session, info = await found(visit)
    record = await record_of(visit.sessions, session.id)
    at = visit.number("at")
    stretch = stretch_of(record.head.last_seq, before=visit.number("before"), at=at)
    items = await items_between(visit.sessions, record, after=stretch.after, through=stretch.through)
    running_from = await running_since(visit, info)

    def laid_out() -> list[Row]:
        lines = lines_of(items, info, record.cuts, running_from=running_from)
        rows = rows_of(items, lines, record.cuts, after=stretch.after, through=stretch.through)
        return _with_summaries(rows, record, stretch)

    rows = await run_in_threadpool(laid_out)
    return await page(
        visit,
        "conversation.html",
        info=info,
        rows=rows,
        stretch=stretch,
        at=at,
        newest=stretch.through == stretch.last,
        redoable=_redoable(record),
        seen=_seen(info),
    )


def _seen(info: SessionInfo) -> str:
    """What a page knows of a session: another text once there is something new to show."""
    return f"{info.etag}.{int(info.turn_running)}"


def _redoable(record: SessionRecord) -> bool:
    """Whether what was taken back last can be brought back."""
    cuts = [cut for cut in record.cuts if not cut.lifted]
    return bool(cuts) and cuts[-1].last_seq == record.head.last_seq and cuts[-1].kind not in {"purge", "erase"}


def _with_summaries(rows: list[Row], record: SessionRecord, stretch: Stretch) -> list[Row]:
    """The rows with each summary where what it stands for ends."""
    made = [
        Run(
            kind="summary",
            from_seq=each.from_seq,
            through_seq=each.through_seq,
            text=f"Summary of #{each.from_seq} to #{each.through_seq}",
            body=each.text,
            stale=bool(each.stale),
        )
        for each in record.compactions
        if stretch.after < each.through_seq <= stretch.through
    ]
    for run in made:
        place = next((i for i, row in enumerate(rows) if _first(row) > run.through_seq), len(rows))
        rows.insert(place, run)
    return rows


def _first(row: Row) -> int:
    return row.seq if isinstance(row, Line) else row.from_seq


async def media(visit: Visit) -> Response:
    """Content of a message: an image as it is, everything else as a file to keep."""
    session = await session_named(visit.sessions, visit.path["session_id"])
    data = await session.media(visit.path["address"])
    kind = raster(data)
    headers = {
        "Cache-Control": "private, max-age=31536000, immutable",
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
    if kind is None:
        headers["Content-Disposition"] = f'attachment; filename="{visit.path["address"][:16]}"'
    return Response(data, media_type=kind or "application/octet-stream", headers=headers)


VIEWS = (
    View("GET", "/sessions/{session_id}", show),
    View("GET", "/sessions/{session_id}/media/{address}", media),
)
