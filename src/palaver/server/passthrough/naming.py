"""Which session a request belongs to, and who speaks in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from palaver.aio import AsyncSession, AsyncSessionManager
from palaver.errors import SessionNotFound
from palaver.formats.wire import is_object
from palaver.keys import Origin
from palaver.model import Message, Sender
from palaver.server.problems import problem
from palaver.server.reach import session_from
from palaver.server.table import Call

__all__ = ["CLAIM_HEADER", "METADATA", "PLATFORM", "SESSION_HEADER", "name_of", "said_by", "session_called", "user_of"]

SESSION_HEADER = "Palaver-Session"
CLAIM_HEADER = "Palaver-History"
METADATA = "palaver_session"
PLATFORM = "api"
"""Where sessions come from that clients of these APIs begin, and say who their user is."""
_CONVERSATION = "conv_"
_CLIENTS = {"/v1/messages": "Anthropic"}
"""Whose client asks for a path; else it is OpenAI's."""


def name_of(call: Call, body: dict[str, Any]) -> str:
    """The name that a request gives its session: in a header, or else in its metadata.

    Who the end user is names no session: one person has several conversations. Raises ProblemError where there is no
    name: what the request says would be stored nowhere, and its client believe it were.
    """
    given = call.request.headers.get(SESSION_HEADER)
    if given is not None:
        if not given.strip():
            msg = f"the header {SESSION_HEADER} is empty: give it the conversation's name, or leave it away"
            raise problem("session-required", msg, path=SESSION_HEADER)
        try:
            return given.encode("latin-1").decode()
        except UnicodeDecodeError as exc:
            raise problem("bad-request", f"{SESSION_HEADER} is not UTF-8", path=SESSION_HEADER) from exc
    metadata = body.get("metadata")
    if is_object(metadata):
        named = metadata.get(METADATA)
        if isinstance(named, str) and named:
            return named
    client = _CLIENTS.get(call.request.url.path, "OpenAI")
    msg = (
        f"say which conversation this is: in the header {SESSION_HEADER} or in metadata.{METADATA}; "
        f"with {client}'s client, {client}(..., default_headers={{'{SESSION_HEADER}': 'my-chat'}})"
    )
    if user_of(body) is not None:
        msg += "; who its user is does not say it"
    raise problem("session-required", msg, path=SESSION_HEADER)


def user_of(body: dict[str, Any]) -> str | None:
    """Who the end user is, as OpenAI's requests say it (`safety_identifier` follows `user`) and Anthropic's."""
    metadata = body.get("metadata")
    said = (body.get("user"), body.get("safety_identifier"), metadata.get("user_id") if is_object(metadata) else None)
    return next((each for each in said if isinstance(each, str) and each), None)


def said_by(user: str | None, messages: Sequence[Message]) -> tuple[Message, ...]:
    """The messages, those of the user as theirs."""
    if user is None:
        return tuple(messages)
    sender = Sender(id=user)
    return tuple(m.replace(sender=sender) if m.role == "user" and m.sender is None else m for m in messages)


async def session_called(sessions: AsyncSessionManager, name: str, user: str | None = None) -> AsyncSession:
    """The session with this id or alias; else the one under this key, which its first message makes, from this user.

    A conversation's id (`conv_…`) names a session that there is. It may have other users too: its origin is a thread,
    so that erasing one of them takes away what they said, and leaves the others theirs. Raises SessionNotFound,
    InvalidKey.
    """
    if name.startswith(_CONVERSATION):
        return await sessions.get(name.removeprefix(_CONVERSATION))
    try:
        return await sessions.get(name)
    except SessionNotFound:
        if user is None:
            return await sessions.get_or_create(name)
        return await session_from(sessions, name, Origin(PLATFORM, chat_type="thread", user_id=user))
