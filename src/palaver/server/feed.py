"""The change feed over HTTP: in pages, and as it happens."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta
from starlette.responses import Response

from palaver.aio import AsyncSessionManager
from palaver.server.access import access_of
from palaver.server.answers import Events
from palaver.server.limits import MAX_PAGE
from palaver.server.lookup import session_of
from palaver.server.openapi import INCOGNITO_HEADER
from palaver.server.problems import problem
from palaver.server.streaming import EventStream, require_room
from palaver.server.table import Answer, Call, Endpoint

__all__ = ["ENDPOINTS"]

EventCount: TypeAlias = Annotated[int, Meta(ge=1, le=MAX_PAGE)]


class PageQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which changes of a session to read."""

    after: str | None = None
    """The cursor that the answer before gave; without it, from the beginning (a stream: from now on)."""
    limit: EventCount = 100
    """Of a page; a stream has no end."""


class EventQuery(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which changes to read."""

    session_id: str | None = None


async def events(call: Call) -> Answer | Response:
    """Committed changes after a cursor, of all sessions or one."""
    query: EventQuery = call.query
    if _is_stream(call):
        session_id = (await call.sessions.get(query.session_id)).id if query.session_id is not None else None
        return _stream(call, session_id, query.after)
    return await _page(call.sessions, query, query.session_id)


async def session_events(call: Call) -> Answer | Response:
    """The same of the session in the path."""
    query: PageQuery = call.query
    session = await session_of(call)
    session_id = (await session.info()).id
    if _is_stream(call):
        return _stream(call, session_id, query.after)
    return await _page(call.sessions, query, session_id)


async def _page(sessions: AsyncSessionManager, query: PageQuery, session_id: str | None) -> Answer:
    found = await sessions.events(query.after, limit=query.limit, session_id=session_id)
    return Answer(Events(events=tuple(found), cursor=found.cursor))


def _is_stream(call: Call) -> bool:
    return "text/event-stream" in call.request.headers.get("accept", "")


def _stream(call: Call, session_id: str | None, after: str | None) -> Response:
    state = call.request.app.state
    if call.request.headers.get(INCOGNITO_HEADER, "false").lower() == "true":
        raise problem("invalid-request", "what is incognito is in no feed: ask without Palaver-Incognito")
    require_room(state.live)
    access = access_of(call.request)
    # A browser that comes back names the last event it had; the address that it asks is the one of the first time.
    cursor = call.request.headers.get("last-event-id") or after
    return EventStream(
        state.live,
        call.sessions,
        session_id=session_id,
        after=cursor,
        who=access,
        allowed=lambda: state.keys is None or state.keys.still(access),
    )


_LAST_EVENT = {"Last-Event-ID": "Of a stream: the cursor to go on from; counts before `after`."}

ENDPOINTS = (
    Endpoint(
        "GET",
        "/v1/events",
        "readEvents",
        "What happened after a cursor: every committed change once, without content. As a stream, what happens.",
        events,
        {200: "The changes, and the cursor to go on from; or a stream, for who accepts `text/event-stream`."},
        Events,
        query=EventQuery,
        problems=("cursor-expired", "session-not-found", "too-many-streams"),
        headers=_LAST_EVENT,
        streams=True,
    ),
    Endpoint(
        "GET",
        "/v1/sessions/{session_id}/events",
        "readSessionEvents",
        "The same of one session.",
        session_events,
        {200: "Its changes, and the cursor to go on from; or a stream, for who accepts `text/event-stream`."},
        Events,
        query=PageQuery,
        problems=("cursor-expired", "session-not-found", "too-many-streams"),
        headers=_LAST_EVENT,
        streams=True,
    ),
)
