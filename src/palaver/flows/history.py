"""Reading a session's history, and what of it a new session begins with."""

from __future__ import annotations

from palaver import codec
from palaver.budget import Budget
from palaver.core import Core
from palaver.errors import SessionNotFound
from palaver.model import Message
from palaver.rows import Draft
from palaver.steps import Flow, call
from palaver.window import Tail, Window, legal_window

__all__ = ["SLACK", "copies", "read_window", "widen"]

SLACK = 8
"""Messages read beyond the budget: a result may stand behind others, and some messages are left out."""


def read_window(core: Core, session_id: str, budget: Budget) -> Flow[Window]:
    """The legal window of a session within a budget."""
    _, window = yield from widen(core, session_id, budget, sticky=False)
    return window


def widen(core: Core, session_id: str, budget: Budget, *, sticky: bool) -> Flow[tuple[Tail, Window]]:
    """A tail that reaches far enough for the budget, and its window.

    One read nearly always; where many messages are left out (commands, orphans), each further read is four times as
    long as the one before.
    """
    limit = budget.max_messages + SLACK
    while True:
        tail = yield from call(core.store.tail, session_id, core.owner, core.now(), limit=limit)
        window = legal_window(tail, budget, sticky=sticky, options=core.settings.window_options)
        if not window.short:
            return tail, window
        limit *= 4


def copies(core: Core, session_id: str, budget: Budget) -> Flow[tuple[Draft, ...]]:
    """Copies of what a session's window holds, for a session that begins with them. Nothing if it is gone."""
    try:
        window = yield from read_window(core, session_id, budget)
    except SessionNotFound:
        return ()
    return tuple(copy(m, session_id) for m in window.messages[window.head_count :] if m.seq)


def copy(message: Message, session_id: str) -> Draft:
    """A copy counts neither as use nor as a message that somebody sent: without id and usage."""
    source = message.copied_from or f"{session_id}~{message.seq}"
    return codec.draft(message.replace(seq=0, id=None, usage=None, copied_from=source))
