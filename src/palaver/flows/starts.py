"""What a turn starts from: its messages, its window, its context."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import msgspec

from palaver import context
from palaver.budget import Budget, calibrated
from palaver.core import Core
from palaver.errors import SessionNotFound
from palaver.flows import media
from palaver.flows.history import calibration_of, widen
from palaver.info import Notice, SessionInfo
from palaver.keys import Origin
from palaver.media import restored
from palaver.model import Message
from palaver.operations import Begun
from palaver.rows import TurnRow
from palaver.steps import Flow, call
from palaver.stores.base import WholeTurn
from palaver.window import Tail, Window

__all__ = ["Began", "whole_turn", "with_lease", "without_lease"]


class Began(msgspec.Struct, kw_only=True):
    """What a turn starts from."""

    kind: str
    session_id: str
    seq: int
    origin: Origin | None
    token: str = ""
    turn: TurnRow | None = None
    messages: tuple[Message, ...] = ()
    """The message that began the turn, as stored, and those that had waited; of a replayed turn all of its messages."""
    tail: Tail = Tail()
    window: Window = Window()
    budget: Budget = Budget()
    media: dict[str, str] = {}  # msgspec gives each its own copy
    """Base64 of what the window's messages refer to, by address."""
    has_media: bool = False
    context: Callable[[], str] = str
    """Writes the section for the system prompt, for whom it is wanted."""
    notice: Notice | None = None
    session_is_new: bool = False
    first_contact: bool = False


def with_lease(
    core: Core,
    begun: Begun,
    origin: Origin | None,
    current: SessionInfo | None,
    token: str,
    budget: Budget,
    *,
    whole: WholeTurn | None = None,
) -> Flow[Began]:
    """What a turn starts from that has its lease; `whole` is what was read of it, where that was needed anyway."""
    # Its own turn runs for its holder, also where the lease ran out and nobody has taken it.
    running_from = begun.turn.steps_from if begun.turn is not None else None
    budget = calibrated(budget, calibration_of(begun.turn))
    tail, window, large = yield from widen(
        core, begun.session_id, budget, sticky=True, running_from=running_from, begun=begun
    )
    held: dict[str, str] = {}
    if large:
        held = yield from media.load_window(core, begun.session_id, window, budget)
        window = media.shown(window, held, budget)
    # A turn that has just begun with a message of its own, under a key, is known as far as it goes.
    asked = tail.at(begun.seq)
    messages: tuple[Message, ...] = (asked,) if asked is not None else ()
    known = current is not None and current.id == begun.session_id and begun.kind == "begun" and not begun.queued
    if whole is None and not (known and messages):
        whole = yield from whole_turn(
            core, begun.session_id, begun.turn.first_seq if begun.turn is not None else begun.seq
        )
    if whole is not None:
        current, messages = whole.session, tuple(whole.messages)
    origin = origin or (current.origin if current is not None else None)
    return Began(
        kind=begun.kind,
        session_id=begun.session_id,
        seq=begun.seq,
        origin=origin,
        token=token,
        turn=begun.turn,
        messages=restored(messages, held),
        has_media=large,
        tail=tail,
        window=window,
        budget=budget,
        media=held,
        context=partial(context.section, current, origin, core.settings.deployment) if origin is not None else str,
        notice=_notice(begun.notice),
        session_is_new=begun.session_is_new,
        first_contact=begun.first_contact,
    )


def without_lease(core: Core, begun: Begun, origin: Origin | None, *, whole: WholeTurn | None = None) -> Flow[Began]:
    """A turn that is over, or a message that waits for the one that runs."""
    turn = begun.turn
    if whole is None and turn is not None:
        whole = yield from whole_turn(core, begun.session_id, turn.first_seq)
    if whole is not None:
        messages = whole.messages
    else:
        messages = yield from call(
            core.store.page, begun.session_id, core.owner, after=begun.seq - 1, before=begun.seq + 1, limit=1
        )
    held = yield from media.load(core, begun.session_id, messages, core.settings.budget)
    return Began(
        kind=begun.kind,
        session_id=begun.session_id,
        seq=begun.seq,
        origin=origin,
        turn=turn,
        messages=restored(messages, held),
        session_is_new=turn.session_is_new if turn is not None else False,
        first_contact=turn.first_contact if turn is not None else False,
    )


def whole_turn(core: Core, session_id: str, first_seq: int) -> Flow[WholeTurn]:
    """The turn that began at a position. Raises SessionNotFound where it is gone."""
    whole = yield from call(core.store.whole_turn, session_id, core.owner, first_seq, core.now())
    if whole is None:
        msg = f"session {session_id!r} has no turn at seq {first_seq}: it was taken away meanwhile"
        raise SessionNotFound(msg)
    return whole


def _notice(stored: str | None) -> Notice | None:
    """What is to be said about a reset; nothing where that cannot be decoded: the turn goes on."""
    try:
        return msgspec.json.decode(stored, type=Notice) if stored is not None else None
    except msgspec.MsgspecError:
        return None
