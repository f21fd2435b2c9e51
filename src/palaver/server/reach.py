"""Where the server reaches behind the public API; what the inspector alone needs is in `server.inspector.stored`.

For whose process a lease belongs to, for the tokens of turns, for handles that cost no read, for one change of what
takes the handle several, and for work that is written for the manager without `await`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import msgspec

from palaver import codec, ids
from palaver.aio import AsyncSession, AsyncSessionManager
from palaver.aio.reach import handover_of
from palaver.errors import SessionNotFound
from palaver.findings import Finding
from palaver.flows import sessions as flows
from palaver.flows.turn_ids import turn_id
from palaver.keys import Origin
from palaver.manager import SessionManager
from palaver.reach import core_of
from palaver.rows import TurnRow
from palaver.steps import call, long_call
from palaver.stores.base import FeedLag, Stats
from palaver.times import to_micros

__all__ = [
    "blocking",
    "commits_of",
    "feed_lag_of",
    "found_in",
    "in_thread",
    "is_held",
    "is_passed",
    "of_clients",
    "owner_of",
    "passing",
    "running_turn",
    "running_turn_id",
    "session_from",
    "session_handle",
    "set_info",
    "stats_of",
]

T = TypeVar("T")
_PASSED = "passed."


def blocking(sessions: AsyncSessionManager) -> SessionManager:
    """The same manager without `await`: for threads, and never for the event loop's own."""
    return SessionManager(core_of(sessions))


async def in_thread(sessions: AsyncSessionManager, run: Callable[[], T]) -> T:
    """Do something that blocks, to its end, even if the request is cancelled meanwhile."""
    done: T = await handover_of(sessions).call(run)
    return done


async def found_in(sessions: AsyncSessionManager, session_id: str | None = None, *, notes: bool) -> list[Finding]:
    """Everything that can be found wrong. Where the server keeps its files is nothing to an owner."""
    found = await sessions.check(session_id, notes=notes)
    if sessions.owner is None:
        return found
    name = core_of(sessions).store.name
    return [msgspec.structs.replace(each, where=each.where.replace(name, "the store")) for each in found]


async def stats_of(sessions: AsyncSessionManager) -> Stats:
    """How much is stored. An owner is told what kind of store it is, and not where it lies."""
    found = await sessions.stats()
    if sessions.owner is None:
        return found
    return msgspec.structs.replace(found, store=found.store.partition(":")[0])


def commits_of(sessions: AsyncSessionManager) -> int:
    """How often this process has committed to the store."""
    return core_of(sessions).store.wakes.count


async def feed_lag_of(sessions: AsyncSessionManager) -> FeedLag:
    """How far the store's change feed is behind what is committed."""
    return await handover_of(sessions).drive(call(core_of(sessions).store.feed_lag))


def of_clients(sessions: AsyncSessionManager) -> AsyncSessionManager:
    """The same manager, whose turns are not this process's: their leases hold when the server dies."""
    return AsyncSessionManager(replace(core_of(sessions), holder=lambda: None), handover_of(sessions))


def passing(sessions: AsyncSessionManager) -> AsyncSessionManager:
    """The same manager, whose turns are known as those of requests that are passed on; see `is_passed`."""
    core = replace(core_of(sessions), token=lambda: _PASSED + ids.token())
    return AsyncSessionManager(core, handover_of(sessions))


def is_passed(turn: TurnRow) -> bool:
    """Whether a turn was begun for a request that was passed on, and not by an agent."""
    return turn.token.startswith(_PASSED)


async def owner_of(sessions: AsyncSessionManager, session_id: str) -> str | None:
    """Whose a session is, deleted or not. Raises SessionNotFound for one that is gone for good."""
    core = core_of(sessions)
    handover = handover_of(sessions)
    try:
        info = await handover.drive(call(core.store.info, session_id, core.owner, core.now()))
    except SessionNotFound:
        record = await handover.drive(long_call(core.store.record, session_id, core.owner))
        return record.row.owner or None
    return info.owner


def session_handle(sessions: AsyncSessionManager, session_id: str) -> AsyncSession:
    """A handle on the session with this id, if there is one: what is done with it finds out."""
    return AsyncSession(core_of(sessions), session_id, handover_of(sessions))


async def session_from(sessions: AsyncSessionManager, key: str, origin: Origin) -> AsyncSession:
    """As `get_or_create`. Where its first message makes the session, that one comes from there. Raises InvalidKey."""
    core = core_of(sessions)
    handover = handover_of(sessions)
    session_id, new = await handover.drive(flows.promised(core, key, origin=origin))
    return AsyncSession(core, session_id, handover, key, new)


async def running_turn(sessions: AsyncSessionManager, session_id: str, first_seq: int | None = None) -> TurnRow | None:
    """The turn that has not ended in a session, with its times; None if there is none. Raises SessionNotFound.

    One read, however many turns are open elsewhere.
    """
    core = core_of(sessions)
    turn = await handover_of(sessions).drive(call(core.store.turn, session_id, core.owner, first_seq))
    return turn if turn is not None and turn.state == "running" else None


def is_held(sessions: AsyncSessionManager, turn: TurnRow) -> bool:
    """Whether the lease of a running turn still keeps others out, by this machine's clock."""
    return turn.expires_at > to_micros(core_of(sessions).now())


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
    if metadata is not None:
        changes["metadata"] = codec.json_text(dict(metadata), "metadata")
    core = core_of(session)
    await handover_of(session).drive(flows.set_info(core, session.id, expected_rev=expected_rev, **changes))
