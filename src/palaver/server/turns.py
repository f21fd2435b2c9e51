"""Turns over HTTP. A turn is its id: every request finds it in the store, so nothing is lost with a server."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from palaver.aio import AsyncSession, AsyncTurn
from palaver.codec import same_content
from palaver.errors import SessionBusy, SessionConflict, SessionNotFound, TurnLost
from palaver.model import Wire
from palaver.server import bodies
from palaver.server.answers import (
    Inbox,
    OpenTurnDocument,
    OpenTurns,
    TurnDocument,
    named,
    require_wire,
    turn_document,
)
from palaver.server.bodies import Positive
from palaver.server.busy import busy_problem
from palaver.server.draining import note_begun, note_ended, refuse_if_draining
from palaver.server.lookup import session_named
from palaver.server.problems import Problem, ProblemError, of_error, problem
from palaver.server.reach import running_turn_id
from palaver.server.reading import is_gone
from palaver.server.table import Answer, Call, Endpoint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from palaver.model import Message

__all__ = ["ENDPOINTS"]

_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.005, 0.1


class TurnQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How to look at a turn."""

    max_messages: Positive | None = None
    render: Wire | None = None


async def begin_turn(call: Call) -> Answer:
    """Begin a turn; see `AsyncSessionManager.begin_turn`."""
    body: bodies.BeginTurn | bodies.BeginTurnOnWire = call.body
    refuse_if_draining(call)
    message = body.first()
    require_wire(body.render)
    session = await session_named(call.sessions, body.session_id) if body.session_id is not None else None
    try:
        turn = await _begun(call, body, session, message)
    except SessionBusy as error:
        raise ProblemError(await _busy(call, session, body, error)) from error
    if turn.ended:
        status = 202 if turn.queued else 200
        return Answer(turn_document(turn, cleaned=call.cleaned), status)
    try:
        made = turn_document(turn, wire=body.render, cleaned=call.cleaned)
        if is_gone(call.request):
            await turn.fail("the client went away before it was told of the turn")
    except BaseException as error:  # the lease must not outlive a turn that nobody was told of
        await turn.fail(f"it could not be answered: {type(error).__name__}")
        raise
    note_begun(call, turn, body.lease_seconds)
    return Answer(made, 201, {"Location": f"/v1/turns/{turn.id}"})


async def _begun(
    call: Call, body: bodies.BeginTurn | bodies.BeginTurnOnWire, session: AsyncSession | None, message: Message | None
) -> AsyncTurn:
    """The turn, or the message stored. A wait is a series of attempts, and ends with its client or its server."""
    lease = timedelta(seconds=body.lease_seconds) if body.lease_seconds is not None else None
    budget = {"max_messages": body.max_messages, "max_tokens": body.max_tokens, "max_turns": body.max_turns}
    on_busy: Literal["raise", "store"] = "store" if body.on_busy == "store" else "raise"
    clock = asyncio.get_running_loop().time
    deadline = clock() + body.timeout
    pause = _SHORTEST_PAUSE
    while True:
        try:
            if session is not None:
                return await session.begin_turn(message, on_busy=on_busy, lease=lease, **budget)
            target: Any = body.target
            return await call.sessions.begin_turn(target, message, on_busy=on_busy, lease=lease, **budget)
        except SessionBusy:
            if body.on_busy != "wait" or clock() >= deadline:
                raise
        await asyncio.sleep(min(pause, max(0.0, deadline - clock())))
        pause = min(pause * 2, _LONGEST_PAUSE)
        if is_gone(call.request):
            raise problem("bad-request", "the client went away while it waited; nothing was stored")
        refuse_if_draining(call)


async def _busy(
    call: Call,
    session: AsyncSession | None,
    body: bodies.BeginTurn | bodies.BeginTurnOnWire,
    error: SessionBusy,
) -> Problem:
    """The problem, of the session that the request leads to."""
    try:
        session = session or await call.sessions.resolve(body.target)
    except SessionNotFound:
        return of_error(error)
    return await busy_problem(call.sessions, session.id, error)


