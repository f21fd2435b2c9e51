"""A turn by its id: whoever has that may go on with it, in this process or another."""

from __future__ import annotations

import msgspec

from palaver.budget import Budget
from palaver.core import Core
from palaver.errors import SessionNotFound
from palaver.flows.starts import Began, with_lease, without_lease
from palaver.operations import Begun
from palaver.steps import Flow, call
from palaver.stores.base import WholeTurn

__all__ = ["turn_by_id", "turn_id"]

_SEQ_DIGITS = 10


def turn_id(session_id: str, first_seq: int, token: str) -> str:
    """What names a turn and, with its token, the right to go on with it."""
    return f"{session_id}~{first_seq}~{token}"


def turn_by_id(core: Core, reference: str, *, budget: Budget | None) -> Flow[Began]:
    """A turn by its id, in whatever state it is; another process may have begun it."""
    session_id, _, rest = reference.partition("~")
    first, _, token = rest.partition("~")
    whole: WholeTurn | None = None
    if first.isdecimal() and len(first) <= _SEQ_DIGITS:
        whole = yield from call(core.store.whole_turn, session_id, core.owner, int(first), core.now())
    if whole is None or whole.turn.token != token:
        msg = f"no turn {reference!r}: check the id; a turn that was taken over has another one"
        raise SessionNotFound(msg)
    turn = whole.turn
    running = turn.state == "running"
    begun = Begun(
        kind="begun" if running else "replayed",
        session_id=session_id,
        seq=turn.message_seq,
        turn=turn,
        session_is_new=turn.session_is_new,
        first_contact=turn.first_contact,
    )
    if running:
        if budget is None:  # what the turn began with, so that its payloads share their beginning
            budget = _budget(turn.budget) or core.settings.budget
        return (yield from with_lease(core, begun, None, None, token, budget, whole=whole))
    return (yield from without_lease(core, begun, None, whole=whole))


def _budget(stored: str | None) -> Budget | None:
    """The budget that a turn began with; None also where that cannot be decoded: `check` names it."""
    try:
        return msgspec.json.decode(stored, type=Budget) if stored else None
    except msgspec.MsgspecError:
        return None
