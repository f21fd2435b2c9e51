"""Counters: exact sizes of messages, by a tokenizer that the caller brings.

The core never calls code of a user. A counter is applied before a message is given to a session: what it says is
stored in `Message.tokens`, and every window goes by that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, cast

from palaver.model import Message, Opaque, Part, TextPart, ThinkingPart, ToolCall, ToolResult
from palaver.tokens.estimate import MESSAGE_TOKENS, uncounted_tokens

__all__ = ["Counter", "by_text", "counted"]


class Counter(Protocol):
    """Anything that says how many tokens a message is; a plain function does."""

    def __call__(self, message: Message, /) -> int:
        """How many tokens, with what the wire adds around the message."""
        ...


def counted(message: Message, counter: Counter | None = None) -> Message:
    """The message with its size in `tokens`, by the counter; without one by the estimate.

    Count what is new: a message that is changed later keeps its number. Raises ValueError where the counter gives a
    number below 0, and TypeError where it gives none.
    """
    tokens = cast("object", uncounted_tokens(message) if counter is None else counter(message))
    if not isinstance(tokens, int) or isinstance(tokens, bool):
        raise TypeError(f"the counter gave {tokens!r}; a counter gives a whole number of tokens")
    if tokens < 0:
        raise ValueError(f"the counter gave {tokens}; a message has no fewer than 0 tokens")
    return message.replace(tokens=tokens)


def by_text(count: Callable[[str], int]) -> Counter:
    """A counter from a tokenizer of plain text: texts, calls and results by it, and the rest as it is estimated.

    The rest is media, encrypted reasoning, and what the wire adds around messages and calls.
    """

    def counter(message: Message, /) -> int:
        return MESSAGE_TOKENS + sum(_part(part, message, count) for part in message.parts)

    return counter


def _part(part: Part, message: Message, count: Callable[[str], int]) -> int:
    if isinstance(part, TextPart):
        return count(part.text)
    if isinstance(part, ToolCall):
        return MESSAGE_TOKENS + count(part.name) + count(part.arguments)
    if isinstance(part, ToolResult):
        return sum(_part(each, message, count) for each in part.parts)
    if isinstance(part, ThinkingPart) and part.text and not part.redacted:
        return count(part.text)
    if isinstance(part, Opaque) and len(part.data) < 1024:
        return count(part.data)
    return uncounted_tokens(message.replace(parts=(part,))) - MESSAGE_TOKENS