async def _turn(call: Call, max_messages: int | None = None, lease_seconds: float | None = None) -> AsyncTurn:
    lease = timedelta(seconds=lease_seconds) if lease_seconds is not None else None
    return await call.sessions.turn(call.path["turn_id"], lease=lease, max_messages=max_messages)


async def open_turns(call: Call) -> Answer:
    """Turns that have not ended; for the operator with what it takes to end them."""
    out: list[OpenTurnDocument] = []
    for each in await call.sessions.open_turns():
        name: str | None = None
        if call.sessions.owner is None:
            try:
                name = await running_turn_id(call.sessions, each.session_id, each.first_seq)
            except SessionNotFound:
                continue
            if name is None:  # it has ended since the list was read
                continue
        out.append(
            OpenTurnDocument(
                id=name,
                session_id=each.session_id,
                owner=each.owner or None,
                first_seq=each.first_seq,
                began_at=each.began_at,
                expires_at=each.expires_at,
                alive=each.alive,
            )
        )
    return Answer(OpenTurns(turns=tuple(out)))


async def get_turn(call: Call) -> Answer:
    """A turn in whatever state it is."""
    query: TurnQuery = call.query
    return Answer(turn_document(await _turn(call, query.max_messages), wire=query.render))


async def append_to_turn(call: Call) -> Answer:
    """Store what happens in a turn."""
    body: bodies.AppendToTurn | bodies.AppendWireToTurn = call.body
    given = body.given()
    require_wire(body.render)
    turn = await _turn(call, body.max_messages, body.lease_seconds)
    await turn.append(*given)
    note_begun(call, turn, body.lease_seconds)
    return Answer(turn_document(turn, wire=body.render, cleaned=call.cleaned), 201)


async def renew_turn(call: Call) -> Answer:
    """Make the lease last from now."""
    body: bodies.RenewTurn | None = call.body
    turn = await _turn(call, 1, body.lease_seconds if body is not None else None)
    await turn.renew()
    return Answer(turn_document(turn))


async def finish_turn(call: Call) -> Answer:
    """Store the reply and end the turn. The same request once more gives the same answer."""
    body: bodies.FinishTurn | bodies.FinishTurnOnWire | None = call.body
    reply = body.given() if body is not None else ()
    usage = body.usage.usage() if body is not None and body.usage is not None else None
    turn = await _turn(call)
    if turn.ended and turn.state == "finished":
        _require_same(turn, reply)
        return Answer(turn_document(turn, cleaned=call.cleaned))
    await turn.finish(*reply, usage=usage)
    note_ended(call)
    return Answer(turn_document(turn, ending=True, cleaned=call.cleaned))


def _require_same(turn: AsyncTurn, reply: Sequence[Message]) -> None:
    """Refuse another reply for a turn that has one."""
    stored = turn.messages[len(turn.messages) - len(reply) :]
    if len(stored) != len(reply) or not all(map(same_content, map(named, stored), map(named, reply))):
        msg = f"the turn at seq {turn.seq} of session {turn.session_id!r} was finished with another reply"
        raise SessionConflict(msg)


async def fail_turn(call: Call) -> Answer:
    """End the turn as interrupted."""
    body: bodies.FailTurn | None = call.body
    turn = await _turn(call)
    if not (turn.ended and turn.state == "interrupted"):
        await turn.fail(body.reason if body is not None else "failed")
    note_ended(call)
    return Answer(turn_document(turn, ending=True, cleaned=call.cleaned))


async def roll_back_turn(call: Call) -> Answer:
    """End the turn as if it had not begun."""
    turn = await _turn(call)
    if not (turn.ended and turn.state == "rolled_back"):
        await turn.rollback()
    note_ended(call)
    return Answer(turn_document(turn, ending=True))


async def inbox(call: Call) -> Answer:
    """Messages that came while the turn runs."""
    turn = await _turn(call, 1)
    if turn.ended:
        msg = f"this turn of session {turn.session_id!r} has ended; the next one takes what waits"
        raise TurnLost(msg)
    return Answer(Inbox(messages=tuple(map(named, await turn.inbox()))))


