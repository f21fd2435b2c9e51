"""What a Compactor is given and gives."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Literal, TypeAlias

import msgspec

from palaver.info import Summary
from palaver.model import Message, Usage

__all__ = ["Answer", "Compaction", "Outcome", "Summarised", "Summariser", "summarised"]

Outcome: TypeAlias = Literal["compacted", "nothing_due", "superseded", "changed", "gone", "gave_up", "resting"]
"""`compacted`: summaries stand for all that was due; `nothing_due`; `superseded`: another Compactor was faster, and the
summary of this one was dropped; `changed`: messages were edited, cut or purged while the model read them, again and
again; `gone`: the session was reset, deleted or purged meanwhile; `gave_up`: the model failed, or answered nothing that
is a summary; `resting`: it gave up a short while ago, and nothing was tried."""


class Summarised(msgspec.Struct, frozen=True, kw_only=True):
    """What a model answered, with what else is known of it."""

    text: str | Message
    usage: Usage | None = None
    """What the call used; recorded in the session, whether the summary is used or not."""
    stop_reason: str | None = None
    """Why the model stopped, as the provider says it: an answer that was cut short is no summary."""


Answer: TypeAlias = str | Message | tuple[str | Message, Usage | None] | Summarised
Summariser: TypeAlias = Callable[[tuple[Message, ...], str | None], Answer | Awaitable[Answer]]
"""Called with messages and the summary that they continue (None: there is none), gives a summary of all of it."""


class Compaction(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one run over one session. What was not summarised is as it was."""

    session_id: str
    outcome: Outcome
    summaries: tuple[Summary, ...] = ()
    """Those that were committed: several, where there was more to summarise than a model takes at once."""
    calls: int = 0
    """How many times the model was called."""
    failures: tuple[str, ...] = ()
    """Why a call gave no summary, or why a summary was dropped, in order."""
    usage: Usage | None = None
    """What the calls used together, as far as they said."""


def summarised(given: object) -> Summarised:
    """An answer in its longest form. Raises TypeError for what is none."""
    if isinstance(given, Summarised):
        return given
    if isinstance(given, str):
        return Summarised(text=given)
    if isinstance(given, Message):
        return Summarised(text=given, usage=given.usage)
    if inspect.isawaitable(given):
        if inspect.iscoroutine(given):
            given.close()
        raise TypeError("this summariser is async: use an AsyncCompactor")
    match given:
        case (str() | Message() as text, None | Usage() as usage):
            return Summarised(text=text, usage=usage)
        case _:
            raise TypeError(
                f"the summariser gave {type(given).__name__}; "
                "give the text, a Message, either with a Usage, or palaver.compactor.Summarised"
            )
