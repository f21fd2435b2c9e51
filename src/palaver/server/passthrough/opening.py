"""From a request to the turn that answers it: what is new is stored, once, and what was edited is cut."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, get_args

import msgspec

from palaver.aio import AsyncSession, AsyncSessionManager, AsyncTurn
from palaver.errors import SessionBusy, SessionNotFound
from palaver.flows.turn_ids import turn_id
from palaver.model import Message
from palaver.resending import Claim, Resent, resent
from palaver.rows import TurnRow
from palaver.server.busy import busy_problem
from palaver.server.draining import refuse_if_draining
from palaver.server.passthrough.dialect import require_legal
from palaver.server.passthrough.naming import CLAIM_HEADER
from palaver.server.problems import ProblemError, problem
from palaver.server.reach import is_held, is_passed, running_turn
from palaver.server.table import Call

__all__ = ["LEASE", "Opened", "claim_of", "opened"]

LEASE = timedelta(seconds=60)
"""How long a turn outlives a server that was killed. It is renewed while a request is answered."""
_INSTRUCTIONS = ("system", "developer")
_SLACK = 32
_PAGE = 1_000
_RETRIES = "x-stainless-retry-count"
"""What the official clients count their repetitions in."""


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """A turn that may be answered, and what became of the request."""

    turn: AsyncTurn
    began: bool
    """Whether this request began it; else it brought the results that the turn waited for."""
    done: Resent
    cut: tuple[int, int] | None
    """The first and last position that were cut."""

    @property
    def report(self) -> str:
        """What is said of it in a header."""
        said = [f"matched={self.done.matched}", f"new={len(self.done.new)}"]
        if self.cut is not None:
            said.append(f"cut={self.cut[0]}-{self.cut[1]}")
        if self.done.front:
            said.append(f"front={self.done.front}")
        return ", ".join(said)


def claim_of(call: Call) -> Claim:
    """What the request says of its messages. Raises ProblemError."""
    said = call.request.headers.get(CLAIM_HEADER, "auto").lower()
    for each in get_args(Claim):
        if said == each:
            claim: Claim = each
            return claim
    raise problem("bad-request", f"{CLAIM_HEADER} is {said!r}; it is auto, whole or new", path=CLAIM_HEADER)


async def opened(
    call: Call, session: AsyncSession, messages: Sequence[Message], claim: Claim, after: int | None
) -> Opened:
    """The turn that answers these messages.

    `after`: the client goes on from this position, whatever came behind it. Raises ProblemError, SessionBusy,
    SessionEnded, InvalidMessage; nothing is stored then.
    """
    retries = call.request.headers.get(_RETRIES, "0")
    stored, done = await _compared(session, messages, claim, after, again=retries not in {"", "0"})
    kept = [m for m in stored if done.cut_after is None or m.seq <= done.cut_after]
    require_legal(kept, done.new)
    running = await _running(call.sessions, session)
    if running is not None:
        turn = await _waiting(call.sessions, session, running, stored, done)
        if turn is not None:
            try:
                await turn.append(*done.new)
            except asyncio.CancelledError:  # they may be stored: the lease must not outlive a turn that nobody has
                await turn.fail("its client went away while it brought the results of its calls")
                raise
            return Opened(turn=turn, began=False, done=done, cut=None)
        await _require_free(call.sessions, session)
    refuse_if_draining(call)
    unanswered = _unanswered(kept)
    if not done.new and not unanswered:
        msg = "every message of the request is stored, and the last one is the model's: there is nothing to answer"
        raise problem("nothing-to-answer", msg, path="messages")
    cut = None
    if done.cut_after is not None and stored[-1].seq > done.cut_after:
        cut = (done.cut_after + 1, stored[-1].seq)
        await session.truncate(after=done.cut_after)
    try:
        new = done.new if kept else _greeted(done.new)
        turn = await (_begun(session, new) if new else _begun_again(session, unanswered))
    except SessionBusy as error:
        raise ProblemError(await busy_problem(call.sessions, session.id, error)) from error
    return Opened(turn=turn, began=True, done=done, cut=cut)


async def _compared(
    session: AsyncSession, messages: Sequence[Message], claim: Claim, after: int | None, *, again: bool
) -> tuple[list[Message], Resent]:
    """What is stored, as much of it as is needed, and what the request says besides."""
    stored, complete = await _newest(session, len(messages) + _SLACK)
    if after is not None:
        while not complete and stored[0].seq > after:
            stored, complete = await _newest(session, None)
        before = [message for message in stored if message.seq <= after]
        done = resent(before, messages, claim="new") or Resent(matched=0, new=tuple(messages))
        if len(before) < len(stored):
            done = msgspec.structs.replace(done, cut_after=after)
        return stored, done
    found = resent(stored, messages, claim=claim, complete=complete, again=again)
    if found is None:
        stored, _ = await _newest(session, None)
        found = resent(stored, messages, claim=claim, again=again)
    return stored, found or Resent(matched=0, new=tuple(messages))


async def _newest(session: AsyncSession, count: int | None) -> tuple[list[Message], bool]:
    """The newest live messages, in order, and whether they are all there are."""
    found: list[Message] = []
    before: int | None = None
    while count is None or len(found) < count:
        size = _PAGE if count is None else min(count - len(found), _PAGE)
        try:
            page = await session.messages(before=before, limit=size, newest=True)
        except SessionNotFound:  # its first message makes it
            return [], True
        seqs = [*(message.seq for message in page), *page.corrupt]
        if not seqs:
            return found, True
        before = min(seqs)
        found[:0] = page
    return found, False


async def _running(sessions: AsyncSessionManager, session: AsyncSession) -> TurnRow | None:
    try:
        return await running_turn(sessions, session.id)
    except SessionNotFound:
        return None


async def _waiting(
    sessions: AsyncSessionManager, session: AsyncSession, row: TurnRow, stored: Sequence[Message], done: Resent
) -> AsyncTurn | None:
    """The running turn, where it waits for the results that the request brings.

    An agent's own turn is none of its business. One that waits for results, and is given something else, ends as
    interrupted: its client went on without them. One that is being answered is left alone: beginning another says that
    the session is busy.
    """
    last = next((m for m in reversed(stored) if m.role not in _INSTRUCTIONS), None)
    if last is None or not last.tool_calls or last.seq < row.first_seq or not is_passed(row):
        return None
    turn = await sessions.turn(turn_id(session.id, row.first_seq, row.token), lease=LEASE)
    if turn.ended:
        return None
    if done.cut_after is None and done.new and done.new[0].role == "tool":
        return turn
    await turn.fail("its client went on without the results of its calls")
    return None


async def _begun(session: AsyncSession, new: Sequence[Message]) -> AsyncTurn:
    """A turn that begins with the newest message of the user; what stands before it is history."""
    place = next((i for i in reversed(range(len(new))) if new[i].role == "user"), len(new) - 1)
    options: dict[str, Any] = {"on_busy": "raise", "lease": LEASE}
    if not place:
        turn = await session.begin_turn(new[0], **options)
    else:
        await session.append(*new[:place])
        turn = await session.begin_turn(new[place], **options)
    if new[place + 1 :]:
        try:
            await turn.append(*new[place + 1 :])
        except BaseException as error:  # the lease must not outlive a turn that nobody got
            await turn.fail(f"it could not begin: {type(error).__name__}")
            raise
    return turn


def _greeted(new: Sequence[Message]) -> Sequence[Message]:
    """A conversation that its client lets the model begin: a greeting is a delivery, or no window would show it."""
    if len(new) > 1 and new[0].role == "assistant" and not new[0].tool_calls and new[1].role == "user":
        return (new[0].replace(flags=(*new[0].flags, "delivery")), *new[1:])
    return new


async def _begun_again(session: AsyncSession, unanswered: Sequence[Message]) -> AsyncTurn:
    """A turn for what stands at the end without an answer: it is stored anew, and gives way where it stood."""
    if len(unanswered) == 1 and unanswered[0].role == "user":
        return await session.retry(timeout=0, lease=LEASE)
    await session.truncate(after=unanswered[0].seq - 1)
    return await _begun(session, [m.replace(seq=0, id=None, created_at=None) for m in unanswered])


def _unanswered(kept: Sequence[Message]) -> list[Message]:
    """The last message that the model has not answered, and what stands behind it; none where it has."""
    place = next((i for i in reversed(range(len(kept))) if kept[i].role not in _INSTRUCTIONS), None)
    if place is None or kept[place].role == "assistant":
        return []
    return list(kept[place:])


async def _require_free(sessions: AsyncSessionManager, session: AsyncSession) -> None:
    """Refuse a request beside one that is being answered, before anything is stored or cut."""
    row = await _running(sessions, session)
    if row is not None and is_held(sessions, row):
        busy = SessionBusy(f"another request is being answered in session {session.id!r}: wait for it")
        raise ProblemError(await busy_problem(sessions, session.id, busy))
