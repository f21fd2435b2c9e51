"""Sessions and keys over HTTP."""

from __future__ import annotations

import zlib
from datetime import datetime
from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta

from palaver.aio import AsyncSession
from palaver.errors import SessionConflict, SessionNotFound
from palaver.media import as_text
from palaver.model import Wire
from palaver.server import bodies
from palaver.server.answers import (
    Appended,
    Compacted,
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
from palaver.server.lookup import session_named
from palaver.server.messages import Count
from palaver.server.problems import problem
from palaver.server.reach import session_handle
from palaver.server.table import Answer, Call, Endpoint

__all__ = ["ENDPOINTS"]

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


async def _session(call: Call) -> AsyncSession:
    return await session_named(call.sessions, call.path["session_id"])


async def _shown(session: AsyncSession, call: Call, status: int = 200) -> Answer:
    document = session_document(await session.info(), call.cleaned)
    headers = {"ETag": _etag(document), "Cache-Control": "no-cache"}
    if status == 201:
        headers["Location"] = f"/v1/sessions/{document.id}"
    return Answer(document, status, headers)


def _etag(document: SessionDocument) -> str:
    """`rev.last_seq.checksum`: a turn that ends, or a hold that runs out, moves neither number."""
    return f'"{document.etag}.{zlib.crc32(msgspec.json.encode(document)):08x}"'


def _expected_rev(call: Call) -> int | None:
    """The version that If-Match names. Only `rev` counts: messages that came meanwhile change no metadata."""
    said = call.request.headers.get("if-match")
    if said is None or said.strip() == "*":
        return None
    rev = said.strip().strip('"').partition(".")[0]
    if not rev.isdecimal() or len(rev) > 15:
        raise problem("bad-request", f"If-Match is {said!r}; send one ETag, as the session came with", path="If-Match")
    return int(rev)


async def list_sessions(call: Call) -> Answer:
    """A page of sessions."""
    query: SessionQuery = call.query
    found = await call.sessions.list(**msgspec.structs.asdict(query))
    following = found[-1].id if len(found) == query.limit else None
    return Answer(SessionPage(sessions=tuple(map(session_document, found)), next=following))


async def create_session(call: Call) -> Answer:
    """Make a session on purpose."""
    body: bodies.CreateSession = call.body
    made = await call.sessions.create(body.target, alias=body.alias, title=body.title, metadata=body.metadata)
    return await _shown(made, call, 201)


async def get_session(call: Call) -> Answer:
    """All about one session, or 304 where the caller knows it."""
    shown = await _shown(await _session(call), call)
    known = call.request.headers.get("if-none-match", "")
    if known.strip() == "*" or shown.headers["ETag"] in [each.strip().removeprefix("W/") for each in known.split(",")]:
        return Answer(None, 304, shown.headers)
    return shown


async def patch_session(call: Call) -> Answer:
    """Merge into a session's metadata."""
    body: bodies.PatchSession = call.body
    session = await _session(call)
    expected = _expected_rev(call)
    try:
        await session.set_metadata(body.metadata, expected_rev=expected)
    except SessionConflict as error:
        if expected is None:
            raise
        raise problem("precondition-failed", str(error), path="If-Match") from error
    return await _shown(session, call)


async def reset_session(call: Call) -> Answer:
    """Point all keys of a session at a new one."""
    return await _shown(await (await _session(call)).reset(), call, 201)


async def read_messages(call: Call) -> Answer:
    """A page of the transcript."""
    query: MessageQuery = call.query
    page = await (await _session(call)).messages(**msgspec.structs.asdict(query))
    read = sorted((*(message.seq for message in page), *page.corrupt))
    following = None
    if len(read) == query.limit:
        following = read[0] if query.newest else read[-1]
    return Answer(Messages(messages=tuple(page), next=following, corrupt=page.corrupt))


async def read_media(call: Call) -> Answer:
    """Content that a message of the session refers to."""
    address = call.path["address"]
    data = await (await _session(call)).media(address)
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
        done = await (await _session(call)).append(*given, expected_seq=body.expected_seq)
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
    session = await _session(call)
    window = await session.history(
        max_messages=query.max_messages, max_tokens=query.max_tokens, max_turns=query.max_turns
    )
    return Answer(
        WindowAnswer(session_id=session.id, window=window_document(window), payload=payload(window, query.wire))
    )


async def compact_session(call: Call) -> Answer:
    """Let a summary stand for messages."""
    body: bodies.CompactSession = call.body
    usage = body.usage.usage() if body.usage is not None else None
    made = await (await _session(call)).compact(
        body.summary, through_seq=body.through_seq, expected=body.expected, usage=usage
    )
    return Answer(Compacted(summary=made, repairs=call.cleaned or msgspec.UNSET), 201)


async def resolve_key(call: Call) -> Answer:
    """The session that a key points at."""
    body: bodies.KeyBody = call.body
    return await _shown(await call.sessions.resolve(body.target or ""), call)


async def reset_key(call: Call) -> Answer:
    """Point one key at a new session."""
    body: bodies.KeyBody = call.body
    return await _shown(await call.sessions.reset(body.target or ""), call, 201)


async def resume_key(call: Call) -> Answer:
    """Point a key at a session that exists."""
    body: bodies.ResumeKey = call.body
    session = await session_named(call.sessions, body.session_id)
    return await _shown(await call.sessions.resume(body.target or "", session.id), call)


_FOUND = ("session-not-found",)
_ORIGIN = {"platform": "telegram", "chat_id": "42"}

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
        "PATCH",
        "/v1/sessions/{session_id}",
        "patchSession",
        "Merge into a session's metadata; null removes a key.",
        patch_session,
        {200: "The session as it is now."},
        SessionDocument,
        bodies=(bodies.PatchSession,),
        problems=(*_FOUND, "precondition-failed"),
        example={"metadata": {"mood": "curious"}},
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
    Endpoint(
        "POST",
        "/v1/sessions/{session_id}/compact",
        "compactSession",
        "Let a summary stand for everything through a position; the messages stay.",
        compact_session,
        {201: "The summary."},
        Compacted,
        bodies=(bodies.CompactSession,),
        problems=(*_FOUND, "session-conflict"),
        example={"summary": "They added two and two.", "through_seq": 4},
    ),
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
        problems=_FOUND,
        example={"origin": _ORIGIN, "session_id": "trip-to-rome"},
    ),
)
