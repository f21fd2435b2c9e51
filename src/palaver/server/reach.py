"""The one place where the server reaches behind the public API.

For whose process a lease belongs to, for the tokens of turns, for handles that cost no read, for one change of what
takes the handle several, and for what the inspector shows: records as they are stored, and when something changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from palaver import codec
from palaver.aio import AsyncSession, AsyncSessionManager
from palaver.flows import sessions as flows
from palaver.flows.turns import turn_id
from palaver.manager import SessionManager
from palaver.records import Chunk, SessionRecord
from palaver.rows import TurnRow
from palaver.steps import Flow, Watch, call, long_call

__all__ = [
    "blocking",
    "chunk_of",
    "commits_of",
    "now_of",
    "of_clients",
    "record_of",
    "running_turn",
    "running_turn_id",
    "session_handle",
    "set_info",
    "watch",
]


def of_clients(sessions: AsyncSessionManager) -> AsyncSessionManager:
    """The same manager, whose turns are not this process's: their leases hold when the server dies."""
    core = sessions._core  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    handover = sessions._handover  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    return AsyncSessionManager(replace(core, holder=lambda: None), handover)


def session_handle(sessions: AsyncSessionManager, session_id: str) -> AsyncSession:
    """A handle on the session with this id, if there is one: what is done with it finds out."""
    core = sessions._core  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    handover = sessions._handover  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    return AsyncSession(core, session_id, handover)


async def running_turn(sessions: AsyncSessionManager, session_id: str, first_seq: int | None = None) -> TurnRow | None:
    """The turn that has not ended in a session, with its times; None if there is none. Raises SessionNotFound.

    One read, however many turns are open elsewhere.
    """
    core = sessions._core  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    handover = sessions._handover  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    turn = await handover.drive(call(core.store.turn, session_id, core.owner, first_seq))
    return turn if turn is not None and turn.state == "running" else None


async def running_turn_id(sessions: AsyncSessionManager, session_id: str, first_seq: int) -> str | None:
    """Id of the turn that began there, and the right to end it; None if it has ended. Raises SessionNotFound."""
    turn = await running_turn(sessions, session_id, first_seq)
    return turn_id(session_id, turn.first_seq, turn.token) if turn is not None else None


async def set_info(
    session: AsyncSession, *, expected_rev: int | None, metadata: Mapping[str, Any] | None = None, **changes: Any
) -> None:
    """Change what is kept about a session that is stored, all of it or nothing.

    Raises SessionConflict where it has another version, or another session the title.
    """
    core = session._core  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    handover = session._handover  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    if metadata is not None:
        changes["metadata"] = codec.json_text(dict(metadata), "metadata")
    await handover.drive(flows.set_info(core, session.id, expected_rev=expected_rev, **changes))


def now_of(sessions: AsyncSessionManager) -> datetime:
    """The present time, by the manager's clock."""
    return sessions._core.now()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]


def blocking(sessions: AsyncSessionManager) -> SessionManager:
    """The same sessions for a thread that may wait."""
    return SessionManager(sessions._core)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]


async def record_of(sessions: AsyncSessionManager, session_id: str) -> SessionRecord:
    """All of a session but its messages and turns, in one snapshot. Raises SessionNotFound."""
    core = sessions._core  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    handover = sessions._handover  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    return await handover.drive(long_call(core.store.record, session_id, core.owner))


async def chunk_of(sessions: AsyncSessionManager, session_id: str, *, after: int, limit: int) -> Chunk:
    """Messages after a position as they are stored, live or not, without content. Raises SessionNotFound."""
    core = sessions._core  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    handover = sessions._handover  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    return await handover.drive(
        long_call(core.store.chunk, session_id, core.owner, after=after, limit=limit, media=False)
    )


def commits_of(sessions: AsyncSessionManager) -> int:
    """How many commits of this process there were: what `watch` counts from."""
    return sessions._core.store.wakes.count  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]


async def watch(sessions: AsyncSessionManager, seen: int, seconds: float) -> None:
    """Wait for the next commit of this process after the `seen`th, at most so many seconds."""
    handover = sessions._handover  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]

    def waiting() -> Flow[None]:
        yield Watch(seen, seconds)

    await handover.drive(waiting())
