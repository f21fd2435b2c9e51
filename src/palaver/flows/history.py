"""Reading a session's history, and what of it a new session begins with."""

from __future__ import annotations

import msgspec

from palaver import codec
from palaver.budget import Budget, calibrated
from palaver.core import Core
from palaver.errors import SessionNotFound
from palaver.flows import media
from palaver.media import holds_media
from palaver.model import Message
from palaver.rows import MOST, Draft, TurnRow
from palaver.steps import Flow, call
from palaver.tokens import Calibration
from palaver.window import Tail, Window, legal_window

__all__ = ["SLACK", "calibration_of", "copies", "read_window", "widen"]

MAX_WINDOWS = 256
SLACK = 8
"""Messages read beyond the budget: a result may stand behind others, and some messages are left out."""


def read_window(core: Core, session_id: str, budget: Budget) -> Flow[Window]:
    """The legal window of a session within a budget; estimates of tokens as the session's turns have them."""
    if budget.max_tokens is not None:
        turn = yield from call(core.store.turn, session_id, core.owner)
        budget = calibrated(budget, calibration_of(turn))
    _, window, large = yield from widen(core, session_id, budget, sticky=False)
    if not large:
        return window
    held = yield from media.load_window(core, session_id, window, budget)
    return media.shown(window, held, budget)


def calibration_of(turn: TurnRow | None) -> Calibration:
    """What is known of a session's estimates, by its newest turn."""
    if turn is None or turn.calibration is None:
        return Calibration()
    try:
        return msgspec.json.decode(turn.calibration, type=Calibration)
    except msgspec.MsgspecError:  # `check` names it; estimates are corrected anew as turns go on
        return Calibration()


def widen(
    core: Core, session_id: str, budget: Budget, *, sticky: bool, running_from: int | None = None
) -> Flow[tuple[Tail, Window, bool]]:
    """A tail that reaches far enough for the budget, its window, and whether that has media.

    One read nearly always; where many messages are left out (commands, orphans), each further read is four times as
    long as the one before.
    """
    limit = min(budget.max_messages, MOST) + SLACK
    while True:
        tail = yield from call(core.store.tail, session_id, core.owner, core.now(), limit=limit)
        if running_from is not None and tail.running_from is None:
            tail = msgspec.structs.replace(tail, running_from=running_from)
        window, has_media = _window(core, session_id, tail, budget, sticky=sticky)
        if not window.short:
            return tail, window, has_media
        limit *= 4


def _window(core: Core, session_id: str, tail: Tail, budget: Budget, *, sticky: bool) -> tuple[Window, bool]:
    """The window of a tail; where the store gave the very tail that it gave before, the window that followed then."""
    known = core.windows.get(session_id)
    if known is not None and known[0] is tail and known[1] == budget and known[2] is sticky:
        return known[3], known[4]
    window = legal_window(tail, budget, sticky=sticky, options=core.settings.window_options)
    if len(core.windows) >= MAX_WINDOWS and session_id not in core.windows:
        core.windows.clear()
    has_media = _holds_media(window, known[3] if known is not None and not known[4] else None)
    core.windows[session_id] = tail, budget, sticky, window, has_media
    return window, has_media


def _holds_media(window: Window, before: Window | None) -> bool:
    """Whether a window has content beside its text. What a window without any had, too, need not be looked at again."""
    messages = window.messages + window.pending
    if before is not None:
        seen = {*map(id, before.messages), *map(id, before.pending)}
        messages = tuple(m for m in messages if id(m) not in seen)
    return holds_media(messages)


def copies(core: Core, session_id: str, budget: Budget) -> Flow[tuple[Draft, ...]]:
    """Copies of what a session's window holds, for a session that begins with them. Nothing if it is gone."""
    limit = min(budget.max_messages, MOST) + SLACK
    try:
        tail = yield from call(core.store.tail, session_id, core.owner, core.now(), limit=limit)
    except SessionNotFound:
        return ()
    window = legal_window(tail, budget)  # without the view's marks, and breadcrumbs in place of images
    return tuple(copy(m, session_id) for m in window.messages[window.head_count :] if m.seq)


def copy(message: Message, session_id: str) -> Draft:
    """A copy counts neither as use nor as a message that somebody sent: without id and usage."""
    source = message.copied_from or f"{session_id}~{message.seq}"
    return codec.draft(message.replace(seq=0, id=None, usage=None, copied_from=source))
