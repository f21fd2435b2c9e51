"""Sessions over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta

from palaver.errors import SessionNotFound
from palaver.media import as_text
from palaver.model import Wire
from palaver.server import bodies
from palaver.server.answers import (
    Appended,
    Media,
    Messages,
    SessionDocument,
    SessionPage,
    WindowAnswer,
    payload,
    session_document,
    window_document,
)
from palaver.server.bodies import Positive
from palaver.server.limits import MAX_PAGE
from palaver.server.lookup import session_meant, session_of
from palaver.server.messages import Count
from palaver.server.reach import session_handle, set_info
from palaver.server.revisions import guarded, shown
from palaver.server.table import Answer, Call, Endpoint

__all__ = ["ENDPOINTS"]

MAX_NAME = 1_000
PageSize: TypeAlias = Annotated[int, Meta(ge=1, le=MAX_PAGE)]


class SessionQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which sessions to list."""

    limit: PageSize = 50
    after: str | None = None
    """What `next` of the page before says."""
    active_since: Annotated[datetime, Meta(tz=True)] | None = None
    include_archived: bool = False
    include_ended: bool = True
    include_empty: bool = False
    include_hidden: bool = False
    include_deleted: bool = False
    """Also deleted ones, which can be restored: their `deleted_at` says so."""
    platform: str | None = None
    """Only sessions that began there; `agent` and `account` likewise."""
    agent: str | None = None
    account: str | None = None
    tag: str | None = None
    title: str | None = None
    """What the title says somewhere, whatever its case."""
    pinned: bool | None = None
    archived: bool | None = None
    """true: only archived ones."""
    hidden: bool | None = None
    """true: only hidden ones."""
    parent: str | None = None
    """Id of the session that they follow; sessions of subagents are hidden ones."""


class NameQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which session is meant."""

    name: Annotated[str, Meta(max_length=MAX_NAME)]
    """Its id, alias or title, or the beginning of a title or id."""


class MessageQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which messages to read: those with after < seq < before."""

    after: Count = 0
    before: Positive | None = None
    limit: PageSize = 100
    newest: bool = False
    """The last ones of them in place of the first."""
    live: bool = True
    """False: also messages that were undone or replaced."""


class WindowQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How large a window, and for whom."""

    max_messages: Positive | None = None
    max_tokens: Positive | None = None
    max_turns: Positive | None = None
    wire: Wire | None = None
    """Wire format, such as `openai_chat`: the answer's `payload` is ready for that provider."""


async def list_sessions(call: Call) -> Answer:
    """A page of sessions."""
    query: SessionQuery = call.query
    found = await call.sessions.list(**msgspec.structs.asdict(query))
    following = found[-1].id if len(found) == query.limit else None
    return Answer(SessionPage(sessions=tuple(map(session_document, found)), next=following))


async def create_session(call: Call) -> Answer:
    """Make a session on purpose."""
    body: bodies.CreateSession = call.body
    made = await call.sessions.create(
        body.target, alias=body.alias, title=body.title, metadata=body.metadata, hidden=body.hidden
    )
    return await shown(made, call, 201)


async def get_session(call: Call) -> Answer:
    """All about one session, or 304 where the caller knows it."""
    answer = await shown(await session_of(call), call)
    known = call.request.headers.get("if-none-match", "")
    if known.strip() == "*" or answer.headers["ETag"] in [each.strip().removeprefix("W/") for each in known.split(",")]:
        return Answer(None, 304, answer.headers)
    return answer


async def find_session(call: Call) -> Answer:
    """The session that a person means."""
    query: NameQuery = call.query
    return await shown(await session_meant(call.sessions, query.name), call)


async def patch_session(call: Call) -> Answer:
    """Change what is kept about a session."""
    body: bodies.PatchSession = call.body
    session = await session_of(call)
    async with guarded(call, session) as expected:
        await set_info(session, expected_rev=expected, **body.changes())
    return await shown(session, call)


async def reset_session(call: Call) -> Answer:
    """Point all keys of a session at a new one."""
    return await shown(await (await session_of(call)).reset(), call, 201)


async def read_messages(call: Call) -> Answer:
    """A page of the transcript."""
    query: MessageQuery = call.query
    page = await (await session_of(call)).messages(**msgspec.structs.asdict(query))
    read = sorted((*(message.seq for message in page), *page.corrupt))
    following = None
    if len(read) == query.limit:
        following = read[0] if query.newest else read[-1]
    return Answer(Messages(messages=tuple(page), next=following, corrupt=page.corrupt))


async def read_media(call: Call) -> Answer:
    """Content that a message of the session refers to."""
    address = call.path["address"]
    data = await (await session_of(call)).media(address)
    return Answer(Media(address=address, size=len(data), data=as_text(data)))


