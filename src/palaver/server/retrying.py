"""Answering the newest message again over HTTP: a turn like any other."""

from __future__ import annotations

from datetime import timedelta

from palaver.errors import SessionBusy
from palaver.server import bodies
from palaver.server.answers import TurnDocument, require_wire, turn_document
from palaver.server.busy import busy_problem
from palaver.server.draining import note_begun, refuse_if_draining
from palaver.server.lookup import session_of
from palaver.server.problems import ProblemError
from palaver.server.reading import is_gone
from palaver.server.table import Answer, Call, Endpoint

__all__ = ["ENDPOINTS"]


async def retry_session(call: Call) -> Answer:
    """Begin a turn that answers the newest message of the user again."""
    body: bodies.RetrySession = call.body or bodies.RetrySession()
    refuse_if_draining(call)
    require_wire(body.render)
    lease = timedelta(seconds=body.lease_seconds) if body.lease_seconds is not None else None
    session = await session_of(call)
    try:
        turn = await session.retry(
            timeout=0,
            lease=lease,
            max_messages=body.max_messages,
            max_tokens=body.max_tokens,
            max_turns=body.max_turns,
        )
    except SessionBusy as error:
        raise ProblemError(await busy_problem(call.sessions, session.id, error)) from error
    try:
        made = turn_document(turn, wire=body.render)
        if is_gone(call.request):
            await turn.rollback()
    except BaseException:  # the lease must not outlive a turn that nobody was told of
        await turn.rollback()
        raise
    note_begun(call, turn, body.lease_seconds)
    return Answer(made, 201, {"Location": f"/v1/turns/{turn.id}"})


ENDPOINTS = (
    Endpoint(
        "POST",
        "/v1/sessions/{session_id}/retry",
        "retrySession",
        "Begin a turn that answers the newest message of the user again; redo brings the answer before back.",
        retry_session,
        {201: "The turn runs."},
        TurnDocument,
        bodies=(bodies.RetrySession,),
        body_required=False,
        problems=("session-not-found", "session-busy", "session-ended", "session-conflict"),
        example={"render": "openai_chat"},
    ),
)
