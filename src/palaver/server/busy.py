"""What is said of a session in which a turn runs."""

from __future__ import annotations

from datetime import datetime

import msgspec

from palaver.aio import AsyncSessionManager
from palaver.errors import SessionBusy, SessionNotFound
from palaver.server.problems import Problem, of_error
from palaver.server.reach import running_turn
from palaver.times import from_micros

__all__ = ["busy_problem"]


async def busy_problem(sessions: AsyncSessionManager, session_id: str, error: SessionBusy) -> Problem:
    """The problem, with how long it may last, unless the session is free by now."""
    found = of_error(error)
    try:
        turn = await running_turn(sessions, session_id)
    except SessionNotFound:
        return found
    if turn is None:
        return found
    began, expires = from_micros(turn.began_at), from_micros(turn.expires_at)
    said = f"{error}; it began at {_second(began)}, and without a sign of life its lease ends at {_second(expires)}"
    return msgspec.structs.replace(found, detail=said, began_at=began, expires_at=expires)


def _second(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"
