"""The flows of a turn that runs: what is appended, what came meanwhile, and its end."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import msgspec

from palaver import codec
from palaver.budget import Budget
from palaver.core import Core
from palaver.errors import TurnLost
from palaver.flows import media
from palaver.flows.drafting import drafts
from palaver.flows.starts import whole_turn
from palaver.media import restored
from palaver.model import Message, Usage
from palaver.operations import Append, Appended, Finish, Finished, Take
from palaver.rows import TurnState
from palaver.steps import Flow, call, write
from palaver.times import from_micros

__all__ = ["append", "finish", "inbox"]


def append(
    core: Core, session_id: str, token: str, lease: timedelta, messages: Sequence[Message]
) -> Flow[tuple[Message, ...]]:
    """Store messages of a running turn, and give them back as stored."""
    given = yield from drafts(messages)
    at = core.at()
    operation = Append(
        at=at,
        owner=core.owner,
        session_id=session_id,
        messages=given,
        token=token,
        lease_micros=lease // timedelta(microseconds=1),
    )
    done: Appended = yield from _or_unstored(operation, messages)
    return _as_stored(messages, done.seqs, at)


def finish(
    core: Core,
    session_id: str,
    token: str,
    state: TurnState,
    messages: Sequence[Message] = (),
    usage: Usage | None = None,
    anchor: int = 0,
    reason: str | None = None,
    first_seq: int = 0,
    calibration: str | None = None,
) -> Flow[tuple[tuple[Message, ...], int]]:
    """End a turn; gives its last messages as stored, and how many messages wait for the next turn."""
    given = yield from drafts(messages)
    at = core.at()
    operation = Finish(
        at=at,
        owner=core.owner,
        session_id=session_id,
        token=token,
        state=state,
        messages=given,
        usage=core.priced(usage),
        anchor=anchor,
        reason=codec.clean_text(reason) if reason is not None else None,
        first_seq=first_seq,
        calibration=calibration,
    )
    done: Finished = yield from _or_unstored(operation, messages)
    return _as_stored(messages, done.appended.seqs, at), len(done.waiting)


def _or_unstored(operation: Append | Finish, messages: Sequence[Message]) -> Flow[Any]:
    try:
        return (yield from write(operation))
    except TurnLost as lost:
        raise TurnLost(
            f"{lost}; {len(messages)} message(s) were not stored: session.append takes them", unstored=messages
        ) from None


def inbox(core: Core, session_id: str, token: str, first_seq: int, budget: Budget) -> Flow[tuple[Message, ...]]:
    """Messages that came while the turn runs; they belong to it from now on."""
    if not (yield from call(core.store.queued, session_id, core.owner)):
        return ()
    taken: tuple[int, ...] = yield from write(
        Take(at=core.at(), owner=core.owner, session_id=session_id, token=token, first_seq=first_seq)
    )
    if not taken:
        return ()
    whole = yield from whole_turn(core, session_id, first_seq)
    messages = tuple(m for m in whole.messages if m.seq in taken)
    return restored(messages, (yield from media.load(core, session_id, messages, budget)))


def _as_stored(messages: Sequence[Message], seqs: Sequence[int], at: int) -> tuple[Message, ...]:
    """The messages as a read would give them."""
    when = from_micros(at)
    return tuple(
        [
            msgspec.structs.replace(m, seq=seq, created_at=m.created_at or when)
            for m, seq in zip(messages, seqs, strict=True)
        ]
    )
