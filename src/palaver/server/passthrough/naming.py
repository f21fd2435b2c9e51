"""Which session a request belongs to."""

from __future__ import annotations

from typing import Any

from palaver.aio import AsyncSession, AsyncSessionManager
from palaver.errors import SessionNotFound
from palaver.formats.wire import is_object
from palaver.server.problems import problem
from palaver.server.table import Call

__all__ = ["CLAIM_HEADER", "METADATA", "SESSION_HEADER", "name_of", "session_called"]

SESSION_HEADER = "Palaver-Session"
CLAIM_HEADER = "Palaver-History"
METADATA = "palaver_session"
_CONVERSATION = "conv_"


def name_of(call: Call, body: dict[str, Any]) -> str:
    """The name that a request gives its session: in a header, in its metadata, or else its user.

    Raises ProblemError where it gives none: what it says would be stored nowhere, and its client believe it were.
    """
    given = call.request.headers.get(SESSION_HEADER)
    if given is not None:
        try:
            return given.encode("latin-1").decode()
        except UnicodeDecodeError as exc:
            raise problem("bad-request", f"{SESSION_HEADER} is not UTF-8", path=SESSION_HEADER) from exc
    metadata = body.get("metadata")
    if is_object(metadata):
        for key in (METADATA, "user_id"):
            named = metadata.get(key)
            if isinstance(named, str) and named:
                return named
    user = body.get("user")
    if isinstance(user, str) and user:
        return user
    msg = (
        f"say which conversation this is: in the header {SESSION_HEADER}, in metadata.{METADATA} or "
        "metadata.user_id, or by `user` of completions and responses; "
        "with OpenAI's or Anthropic's client, default_headers={'Palaver-Session': 'my-chat'}"
    )
    raise problem("session-required", msg, path=SESSION_HEADER)


async def session_called(sessions: AsyncSessionManager, name: str) -> AsyncSession:
    """The session with this id or alias; else the one under this key, which its first message makes.

    A conversation's id (`conv_…`) names a session that there is. Raises SessionNotFound, InvalidKey.
    """
    if name.startswith(_CONVERSATION):
        return await sessions.get(name.removeprefix(_CONVERSATION))
    try:
        return await sessions.get(name)
    except SessionNotFound:
        return await sessions.get_or_create(name)
