"""Changes of what a transcript says, and forks of it, over HTTP. Nothing is removed: all of it can be had back."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import msgspec

from palaver.aio import AsyncSession
from palaver.errors import SessionBusy
from palaver.operations import Redone
from palaver.server import bodies
from palaver.server.answers import Appended, Edited, Rewound, SessionDocument, Versions, named
from palaver.server.bodies import Positive
from palaver.server.busy import busy_problem
from palaver.server.lookup import session_of
from palaver.server.messages import Body
from palaver.server.problems import ProblemError, problem
from palaver.server.revisions import guarded, shown, tagged
from palaver.server.table import Answer, Call, Endpoint

__all__ = ["ENDPOINTS"]

_MOST_DIGITS = 15


@asynccontextmanager
async def _rewritten(call: Call) -> AsyncGenerator[AsyncSession]:
    """The session, for a change of its transcript. Where a turn is in the way, the answer says for how long."""
    session = await session_of(call)
    try:
        yield session
    except SessionBusy as error:
        raise ProblemError(await busy_problem(call.sessions, session.id, error)) from error


def _seq(call: Call) -> int:
    """The position that the path names."""
    text = call.path["seq"]
    if not (text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS and int(text)):
        raise problem("invalid-request", f"{text!r} is no position of a message: it is the message's seq", path="seq")
    return int(text)


async def fork_session(call: Call) -> Answer:
    """Make a session with copies of what is live."""
    body: bodies.ForkSession = call.body or bodies.ForkSession()
    made = await (await session_of(call)).fork(at=body.at, title=body.title)
    return await shown(made, call, 201)


async def rewind_session(call: Call) -> Answer:
    """Take back the newest turns."""
    body: bodies.RewindSession = call.body or bodies.RewindSession()
    async with _rewritten(call) as session, guarded(call, session) as expected:
        taken = await session.rewind(body.turns, expected_rev=expected)
    return Answer(Rewound(messages=tuple(taken)), headers=await tagged(session))


async def redo_session(call: Call) -> Answer:
    """Bring back what the last change took."""
    async with _rewritten(call) as session, guarded(call, session) as expected:
        done = await session.redo(expected_rev=expected)
    return Answer(done, headers=await tagged(session))


async def truncate_session(call: Call) -> Answer:
    """Keep what stands at or before a position."""
    body: bodies.TruncateSession = call.body
    async with _rewritten(call) as session, guarded(call, session) as expected:
        await session.truncate(after=body.after, expected_rev=expected)
    return await shown(session, call)


async def retain_session(call: Call) -> Answer:
    """Keep the newest messages."""
    body: bodies.RetainSession = call.body
    async with _rewritten(call) as session:
        await session.retain(last=body.last)
    return await shown(session, call)


async def clear_session(call: Call) -> Answer:
    """Begin anew in the same session."""
    async with _rewritten(call) as session:
        await session.clear()
    return await shown(session, call)


async def replace_messages(call: Call) -> Answer:
    """Put messages in the place of all that is live."""
    body: bodies.ReplaceMessages | bodies.ReplaceWireMessages = call.body
    given = body.given()
    async with _rewritten(call) as session:
        done = await session.replace(*given, expected_seq=body.expected_seq)
    made = Appended(
        session_id=done.session_id,
        seqs=done.seqs,
        last_seq=done.last_seq,
        fresh=done.fresh,
        repairs=call.cleaned or msgspec.UNSET,
    )
    return Answer(made, 201, await tagged(session))


async def edit_message(call: Call) -> Answer:
    """Put new content in the place of a message."""
    body: bodies.EditMessage | bodies.EditMessageOnWire = call.body
    seq, new = _seq(call), body.new()
    async with _rewritten(call) as session, guarded(call, session) as expected:
        message = await session.edit(seq, new, expected_rev=expected)
    made = Edited(message=named(message), repairs=call.cleaned or msgspec.UNSET)
    return Answer(made, headers=await tagged(session))


class MergeMessage(Body, frozen=True, kw_only=True):
    """Puts the continuation of an answer at its end."""

    continuation: Positive
    """Position of the message that goes on with it."""
    separator: str = ""
    """What stands between the two texts."""


async def merge_message(call: Call) -> Answer:
    """Put the continuation of an answer at its end."""
    body: MergeMessage = call.body
    seq = _seq(call)
    async with _rewritten(call) as session, guarded(call, session) as expected:
        message = await session.merge(seq, body.continuation, separator=body.separator, expected_rev=expected)
    return Answer(Edited(message=named(message), repairs=call.cleaned or msgspec.UNSET), headers=await tagged(session))


async def delete_message(call: Call) -> Answer:
    """Make one message live no more."""
    seq = _seq(call)
    async with _rewritten(call) as session, guarded(call, session) as expected:
        await session.delete_message(seq, expected_rev=expected)
    return await shown(session, call)


async def read_versions(call: Call) -> Answer:
    """What a message said before its edits."""
    page = await (await session_of(call)).versions(_seq(call))
    return Answer(Versions(messages=tuple(page), corrupt=page.corrupt))


_FOUND = ("session-not-found",)
_WRITTEN = (*_FOUND, "session-busy", "session-ended")
_GUARDED = (*_WRITTEN, "session-conflict", "precondition-failed", "invalid-request")
_IF_MATCH = {"If-Match": "The ETag that the session had; its messages may have grown meanwhile."}
_NOW = {200: "The session as it is now."}

ENDPOINTS = (
    Endpoint(
        "POST",
        "/v1/sessions/{session_id}/fork",
        "forkSession",
        "Make a session that begins with copies of what is live here, through a position; they share nothing after.",
        fork_session,
        {201: "The new session; its `parent` is this one."},
        SessionDocument,
        bodies=(bodies.ForkSession,),
        body_required=False,
        problems=(*_FOUND, "session-conflict"),
        example={"at": 4, "title": "Trip to Rome, by train"},
    ),
    Endpoint(
        "POST",
        "/v1/sessions/{session_id}/rewind",
        "rewindSession",
        "Take back the newest turn, or `turns` of them; redo brings them back.",
        rewind_session,
        {200: "The messages that are live no more; none, where there was no turn."},
        Rewound,
        bodies=(bodies.RewindSession,),
        body_required=False,
        problems=(*_WRITTEN, "session-conflict", "precondition-failed"),
        headers=_IF_MATCH,
        example={"turns": 1},
    ),
    Endpoint(
        "POST",
        "/v1/sessions/{session_id}/redo",
        "redoSession",
        "Bring back what the last rewind, truncate, retain, clear or deletion took, while nothing came after it.",
        redo_session,
        {200: "The range that is live again."},
        Redone,
        problems=(*_WRITTEN, "session-conflict", "precondition-failed"),
        headers=_IF_MATCH,
    ),
    Endpoint(
        "POST",
        "/v1/sessions/{session_id}/truncate",
        "truncateSession",
        "Keep what stands at or before a position; the rest is live no more.",
        truncate_session,
        _NOW,
        SessionDocument,
        bodies=(bodies.TruncateSession,),
        problems=(*_WRITTEN, "session-conflict", "precondition-failed"),
        headers=_IF_MATCH,
        example={"after": 4},
    ),
    Endpoint(
        "POST",
        "/v1/sessions/{session_id}/retain",
        "retainSession",
        "Keep the newest messages, as many as make a legal history, and the instructions.",
        retain_session,
        _NOW,
        SessionDocument,
        bodies=(bodies.RetainSession,),
        problems=_WRITTEN,
        example={"last": 20},
    ),
    Endpoint(
        "POST",
        "/v1/sessions/{session_id}/clear",
        "clearSession",
        "Begin anew in the same session: nothing of it is live any more.",
        clear_session,
        _NOW,
        SessionDocument,
        problems=_WRITTEN,
    ),
    Endpoint(
        "POST",
        "/v1/sessions/{session_id}/replace",
        "replaceMessages",
        "Put messages in the place of all that is live, all or none.",
        replace_messages,
        {201: "Stored; they are all that is live."},
        Appended,
        bodies=(bodies.ReplaceMessages, bodies.ReplaceWireMessages),
        problems=(*_WRITTEN, "session-conflict"),
        example={"messages": [{"role": "user", "content": "Hello"}], "expected_seq": 6},
    ),
    Endpoint(
        "PATCH",
        "/v1/sessions/{session_id}/messages/{seq}",
        "editMessage",
        "Put new content in the place of a message; what it said before is kept as a version.",
        edit_message,
        {200: "The message as it is now."},
        Edited,
        bodies=(bodies.EditMessage, bodies.EditMessageOnWire),
        problems=_GUARDED,
        example={"content": "Hello again"},
        headers=_IF_MATCH,
    ),
    Endpoint(
        "DELETE",
        "/v1/sessions/{session_id}/messages/{seq}",
        "deleteMessage",
        "Make one message live no more; redo brings it back.",
        delete_message,
        _NOW,
        SessionDocument,
        problems=_GUARDED,
        headers=_IF_MATCH,
    ),
    Endpoint(
        "POST",
        "/v1/sessions/{session_id}/messages/{seq}/merge",
        "mergeMessage",
        "Put the continuation of an answer at its end; redo makes them two again.",
        merge_message,
        {200: "The answer as it is now."},
        Edited,
        bodies=(MergeMessage,),
        problems=_GUARDED,
        example={"continuation": 4},
        headers=_IF_MATCH,
    ),
    Endpoint(
        "GET",
        "/v1/sessions/{session_id}/messages/{seq}/versions",
        "readVersions",
        "What a message said before each of its edits, oldest first.",
        read_versions,
        {200: "Its earlier versions; none, where it was never edited."},
        Versions,
        problems=(*_FOUND, "invalid-request"),
    ),
)
