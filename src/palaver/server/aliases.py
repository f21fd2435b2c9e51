"""Further names of sessions over HTTP."""

from __future__ import annotations

from palaver.server.answers import SessionDocument
from palaver.server.bodies import Said
from palaver.server.lookup import session_of
from palaver.server.messages import Body
from palaver.server.revisions import shown
from palaver.server.table import Answer, Call, Endpoint

__all__ = ["ENDPOINTS", "AddAlias"]


class AddAlias(Body, frozen=True, kw_only=True):
    """Gives a session one more name."""

    alias: Said
    """The caller's own id for it, which no other session of the owner has; works wherever a session id does."""


async def add_alias(call: Call) -> Answer:
    """Give the session one more name."""
    body: AddAlias = call.body
    session = await session_of(call)
    await session.add_alias(body.alias)
    return await shown(session, call)


ENDPOINTS = (
    Endpoint(
        "POST",
        "/v1/sessions/{session_id}/aliases",
        "addAlias",
        "Give it one more name, by which it is found as by its id; nothing happens if it has that name.",
        add_alias,
        {200: "The session as it is now."},
        SessionDocument,
        bodies=(AddAlias,),
        problems=("session-not-found", "session-conflict", "invalid-key"),
        example={"alias": "trip-to-rome"},
    ),
)