async def append_messages(call: Call) -> Answer:
    """Store messages at the end of a session."""
    body: bodies.AppendMessages | bodies.AppendWireMessages = call.body
    given = body.given()
    try:  # an id needs no look-up before, which would cost as much as the rest
        done = await session_handle(call.sessions, call.path["session_id"]).append(
            *given, expected_seq=body.expected_seq
        )
    except SessionNotFound:
        done = await (await session_of(call)).append(*given, expected_seq=body.expected_seq)
    made = Appended(
        session_id=done.session_id,
        seqs=done.seqs,
        last_seq=done.last_seq,
        fresh=done.fresh,
        repairs=call.cleaned or msgspec.UNSET,
    )
    return Answer(made, 201 if done.fresh else 200)


async def read_window(call: Call) -> Answer:
    """What a model may see of a session."""
    query: WindowQuery = call.query
    session = await session_of(call)
    window = await session.history(
        max_messages=query.max_messages, max_tokens=query.max_tokens, max_turns=query.max_turns
    )
    return Answer(
        WindowAnswer(session_id=session.id, window=window_document(window), payload=payload(window, query.wire))
    )


_FOUND = ("session-not-found",)

ENDPOINTS = (
    Endpoint(
        "GET",
        "/v1/sessions",
        "listSessions",
        "Sessions, newest activity first.",
        list_sessions,
        {200: "A page of sessions."},
        SessionPage,
        query=SessionQuery,
        problems=_FOUND,
    ),
    Endpoint(
        "POST",
        "/v1/sessions",
        "createSession",
        "Make a session on purpose, under a key or under none.",
        create_session,
        {201: "The session."},
        SessionDocument,
        bodies=(bodies.CreateSession,),
        problems=("session-conflict",),
        example={"alias": "trip-to-rome", "title": "Trip to Rome"},
    ),
    Endpoint(
        "GET",
        "/v1/sessions/{session_id}",
        "getSession",
        "All about one session, by its id or alias.",
        get_session,
        {200: "The session; its ETag changes with it.", 304: "It is as the caller knows it."},
        SessionDocument,
        problems=_FOUND,
        headers={"If-None-Match": "ETags that the caller knows the session by."},
    ),
    Endpoint(
        "GET",
        "/v1/find",
        "findSession",
        "The session that a person means: by id, alias or title, or how a title or id begins.",
        find_session,
        {200: "The session."},
        SessionDocument,
        query=NameQuery,
        problems=(*_FOUND, "session-ambiguous"),
    ),
    Endpoint(
        "PATCH",
        "/v1/sessions/{session_id}",
        "patchSession",
        "Change its title, model, tags or metadata (merged; null removes a key), archive, pin or hide it.",
        patch_session,
        {200: "The session as it is now."},
        SessionDocument,
        bodies=(bodies.PatchSession,),
        problems=(*_FOUND, "session-conflict", "invalid-key", "credential-refused", "precondition-failed"),
        example={"title": "Trip to Rome", "metadata": {"mood": "curious"}},
        headers={"If-Match": "The ETag that the session had; its messages may have grown meanwhile."},
    ),
    Endpoint(
        "POST",
        "/v1/sessions/{session_id}/reset",
        "resetSession",
        "Point all keys of a session at a new one; the old one stays and can be resumed.",
        reset_session,
        {201: "The new session."},
        SessionDocument,
        problems=(*_FOUND, "session-ended", "session-conflict"),
    ),
    Endpoint(
        "GET",
        "/v1/sessions/{session_id}/messages",
        "readMessages",
        "A page of the transcript.",
        read_messages,
        {200: "Messages, in order."},
        Messages,
        query=MessageQuery,
        problems=_FOUND,
    ),
    Endpoint(
        "GET",
        "/v1/sessions/{session_id}/media/{address}",
        "readMedia",
        "Content that is kept out of line, by the `blob` of a part.",
        read_media,
        {200: "The content."},
        Media,
        problems=(*_FOUND, "media-not-found"),
    ),
    Endpoint(
        "POST",
        "/v1/sessions/{session_id}/messages",
        "appendMessages",
        "Store messages at the end of a session, all or none, outside of a turn.",
        append_messages,
        {201: "Stored.", 200: "All of them were stored before, under their ids."},
        Appended,
        bodies=(bodies.AppendMessages, bodies.AppendWireMessages),
        problems=(*_FOUND, "session-conflict", "session-ended"),
        example={"messages": [{"role": "user", "content": "Hello", "id": "m-1"}], "expected_seq": 0},
    ),
    Endpoint(
        "GET",
        "/v1/sessions/{session_id}/window",
        "readWindow",
        "What a model may see of a session now.",
        read_window,
        {200: "The window, and its payload where a wire is named."},
        WindowAnswer,
        query=WindowQuery,
        problems=_FOUND,
    ),
)
