"""The one place where the server reaches behind the public API.

For whose process a lease belongs to, for the tokens of turns, for handles that cost no read, for one change of what
takes the handle several, and for work that is written for the manager without `await`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from palaver import codec, ids
from palaver.aio import AsyncSession, AsyncSessionManager
from palaver.errors import SessionNotFound
from palaver.flows import sessions as flows
from palaver.flows.turns import turn_id
from palaver.manager import SessionManager
from palaver.rows import TurnRow
from palaver.steps import call, long_call
from palaver.stores.base import FeedLag
from palaver.times import to_micros

__all__ = [
    "blocking",
    "commits_of",
    "feed_lag_of",
    "in_thread",
    "is_held",
    "is_passed",
    "of_clients",
    "owner_of",
    "passing",
    "running_turn",
    "running_turn_id",
    "session_handle",
    "set_info",
    "store_name",
]

T = TypeVar("T")
_PASSED = "passed."


def blocking(sessions: AsyncSessionManager) -> SessionManager:
    """The same manager without `await`: for threads, and never for the event loop's own."""
    return SessionManager(sessions._core)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]


async def in_thread(sessions: AsyncSessionManager, run: Callable[[], T]) -> T:
    """Do something that blocks, to its end, even if the request is cancelled meanwhile."""
    handover = sessions._handover  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    done: T = await handover.call(run)
    return done


def store_name(sessions: AsyncSessionManager) -> str:
    """What findings call the store: where it lies."""
    return sessions._core.store.name  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]


def commits_of(sessions: AsyncSessionManager) -> int:
    """How often this process has committed to the store."""
    return sessions._core.store.wakes.count  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]


async def feed_lag_of(sessions: AsyncSessionManager) -> FeedLag:
    """How far the store's change feed is behind what is committed."""
    core = sessions._core  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    handover = sessions._handover  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    return await handover.drive(call(core.store.feed_lag))


def of_clients(sessions: AsyncSessionManager) -> AsyncSessionManager:
    """The same manager, whose turns are not this process's: their leases hold when the server dies."""
    core = sessions._core  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    handover = sessions._handover  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    return AsyncSessionManager(replace(core, holder=lambda: None), handover)


def passing(sessions: AsyncSessionManager) -> AsyncSessionManager:
    """The same manager, whose turns are known as those of requests that are passed on; see `is_passed`."""
    core = sessions._core  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    handover = sessions._handover  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    return AsyncSessionManager(replace(core, token=lambda: _PASSED + ids.token()), handover)


def is_passed(turn: TurnRow) -> bool:
    """Whether a turn was begun for a request that was passed on, and not by an agent."""
    return turn.token.startswith(_PASSED)


async def owner_of(sessions: AsyncSessionManager, session_id: str) -> str | None:
    """Whose a session is, deleted or not. Raises SessionNotFound for one that is gone for good."""
    core = sessions._core  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    handover = sessions._handover  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    try:
        info = await handover.drive(call(core.store.info, session_id, core.owner, core.now()))
    except SessionNotFound:
        record = await handover.drive(long_call(core.store.record, session_id, core.owner))
        return record.row.owner or None
    return info.owner


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


def is_held(sessions: AsyncSessionManager, turn: TurnRow) -> bool:
    """Whether the lease of a running turn still keeps others out, by this machine's clock."""
    core = sessions._core  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    return turn.expires_at > to_micros(core.now())


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
