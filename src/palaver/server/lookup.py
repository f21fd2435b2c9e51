"""Finding the session that a request names."""

from __future__ import annotations

from palaver.aio import AsyncSession, AsyncSessionManager
from palaver.errors import InvalidKey, SessionNotFound
from palaver.keys import parse_key
from palaver.server.table import Call

__all__ = ["session_meant", "session_named", "session_of"]


async def session_of(call: Call) -> AsyncSession:
    """The session that the path names. Raises as `session_named` does."""
    return await session_named(call.sessions, call.path["session_id"])


async def session_named(sessions: AsyncSessionManager, reference: str) -> AsyncSession:
    """The session with this id or alias. Raises SessionNotFound; where a key was given, it says where keys go."""
    try:
        return await sessions.get(reference)
    except SessionNotFound as error:
        if not await _is_key(sessions, reference):
            raise
        msg = f"{error}; a key is looked up with POST /v1/keys/resolve"
        raise SessionNotFound(msg) from error


async def session_meant(sessions: AsyncSessionManager, name: str) -> AsyncSession:
    """The session that a person means; see `AsyncSessionManager.find`. Raises as that, and as `session_named` does."""
    try:
        return await sessions.find(name)
    except SessionNotFound as error:
        if not await _is_key(sessions, name):
            raise
        msg = f"{error}; a key is looked up with POST /v1/keys/resolve"
        raise SessionNotFound(msg) from error


async def _is_key(sessions: AsyncSessionManager, text: str) -> bool:
    """Whether text is a key: by how it is written, or because it leads to a session, as a caller's own key may."""
    try:
        parse_key(text)
    except InvalidKey:
        try:
            await sessions.resolve(text)
        except (InvalidKey, SessionNotFound):
            return False
    return True
