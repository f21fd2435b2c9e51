"""Sessions of subagents over HTTP."""

from __future__ import annotations

from typing import Any

from palaver.server.answers import SessionDocument
from palaver.server.lookup import session_of
from palaver.server.messages import Body
from palaver.server.revisions import shown
from palaver.server.table import Answer, Call, Endpoint

__all__ = ["ENDPOINTS", "CreateSubagent"]


class CreateSubagent(Body, frozen=True, kw_only=True):
    """Makes the session of a subagent."""

    alias: str | None = None
    """The caller's own id for it; works wherever a session id does."""
    title: str | None = None
    """New to the owner."""
    metadata: dict[str, Any] | None = None


async def create_subagent(call: Call) -> Answer:
    """Make the session of a subagent."""
    body: CreateSubagent = call.body or CreateSubagent()
    made = await (await session_of(call)).subagent(alias=body.alias, title=body.title, metadata=body.metadata)
    return await shown(made, call, 201)


ENDPOINTS = (
    Endpoint(
        "POST",
        "/v1/sessions/{session_id}/subagents",
        "createSubagent",
        "Make the session of a subagent: hidden, and deleted, purged and erased with this one.",
        create_subagent,
        {201: "The session of the subagent."},
        SessionDocument,
        bodies=(CreateSubagent,),
        body_required=False,
        problems=("session-not-found", "session-conflict", "invalid-key"),
        example={"title": "Look for trains", "metadata": {"model": "small"}},
    ),
)