_LOST = ("session-not-found", "turn-lost")
_LOCAL = {"platform": "telegram", "chat_id": "42", "user_id": "7"}

ENDPOINTS = (
    Endpoint(
        "POST",
        "/v1/turns",
        "beginTurn",
        "Store a message and begin the turn that answers it.",
        begin_turn,
        {
            201: "The turn runs, or was taken over after an interruption.",
            200: "The message was answered before: nothing is to be done.",
            202: "Another turn runs; the message is stored and waits.",
        },
        TurnDocument,
        bodies=(bodies.BeginTurn, bodies.BeginTurnOnWire),
        problems=("session-not-found", "session-busy", "session-conflict", "session-ended", "shutting-down"),
        example={
            "origin": _LOCAL,
            "message": {"role": "user", "content": "What is 2+2?", "id": "tg-1001"},
            "render": "openai_chat",
        },
    ),
    Endpoint(
        "GET",
        "/v1/turns",
        "listOpenTurns",
        "Turns that have not ended; those that are not alive were interrupted. The operator's list has their ids.",
        open_turns,
        {200: "The turns, oldest first."},
        OpenTurns,
    ),
    Endpoint(
        "GET",
        "/v1/turns/{turn_id}",
        "getTurn",
        "A turn in whatever state it is, with its window while it runs.",
        get_turn,
        {200: "The turn."},
        TurnDocument,
        query=TurnQuery,
        problems=("session-not-found",),
    ),
    Endpoint(
        "POST",
        "/v1/turns/{turn_id}/messages",
        "appendToTurn",
        "Store calls, results and interim answers as they happen; renews the lease.",
        append_to_turn,
        {201: "Stored; the window is computed anew."},
        TurnDocument,
        bodies=(bodies.AppendToTurn, bodies.AppendWireToTurn),
        problems=_LOST,
        example={
            "messages": [
                {"role": "assistant", "content": [{"kind": "tool_call", "name": "calc", "call_id": "c1"}]},
                {"role": "tool", "call_id": "c1", "content": "4"},
            ]
        },
    ),
    Endpoint(
        "POST",
        "/v1/turns/{turn_id}/renew",
        "renewTurn",
        "Make the lease last its full length from now.",
        renew_turn,
        {200: "The turn."},
        TurnDocument,
        bodies=(bodies.RenewTurn,),
        body_required=False,
        problems=_LOST,
        example={"lease_seconds": 600},
    ),
    Endpoint(
        "POST",
        "/v1/turns/{turn_id}/finish",
        "finishTurn",
        "Store the reply and what was used, and end the turn.",
        finish_turn,
        {200: "The turn is finished; also where it was, with this reply."},
        TurnDocument,
        bodies=(bodies.FinishTurn, bodies.FinishTurnOnWire),
        body_required=False,
        problems=(*_LOST, "session-conflict"),
        example={"message": "4", "usage": {"input_tokens": 10, "output_tokens": 2, "model": "gpt-4o"}},
    ),
    Endpoint(
        "POST",
        "/v1/turns/{turn_id}/fail",
        "failTurn",
        "End the turn as interrupted; what happened stays.",
        fail_turn,
        {200: "The turn is interrupted; also where it was."},
        TurnDocument,
        bodies=(bodies.FailTurn,),
        body_required=False,
        problems=_LOST,
        example={"reason": "the model did not answer"},
    ),
    Endpoint(
        "POST",
        "/v1/turns/{turn_id}/rollback",
        "rollBackTurn",
        "End the turn as if it had not begun.",
        roll_back_turn,
        {200: "The turn is rolled back; also where it was."},
        TurnDocument,
        problems=_LOST,
    ),
    Endpoint(
        "POST",
        "/v1/turns/{turn_id}/inbox",
        "takeInbox",
        "Messages that came while the turn runs; they belong to it from now on, and its window shows them.",
        inbox,
        {200: "The messages that are new to the turn, oldest first."},
        Inbox,
        problems=_LOST,
    ),
)
