"""What of a transcript can be replayed to a model at all: exchanges made legal, and why the rest was left out.

Budgets come later, in `palaver.window`; what is decided here does not depend on them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import msgspec

from palaver.annotations import WindowOptions, annotate, strip_echo
from palaver.exchanges import Exchange, answered, group
from palaver.model import Message, Part, TextPart, ThinkingPart

__all__ = ["OmittedReason", "Replay", "is_delivery", "replay", "replayable"]

OmittedReason: TypeAlias = Literal[
    "budget", "before_user", "hidden", "command", "empty", "reasoning", "orphan", "waiting", "corrupt"
]
"""`budget`: it does not fit, or is older than what does; `before_user`: before the first message of the user, where a
window must begin; `hidden`, `command`: flagged so; `empty`: an assistant message that says nothing; `reasoning`:
reasoning alone and unsigned, which a model would read as speech; `orphan`: a result that answers no call; `waiting`:
it came while a turn runs that was not shown it; `corrupt`: its record cannot be decoded."""

_CONTENT_KEYS = ("content", "refusal", "audio", "function_call", "tool_calls")
"""Keys of OpenAI messages that say something; kept in `extra` where their value has no reading of ours."""


class Replay(msgspec.Struct, frozen=True):
    """The exchanges of a transcript that a model may see, in order, and what was done to get there."""

    exchanges: list[Exchange]
    pending: Exchange | None
    """The running turn's last exchange, while a call of it has no result."""
    reasons: dict[int, OmittedReason]
    """Why a message, by position, is in neither."""
    stripped: frozenset[int]
    """Assistant messages that an echoed annotation was taken off, by position."""
    before: dict[int, int]
    """For a message that continues the one before it: the position of that one; 0 where it is not replayed."""


def replayable(message: Message) -> bool:
    """Whether the message may ever be shown to a model: not hidden, and no command."""
    flags = message.flags
    return not flags or ("hidden" not in flags and "command" not in flags)


def is_delivery(exchange: Exchange) -> bool:
    """Whether this is a message that the agent sent on its own accord."""
    messages = exchange.messages
    return (
        len(messages) == 1
        and messages[0].role == "assistant"
        and "delivery" in messages[0].flags
        and not exchange.unanswered
    )


def replay(
    messages: Sequence[Message],
    running_from: int | None,
    options: WindowOptions,
    after: Sequence[tuple[int, int]] = (),
) -> Replay:
    """All of the messages that a model may see, as legal exchanges; for `after` see `Tail`.

    A call without a result is answered by an error. Only the running turn's last one waits, in `pending`: as long as
    the model has said nothing after it (a delivery is not its answer).
    """
    reasons: dict[int, OmittedReason] = {}
    stripped: set[int] = set()
    before: dict[int, int] = {}
    shown = _shown(messages, options, reasons, stripped, before)
    exchanges: list[Exchange] = []
    pending: Exchange | None = None
    may_wait = running_from is not None
    for grouped in reversed(group(shown)):
        exchange = _speaking(grouped, reasons)
        if exchange is None:
            continue
        if exchange.unanswered and may_wait and running_from is not None and exchange.first_seq >= running_from:
            pending = exchange
            may_wait = False
            continue
        if exchange.messages[0].role == "assistant" and not is_delivery(exchange):
            may_wait = False
        exchanges.append(answered(exchange))
    exchanges.reverse()
    if after:
        places = dict(after)
        exchanges.sort(key=lambda e: (places.get(e.first_seq, e.first_seq), e.first_seq in places, e.first_seq))
    return Replay(exchanges, pending, reasons, frozenset(stripped), before)


def _shown(
    messages: Sequence[Message],
    options: WindowOptions,
    reasons: dict[int, OmittedReason],
    stripped: set[int],
    before: dict[int, int],
) -> list[Message]:
    """The messages that are not flagged away, annotated as asked for."""
    shown: list[Message] = []
    idle = options.idle
    last = 0
    for message in messages:
        if message.flags and not replayable(message):
            reasons[message.seq] = "hidden" if "hidden" in message.flags else "command"
            last = 0
            continue
        seq = message.seq
        if message.joins:
            before[seq] = last
            if not last:  # it must not be taken for a continuation of what now stands before it
                message = message.replace(joins=False)  # noqa: PLW2901
        last = seq
        if not idle:
            if options.strips and (plain := strip_echo(message)) is not message:
                stripped.add(seq)
                message = plain  # noqa: PLW2901
            message = annotate(message, options)  # noqa: PLW2901
        shown.append(message)
    return shown


def _speaking(exchange: Exchange, reasons: dict[int, OmittedReason]) -> Exchange | None:
    """The exchange without messages that say nothing; None, and why, if none is left."""
    messages = exchange.messages
    if not messages:
        reasons[exchange.first_seq] = "orphan"
        return None
    if messages[0].role != "assistant":
        return exchange
    if len(messages) == 1:
        weight = _weight(messages[0])
        if weight == _SPEECH:
            return exchange
        reasons[exchange.first_seq] = "reasoning" if weight else "empty"
        return None
    weights = [_weight(message) if message.role == "assistant" else _SPEECH for message in messages]
    most = max(weights)
    if most != _SPEECH:
        for message, weight in zip(messages, weights, strict=True):
            reasons[message.seq] = "reasoning" if weight else "empty"
        return None
    if min(weights) != _NOTHING:
        return exchange
    kept = tuple(message for message, weight in zip(messages, weights, strict=True) if weight != _NOTHING)
    for message, weight in zip(messages, weights, strict=True):
        if weight == _NOTHING:
            reasons[message.seq] = "empty"
    return msgspec.structs.replace(exchange, messages=kept, first_seq=kept[0].seq)


_NOTHING, _THOUGHT, _SPEECH = 0, 1, 2


def _weight(message: Message) -> int:
    """Whether an assistant message says something, only thinks, or neither."""
    weight = _NOTHING
    for part in message.parts:
        if type(part) is TextPart:
            if _says(part):
                return _SPEECH
        elif type(part) is not ThinkingPart or part.signature or part.redacted or _signed(part):
            return _SPEECH
        elif part.text:
            weight = _THOUGHT
    return _SPEECH if message.extra is not None and _says_more(message.extra) else weight


def _says(part: TextPart) -> bool:
    return bool(part.text and not part.text.isspace()) or _signed(part)


def _signed(part: Part) -> bool:
    """Google signs parts of any kind, empty text too, and the signature is what has to come back."""
    return part.extra is not None and "ignature" in part.extra


def _says_more(extra: str) -> bool:
    """Whether the keys that no field holds say something, as a refusal of unknown shape does."""
    try:
        keys: Any = json.loads(extra)
    except ValueError:  # written by another hand; who knows what it says
        return True
    return isinstance(keys, dict) and any(keys.get(key) for key in _CONTENT_KEYS)  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
