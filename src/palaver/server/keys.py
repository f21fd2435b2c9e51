"""Keys over HTTP: which session each points at."""

from __future__ import annotations

from palaver.server import bodies
from palaver.server.answers import SessionDocument
from palaver.server.lookup import session_meant
from palaver.server.revisions import shown
from palaver.server.table import Answer, Call, Endpoint

__all__ = ["ENDPOINTS"]


async def resolve_key(call: Call) -> Answer:
    """The session that a key points at."""
    body: bodies.KeyBody = call.body
    return await shown(await call.sessions.resolve(body.target or ""), call)


async def reset_key(call: Call) -> Answer:
    """Point one key at a new session."""
    body: bodies.KeyBody = call.body
    return await shown(await call.sessions.reset(body.target or ""), call, 201)


async def resume_key(call: Call) -> Answer:
    """Point a key at a session that exists."""
    body: bodies.ResumeKey = call.body
    session = await session_meant(call.sessions, body.session_id)
    return await shown(await call.sessions.resume(body.target or "", session.id), call)


_FOUND = ("session-not-found",)
_ORIGIN = {"platform": "telegram", "chat_id": "42"}

ENDPOINTS = (
    Endpoint(
        "POST",
        "/v1/keys/resolve",
        "resolveKey",
        "The session that an origin or key points at; never makes one.",
        resolve_key,
        {200: "The session."},
        SessionDocument,
        bodies=(bodies.KeyBody,),
        problems=_FOUND,
        example={"origin": _ORIGIN},
        asks="read",
    ),
    Endpoint(
        "POST",
        "/v1/keys/reset",
        "resetKey",
        "Point this one key at a new session.",
        reset_key,
        {201: "The new session."},
        SessionDocument,
        bodies=(bodies.KeyBody,),
        example={"origin": _ORIGIN},
    ),
    Endpoint(
        "POST",
        "/v1/keys/resume",
        "resumeKey",
        "Point a key at a session that exists, and reopen it if it had ended.",
        resume_key,
        {200: "The session."},
        SessionDocument,
        bodies=(bodies.ResumeKey,),
        problems=(*_FOUND, "session-ambiguous"),
        example={"origin": _ORIGIN, "session_id": "trip-to-rome"},
    ),
)
