"""Where the inspector reaches behind the public API: records as they are stored, the clock, and the next commit."""

from __future__ import annotations

from datetime import datetime

from palaver.aio import AsyncSessionManager
from palaver.aio.reach import handover_of
from palaver.reach import core_of
from palaver.records import Chunk, SessionRecord
from palaver.steps import Flow, Watch, long_call

__all__ = ["chunk_of", "now_of", "record_of", "watch"]


def now_of(sessions: AsyncSessionManager) -> datetime:
    """The present time, by the manager's clock."""
    return core_of(sessions).now()


async def record_of(sessions: AsyncSessionManager, session_id: str) -> SessionRecord:
    """All of a session but its messages and turns, in one snapshot. Raises SessionNotFound."""
    core = core_of(sessions)
    return await handover_of(sessions).drive(long_call(core.store.record, session_id, core.owner))


async def chunk_of(sessions: AsyncSessionManager, session_id: str, *, after: int, limit: int) -> Chunk:
    """Messages after a position as they are stored, live or not, without content. Raises SessionNotFound."""
    core = core_of(sessions)
    return await handover_of(sessions).drive(
        long_call(core.store.chunk, session_id, core.owner, after=after, limit=limit, media=False)
    )


async def watch(sessions: AsyncSessionManager, seen: int, seconds: float) -> None:
    """Wait for the next commit of this process after the `seen`th (see `commits_of`), at most so many seconds."""

    def waiting() -> Flow[None]:
        yield Watch(seen, seconds)

    await handover_of(sessions).drive(waiting())
